"""A message that was read and settled becomes events ④, a batch at a time.

    UPDATE     SEQUENCE, a LEVEL per row, LEVELS_FROM where the venue keeps a depth, CHECKSUM
    SNAPSHOT   SNAPSHOT_BEGIN, a LEVEL per row, SNAPSHOT_END
    TRADES     a TRADE per row           TICKER     an INFORMATION per row: best bid, best ask

Hard rule: decoder.events holds EVENTS_MAX rows, and every batch keeps room for what stands around the levels.
"""

from gateway import limits
from gateway.core.decimals import POWERS
from gateway.core.instruments import ROW as INSTRUMENT
from gateway.core.instruments import row_of, tick_of
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u8, load_u16, load_u32, store_i64, store_u8, store_u32
from gateway.layout import offsets, size, value
from gateway.protocols.websocket.settle import DECODER, ROW, ROW_BYTES
from gateway.protocols.websocket.text import CONTEXT

EVENT = offsets("event")
EVENT_BYTES = size("event")
INSTRUMENT_EVENT, SEQUENCE = value("EVENT_INSTRUMENT"), value("EVENT_INSTRUMENT_SEQUENCE")
LEVEL, LEVELS_FROM, CHECKSUM = value("EVENT_LEVEL"), value("EVENT_LEVELS_FROM"), value("EVENT_CHECKSUM")
BEGIN, END = value("EVENT_SNAPSHOT_BEGIN"), value("EVENT_SNAPSHOT_END")
TRADE, INFORMATION, GAP = value("EVENT_TRADE"), value("EVENT_INFORMATION"), value("EVENT_GAP")
OF_SNAPSHOT, ONE_INSTRUMENT = value("EVENT_OF_SNAPSHOT"), value("EVENT_ONE_INSTRUMENT")
UPDATE, SNAPSHOT, TRADES, CONTROL = (value(f"JSON_{kind}") for kind in ("UPDATE", "SNAPSHOT", "TRADES", "CONTROL"))
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
AROUND = 8  # events around the rows of a message, at most
BATCH = limits.EVENTS_MAX - AROUND
SPACES = int.from_bytes(b" " * 8, "little")
SYMBOL_WORD_BYTES = 8


@kernel
def emit(decoder, context):
    """Events of the next batch; leaves decoder.more and cursor when there are more."""
    apart()
    index, count = load_i64(decoder + DECODER.cursor), load_i64(context + CONTEXT.row_count)
    events, kind = load_i64(decoder + DECODER.events), load_i64(context + CONTEXT.kind)
    if kind == CONTROL:
        return 0
    event = events
    if index == 0:
        event = put_front(decoder, context, event, kind)
    batch_end = min(count, index + BATCH)
    event = put_rows(decoder, context, event, kind, index, batch_end)
    if batch_end < count:
        store_i64(decoder + DECODER.cursor, batch_end)
        store_u32(decoder + DECODER.more, 1)
    else:
        event = put_back(decoder, context, event, kind)
    return (event - events) // EVENT_BYTES


@leaf
def begin_event(decoder, context, event, kind):
    """An event of this message with nothing in it but what all have."""
    store_i64(event + EVENT.sequence, load_i64(context + CONTEXT.sequence))
    store_i64(event + EVENT.time_venue_ns, load_i64(context + CONTEXT.time_ns))
    store_i64(event + EVENT.order_id, 0)
    store_i64(event + EVENT.other_id, 0)
    store_i64(event + EVENT.price, 0)
    store_i64(event + EVENT.quantity, 0)
    store_i64(event + EVENT.instrument, packed_kind(context, kind))
    store_i64(event + EVENT.time_receive_ns, load_i64(decoder + DECODER.time_receive_ns))


@leaf
def packed_kind(context, kind):
    """instrument, kind, side 0, flags 0 and message type as one word: the fields stand side by side."""
    return load_i64(context + CONTEXT.instrument) | kind << 32 | load_i64(context + CONTEXT.message_type) << 56


@kernel
def put_front(decoder, context, event, kind):
    """What stands before the rows."""
    apart()
    row = load_i64(context + CONTEXT.instrument)
    announced = load_i64(context + CONTEXT.announced) + row
    if load_u8(announced) == 0 or kind == SNAPSHOT:
        store_u8(announced, 1)
        put_instrument(decoder, context, event, row)
        event += EVENT_BYTES
    if kind == SNAPSHOT:
        begin_event(decoder, context, event, BEGIN)
        store_i64(event + EVENT.other_id, load_i64(context + CONTEXT.last))
        store_i64(event + EVENT.quantity, -1)
        store_u8(event + EVENT.flags, OF_SNAPSHOT)
        event += EVENT_BYTES
    elif kind == UPDATE and load_i64(context + CONTEXT.last) != 0:
        begin_event(decoder, context, event, SEQUENCE)
        store_i64(event + EVENT.other_id, load_i64(context + CONTEXT.last))
        store_i64(event + EVENT.order_id, load_i64(context + CONTEXT.before))
        store_i64(event + EVENT.price, load_i64(context + CONTEXT.first))
        event += EVENT_BYTES
    return event


