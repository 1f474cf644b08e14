"""Compares what the appliance holds with the venue's own account: books, positions, frames, gaps.

Used by the demo and by tests. Hard rule: a figure comes from one side and is checked against the other; a stale book is
not compared, it is counted as stale.
"""

from dataclasses import dataclass, field
from typing import Any

TOO_LATE = ("late", "reorder_full")  # behind the reorder window, or no room to wait in
FRAMES_UNSEEN = ("drop_ring_full", "drop_port", "drop_oversized", "drop_truncated")


@dataclass
class Reconciliation:
    """What agreed and what did not; `problems` has one line for each disagreement, `ok` is their absence."""

    books_compared: int = 0
    books_wrong: int = 0
    books_stale: int = 0
    position_errors: int = 0
    order_errors: int = 0
    frames_lost: int = 0
    gap_messages_unexplained: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing disagreed, and something was compared."""
        return not self.problems


def compare_books(result: Reconciliation, ours: dict[str, dict[str, Any]], venue: dict[str, Any]) -> None:
    """Every level of every symbol, price, quantity and number of orders."""
    for theirs in venue["instruments"]:
        symbol = theirs["symbol"]
        book = ours.get(symbol)
        if book is not None and book["stale"]:
            result.books_stale += 1
            continue
        result.books_compared += 1
        if book is None or book["bids"] != theirs["bids"] or book["asks"] != theirs["asks"]:
            result.books_wrong += 1
            result.problems.append(f"book {symbol} differs: {_first_difference(book, theirs)}")
    if result.books_compared == 0 and result.books_stale == 0:
        result.problems.append("no book was compared")


def _first_difference(book: dict[str, Any] | None, theirs: dict[str, Any]) -> str:
    if book is None:
        return "we do not have it"
    for side in ("bids", "asks"):
        for index in range(max(len(book[side]), len(theirs[side]))):
            mine = book[side][index] if index < len(book[side]) else None
            other = theirs[side][index] if index < len(theirs[side]) else None
            if mine != other:
                return f"{side} level {index + 1}: ours {mine}, venue's {other}"
    return "no difference"


def compare_positions(result: Reconciliation, positions: dict[str, int], venue: dict[str, Any]) -> None:
    """Our position of every symbol against the client position the venue keeps."""
    for theirs in venue["instruments"]:
        mine = positions.get(theirs["symbol"], 0)
        if mine != theirs["position"]:
            result.position_errors += 1
            result.problems.append(f"position {theirs['symbol']}: ours {mine}, venue's {theirs['position']}")


def compare_orders(
    result: Reconciliation, open_references: list[int], summary: dict[str, Any], venue: dict[str, Any]
) -> None:
    """Orders sent and seen, open orders, executions: each from both sides. Lost ones went down with a connection."""
    theirs = {int(row["user_reference"]) for row in venue["open_orders"]}
    ours = set(open_references)
    facts = [
        ("open orders", sorted(ours - theirs)[:5], sorted(theirs - ours)[:5]),
        ("executions", summary["core"]["fills"], venue["executions"]),
        ("orders", summary["orders_transmitted"] - summary["core"]["orders_lost"], venue["orders_received"]),
    ]
    for name, mine, other in facts:
        if mine != other:
            result.order_errors += 1
            result.problems.append(f"{name} differ: ours {mine}, venue's {other}")


def explain_gaps(result: Reconciliation, summary: dict[str, Any], venue: dict[str, Any]) -> None:
    """Frames the venue sent and we never saw, and messages declared lost without a cause that anybody counted."""
    io, core = summary["io"], summary["core"]
    result.frames_lost = max(0, venue["port"]["frames_transmitted"] - io["frames_published"])
    lost_on_the_way = sum(io[name] for name in FRAMES_UNSEEN) + venue["port"]["frames_unsent"] + result.frames_lost
    came_too_late = sum(summary["feed_reasons"].get(name, 0) for name in TOO_LATE)
    known = venue["lost_messages"]
    if core["gap_messages"] != known and lost_on_the_way + came_too_late == 0:
        result.gap_messages_unexplained = abs(core["gap_messages"] - known)
        result.problems.append(f"{core['gap_messages']} messages declared lost, the venue lost {known} on purpose")


def reconcile(
    ours: dict[str, dict[str, Any]], positions: dict[str, int], summary: dict[str, Any], venue: dict[str, Any]
) -> Reconciliation:
    """The whole comparison."""
    result = Reconciliation()
    compare_books(result, ours, venue)
    compare_positions(result, positions, venue)
    explain_gaps(result, summary, venue)
    return result
