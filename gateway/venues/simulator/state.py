"""The memory of one simulated venue: allocated here, once, and handed to the step as the address of struct venue.

Beside the corridor, inside the venue. Hard rule: every address in struct venue points into an array this object keeps;
the object must outlive every step.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.core.memory import address_of
from gateway.errors import GatewayError
from gateway.native import ffi
from gateway.venues.simulator.addresses import NOBODY, fill_template
from gateway.venues.simulator.draws import mix
from gateway.venues.simulator.settings import Settings
from gateway.venues.simulator.symbols import fill_symbols, popularity_of, slots_of

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
SLOT_BYTES_MIN = layout.size("order_slot") + layout.value("VENUE_OUTBOX_BYTES")
# the most one step can say: a sweep or a mass cancel of every resting order, and a step's worth of other messages;
# pages that are never written to cost nothing
BLOCK_BYTES = 40
BLOCKS_BYTES = 1 << 20
# order ids are spread over the 64 bits a feed may use, but stay rising within a day
ORDER_ID_FIRST = 1_000_000_000
SERVICE = 1 << 62  # beside every seed that anybody uses
# member of struct venue, prefix of its session, counter of its next sequence
SESSIONS = (
    ("feed", "SIM", "feed_sequence"),
    ("reports", "ORD", "report_sequence"),
    ("snapshots", "SNP", "snapshot_sequence"),
)


def session_name(prefix: str, seed: int) -> bytes:
    """A MoldUDP64 session of ten characters that follows from the seed."""
    return f"{prefix}{seed % 10_000_000:07d}".encode("ascii")


class Venue:
    """One venue over rings somebody else made: `writer` of core_io, `reader` of io_core (0: nobody sends orders).

    The clock is either `calibration`, the address of a struct clock_calibration, or `clock_word`, the address of an
    int64 in nanoseconds that the caller moves. `counters` is the address of a struct venue_counters to write to; 0:
    own memory. `report_writer` is a ring of the reports' own (0: they go the way of the feed), `session_reader` one that
    brings order messages without frames. `stop_word` is the address of a word that becomes 1 when the venue leaves by
    itself.
    """

    def __init__(
        self,
        settings: Settings,
        writer: int,
        reader: int = 0,
        calibration: int = 0,
        clock_word: int = 0,
        counters: int = 0,
        stop_word: int = 0,
        report_writer: int = 0,
        session_reader: int = 0,
    ):
        if bool(calibration) == bool(clock_word):
            raise GatewayError("a simulated venue needs one clock: a calibration or a simulated word")
        for ring in (writer, report_writer or writer):
            slot_bytes = ffi.cast("struct ring_writer *", ring).slot_bytes
            if slot_bytes < SLOT_BYTES_MIN:
                raise GatewayError(f"a ring of the venue has slots of {slot_bytes} bytes; it needs {SLOT_BYTES_MIN}")
        self.settings = settings
        self._keep: list[Any] = []
        self.state = self._rows("venue", 1)
        self.symbols = self._rows("venue_symbol", settings.symbols)
        self.orders = self._rows("venue_order", settings.order_rows + 1)
        self.ladders = self._array((settings.symbols, layout.value("VENUE_LADDER_LEVELS")), layout.dtype("venue_level"))
        self.lost = self._rows("venue_lost", layout.value("VENUE_LOST_MAX"))
        self._counters = self._rows("venue_counters", 1) if counters == 0 else self._view(counters)
        row = self.state[0]
        row["writer"], row["reader"] = writer, reader
        row["report_writer"], row["session_reader"] = report_writer or writer, session_reader
        row["calibration"], row["clock_word"], row["stop_word"] = calibration, clock_word, stop_word
        self._fill_tables(row)
        self._fill_settings(row)
        self._fill_sessions(row)

    @staticmethod
    def _view(address: int) -> np.ndarray:
        buffer = ffi.buffer(ffi.cast("char *", address), layout.size("venue_counters"))
        return np.frombuffer(buffer, dtype=layout.dtype("venue_counters"))

    def _array(self, shape: Any, dtype: Any) -> np.ndarray:
        array = np.zeros(shape, dtype=dtype)
        self._keep.append(array)
        return array

    def _rows(self, struct: str, count: int) -> np.ndarray:
        return self._array(count, layout.dtype(struct))

    def _fill_tables(self, row: np.void) -> None:
        settings = self.settings
        fill_symbols(self.symbols, self.ladders, settings.seed)
        slots = slots_of([int(word) for word in self.symbols["word"]])
        popularity = popularity_of(settings.symbols)
        self._keep += [slots, popularity]
        # free rows form a chain; row 0 says "none"
        self.orders["next"][1:-1] = np.arange(2, settings.order_rows + 1)
        row["free_row"] = 1
        row["counters"] = address_of(self._counters)
        row["symbols_rows"], row["orders"] = address_of(self.symbols), address_of(self.orders)
        row["symbol_slots"], row["popularity"] = address_of(slots), address_of(popularity)
        row["pool"] = address_of(self._array(settings.order_rows + 1, np.uint32))
        row["client_rows"] = address_of(self._array(layout.value("VENUE_CLIENT_ROWS"), np.uint32))
        row["held"] = address_of(self._rows("venue_held", layout.value("VENUE_HELD_MAX")))
        row["outbox"] = address_of(self._rows("venue_frame", layout.value("VENUE_OUTBOX_FRAMES")))
        row["lost"], row["datagram"] = address_of(self.lost), address_of(self._rows("datagram", 1))
        store_bytes = settings.store_messages * layout.value("VENUE_STORE_SLOT_BYTES")
        row["store"] = address_of(self._array(max(store_bytes, 1), np.uint8))

    def _fill_settings(self, row: np.void) -> None:
        settings, plan = self.settings, self.settings.faults
        row["seed"], row["symbols"], row["rate"] = settings.seed, settings.symbols, settings.rate
        row["order_rows"], row["depth"] = settings.order_rows, settings.depth
        row["message_limit"], row["heartbeat_ns"] = settings.messages, SECOND_NS
        row["fault_ppm"] = [rate for rates in plan.streams for rate in rates]
        row["drop_both_ppm"], row["reject_ppm"], row["partial_ppm"] = plan.drop_both, plan.reject, plan.partial
        row["delay_ns"] = plan.delay_ns
        row["order_address"] = settings.addresses.venue.number
        row["order_port"] = settings.addresses.venue.port
        row["request_address"], row["request_port"] = settings.addresses.requests.number, settings.addresses.requests.port
        row["store_messages"], row["request_rate"] = settings.store_messages, settings.request_rate
        row["snapshot_rate"] = settings.snapshot_rate
        # generators of their own, so that a fault plan leaves the flow as it is, and a request the plan
        for name, origin in (("flow", settings.seed), ("fault", ~settings.seed), ("service", settings.seed ^ SERVICE)):
            row[f"random_{name}"] = np.uint64(int(mix(np.int64(origin))) & 0xFFFFFFFFFFFFFFFF)
        row["next_order_id"], row["next_match"] = ORDER_ID_FIRST, 1
        self._counters[0]["symbols"] = settings.symbols

    def _fill_sessions(self, row: np.void) -> None:
        settings, addresses = self.settings, self.settings.addresses
        for name, prefix, counter in SESSIONS:
            row[name]["session"] = session_name(prefix, self.settings.seed)
            row[name]["sequence"] = 1
            room = self._array(BLOCKS_BYTES + BLOCK_BYTES * settings.order_rows, np.uint8)
            row[name]["blocks"] = address_of(room)
            row[name]["blocks_limit"] = len(room) - layout.value("VENUE_BLOCK_MAX")
            self._counters[0][counter] = 1
        venue = addresses.venue
        ways = [(venue, addresses.line_a), (venue, addresses.line_b), (addresses.requests, NOBODY)]
        ways += [(venue, addresses.snapshots), (venue, addresses.client)]
        for template, (source, target) in zip(row["templates"], ways, strict=True):
            fill_template(template, source, target)
        row["reply_sum"] = row["templates"][layout.value("VENUE_REPLIES")]["sum"]

    def start(self, now_ns: int) -> None:
        """Fixes the day's times; `now_ns` is what the venue's clock says now."""
        settings, row = self.settings, self.state[0]
        row["midnight_ns"] = now_ns // DAY_NS * DAY_NS
        row["open_ns"] = now_ns + int(settings.wait_seconds * SECOND_NS)
        if settings.seconds:
            row["close_ns"] = int(row["open_ns"]) + int(settings.seconds * SECOND_NS)
            row["end_ns"] = int(row["close_ns"]) + int(settings.grace_seconds * SECOND_NS)
            row["leave_ns"] = int(row["end_ns"]) + int(settings.linger_seconds * SECOND_NS)
        row["request_ns"] = row["snapshot_ns"] = now_ns
        row["request_credit"] = layout.value("VENUE_REQUEST_BURST") * SECOND_NS
        for name, _, _ in SESSIONS:
            row[name]["time_sent_ns"] = now_ns - SECOND_NS

    def finish(self, now_ns: int) -> None:
        """Closes the day and ends the session at once, whatever was planned; the next two steps do it."""
        row = self.state[0]
        if not row["close_ns"] or int(row["close_ns"]) > now_ns:
            row["close_ns"] = now_ns
        if not row["end_ns"] or int(row["end_ns"]) > now_ns:
            row["end_ns"] = now_ns

    @property
    def address(self) -> int:
        """Address of struct venue: the context of the step."""
        return address_of(self.state)

    @property
    def counters(self) -> np.void:
        """The live struct venue_counters."""
        return self._counters[0]
