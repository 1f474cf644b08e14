"""What control wrote down about an order, put into its life: why it was sent or cancelled, and on which inputs.

    control_orders.jsonl ─► ControlLines.of(run, reference, records) ─► decisions among the journal's events

References begin anew with a run of a fresh account, so a line belongs to the run whose clock it names. Hard rule: a line of
a run that the journal does not know, or of other terms than the venue accepted, is not this order's.
"""

from typing import Any, NamedTuple

from gateway.ops.order_search import DECISION, NEW, REPLACE, Found, JournalIndex, candidates

ACCEPTED = ord("A")
CAUSES = ("because", "by", "latched_ns", "step", "through_ppm", "price_source", "open_against", "believed")
NOT_HANDED_OVER = "RING"  # as a refusal of our own side


class OrderLines(NamedTuple):
    """Of one order: records of the journal, the line it was sent with (None: control did not send it), the lines behind.

    `refused` are records of a decision that came to the same reference after control had used it: it left nobody.
    """

    numbers: list[int]
    sent: dict[str, Any] | None
    others: list[dict[str, Any]]
    refused: list[int]


class ControlLines:
    """The lines of control's record (`gateway.ops.control_record.read`) beside a journal."""

    def __init__(self, index: JournalIndex, context: list[dict[str, Any]], lines: list[dict[str, Any]]):
        self._index, self._lines = index, lines
        rows = [row for row in context if row["kind"] == "run"]
        earlier = len(index.starts) - len(rows) if rows else 0  # records of a time before there was a context
        clocks = (int(row.get("clock", {}).get("ns_base", -1)) for row in rows)
        self._runs = {clock: earlier + number for number, clock in enumerate(clocks)}

    def of(self, run: int, reference: int, numbers: list[int]) -> OrderLines:
        """What belongs to the order of records `numbers` of the journal, as seen from `run`."""
        about = [line for line in self._lines if line["reference"] == reference and self.run_of(line) <= run]
        first = min((self._index.run_of(number) for number in numbers), default=run)
        sent = next((line for line in reversed(about) if line["kind"] == "order"), None)
        if sent is not None:
            # what a dead core's run sent is heard by the next one: its records begin with its line's run
            heard = [number for number in numbers if self._index.run_of(number) >= self.run_of(sent)]
            if self._agrees(heard, sent):
                first, numbers = self.run_of(sent), heard
            else:
                sent = None
        refused = [number for number in numbers if sent is not None and self._index.records[number]["kind"] == DECISION]
        numbers = [number for number in numbers if number not in refused]
        others = [line for line in about if line["kind"] != "order" and self.run_of(line) >= first]
        return OrderLines(numbers, sent, others, refused)

    def find(self, text: str) -> Found | None:
        """An order of control's that no record of the journal is about: core has not heard of it."""
        for meaning, number in candidates(text):
            rows = [line for line in self._lines if line["kind"] == "order" and line["reference"] == number]
            if meaning == "reference" and rows:
                run = self.run_of(rows[-1])
                return Found(meaning, run, (run,), (number,))
        return None

    def run_of(self, line: dict[str, Any]) -> int:
        """The run a line was written in; the newest there is where the journal does not know of it yet."""
        return self._runs.get(int(line["run"]), len(self._index.starts) - 1 if not self._runs else len(self._index.starts))

    def _agrees(self, numbers: list[int], line: dict[str, Any]) -> bool:
        """Whether core never sent this order, and the venue took the one that the line tells of, if any.

        What the gate refuses takes a reference too, and comes to those that control has used in the meantime.
        """
        rows = self._index.records[numbers]
        decided = [row for row in rows if row["kind"] == DECISION and row["intent"]["kind"] in (NEW, REPLACE)]
        if any(row["reasons"] == 0 for row in decided):
            return False
        taken = [row for row in rows if row["reasons"] == ACCEPTED and row["kind"] != DECISION]
        return all(int(row[name]) == line[name] for row in taken for name in ("quantity", "price"))


def decision_of(line: dict[str, Any]) -> dict[str, Any]:
    """A line as an event, in the words of a decision of core's; it passed no gate, and `control` says why it was taken."""
    if line["kind"] == "unsent":
        facts = dict.fromkeys(("price", "quantity", "match", "venue_order_id", "time_venue_ns", "reason"))
        words = {"event": "report", "report": "not sent: the ring was full", "type": None, "refusal": NOT_HANDED_OVER}
        return words | facts | {"bid": 0, "ask": 0, "position": 0}
    return {
        "event": "decision",
        "intent": "new" if line["kind"] == "order" else "cancel",
        "passed": True,
        "refused_by": [],
        "signal": None,
        "quantity": line.get("quantity", 0),
        "price": line.get("price", 0),
        "limits_version": None,
        "stamps_ns": dict.fromkeys(("receive", "decode", "order")),
        "control": {name: line.get(name) for name in CAUSES},
        **{name: line.get(name, 0) for name in ("bid", "ask", "position")},
    }
