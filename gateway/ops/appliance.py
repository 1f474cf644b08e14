"""Builds the appliance's stages from a configuration and an instance: io over its port, core over its kernels.

      Configuration ─┬─► limit_block.py    gate limits, epoch              (control)
                     ├─► io_stage          native/io.c over the port        (process io)
                     └─► CoreStage         gateway/core/loop.py over memory (process core)

Hard rule: nothing here runs while frames flow; it fills structs with addresses and keeps what they point to alive.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.config import Configuration
from gateway.core.admission import make_admission
from gateway.core.adoption import make_adoption
from gateway.core.book_store import make_store
from gateway.core.carried import fill_carried
from gateway.core.instrument_file import define_listings, load_instrument_file
from gateway.core.instruments import make_instruments
from gateway.core.loop import core_step
from gateway.core.memory import address_of
from gateway.core.order_frames import OrderFrames
from gateway.core.order_packets import OrderPackets
from gateway.core.order_path import make_order_path
from gateway.core.quality_store import QualitySettings, make_quality
from gateway.core.recovery import make_healing
from gateway.core.requests import make_request_frame
from gateway.core.strategy_file import load_strategy
from gateway.core.unattended import make_unattended
from gateway.errors import GatewayError
from gateway.instance import Instance, handle_address
from gateway.native import ffi
from gateway.ops.channels import Channels
from gateway.ops.exception import lines_of, open_beside, ours_of
from gateway.ops.limit_block import (
    EPOCH_SINGLE_NODE,
    EXTERNAL_ROW,
    STRATEGY_ROW,
    carried_positions,
    instrument_limits,
    named_limits,
)
from gateway.ops.link_ends import attach_link
from gateway.sections import MICROSECOND_NS, PRICE_EXPONENT, endpoint, mac
from gateway.stages import Io, Stage
from gateway.venues.definition_file import load_definition
from gateway.venues.feed import LINK_FEED, Feed, itch50, link_feed
from gateway.venues.sbe_feed import sbe, schema_of
from gateway.venues.websocket import VENUES, websocket_feed

MILLISECOND_NS = 1_000_000
NULL_STRATEGY = Path(__file__).resolve().parent.parent / "strategies" / "null.py"


def io_stage(instance: Instance, configuration: Configuration, port: str | None = None, **options: Any) -> Io:
    """The io stage over the configured port, or over `port`; with the exception path where it is configured.

    A capture has no exception path: nothing could answer there.
    """
    options.setdefault("order_age_max_ns", configuration.watch.order_age_max_ms * MILLISECOND_NS)
    io = Io(instance, [port or configuration.port.name], **options)
    if lines := lines_of(configuration):
        io.follow([*lines, *ours_of(configuration)])
    if configuration.exception.tap and not io.patient:
        open_beside(io, configuration)
    return io


def quality_settings(configuration: Configuration) -> QualitySettings:
    """What [quality] asks for."""
    quality = configuration.quality
    return QualitySettings(
        z_max=quality.z_max,
        deviation_ppm=quality.deviation_ppm,
        window=quality.window,
        warm_up=quality.warm_up,
        agree=quality.agree,
        floor_ppm=quality.floor_ppm,
        stale_after_ns=quality.stale_after_ms * MILLISECOND_NS,
        groups=quality.group_members(),
        apart_ppm=quality.divergence_ppm,
        apart_ns=quality.divergence_ms * MILLISECOND_NS,
        price_exponent=PRICE_EXPONENT,
    )


def order_frames(configuration: Configuration) -> OrderFrames | OrderPackets:
    """The templates of the order session, and with them which rings and process carry it."""
    session = configuration.session
    if configuration.orders.carriage == "soupbintcp":
        return OrderPackets(epoch=EPOCH_SINGLE_NODE, site=session.site, firm=session.firm, capacity=session.capacity)
    return OrderFrames(
        our_mac=mac(session.our_mac),
        venue_mac=mac(session.venue_mac),
        our_address=endpoint(session.our_address),
        venue_address=endpoint(session.venue_address),
        epoch=EPOCH_SINGLE_NODE,
        site=session.site,
        firm=session.firm,
        capacity=session.capacity,
    )


class CoreStage:
    """The core stage: every struct it needs, filled; `stage()` is its step function with its context."""

    def __init__(self, instance: Instance, configuration: Configuration):
        self.instance = instance
        self._keep: list[Any] = []
        if int(instance.counters[0]["core"]["frames"]) != 0:
            raise GatewayError("core: another core has worked on this instance; start the appliance again")
        self.feed = feed_of(configuration)
        self.store = self._make_store()
        self.store[0]["stale_times"] = instance.address("counters") + layout.offsets("counters").stale
        self.strategy = load_strategy(configuration.strategy.file or NULL_STRATEGY, configuration.strategy.parameters)
        self.step = core_step()  # compiled, or loaded, before the first frame
        self.core: Any = ffi.new("struct core *")
        self._attach_rings()
        self._make_channels(configuration)
        self._make_path(configuration)
        self._make_scratch(configuration)
        self.core.strategy = self.strategy.address
        self.core.strategy_state = self.strategy.state_address

    def _kept(self, array: np.ndarray) -> int:
        """Address of an array that lives as long as this stage."""
        self._keep.append(array)
        return address_of(array)

    def _attach_rings(self) -> None:
        self.core.frames = self.instance.reader("io_core")[0]
        self.core.session = self.instance.reader("session_core")[0]
        self.core.external = self.instance.reader("external_core")[0]
        self.core.resolutions = self.instance.reader("control_core")[0]
        self.core_io = self.instance.writer("core_io")
        self.core_session = self.instance.writer("core_session")
        self.core_journal = self.instance.writer("core_journal")

    def _make_store(self) -> np.ndarray:
        bodies = [self.instance.body(name) for name in ("books", "levels", "book_orders")]
        tick = {"tick": self.feed.tick or 1} if self.feed.exponents else {}
        return make_store(*bodies, depth=self.feed.depth, **tick)

    def _make_instruments(self) -> int:
        """Address of the feed's table of instruments; 0 when its decoder numbers rows itself."""
        if self.feed.exponents is None:
            return 0
        price_exponent, quantity_exponent = self.feed.exponents
        self.instruments = make_instruments(
            self.instance.rows("instruments"),
            price_exponent=price_exponent,
            quantity_exponent=quantity_exponent,
            tick=self.feed.tick,
            lot=self.feed.lot,
            books=self.instance.body("books"),
            layer_depths=self.feed.layer_depths,
        )
        if self.feed.instruments_file:
            define_listings(self.instruments, load_instrument_file(self.feed.instruments_file, *self.feed.exponents))
        return self.instruments.address

    def _make_channels(self, configuration: Configuration) -> None:
        counters = self.instance.address("counters") + layout.offsets("counters").core
        instruments = self._make_instruments()
        self.channels = Channels(self.feed, endpoint(configuration.session.our_address), counters, instruments)
        self.channels.fill(self.core)
        self._make_requests(configuration)
        self.core.frame_flags = 0 if configuration.feed.checksum else layout.value("FRAME_CHECKSUM_UNREADY")

    def _make_requests(self, configuration: Configuration) -> None:
        """Where the channels ask for what they miss, if there is anybody to ask."""
        feed, session = configuration.feed, configuration.session
        if not feed.request_server:
            return
        frame = make_request_frame(
            our_mac=mac(session.our_mac),
            server_mac=mac(session.venue_mac),
            our_address=endpoint(feed.recovery_address),
            server_address=endpoint(feed.request_server),
        )
        address = self._kept(frame)
        for row in self.channels.rows:
            if row["role"] == layout.value("CHANNEL_INCREMENTAL"):
                row["request"], row["deadline_ns"] = address, feed.recovery_deadline_ms * MILLISECOND_NS

    def _make_path(self, configuration: Configuration) -> None:
        instance = self.instance
        frames = order_frames(configuration)
        orders = {"core_io": self.core_io, "core_session": self.core_session}[frames.orders_ring]
        views = {name: instance.read_only(name) for name in ("gate", "orders")}
        self._keep += views.values()
        self.path = make_order_path(
            gate=instance.address("gate"),
            books=instance.body("books"),
            control=instance.address("control"),
            orders=instance.address("orders"),
            fills=instance.body("fills"),
            core_io=handle_address(orders),
            requests_out=handle_address(self.core_io),
            journal=handle_address(self.core_journal),
            counters=instance.address("counters") + layout.offsets("counters").core,
            frames=frames.address,
            epoch=EPOCH_SINGLE_NODE,
            instruments=limits.INSTRUMENTS_MAX,
            orders_rows=limits.ORDERS_MAX,
            fills_rows=limits.FILLS_MAX,
            holdings=instance.body("holdings"),
            windows=instance.body("windows"),
            recent=instance.body("recent"),
            recent_lines=limits.RECENT_LINES,
            executions=instance.body("executions"),
            strategy=STRATEGY_ROW,
            gate_view=views["gate"].address,
            orders_view=views["orders"].address,
            adoption=self._make_adoption(configuration),
            keep=(frames, self.core_io, self.core_session, self.core_journal),
        )
        self.core.path = self.path.address
        self.core.intents = self.path.intents_address
        if configuration.external.enabled:
            external = np.zeros(1, dtype=layout.dtype("intents"))
            external["strategy"] = EXTERNAL_ROW
            self.core.external_intents = self._kept(external)

    def _make_adoption(self, configuration: Configuration) -> int:
        """Address of the struct adoption."""
        asked = configuration.reconciliation
        record, keep = make_adoption(
            books_used=address_of(self.store) + layout.offsets("book_store").used,
            unknown_ns=asked.unknown_ms * MILLISECOND_NS,
            cancel_found=asked.found == "cancel",
        )
        self._keep += keep
        return self._kept(record)

    def _make_scratch(self, configuration: Configuration) -> None:
        core, instance, risk = self.core, self.instance, configuration.risk
        own = instrument_limits(configuration), named_limits(configuration)
        admission, keep = make_admission(risk.instruments, risk.restricted, *own, instance.address("post_trade"))
        self._keep += keep + fill_carried(admission, carried_positions(configuration))
        core.admission = self._kept(admission)
        core.datagram = self._kept(np.zeros(1, dtype=layout.dtype("datagram")))
        core.events = self._kept(np.zeros(1, dtype=layout.dtype("event")))
        core.store = self._kept(self.store)
        core.books = instance.body("books")
        if self.feed.snapshot_of or self.feed.snapshots:
            eager = self.feed.messages or any(of != index for index, of in enumerate(self.feed.snapshot_of))
            healing, keep = make_healing(core.store, limits.INSTRUMENTS_MAX, eager=eager)
            core.healing = self._kept(healing)
            self._keep += keep
        core.counters = instance.address("counters") + layout.offsets("counters").core
        core.report_counters = instance.address("counters") + layout.offsets("counters").reports
        core.account = instance.address("gate")
        core.quality = self._make_quality(configuration)
        self._keep += attach_link(core, instance, configuration)
        core.gate_rows = instance.body("gate")
        unattended, kept = make_unattended(configuration.watch.control_stale_ms * MILLISECOND_NS)
        self._keep += kept
        core.unattended = self._kept(unattended)

    def _make_quality(self, configuration: Configuration) -> int:
        """Address of the struct quality; 0 when nothing is asked of it."""
        settings = quality_settings(configuration)
        if not settings.on:
            return 0
        self.quality = make_quality(
            settings,
            account=self.instance.address("quality"),
            rows=self.instance.body("quality"),
            rows_max=limits.INSTRUMENTS_MAX,
            store=address_of(self.store),
            listings=self.instance.body("instruments"),
        )
        return self.quality.address

    def close(self) -> None:
        """Everything lies in shared memory or dies with the process."""

    def stage(self) -> Stage:
        """The compiled step over this context."""
        return Stage(self.step.address, handle_address(self.core), [self])


def feed_of(configuration: Configuration) -> Feed:
    """The feed that the configuration names. Raises ConfigurationError."""
    feed = configuration.feed
    window_ns = feed.reorder_window_us * MICROSECOND_NS
    if feed.name == LINK_FEED and not feed.definition:
        return link_feed()
    if feed.name in VENUES and not feed.definition:
        return websocket_feed(feed.name)
    definition = load_definition(feed.definition or feed.name)
    if definition.decoder == "itch50":
        return itch50(
            (endpoint(feed.line_a), endpoint(feed.line_b), endpoint(feed.recovery_address)),
            window_ns,
            any_destination=feed.any_destination,
            unsequenced=feed.unsequenced,
            snapshots=endpoint(feed.snapshot_line) if feed.snapshot_line else None,
        )
    schema = schema_of(definition, feed.schema_file)
    return sbe(definition, schema, window_ns, any_destination=feed.any_destination, unsequenced=feed.unsequenced)
