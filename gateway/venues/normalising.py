"""What every generated normaliser ④ calls: events written, refusals counted, numbers turned into the instrument's units.

Between the generated text (normaliser.py) and core's instruments and decimals. `state` is struct normaliser. Hard rule: an
event has its row in the batch before anything of it is stored, and a number that does not fit makes a gap, not a price.
"""

from gateway import limits
from gateway.core.counters import count_reason
from gateway.core.decimals import OFF, REFUSED, off_tick, rescale
from gateway.core.instruments import count_off_tick, row_for, row_for_text, tick_of
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, store_i64
from gateway.layout import offsets, size, value

STATE = offsets("normaliser")
EVENT = offsets("event")
EVENT_BYTES = size("event")
EVENTS_MAX = limits.EVENTS_MAX
SUSPENDED = 1  # no room for another event: the same message again, in the next call
GAP, INFORMATION = value("EVENT_GAP"), value("EVENT_INFORMATION")
SEQUENCE = value("EVENT_INSTRUMENT_SEQUENCE")
ONE_INSTRUMENT = value("EVENT_ONE_INSTRUMENT")
UNKNOWN = value("FEED_MESSAGE_UNKNOWN")
INSTRUMENTS_FULL = value("FEED_INSTRUMENTS_FULL")
FIELD, OFF_TICK = value("FEED_MESSAGE_FIELD"), value("FEED_OFF_TICK")
SHIFT_KIND, SHIFT_SIDE, SHIFT_FLAGS, SHIFT_TYPE = (
    8 * (field - EVENT.instrument) for field in (EVENT.kind, EVENT.side, EVENT.flags, EVENT.message_type)
)
BLANKS = 0x2020202020202020
ABSENT = -(1 << 62)  # a table has no such value: the row of the mapping does not apply


@leaf
def claim(state):
    """Address of the next event's row; 0: it went out with the last call; -1: no room."""
    skip = load_i64(state + STATE.skip)
    if skip != 0:
        store_i64(state + STATE.skip, skip - 1)
        store_i64(state + STATE.done, load_i64(state + STATE.done) + 1)
        return 0
    written = load_i64(state + STATE.written)
    if written == EVENTS_MAX:
        return -1
    store_i64(state + STATE.written, written + 1)
    store_i64(state + STATE.done, load_i64(state + STATE.done) + 1)
    return load_i64(state + STATE.events) + written * EVENT_BYTES


@leaf
def is_news(state):
    """Whether the next event is written now: what it does besides being written is done then, and only then."""
    return load_i64(state + STATE.skip) == 0 and load_i64(state + STATE.written) < EVENTS_MAX


@kernel
def write_event(state, row, kind, side, flags, price, quantity, order_id, other_id, time_venue_ns):
    """One event. Returns 0, or SUSPENDED."""
    event = claim(state)
    if event <= 0:
        return SUSPENDED if event < 0 else 0
    store_i64(event + EVENT.sequence, load_i64(state + STATE.sequence))
    store_i64(event + EVENT.time_venue_ns, time_venue_ns)
    store_i64(event + EVENT.order_id, order_id)
    store_i64(event + EVENT.other_id, other_id)
    store_i64(event + EVENT.price, price)
    store_i64(event + EVENT.quantity, quantity)
    word = (row & 0xFFFFFFFF) | (kind << SHIFT_KIND) | (side << SHIFT_SIDE) | (flags << SHIFT_FLAGS)
    store_i64(event + EVENT.instrument, word | ((load_i64(state + STATE.message_type) & 0xFF) << SHIFT_TYPE))
    store_i64(event + EVENT.time_receive_ns, load_i64(state + STATE.time_receive_ns))
    return 0


@kernel
def write_gap(state, quantity):
    """Messages of this packet are lost to us, whatever they were about."""
    return write_event(state, 0, GAP, 0, 0, 0, quantity, 0, 0, 0)


@kernel
def other_encoding(state):
    """A frame of another encoding than this feed's: nobody's message, and counted."""
    if is_news(state):
        count_reason(load_i64(state + STATE.counters), UNKNOWN)
    return write_event(state, 0, INFORMATION, 0, 0, 0, 0, 0, 0, 0)


@kernel
def write_sequence(state, row, sequence, previous, first, time_venue_ns):
    """What follows has this sequence of its instrument; `previous` 0: the one before it."""
    previous = previous if previous != 0 else sequence - 1
    return write_event(state, row, SEQUENCE, 0, 0, first, 0, previous, sequence, time_venue_ns)


@kernel
def refuse_event(state, row):
    """A field outside its domain: counted, and the book of this instrument cannot be believed. Row -1: nobody's book."""
    if is_news(state):
        count_reason(load_i64(state + STATE.counters), FIELD)
    if row < 0:
        return write_gap(state, 1)
    return write_event(state, row, GAP, 0, ONE_INSTRUMENT, 0, 1, 0, 0, 0)


@kernel
def row_of_number(state, identifier, layer):
    """The row of an instrument that the venue numbers; -1 with the reason counted when there is no room."""
    row = row_for(load_i64(state + STATE.instruments), identifier, layer)
    if row < 0:
        count_reason(load_i64(state + STATE.counters), INSTRUMENTS_FULL)
    return row


@kernel
def row_of_text(state, text, size_bytes, layer):
    """The row of an instrument that the venue names by text; -1 with the reason counted when there is none."""
    row = row_for_text(load_i64(state + STATE.instruments), text, size_bytes, layer)
    if row < 0:
        count_reason(load_i64(state + STATE.counters), INSTRUMENTS_FULL)
    return row


@kernel
def scaled(mantissa, exponent, units_exponent):
    """mantissa × 10^exponent in units: (units, status)."""
    return rescale(mantissa, exponent, units_exponent)


@kernel
def judge_price(state, row, price, status):
    """Counts a price that is no unit of its instrument, or no multiple of its tick, once."""
    off = status == OFF or off_tick(price, tick_of(load_i64(state + STATE.instruments), row))
    if off and is_news(state):
        count_reason(load_i64(state + STATE.counters), OFF_TICK)
        count_off_tick(load_i64(state + STATE.instruments), row)
    return 0


@leaf
def plain_units(number):
    """A whole number as units: (units, status); what would be negative only because it is unsigned is refused."""
    return number, 0


@leaf
def unsigned_units(number):
    """An unsigned 64-bit number as units: beyond 2^63 it is refused."""
    if number < 0:
        return 0, REFUSED
    return number, 0


@kernel
def double_of_single(bits):
    """Bits of the double that a single of these bits is."""
    exponent, fraction = (bits >> 23) & 255, bits & 0x7FFFFF
    sign = (bits & 0x80000000) << 32
    if exponent == 255:
        return sign | (2047 << 52) | (fraction << 29)
    if exponent == 0:
        return sign  # zero, and what is too small to be a price
    return sign | ((exponent + 896) << 52) | (fraction << 29)


@kernel
def text_bytes(text, size_bytes):
    """Bytes of a text in an array: up to the first NUL, without the blanks at its end."""
    used = 0
    while used < size_bytes and load_u8(text + used) != 0:
        used += 1
    while used > 0 and load_u8(text + used - 1) == 32:
        used -= 1
    return used


@kernel
def text_word(text, size_bytes):
    """The first eight bytes of a text, padded with blanks, as a number."""
    word = BLANKS
    for index in range(min(size_bytes, 8)):
        word = (word & ~(0xFF << (8 * index))) | (load_u8(text + index) << (8 * index))
    return word
