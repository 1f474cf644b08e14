"""A recording through the whole corridor, in this process: io and core in one loop, on a port that can wait.

Used by `gateway replay` and `gateway book`. The same bytes give the same events and the same orders, every time.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from gateway import clock, layout
from gateway.config import Configuration
from gateway.core import book_reader
from gateway.core.instrument_reader import instrument_of
from gateway.errors import GatewayError, PortError
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops.appliance import CoreStage, io_stage
from gateway.ops.channel_report import channel_report
from gateway.ops.limit_block import prepare_account
from gateway.ops.recordings import Recording
from gateway.order_sections import Orders
from gateway.stages import Io, Placement, run_loop
from gateway.venues.websocket import VENUES

POLL_SECONDS = 0.05
ITCH_PRICE_EXPONENT = -4  # Price (4)
BOOKKEEPING = ("BOUND", "LEVELS", "SKIPPING")  # flags of a book that say nothing about what it is worth
CAPTURE_MAGICS = (0xA1B2C3D4, 0xD4C3B2A1, 0xA1B23C4D, 0x4D3CB2A1, 0x0A0D0D0A)


def port_of(path: Path, capture_out: str | None = None) -> str:
    """The port that reads a file: `pcap:` for captures, `binaryfile:` for length-prefixed messages."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as problem:
        raise PortError(f"{path}: {problem.strerror}") from problem
    for name in (str(path), capture_out or ""):
        if "," in name:
            raise PortError(f"{name}: a comma ends the file name of a port; rename the file")
    if int.from_bytes(magic, "big") in CAPTURE_MAGICS:
        return f"pcap:{path}" + (f",out={capture_out}" if capture_out else "")
    if path.suffix in (".pcap", ".pcapng") or len(magic) < 4:
        raise PortError(f"{path}: neither pcap nor pcapng (it begins with {magic.hex() or 'nothing'})")
    if capture_out:
        raise PortError(f"{path} is no capture: its messages have no wire, and orders no way out; leave --out away")
    return f"binaryfile:{path}"


def recording_of(path: Path, configuration: Configuration, out: str | None) -> Recording | None:
    """The recorded session of a feed over WebSocket; None where the feed comes in packets."""
    if configuration.feed.definition or configuration.feed.name not in VENUES:
        return None
    if out:
        raise PortError(f"{path} is a session over TCP: its messages have no wire, and orders no way out; leave --out away")
    recording = Recording(path)
    if not recording.is_session():
        recording.close()
        raise PortError(f"{path}: no recorded WebSocket session; its first line must be a time and a message")
    return recording


class Replay:
    """One recording on its own short-lived instance; a context manager that removes it."""

    def __init__(self, path: Path, configuration: Configuration, burst: int = lib.PORT_BURST_MAX, out: str | None = None):
        self._recording = recording_of(path, configuration, out)
        port = f"recording:{self._recording.path}" if self._recording else port_of(path, out)
        if port.startswith("pcap:"):
            port += ",direction=in"  # what was sent is what this replay decides anew
        # nobody logs in anywhere: what a replay would send stays in its own rings
        configuration = configuration.model_copy(update={"orders": Orders()})
        self.instance = Instance.create(configuration.instance.name, Path(configuration.instance.folder))
        self.io: Io | None = None
        try:
            prepare_account(self.instance, configuration)
            # nobody reads the journal of a replay: it keeps the newest records and never stops new risk
            self.instance.rings["core_journal"].view("ring_header")["reliable"] = 0
            # a recording's clock jumps from burst to burst: an order is as old as its frame, not as the gap behind it
            self.io = io_stage(self.instance, configuration, port=port, burst=burst, order_age_max_ns=0)
            self.core = CoreStage(self.instance, configuration)
        except BaseException:
            self._close()
            raise
        self.seconds = 0.0  # the last run took

    def run(self, watch: Callable[[int], None]) -> None:
        """Replays to the end; `watch(frames)` is called about 20 times a second."""
        began_ns = clock.monotonic_ns()
        worker = _Worker(self._loop)
        worker.start()
        while worker.is_alive():
            worker.join(POLL_SECONDS)
            watch(int(self.instance.counters[0]["io"]["frames_received"]))
        worker.raise_problem()
        self.seconds = (worker.ended_ns - began_ns) / 1e9
        if worker.end == "stopped":
            raise KeyboardInterrupt

    def steps(self) -> Iterator[int]:
        """Replays one burst at a time; yields the messages decoded so far after each."""
        while (end := self._loop(turns=1)) == "turns":
            yield int(self.instance.counters[0]["core"]["messages"])
        if end == "stopped":
            raise KeyboardInterrupt

    def _loop(self, turns: int = 0) -> str:
        assert self.io is not None
        placement = Placement("PROCESS_IO", idle="spin", turns_max=turns)
        return run_loop(self.instance, [self.io.stage(), self.core.stage()], placement)

    def books(self, limit: int) -> list[dict[str, Any]]:
        """Every book: symbol, bids and asks as [price, quantity, orders], best first."""
        listings = None if self.core.feed.exponents is None else self.instance.rows("instruments")
        return books_of(self.core.store, limit, listings)

    def channels(self) -> list[dict[str, Any]]:
        """What came of each channel (channel_report.py)."""
        return channel_report(self.core.channels, self.core.store)

    @property
    def type_names(self) -> dict[int, str]:
        """Names of message types by the low byte that counters keep; none: the byte is a letter."""
        return self.core.feed.type_names

    def __enter__(self) -> "Replay":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        if self._recording is not None:
            self._recording.close()
        if self.io is not None:
            self.io.close()
        self.instance.close(remove=True)


