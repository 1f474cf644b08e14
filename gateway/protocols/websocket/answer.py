"""The frame of every decoder of JSON messages ④: empty message, refusal, events; the venue's part is `read`.

    int64 decode(struct decoder *)      refusal or message = read(decoder, context), then answer(decoder, context, reason)

Hard rule: a message that could have changed a book and was refused is a gap, unless the venue's own numbers will show it.
"""

from gateway.core.counters import add_to, count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u32, store_i64
from gateway.layout import offsets, value
from gateway.protocols.websocket.emit import CONTROL, SNAPSHOT, UPDATE, emit, put_gap
from gateway.protocols.websocket.settle import DECODER, settle
from gateway.protocols.websocket.text import CONTEXT

COUNTERS, TABLE = offsets("core_counters"), offsets("instrument_table")
UNKNOWN, INSTRUMENTS_FULL = value("FEED_MESSAGE_UNKNOWN"), value("FEED_INSTRUMENTS_FULL")


@leaf
def is_first_batch(decoder):
    """Whether the message is new; later batches only hand out what was read."""
    return load_i64(decoder + DECODER.cursor) == 0


@leaf
def end_of(decoder):
    """Behind the message's last byte."""
    return load_i64(decoder + DECODER.payload) + load_u32(decoder + DECODER.size)


@kernel
def connected(decoder, context):
    """An empty message: a connection was opened; what the one before told of the books is over."""
    apart()
    table = load_i64(decoder + DECODER.instruments)
    add_to(load_i64(decoder + DECODER.counters) + COUNTERS.sessions, 1)
    return put_gap(decoder, -1) if load_i64(table + TABLE.used) != 0 else 0


@kernel
def answer(decoder, context, reason):
    """What `read` found: events, or a counted refusal. `reason` is enum feed_reason, 0: the message was read."""
    apart()
    counters = load_i64(decoder + DECODER.counters)
    kind = load_i64(context + CONTEXT.kind)
    if reason == 0 and kind == CONTROL:
        add_to(counters + COUNTERS.heartbeats, 1)
        return 0
    if reason != 0:
        count_reason(counters, reason)
        unnumbered = load_i64(context + CONTEXT.numbered) == 0 and reason != UNKNOWN
        return put_gap(decoder, -1) if unnumbered else 0
    reason = settle(decoder, context)
    if reason != 0:
        count_reason(counters, reason)
        row = load_i64(context + CONTEXT.instrument)
        books = kind in (UPDATE, SNAPSHOT)
        return put_gap(decoder, row) if books and reason != INSTRUMENTS_FULL else 0
    add_to(counters + COUNTERS.messages, 1)
    add_to(counters + COUNTERS.messages_by_type + load_i64(context + CONTEXT.message_type) * 8, 1)
    return emit(decoder, context)


@leaf
def found(context, kind, message_type):
    """Notes what the message is; returns 0, for `read` to hand on."""
    store_i64(context + CONTEXT.kind, kind)
    store_i64(context + CONTEXT.message_type, message_type)
    return 0