@kernel
def put_instrument(decoder, context, event, row):
    """An instrument is seen for the first time, or anew: its tick, or if that is not known, what its prices have in common.

    A book takes a tick as a hint alone: how close levels lie, not which prices there may be.
    """
    apart()
    table = load_i64(decoder + DECODER.instruments)
    begin_event(decoder, context, event, INSTRUMENT_EVENT)
    tick = tick_of(table, row)
    store_i64(event + EVENT.price, tick if tick != 0 else common_power(context))
    address = row_of(table, row)
    size_bytes = load_u32(address + INSTRUMENT.symbol_bytes)
    if size_bytes <= SYMBOL_WORD_BYTES:
        padding = SPACES << (8 * size_bytes) if size_bytes < SYMBOL_WORD_BYTES else 0
        store_i64(event + EVENT.order_id, load_i64(address + INSTRUMENT.symbol) | padding)


@kernel
def common_power(context):
    """The largest power of ten that divides every price; 0: there are none, or fewer than two."""
    row, power = load_i64(context + CONTEXT.rows), len(POWERS) - 1
    count = load_i64(context + CONTEXT.row_count)
    for _ in range(count):
        price = load_i64(row + ROW.price)
        while price % POWERS[power] != 0:
            power -= 1
        row += ROW_BYTES
    return POWERS[power] if count > 1 and power < len(POWERS) - 1 else 0


@kernel
def put_rows(decoder, context, event, kind, index, batch_end):
    """An event per row from `index` to `batch_end`."""
    apart()
    event_kind = TRADE if kind == TRADES else LEVEL if kind in (UPDATE, SNAPSHOT) else INFORMATION
    row = load_i64(context + CONTEXT.rows) + index * ROW_BYTES
    packed = packed_kind(context, event_kind) | (OF_SNAPSHOT if kind == SNAPSHOT else 0) << 48
    sequence, time_ns = load_i64(context + CONTEXT.sequence), load_i64(context + CONTEXT.time_ns)
    receive_ns = load_i64(decoder + DECODER.time_receive_ns)
    levels, trades = event_kind == LEVEL, event_kind == TRADE
    for _ in range(index, batch_end):
        id_ = load_i64(row + ROW.id)
        store_i64(event + EVENT.sequence, sequence)
        store_i64(event + EVENT.time_venue_ns, load_i64(row + ROW.time_ns) if trades else time_ns)
        store_i64(event + EVENT.order_id, id_ if levels else 0)
        store_i64(event + EVENT.other_id, 0 if levels else id_)
        store_i64(event + EVENT.price, load_i64(row + ROW.price))
        store_i64(event + EVENT.quantity, load_i64(row + ROW.quantity))
        store_i64(event + EVENT.instrument, packed | load_u16(row + ROW.side) << 40)
        store_i64(event + EVENT.time_receive_ns, receive_ns)
        event += EVENT_BYTES
        row += ROW_BYTES
    return event


@kernel
def put_back(decoder, context, event, kind):
    """What stands behind the rows."""
    apart()
    if kind == SNAPSHOT:
        begin_event(decoder, context, event, END)
        store_u8(event + EVENT.flags, OF_SNAPSHOT)
        event += EVENT_BYTES
    depth = load_i64(context + CONTEXT.depth)
    if kind == UPDATE and depth != 0:
        for side in (BUY, SELL):
            begin_event(decoder, context, event, LEVELS_FROM)
            store_u8(event + EVENT.side, side)
            store_i64(event + EVENT.order_id, (depth + 1) << 32)
            event += EVENT_BYTES
    method = load_i64(context + CONTEXT.method)
    if method != 0 and (kind in (UPDATE, SNAPSHOT)) and load_i64(context + CONTEXT.row_count) != 0:
        begin_event(decoder, context, event, CHECKSUM)
        printed = load_i64(context + CONTEXT.price_printed) | load_i64(context + CONTEXT.quantity_printed) << 8
        units = -load_i64(context + CONTEXT.price_exponent) | -load_i64(context + CONTEXT.quantity_exponent) << 8
        store_i64(event + EVENT.quantity, load_i64(context + CONTEXT.checksum))
        store_i64(event + EVENT.price, method)
        store_i64(event + EVENT.order_id, printed)
        store_i64(event + EVENT.other_id, units)
        event += EVENT_BYTES
    return event


@kernel
def put_gap(decoder, row):
    """One EVENT_GAP: what a message would have said is lost, for one row or (row -1) for all of this feed. Returns 1."""
    apart()
    event = load_i64(decoder + DECODER.events)
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(event + offset, 0)
    store_i64(event + EVENT.time_receive_ns, load_i64(decoder + DECODER.time_receive_ns))
    store_i64(event + EVENT.quantity, 1)
    if row >= 0:
        store_u32(event + EVENT.instrument, row)
        store_u8(event + EVENT.flags, ONE_INSTRUMENT)
    store_u8(event + EVENT.kind, GAP)
    return 1
