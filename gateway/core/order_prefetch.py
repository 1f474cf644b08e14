"""Brings near what the next order will touch ⑥⑦⑧, while there is something else to wait for.

    few events decoded     the gate's rows of their instruments: while the book of the first waits for its own lines
    an order has left      the next order's row and the journal's next slot (core_io's: ring.warm)
    nothing has come       of recent orders one line after another, around the table and around again

A burst is left alone: there the lines would be paid for by events that nobody answers.
Hard rule: a prefetch changes nothing and never faults; whatever is asked for is checked by those who use it.
"""

from gateway.core import ring
from gateway.core.kernel import leaf
from gateway.core.memory import load_i64, load_u32, prefetch, shift_right
from gateway.core.orders import order_at
from gateway.core.portfolio import holding_at, row_at
from gateway.core.recent import line_of
from gateway.layout import offsets, size

PATH = offsets("order_path")
EVENT = offsets("event")
INTENTS = offsets("intents")
BOOK = offsets("book")
EVENT_BYTES, BOOK_BYTES, ORDER_BYTES = size("event"), size("book"), size("order")
RECORD_BYTES = size("journal_slot")
LINE = 64
FEW = 4  # events of a packet that may be answered at once
GATE_LINES = 3  # of a row: what a decision reads
REST_BITS = 3
REST = 1 << REST_BITS  # idle turns between two lines: more would fill the way to memory


@leaf
def prefetch_gate(path, intents, events, count):
    """Before the events are applied: what the gate would read about their instruments, and the symbol for the message."""
    if count > FEW:
        return
    strategy = load_u32(intents + INTENTS.strategy)
    for index in range(count):
        instrument = load_u32(events + index * EVENT_BYTES + EVENT.instrument)
        row = row_at(path, instrument)
        for line in range(GATE_LINES):
            prefetch(row + line * LINE)
        prefetch(holding_at(path, strategy, instrument))
        prefetch(load_i64(path + PATH.books) + instrument * BOOK_BYTES + BOOK.symbol)


@leaf
def prefetch_order(path, reference):
    """What an order with this reference will be written to."""
    order = order_at(path, reference)
    for offset in range(0, ORDER_BYTES, LINE):
        prefetch(order + offset)
    slot = ring.next_slot(load_i64(path + PATH.journal))
    for offset in range(0, RECORD_BYTES, LINE):
        prefetch(slot + offset)


@leaf
def prefetch_recent(path, turns):
    """The line whose turn it is, every REST idle turns. An order meets one that none has met for seconds: from memory it
    took half of the gate's time.
    """
    if turns & (REST - 1) == 0:
        prefetch(line_of(path, shift_right(turns, REST_BITS)))
