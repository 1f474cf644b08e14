"""A token bucket kept as a time, in integers: what a request costs, who may still take, and when it is free again.

         now            now + what NEW may use      … REDUCE            … the whole burst
    ──────┼──── used ─────────────┼────────────────────┼────────────────────┼────►   cancels and kills go beyond it
                 ▲ each weight moves it right by interval_ns, time moves `now` right

Hard rule: cancels and kills always get theirs (a ban is not the bucket's to know), and are charged; what they take beyond
the burst, new requests wait for.
"""

from dataclasses import dataclass
from enum import IntEnum

MINUTE_NS = 60_000_000_000


class Priority(IntEnum):
    """What a request is for, the most urgent first."""

    CANCEL = 0  # cancels and kills
    REDUCE = 1
    NEW = 2


@dataclass(frozen=True)
class Terms:
    """What the venue allows, and what of it is kept."""

    interval_ns: int  # what one weight costs
    burst: int
    shares: tuple[int, int, int]  # weight that each priority may use, of the burst

    @property
    def lead_max_ns(self) -> int:
        """How far the bucket may run ahead of now; further it never does, whatever clocks and cancels do."""
        return self.burst * self.interval_ns + MINUTE_NS


def terms_of(per_minute: int, burst: int, cancel_percent: int, reduce_percent: int) -> Terms:
    """The words of a bucket; fractions are rounded against us. Raises ValueError for what is no bucket."""
    if not (per_minute > 0 and burst > 0 and 0 < cancel_percent and 0 <= reduce_percent):
        raise ValueError("a bucket needs a rate, a burst and a reserve for cancels")
    reduce = burst * (100 - cancel_percent) // 100
    new = burst * (100 - cancel_percent - reduce_percent) // 100
    if new < 0:
        raise ValueError("the reserves are larger than the burst")
    return Terms(-(-MINUTE_NS // per_minute), burst, (burst, reduce, new))


def take(terms: Terms, used_ns: int, priority: Priority, weight: int, now_ns: int) -> tuple[bool, int, int]:
    """(granted, used_ns afterwards, ns until it would be): one request of `weight` from 1 to the burst."""
    base_ns = min(max(used_ns, now_ns), now_ns + terms.lead_max_ns)
    after_ns = base_ns + weight * terms.interval_ns
    over_ns = after_ns - now_ns - terms.shares[priority] * terms.interval_ns
    if priority is Priority.CANCEL:
        return True, min(after_ns, now_ns + terms.lead_max_ns), 0
    if over_ns > 0:
        return False, base_ns, over_ns
    return True, after_ns, 0


def tighten(terms: Terms, used_ns: int, left: int, now_ns: int) -> int:
    """used_ns once the venue has said that only `left` of weight is left: never less used than it was."""
    missing = min(max(terms.burst - left, 0), terms.burst)
    return max(used_ns, now_ns + missing * terms.interval_ns)
