"""What a control after the trade says when it fires: which control, what it halts, and the figures in one line.

Hard rule: a comparison of a share is done with both sides multiplied out; nothing is divided, so a bound has one tick.
"""

from dataclasses import dataclass

ACCOUNT, STRATEGY, INSTRUMENT = "account", "strategy", "instrument"
PPM = 1_000_000
UNITS = 10_000  # prices and money count 1/10000


@dataclass(frozen=True)
class Breach:
    """A control that fired: its id, the scope and name of what it halts, and why, for people."""

    control: str
    scope: str
    name: str
    why: str

    @property
    def what(self) -> str:
        """What is halted, as `gateway resume` takes it: `account`, `strategy=NAME` or `instrument=SYMBOL`."""
        return self.scope if self.scope == ACCOUNT else f"{self.scope}={self.name}"


def reaches(part: int, whole: int, ppm: int) -> bool:
    """Whether `part` is `ppm` of `whole` or more."""
    return part * PPM >= ppm * whole


def money(units: int) -> str:
    """Units of 1/10000 for people."""
    return f"{units / UNITS:,.2f}"
