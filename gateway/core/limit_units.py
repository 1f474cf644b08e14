"""Limits as people write them, in the units the gate ⑦ compares with: what control works out once, so that no order pays.

Hard rule: what is unset or absurd becomes the number that denies.
"""

from fractions import Fraction
from math import ceil

from gateway.core.memory import FRACTION_ONE, SCALED_MAX

SECOND_NS = 1_000_000_000
RATE_MAX = SECOND_NS
BURST_MAX = (1 << 24) - 1
DIVISOR_MAX = (1 << 31) - 1
PPM = 1_000_000
DENY = -1
ALWAYS_NS = (1, 1 << 62)  # hours that never close


def multiple(divisor: int) -> int:
    """What tells a multiple of a tick or lot without a division (memory.is_multiple); 0 denies."""
    return ((1 << 64) - 1) // divisor if 1 <= divisor <= DIVISOR_MAX else 0


def fraction(part: Fraction | int, whole: int = PPM) -> int:
    """`part / whole` as fixed point (2^32 is one), rounded up away from zero."""
    scaled = Fraction(part, whole) * FRACTION_ONE
    return ceil(scaled) if scaled >= 0 else -ceil(-scaled)


def share(ppm: int) -> int:
    """A share of equity, rounded down: what it allows must not be more."""
    return ppm * FRACTION_ONE // PPM


def rate_words(rate_per_second: int, burst: int, reserve_percent: int) -> dict[str, int]:
    """The bucket's words of struct gate_account: what a message costs, how far orders and cancels may run ahead."""
    if not (1 <= rate_per_second <= RATE_MAX and 1 <= burst <= BURST_MAX):
        return {"rate_interval_ns": 0, "rate_span_ns": DENY, "rate_whole_ns": 0}
    interval_ns = -(-SECOND_NS // rate_per_second)
    tokens = burst * (100 - reserve_percent) // 100 if 0 <= reserve_percent <= 100 else 0
    span_ns = (tokens - 1) * interval_ns if tokens else DENY
    return {"rate_interval_ns": interval_ns, "rate_span_ns": span_ns, "rate_whole_ns": burst * interval_ns}


def money(amount: int, units: int) -> int:
    """Whole units of the account's currency in its price units, held at the bound no exposure reaches."""
    return min(amount * units, SCALED_MAX)
