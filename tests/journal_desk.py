"""A journal of decisions and reports made by a desk, with its context, run after run, for `gateway order`."""

import json

from gateway.ops import journal as journals
from gateway.ops.control_life import ControlLines
from gateway.ops.journal import read
from gateway.ops.journal_context import read_context
from gateway.ops.order_life import life_of
from gateway.ops.order_search import JournalIndex
from tests.order_desk import NOW_NS, SECOND_NS, Desk

STAMP_NS = 34_200_000_000_123
RUN = {
    "kind": "run",
    "instance": "gateway",
    "clock": {"ticks_base": 0, "ns_base": 0, "multiplier": 1 << 31},  # two ticks are a nanosecond
    "price_exponent": -4,
    "site": "A",
    "epoch": 1,
    "capacity": "principal",
    "strategies": {"0": "momentum"},
    "records": {"firm": "", "client": "fund 9", "decision_maker": "pm 4", "execution_algorithm": ""},
}
SYMBOL = {"record": 0, "kind": "instrument", "instrument": 1, "symbol": "AAPL"}


class Book:
    """A journal made of what a desk wrote, run after run."""

    def __init__(self, folder):
        self.path, self.context, self.written = folder / "journal.bin", [SYMBOL], 0
        self.lines = []  # of control's own record
        self.path.write_bytes(journals._header())

    def begin(self, **fields):
        self.context.append({**RUN, **fields, "record": self.written})
        self.save()

    def say(self, **fields):
        self.context.append({**fields, "record": self.written})
        self.save()

    def save(self):
        self.path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.context))

    def take(self, desk):
        """Everything the desk journalled since."""
        records = [record.tobytes() for record in desk.records()]
        with self.path.open("ab") as file:
            file.write(b"".join(records))
        self.written += len(records)

    def life(self, text, run=None):
        context = read_context(self.path)
        index = JournalIndex(read(self.path), context)
        control = ControlLines(index, context, self.lines)
        found = index.find(text, run) or control.find(text)
        return None if found is None else life_of(index, context, found, control)


def accept(desk, reference, venue_order=900, quantity=100, price=1_000_200, stamp=STAMP_NS):
    terms = {"quantity": quantity, "price": price, "order_reference_number": venue_order, "order_state": "L"}
    return desk.report("OrderAccepted", NOW_NS + SECOND_NS, user_ref_num=reference, timestamp=stamp, **terms)


def fill(desk, reference, quantity, price=1_000_100, match=77, stamp=STAMP_NS + 5):
    facts = {"quantity": quantity, "price": price, "match_number": match}
    return desk.report("OrderExecuted", NOW_NS + 2 * SECOND_NS, user_ref_num=reference, timestamp=stamp, **facts)


def traded(book):
    """Order 1 replaced by 2, of which some fills and the rest is cancelled; order 3 refused; all of signal 5 but 3."""
    desk = Desk().open()
    desk.send(signal_id=5)
    accept(desk, 1)
    desk.send("REPLACE", order_reference=1, quantity=60, price=1_000_300, signal_id=5)
    replaced = {"orig_user_ref_num": 1, "user_ref_num": 2, "quantity": 60, "price": 1_000_300}
    desk.report("OrderReplaced", **replaced, order_reference_number=901, order_state="L", timestamp=STAMP_NS + 1)
    fill(desk, 2, 40)
    book.take(desk)
    desk.send("CANCEL", order_reference=2, signal_id=6)
    desk.report("OrderCanceled", user_ref_num=2, quantity=20, reason="U", timestamp=STAMP_NS + 9)
    desk.send(quantity=0, signal_id=7)
    book.take(desk)
    return desk
