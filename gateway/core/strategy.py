"""The strategy contract ⑥: what a strategy file may say, and how it becomes a C function the corridor calls.

    STATE = [("quiet_until_ns", "i8", 65536)]          optional: a numpy dtype, or a list of its fields
    PARAMETERS = {"lot": 100}                          optional: numbers the configuration may change, fields of the state

    def on_event(state, event, book, orders):          plain Python, compiled by numba; called after every applied event
        if book.ask_quantity > 0:
            buy(orders, event.instrument, state.lot, book.ask_price, IOC)

Hard rule: what the strategy says are intents. It writes nothing but its state and the rows of struct intents, and every
intent meets the gate. A strategy that raises is halted: it is not called again, and the gate refuses what it left behind.
Loading and compiling is strategy_file.py; the whole contract is docs/operating/strategies.md.
"""

from numba import int64

from gateway.core.kernel import kernel
from gateway.core.memory import address_of_record, load_i64, load_u8, load_u16, load_u32, store_i64, store_u8, store_u32
from gateway.layout import offsets, size, value

INTENTS = offsets("intents")
INTENT = offsets("intent")
ROW = offsets("gate_row")
ORDER = offsets("order")
INTENT_BYTES, ROW_BYTES, ORDER_BYTES = size("intent"), size("gate_row"), size("order")
INTENTS_MAX = value("INTENTS_MAX")
NEW, CANCEL, REPLACE = value("INTENT_NEW"), value("INTENT_CANCEL"), value("INTENT_REPLACE")
MASS_CANCEL = value("INTENT_MASS_CANCEL")
NO_LIFE = 255  # a time in force the gate refuses

# What a strategy compares event.kind, event.side, book.trading and book.flags with.
ADD, EXECUTE, REDUCE, DELETE = (value(f"EVENT_{name}") for name in ("ADD", "EXECUTE", "REDUCE", "DELETE"))
REPLACED, TRADE, STATUS = value("EVENT_REPLACE"), value("EVENT_TRADE"), value("EVENT_STATUS")
INSTRUMENT, SYSTEM = value("EVENT_INSTRUMENT"), value("EVENT_SYSTEM")
GAP, CLEAR = value("EVENT_GAP"), value("EVENT_CLEAR")
LEVEL, SET = value("EVENT_LEVEL"), value("EVENT_SET")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
DAY, IOC = value("TIME_DAY"), value("TIME_IOC")
FOK, GTC = value("TIME_FOK"), value("TIME_GTC")
TERMS_SHIFT = 40  # far above every time in force: a wrong one is not taken for another with terms
POST_ONLY, REDUCE_ONLY = value("INTENT_POST_ONLY") << TERMS_SHIFT, value("INTENT_REDUCE_ONLY") << TERMS_SHIFT
TERMS_KNOWN = POST_ONLY | REDUCE_ONLY | 0xFF
OPEN, HALTED = value("TRADING_OPEN"), value("TRADING_HALTED")
PAUSED, QUOTE_ONLY = value("TRADING_PAUSED"), value("TRADING_QUOTE_ONLY")
AUCTION, CLOSED = value("TRADING_AUCTION"), value("TRADING_CLOSED")
VALID, STALE = value("BOOK_VALID"), value("BOOK_STALE")
CROSSED, FAULT, QUIET = value("BOOK_CROSSED"), value("BOOK_FAULT"), value("BOOK_QUIET")
OUTLIER, DIVERGENT = value("EVENT_OUTLIER"), value("EVENT_DIVERGENT")  # of event.flags


TRUST = VALID | STALE | FAULT | QUIET


@kernel
def trusted(book):
    """Whether the book was followed from the first message on, without an open gap, a contradiction or a long silence.

    A crossed book is trusted in an auction only, where crossing is normal.
    """
    flags = int64(book.flags)
    return (flags & TRUST) == VALID and (flags & CROSSED == 0 or int64(book.trading) == AUCTION)


@kernel
def buy(orders, instrument, quantity, price, time_in_force):
    """Intends a buy order. Returns its reference, 0 when the 16 rows of a call are used.

    `time_in_force` is IOC, FOK (all or nothing, at once) or DAY; `DAY | POST_ONLY` never takes, `IOC | REDUCE_ONLY` can only
    bring the position closer to zero. GTC is refused: the venue has none.
    """
    return _intend(address_of_record(orders), NEW, BUY, instrument, quantity, price, time_in_force, 0)


@kernel
def sell(orders, instrument, quantity, price, time_in_force):
    """Intends a sell order; as `buy`."""
    return _intend(address_of_record(orders), NEW, SELL, instrument, quantity, price, time_in_force, 0)


@kernel
def cancel(orders, reference):
    """Intends to cancel what is left of an own order. Returns the reference, 0 when it is not live or no row is free."""
    return reduce(orders, reference, 0)


