"""BALANCE and ORDERS ⑦: positions and open orders against the venue's own account, read from the drop copy.

    rest ─► first reading ─ differs ─► pause of confirm_ms ─► second reading ─ differs still ─► fires
      ▲          └─ agrees ─────────────────────────────────────────┘ agrees
      └── no complete comparison within twice the time: fires too

A reading lasts READ_NS at most: reports are on their way to either side all the time, so what agreed once is right, and only
what never did differs. Hard rule: zero tolerance; nothing is rounded, nothing is corrected, a human decides.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.control_sections import PostTrade
from gateway.ops.breach import ACCOUNT, Breach

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
READ_NS = 500 * MILLISECOND_NS
CONNECT_NS = 5 * SECOND_NS  # the venue's account is read to its end within this, or the comparison begins anew
REST, FIRST, PAUSE, SECOND = "rest", "first", "pause", "second"
Difference = tuple[str, str]  # control, name: a symbol, or a reference


class VenueReader(Protocol):
    """What a drop copy offers (gateway/ops/drop_copy.py)."""

    account: Any

    @property
    def current(self) -> bool:
        """Everything the venue had said when it was asked last was read."""

    def poll(self, now_ns: int) -> int:
        """A bounded amount of work."""

    def renew(self) -> None:
        """Asks for the venue's end anew."""


class BalanceWatch:
    """One comparison after the other; `comparisons` that were complete."""

    def __init__(self, settings: PostTrade, venue: VenueReader):
        self.settings, self.venue = settings, venue
        self.comparisons = 0
        self.phase = REST
        self.differences: dict[Difference, str] = {}
        self._due_ns = self._until_ns = self._compared_ns = 0
        self._read_since_ns = 0  # the venue's account is current since; 0: not yet

    def look(self, now_ns: int, positions: Mapping[str, int], orders: Mapping[int, tuple[int, bool]]) -> list[Breach]:
        """One turn. `positions` by symbol, `orders` by reference: (open quantity, whether the venue must know it)."""
        self._compared_ns = self._compared_ns or now_ns
        self.venue.poll(now_ns)
        if self.phase in (REST, PAUSE):
            if now_ns >= self._due_ns:
                self._begin(FIRST if self.phase == REST else SECOND, now_ns)
        elif self._read(now_ns, positions, orders):
            return self._end(now_ns)
        return self._silence(now_ns)

    def idle(self, now_ns: int) -> None:
        """Nothing can be compared now (no order session, and so no new risk): the time does not run."""
        self._compared_ns, self.phase, self._due_ns = now_ns, REST, now_ns

    def resume(self) -> None:
        """A human said that trading goes on: compared at once."""
        self.phase, self._due_ns, self._compared_ns = REST, 0, 0

    def wanted(self, now_ns: int) -> bool:
        """Whether the next turn compares: only then positions and orders need to be gathered."""
        return self.phase in (FIRST, SECOND)

    def _begin(self, phase: str, now_ns: int) -> None:
        if phase == FIRST:
            self._started_ns = now_ns
        self.phase, self._read_since_ns, self._until_ns = phase, 0, now_ns + CONNECT_NS
        self.venue.renew()

    def _read(self, now_ns: int, positions: Mapping[str, int], orders: Mapping[int, tuple[int, bool]]) -> bool:
        """True when the reading is over: everything agreed, or time is up."""
        if not self.venue.current:
            if now_ns >= self._until_ns:
                self._begin(self.phase, now_ns)
            return False
        found = differences(positions, orders, self.venue.account)
        if self._read_since_ns == 0:
            self._read_since_ns = now_ns
            before = found if self.phase == FIRST else self.differences
        else:
            before = self.differences
        self.differences = {key: text for key, text in found.items() if key in before}
        return not self.differences or now_ns - self._read_since_ns >= READ_NS

    def _end(self, now_ns: int) -> list[Breach]:
        if self.differences and self.phase == FIRST:
            self.phase, self._due_ns = PAUSE, now_ns + self.settings.confirm_ms * MILLISECOND_NS
            return []
        within_ns = self.settings.balance_s * SECOND_NS - self.settings.confirm_ms * MILLISECOND_NS - 2 * SECOND_NS
        self.phase, self._due_ns = REST, max(self._started_ns + within_ns, now_ns + SECOND_NS)
        self._compared_ns, self.comparisons = now_ns, self.comparisons + 1
        found = []
        for control in ("BALANCE", "ORDERS"):
            texts = [text for key, text in self.differences.items() if key[0] == control]
            if texts:
                found.append(Breach(control, ACCOUNT, "", f"{len(texts)} differ from the venue's: {'; '.join(texts[:5])}"))
        return found

    def _silence(self, now_ns: int) -> list[Breach]:
        quiet_ns = now_ns - self._compared_ns
        if quiet_ns < 2 * self.settings.balance_s * SECOND_NS:
            return []
        self._compared_ns = now_ns
        why = f"the venue's account could not be read for {quiet_ns // SECOND_NS} s"
        return [Breach("BALANCE", ACCOUNT, "", why)]


def differences(positions: Mapping[str, int], orders: Mapping[int, tuple[int, bool]], venue: Any) -> dict[Difference, str]:
    """What differs between us and the venue's account, by control and name, in words."""
    found: dict[Difference, str] = {}
    for symbol in sorted({*positions, *venue.positions}):
        ours, theirs = positions.get(symbol, 0), venue.positions.get(symbol, 0)
        if ours != theirs:
            found["BALANCE", symbol] = f"{symbol} ours {ours}, venue's {theirs}"
    for reference in sorted({*orders, *venue.open_orders}):
        ours, must_know = orders.get(reference, (0, True))
        order = venue.open_orders.get(reference)
        theirs = order.open if order is not None else 0
        if ours != theirs and (must_know or order is not None):
            found["ORDERS", str(reference)] = f"order {reference} ours {ours} open, venue's {theirs}"
    return found
