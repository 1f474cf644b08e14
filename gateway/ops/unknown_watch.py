"""UNKNOWN ⑦: an order whose fate is being asked, and not known in time.

Hard rule: the time runs from when control first saw it unknown; only an answer, or a human, ends it.
"""

from collections.abc import Iterable

from gateway.control_sections import PostTrade
from gateway.ops.breach import ACCOUNT, Breach

MILLISECOND_NS = 1_000_000


class UnknownWatch:
    """Since when each order is unknown, by reference."""

    def __init__(self, settings: PostTrade):
        self.settings = settings
        self._since_ns: dict[int, int] = {}
        self._told: set[int] = set()

    def look(self, now_ns: int, references: Iterable[int]) -> list[Breach]:
        """The orders that are unknown now; each that is so for too long fires once."""
        unknown = set(references)
        self._since_ns = {reference: self._since_ns.get(reference, now_ns) for reference in unknown}
        self._told &= unknown
        late_ns = self.settings.unknown_ms * MILLISECOND_NS
        late = sorted(ref for ref, since in self._since_ns.items() if now_ns - since >= late_ns and ref not in self._told)
        self._told.update(late)
        if not late:
            return []
        names = " ".join(str(reference) for reference in late[:10])
        why = f"the fate of {len(late)} orders is unknown for {self.settings.unknown_ms} ms: {names}; ask the venue"
        return [Breach("UNKNOWN", ACCOUNT, "", why)]