def books_of(store: Any, limit: int, listings: Any = None) -> list[dict[str, Any]]:
    """Every book of a store, as plain lists; prices and quantities in the instrument's own units.

    `listings` are the rows of struct instrument of a feed that has a table of them; without, units are ITCH's.
    """
    names = layout.names("book_flag", "BOOK_")
    flags = {bit: name for bit, name in names.items() if name not in BOOKKEEPING}
    rows = book_reader.books(store)
    result = []
    for instrument, symbol in book_reader.instruments(store):
        named = {"symbol": symbol, "instrument": instrument}
        exponents = {"price_exponent": ITCH_PRICE_EXPONENT, "quantity_exponent": 0}
        if listings is not None:
            named, exponents = _listed(listings, instrument)
        result.append(
            {
                **named,
                "flags": [name.lower() for bit, name in flags.items() if int(rows[instrument]["flags"]) & bit],
                **exponents,
                "bids": [list(row) for row in book_reader.levels(store, instrument, book_reader.BUY, limit)],
                "asks": [list(row) for row in book_reader.levels(store, instrument, book_reader.SELL, limit)],
            }
        )
    return result


def _listed(listings: Any, row: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Names and exponents of a row of the table of instruments; a second book has the symbol of its first."""
    found = instrument_of(listings, row)
    if found is None:
        return {"symbol": "", "instrument": row, "layer": 0}, {"price_exponent": 0, "quantity_exponent": 0}
    symbol = found.symbol
    if not symbol and found.layer:
        same = np.flatnonzero((listings["identifier"] == listings[row]["identifier"]) & (listings["layer"] == 0))
        first = instrument_of(listings, int(same[0])) if len(same) else None
        symbol = first.symbol if first else ""
    named = {"symbol": symbol, "instrument": found.identifier, "layer": found.layer}
    return named, {"price_exponent": found.price_exponent, "quantity_exponent": found.quantity_exponent}


class _Worker(threading.Thread):
    """Runs the loop beside the thread that shows progress; keeps its outcome."""

    def __init__(self, work: Callable[[], str]):
        super().__init__(daemon=True)
        self._work = work
        self.end = ""
        self.ended_ns = 0
        self.problem: BaseException | None = None

    def run(self) -> None:
        """The thread's body."""
        try:
            self.end = self._work()
        except BaseException as problem:  # handed to the waiting thread
            self.problem = problem
        self.ended_ns = clock.monotonic_ns()

    def raise_problem(self) -> None:
        """Raises in the waiting thread what the loop raised."""
        if isinstance(self.problem, GatewayError):
            raise self.problem
        if self.problem is not None:
            raise RuntimeError("the replay loop failed") from self.problem
