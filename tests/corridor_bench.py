"""The whole corridor in this process, over a recording or over a live port: what several tests build on."""

import itertools
import os
import struct
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway import layout
from gateway.config import Configuration, load
from gateway.core import book_reader
from gateway.instance import Instance
from gateway.ops.appliance import CoreStage, io_stage
from gateway.ops.limit_block import prepare_account
from gateway.ops.replay import Replay
from gateway.ops.summary import summary
from gateway.port import open_port
from gateway.protocols import itch50, moldudp64, udp
from gateway.stages import Placement, run_loop

ROOT = Path(__file__).resolve().parent.parent
IMBALANCE = ROOT / "gateway" / "strategies" / "imbalance.py"
LINE_A, LINE_B = ("239.192.1.1", 31001), ("239.192.1.2", 31002)
MORNING_NS = 1_704_205_800_000_000_000
MILLISECOND_NS = 1_000_000
LIMITS: dict[str, Any] = {
    "risk.quantity_max": 1000,
    "risk.value_max": 1_000_000,
    "risk.position_max": 100_000,
    "risk.collar_ppm": 100_000,
    "risk.stale_ms": 1000,
    "risk.rate_per_second": 1_000_000,
    "risk.rate_burst": 1_000_000,
    "risk.day_messages_max": 1_000_000_000,
    "risk.capital": 5_000_000_000,
    "risk.gross_max": 5_000_000_000,
    "risk.net_max": 5_000_000_000,
    "risk.window_ppm": 1_000_000,
    "risk.instruments": ["*"],
    "strategy.instruments": ["*"],
    "strategy.repeat_max": 1024,
    "strategy.repeat_s": 1,
}
_numbers = itertools.count()


def unique_name(stem: str) -> str:
    """A name no other test process uses."""
    return f"test-{stem}-{os.getpid()}-{next(_numbers)}"


def configuration(strategy: Path | None = None, **settings: Any) -> Configuration:
    """A configuration with wide limits when there is a strategy; `settings` are SECTION__KEY=value."""
    overrides: dict[str, Any] = {"instance.name": unique_name("corridor")}
    if strategy is not None:
        overrides |= {**LIMITS, "strategy.file": str(strategy)}
    overrides |= {key.replace("__", "."): number for key, number in settings.items()}
    return load(None, overrides)


def full_books(store: Any) -> dict[int, dict[str, Any]]:
    """Every book in use, every level, with what a strategy sees of it; times are left out, they are the port's."""
    rows = book_reader.books(store)
    books = {}
    for instrument, symbol in book_reader.instruments(store):
        row = rows[instrument]
        names = ("flags", "trading", "orders", "last_price", "bid_price", "bid_quantity", "ask_price", "ask_quantity")
        books[instrument] = {
            "symbol": symbol,
            **{name: int(row[name]) for name in names},
            "bids": book_reader.levels(store, instrument, book_reader.BUY),
            "asks": book_reader.levels(store, instrument, book_reader.SELL),
        }
    return books


def replay(path: Path, settings: Configuration, **options: Any) -> dict[str, Any]:
    """A recording through the corridor: its books, its summary, its strategy's faults."""
    with Replay(path, settings, **options) as run:
        run.run(lambda frames: None)
        return {"books": full_books(run.core.store), **summary(run.instance)}


class Live:
    """io and core in one loop on a live port."""

    def __init__(self, settings: Configuration, port: str):
        self.instance = Instance.create(settings.instance.name)
        try:
            prepare_account(self.instance, settings)
            self.io = io_stage(self.instance, settings, port=port)
            self.core = CoreStage(self.instance, settings)
        except BaseException:
            self.close()
            raise

    @property
    def counters(self) -> Any:
        return self.instance.counters[0]

    def turns(self, count: int = 4, stages: str = "both") -> str:
        """Runs the loop a few turns: "io" leaves core out, as when it hangs."""
        steps = [self.io.stage()] + ([self.core.stage()] if stages == "both" else [])
        return run_loop(self.instance, steps, Placement("PROCESS_IO", idle="spin", turns_max=count))

    def result(self) -> dict[str, Any]:
        return {"books": full_books(self.core.store), **summary(self.instance)}

    def close(self) -> None:
        if hasattr(self, "io"):
            self.io.close()
        self.instance.close(remove=True)


@contextmanager
def live_pair(settings: Configuration):
    """A live corridor on a pair, and the port of its peer."""
    name = settings.instance.name
    live = Live(settings, f"pair:{name}")
    try:
        with open_port(f"pair:{name},side=b") as peer:
            yield live, peer
    finally:
        live.close()


def feed_all(live: Live, peer: Any, frames: Iterable[bytes], burst: int = 64) -> None:
    """Sends every frame, never more than the rings hold, and lets the corridor work it off."""
    for group in batched(frames, burst):
        assert peer.transmit(group) == len(group)
        live.turns(2)
        peer.receive()
    live.turns(8)


def batched(rows: Iterable[Any], size: int) -> Iterable[list[Any]]:
    rows = iter(rows)
    while group := list(itertools.islice(rows, size)):
        yield group


def pcap_of(frames: Iterable[tuple[int, bytes]], snap_bytes: int = 1 << 18) -> bytes:
    """A nanosecond pcap file of (time in ns, frame)."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap_bytes, 1)]
    for time_ns, frame in frames:
        seconds, rest_ns = divmod(time_ns, 1_000_000_000)
        cut = frame[:snap_bytes]
        parts += [struct.pack("<IIII", seconds, rest_ns, len(cut), len(frame)), cut]
    return b"".join(parts)


class Feed:
    """Writes a feed by hand: each packet takes the next sequence numbers and a millisecond."""

    def __init__(self, session: str = "HANDMADE"):
        self.session, self.sequence, self.time_ns = session, 1, MORNING_NS
        self.frames: list[tuple[int, bytes]] = []

    def packet(self, *messages: bytes, passed_ns: int = MILLISECOND_NS, line: tuple[str, int] = LINE_A) -> bytes:
        """One frame with these messages, appended; returned too."""
        self.time_ns += passed_ns
        payload = moldudp64.encode(self.session, self.sequence, messages)
        self.sequence += len(messages)
        frame = udp.frame(payload, source="10.77.0.2", destination=line[0], source_port=31000, destination_port=line[1])
        self.frames.append((self.time_ns, frame))
        return frame

    def message(self, name: str, locate: int = 1, **fields: Any) -> bytes:
        return itch50.encode(name, stock_locate=locate, timestamp=self.time_ns % 86_400_000_000_000, **fields)

    def listing(self, locate: int = 1, symbol: str = "TEST", state: str = "T") -> tuple[bytes, bytes]:
        """Directory and trading state of an instrument."""
        return (
            self.message("R", locate, stock=symbol, round_lot_size=100),
            self.message("H", locate, stock=symbol, trading_state=state),
        )

    def add(self, order: int, side: str, shares: int, price: int, locate: int = 1, symbol: str = "TEST") -> bytes:
        fields = {"order_reference_number": order, "buy_sell_indicator": side, "shares": shares}
        return self.message("A", locate, **fields, stock=symbol, price=price)

    def write(self, path: Path) -> Path:
        path.write_bytes(pcap_of(self.frames))
        return path


def count_of(result: dict[str, Any], reason: str) -> int:
    """A feed reason of a summary."""
    return int(result["feed_reasons"].get(reason, 0))


FRAME_REASONS = [
    layout.names("feed_reason", "FEED_")[index].lower() for index in range(1, layout.value("FEED_PACKET_SHORT") + 1)
]
