"""What a simulated venue is asked to be: seed, size, pace, fault plan. Pure values, checked once.

Beside the corridor. Hard rule: the same settings on the same clock give the same bytes.
"""

from dataclasses import dataclass, field
from typing import Any

from gateway import layout
from gateway.errors import UsageError
from gateway.venues.simulator.addresses import Addresses

LINE_FAULTS = ("drop", "duplicate", "reorder", "delay")
LINES = ("a", "b")
MILLION = 1_000_000
SYMBOLS_MAX: int = layout.value("VENUE_SYMBOLS_MAX")
DELAY_NS = 500_000


@dataclass(frozen=True)
class FaultPlan:
    """Rates in parts per million: of packets on each line, of packets on both, of orders; and how long a delay is."""

    lines: tuple[tuple[int, int, int, int], tuple[int, int, int, int]] = ((0, 0, 0, 0), (0, 0, 0, 0))
    drop_both: int = 0
    reject: int = 0
    partial: int = 0
    delay_ns: int = DELAY_NS

    @classmethod
    def parse(cls, text: str) -> "FaultPlan":
        """A plan from "drop=1000,delay_b=500,drop_both=20,reject=1000,delay_ns=200000".

        `drop`, `duplicate`, `reorder` and `delay` mean both lines, with `_a` or `_b` behind them one line.
        """
        rates: dict[str, int] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, equals, number = part.partition("=")
            if not equals or not number.strip().isdigit():
                raise UsageError(f"--faults {part!r}: write it as NAME=PPM")
            rates[key.strip()] = int(number)
        lines = tuple(tuple(_line_rate(rates, fault, line) for fault in LINE_FAULTS) for line in LINES)
        for fault in LINE_FAULTS:
            for name in (fault, f"{fault}_a", f"{fault}_b"):
                rates.pop(name, None)
        others = {key: rates.pop(key) for key in ("drop_both", "reject", "partial", "delay_ns") if key in rates}
        if rates:
            names = "drop, duplicate, reorder, delay (also with _a or _b), drop_both, reject, partial, delay_ns"
            raise UsageError(f"--faults: no fault is called {', '.join(sorted(rates))}; there are: {names}")
        return cls(lines, **others)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        if any(sum(line) > MILLION for line in self.lines):
            raise UsageError("--faults: the rates of one line are more than 1,000,000 ppm in sum")
        if any(not 0 <= rate <= MILLION for rate in (self.drop_both, self.reject, self.partial)):
            raise UsageError("--faults: a rate lies between 0 and 1,000,000 ppm")
        if not 0 < self.delay_ns <= 10_000_000_000:
            raise UsageError("--faults: delay_ns lies between 1 and 10,000,000,000")


def _line_rate(rates: dict[str, int], fault: str, line: str) -> int:
    return rates.get(f"{fault}_{line}", rates.get(fault, 0))


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
    faults: FaultPlan = field(default_factory=FaultPlan)
    addresses: Addresses = field(default_factory=Addresses)

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
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name.replace('_', ' ')} lies between {low:,} and {high:,}")

    @property
    def order_rows(self) -> int:
        """Rows for resting orders, the client's included."""
        return max(1 << 17, 2 * self.symbols * self.depth)
