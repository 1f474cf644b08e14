"""What a simulated venue is asked to be: seed, size, pace, fault plan. Pure values, checked once.

Beside the corridor. Hard rule: the same settings on the same clock give the same bytes.
"""

from dataclasses import dataclass, field
from typing import Any

from gateway import layout
from gateway.errors import UsageError
from gateway.venues.simulator.addresses import Addresses
from gateway.venues.simulator.order_settings import OrderSettings

LINE_FAULTS = ("drop", "duplicate", "reorder", "delay")
LINES = ("a", "b")
STREAMS = (*LINES, "replies", "snapshots")
MILLION = 1_000_000
SYMBOLS_MAX: int = layout.value("VENUE_SYMBOLS_MAX")
STORE_MESSAGES_MAX: int = layout.value("VENUE_STORE_MESSAGES_MAX")
DELAY_NS = 500_000
Rates = tuple[int, int, int, int]  # in the order of LINE_FAULTS
QUIET: Rates = (0, 0, 0, 0)


@dataclass(frozen=True)
class FaultPlan:
    """Rates in parts per million: of packets on each stream, of packets on both lines, of orders; how long a delay is."""

    lines: tuple[Rates, Rates] = (QUIET, QUIET)
    replies: Rates = QUIET
    snapshots: Rates = QUIET
    drop_both: int = 0
    reject: int = 0
    partial: int = 0
    delay_ns: int = DELAY_NS

    @classmethod
    def parse(cls, text: str) -> "FaultPlan":
        """A plan from "drop=1000,delay_b=500,drop_replies=90,drop_both=20,reject=1000,delay_ns=200000".

        `drop`, `duplicate`, `reorder` and `delay` mean both lines; with `_a` or `_b` behind them one line, with
        `_replies` the answers of the re-request server, with `_snapshots` the snapshot channel.
        """
        rates: dict[str, int] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, equals, number = part.partition("=")
            if not equals or not number.strip().isdigit():
                raise UsageError(f"--faults {part!r}: write it as NAME=PPM")
            rates[key.strip()] = int(number)
        streams = [tuple(_stream_rate(rates, fault, stream) for fault in LINE_FAULTS) for stream in STREAMS]
        for fault in LINE_FAULTS:
            for name in (fault, *(f"{fault}_{stream}" for stream in STREAMS)):
                rates.pop(name, None)
        others = {key: rates.pop(key) for key in ("drop_both", "reject", "partial", "delay_ns") if key in rates}
        if rates:
            names = "drop, duplicate, reorder, delay (also with _a, _b, _replies or _snapshots), "
            names += "drop_both, reject, partial, delay_ns"
            raise UsageError(f"--faults: no fault is called {', '.join(sorted(rates))}; there are: {names}")
        return cls(tuple(streams[:2]), *streams[2:], **others)  # type: ignore[arg-type]

    @property
    def streams(self) -> tuple[Rates, ...]:
        """The rates of every stream, in the order of STREAMS."""
        return (*self.lines, self.replies, self.snapshots)

    def __post_init__(self) -> None:
        if any(sum(rates) > MILLION for rates in self.streams):
            raise UsageError("--faults: the rates of one line are more than 1,000,000 ppm in sum")
        if any(not 0 <= rate <= MILLION for rate in (self.drop_both, self.reject, self.partial)):
            raise UsageError("--faults: a rate lies between 0 and 1,000,000 ppm")
        if not 0 < self.delay_ns <= 10_000_000_000:
            raise UsageError("--faults: delay_ns lies between 1 and 10,000,000,000")


def _stream_rate(rates: dict[str, int], fault: str, stream: str) -> int:
    return rates.get(f"{fault}_{stream}", rates.get(fault, 0) if stream in LINES else 0)


@dataclass(frozen=True)
class Settings:
    """A venue. Times in seconds of its own clock; `seconds` 0: trades until it is told to stop."""

    seed: int = 1
    symbols: int = 32
    rate: int = 20_000  # messages per second; 0: as fast as the rings allow
    depth: int = 100  # resting orders per symbol that the flow keeps up on average
    seconds: float = 0.0
    wait_seconds: float = 0.0  # heartbeats only, before the start of the day
    grace_seconds: float = 1.0  # between the close and the end of the session
    linger_seconds: float = 60.0  # an ended venue that nobody stops stops itself
    messages: int = 0  # the flow stops after so many messages; 0: no limit
    store_messages: int = STORE_MESSAGES_MAX  # the last ones may be asked for again; 0: no re-request server
    request_rate: int = 1_000  # requests answered per second
    snapshot_rate: int = 0  # symbols per second on the snapshot channel; 0: no such channel
    faults: FaultPlan = field(default_factory=FaultPlan)
    addresses: Addresses = field(default_factory=Addresses)
    orders: OrderSettings | None = None  # an order gateway over TCP instead of datagrams

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[Any, Any]] = {
            "seed": (0, (1 << 63) - 1),
            "symbols": (1, SYMBOLS_MAX),
            "rate": (0, 10_000_000),
            "depth": (1, 10_000),
            "seconds": (0, 1_000_000),
            "wait_seconds": (0, 1_000_000),
            "grace_seconds": (0, 1_000_000),
            "linger_seconds": (0, 1_000_000),
            "messages": (0, 1 << 62),
            "store_messages": (0, STORE_MESSAGES_MAX),
            "request_rate": (1, 1_000_000),
            "snapshot_rate": (0, 100_000),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name.replace('_', ' ')} lies between {low:,} and {high:,}")
        if self.store_messages & (self.store_messages - 1):
            raise UsageError(
                f"store messages is a power of two, or 0; {1 << self.store_messages.bit_length():,} is the next"
            )

    @property
    def order_rows(self) -> int:
        """Rows for resting orders, the client's included."""
        return max(1 << 17, 2 * self.symbols * self.depth)