@kernel
def reduce(orders, reference, quantity):
    """Intends to make an own order smaller: `quantity` is its new whole size, what has filled included. 0 as `cancel`."""
    address = address_of_record(orders)
    order = _own(address, reference)
    if order == 0:
        return 0
    side, instrument = load_u8(order + ORDER.side), load_u32(order + ORDER.instrument)
    return _intend(address, CANCEL, side, instrument, quantity, load_i64(order + ORDER.price), 0, reference)


@kernel
def replace(orders, reference, quantity, price):
    """Intends a new quantity and price for an own order. Returns the reference of the order that takes its place, or 0."""
    address = address_of_record(orders)
    order = _own(address, reference)
    if order == 0:
        return 0
    side, instrument = load_u8(order + ORDER.side), load_u32(order + ORDER.instrument)
    life = load_u8(order + ORDER.time_in_force) | (int64(load_u16(order + ORDER.flags)) << TERMS_SHIFT) & POST_ONLY
    return _intend(address, REPLACE, side, instrument, quantity, price, life, reference)


@kernel
def cancel_all(orders, instrument):
    """Intends to cancel every own order of an instrument with one message. Returns that message's reference, or 0."""
    return _intend(address_of_record(orders), MASS_CANCEL, 0, instrument, 0, 0, 0, 0)


@kernel
def signal(orders, identifier):
    """Says which signal the intents of this call that follow come from; the same order of the same signal is a duplicate.

    Without it every call is a signal of its own.
    """
    store_i64(address_of_record(orders) + INTENTS.signal_id, int64(identifier))


@kernel
def position(orders, instrument):
    """What is held: bought minus sold by the fills reported so far."""
    row = _gate_row(address_of_record(orders), instrument)
    return load_i64(row + ROW.position) if row != 0 else 0


@kernel
def open_quantity(orders, instrument, side):
    """What may still fill on one side, BUY or SELL; intents of this very call are not in it yet."""
    row = _gate_row(address_of_record(orders), instrument)
    if row == 0:
        return 0
    return load_i64(row + ROW.open_buy) if side == BUY else load_i64(row + ROW.open_sell)


@kernel
def order_open(orders, reference):
    """What is left of one own order; 0 when it is filled, cancelled, refused or unknown."""
    order = _own(address_of_record(orders), reference)
    return load_i64(order + ORDER.open) if order != 0 else 0


@kernel
def _gate_row(address, instrument):
    """Address of an instrument's struct gate_row; 0 outside the table."""
    inside = (instrument >= 0) & (instrument < load_u32(address + INTENTS.instruments))
    return load_i64(address + INTENTS.gate) + int64(instrument) * ROW_BYTES if inside else 0


@kernel
def _own(address, reference):
    """Address of the row of an own order with something left; 0: none."""
    wanted = int64(reference)
    order = load_i64(address + INTENTS.table) + (wanted & load_i64(address + INTENTS.orders_mask)) * ORDER_BYTES
    found = (wanted > 0) & (load_i64(order + ORDER.reference) == wanted) & (load_i64(order + ORDER.open) > 0)
    return order if found else 0


@kernel
def _intend(address, kind, side, instrument, quantity, price, time_in_force, meant):
    """Fills the next row of struct intents; returns the reference it will carry."""
    count = load_u32(address + INTENTS.count)
    inside = (instrument >= 0) & (instrument < load_u32(address + INTENTS.instruments))
    if (count >= INTENTS_MAX) | (not inside):
        store_u32(address + INTENTS.refused, load_u32(address + INTENTS.refused) + 1)
        return 0
    row = address + INTENTS.rows + count * INTENT_BYTES
    for offset in range(0, INTENT_BYTES, 8):
        store_i64(row + offset, 0)
    store_u8(row + INTENT.kind, kind)
    store_u8(row + INTENT.side, int64(side))
    terms = int64(time_in_force)
    known = (terms & ~TERMS_KNOWN) == 0
    store_u8(row + INTENT.time_in_force, terms & 0xFF if known else NO_LIFE)
    store_u8(row + INTENT.flags, terms >> TERMS_SHIFT if known else 0)
    store_u32(row + INTENT.instrument, int64(instrument))
    store_i64(row + INTENT.price, int64(price))
    store_i64(row + INTENT.quantity, int64(quantity))
    store_i64(row + INTENT.order_reference, int64(meant))
    store_i64(row + INTENT.signal_id, load_i64(address + INTENTS.signal_id))
    store_u32(row + INTENT.strategy, load_u32(address + INTENTS.strategy))
    store_u32(address + INTENTS.count, count + 1)
    if kind == CANCEL:
        return int64(meant)
    reference = load_i64(address + INTENTS.next_reference)
    store_i64(address + INTENTS.next_reference, reference + 1)
    return reference
