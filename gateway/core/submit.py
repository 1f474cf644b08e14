"""From intents to order frames ⑧: each intent meets the gate, is journalled, reserved, written and published.

    intent ─► gate ⑦ ─► row of our own + reservation ─► order frame written ─► core_journal ─► core_io ─► io

Hard rule: nothing is published that is not journalled and reserved before. A cancel is the exception to the first half:
a full journal stops new risk, never a cancel.
"""

from gateway.core import ring
from gateway.core.counters import add_to
from gateway.core.gate import decide_cancel, decide_new
from gateway.core.journal_records import close_decision, open_decision
from gateway.core.kernel import kernel, leaf
from gateway.core.marks import freshen
from gateway.core.memory import (
    copy_bytes,
    load_i64,
    load_u8,
    load_u32,
    shift_right,
    store_be32,
    store_be64,
    store_i64,
    store_u8,
    store_u16,
    store_u32,
    ticks,
)
from gateway.core.order_prefetch import prefetch_order
from gateway.core.orders import CANCELLING, live_row, open_order
from gateway.core.recent import remember
from gateway.layout import offsets, size, value
from gateway.protocols.ouch50 import offsets_of

PATH = offsets("order_path")
TABLE = offsets("order_table")
INTENTS = offsets("intents")
INTENT = offsets("intent")
ORDER = offsets("order")
BOOK = offsets("book")
SLOT = offsets("order_slot")
FRAME = offsets("order_frame")
TEMPLATE = offsets("order_template")
COUNTERS = offsets("core_counters")
ENTER, REPLACE_ORDER = offsets_of("EnterOrder"), offsets_of("ReplaceOrder")
CANCEL_ORDER, MASS = offsets_of("CancelOrder"), offsets_of("MassCancel")

NEW, CANCEL, REPLACE = value("INTENT_NEW"), value("INTENT_CANCEL"), value("INTENT_REPLACE")
MASS_CANCEL = value("INTENT_MASS_CANCEL")
SLOT_NEW, SLOT_CANCEL, SLOT_REDUCE = (value(f"ORDER_SLOT_{name}") for name in ("NEW", "CANCEL", "REDUCE"))
INTENTS_MAX = value("INTENTS_MAX")
SIDE_BUY = value("SIDE_BUY")
POST_ONLY, REDUCE_ONLY = value("INTENT_POST_ONLY"), value("INTENT_REDUCE_ONLY")
ENTERS = value("ORDER_SLOT_ENTERS")
TIME_IOC, TIME_FOK = value("TIME_IOC"), value("TIME_FOK")
MINIMUM_BYTES = 4  # of the option min_qty: it ends an Enter Order that has one
STRATEGY_SHIFT, STRATEGY_LAST = 32, value("GATE_STRATEGIES") - 1
INTENT_BYTES, BOOK_BYTES, SLOT_BYTES = size("intent"), size("book"), size("order_slot")
FRAME_BYTES = size("order_frame") - FRAME.bytes
MESSAGE_BYTES = 128  # headers and an order message, for the next slot of core_io
HEADERS_BYTES, CHECKSUM_OFFSET = 42, 40  # Ethernet 14, IPv4 20, UDP 8; the checksum ends the UDP header
WORD = 0xFFFFFFFF


@kernel
def submit_intents(path, intents, now_ns, ticks_receive, ticks_decode):
    """Empties a struct intents through the gate into core_io; returns the messages published.

    `now_ns` is the receive time of the frame being answered, the two tick stamps are copied into the order slot.
    """
    table = load_i64(path + PATH.table)
    count = min(load_u32(intents + INTENTS.count), INTENTS_MAX)
    sent = 0
    for index in range(count):
        intent = intents + INTENTS.rows + index * INTENT_BYTES
        if load_u8(intent + INTENT.kind) == CANCEL:
            reference = load_i64(intent + INTENT.order_reference)
        else:
            reference = load_i64(table + TABLE.next_reference)
            store_i64(table + TABLE.next_reference, reference + 1)
        record = open_decision(path, intent, reference, now_ns, ticks_receive, ticks_decode)
        mask = judge(path, intent, reference, now_ns)
        if mask == 0:
            stamp_passed(path)
            publish_order(path, intent, reference, record, now_ns, ticks_receive, ticks_decode)
            sent += 1
        else:
            close_decision(path, record, mask, ticks())
    if sent != 0:
        ring.warm(load_i64(path + PATH.core_io), MESSAGE_BYTES)
    prefetch_order(path, load_i64(table + TABLE.next_reference))
    add_to(load_i64(path + PATH.counters) + COUNTERS.intents, count)
    store_u32(intents + INTENTS.count, 0)
    store_i64(intents + INTENTS.next_reference, load_i64(table + TABLE.next_reference))
    return sent


@leaf
def stamp_passed(path):
    """When the gate let an order pass, for whoever asks (a benchmark); nobody else pays more than a look."""
    place = load_i64(path + PATH.passed_ticks)
    if place != 0:
        store_i64(place, ticks())


@kernel
def judge(path, intent, reference, now_ns):
    """Decision, and what our own table must know before anything leaves. Returns the reason mask."""
    kind = load_u8(intent + INTENT.kind)
    counters = load_i64(path + PATH.counters)
    if (kind == CANCEL) | (kind == MASS_CANCEL):
        mask = decide_cancel(path, intent, now_ns)
        if mask == 0:
            add_to(counters + COUNTERS.cancels_sent, 1)
            if (kind == CANCEL) & (load_i64(intent + INTENT.quantity) == 0):
                note_cancel(live_row(path, reference), now_ns)
        return mask
    freshen(path, load_u32(intent + INTENT.instrument), now_ns)
    mask = decide_new(path, intent, reference, now_ns)
    if mask == 0:
        open_order(path, intent, reference, now_ns)
        remember(path, intent, now_ns)
        add_to(counters + COUNTERS.orders_sent, 1)
    return mask


@kernel
def note_cancel(order, now_ns):
    """A cancel is on its way; the first one starts the time within which an answer is due."""
    if load_u8(order + ORDER.state) != CANCELLING:
        store_i64(order + ORDER.time_last_ns, now_ns)
    store_u8(order + ORDER.state, CANCELLING)


@kernel
def publish_order(path, intent, reference, record, now_ns, ticks_receive, ticks_decode):
    """The frame into the ring, its decision into the journal just before it; one stamp says when in both."""
    writer = load_i64(path + PATH.core_io)
    slot = ring.claim(writer)
    write_message(path, intent, slot, reference)
    write_header(path, intent, slot, reference, now_ns, ticks_receive, ticks_decode)
    ticks_order = ticks()
    store_i64(slot + SLOT.ticks_order, ticks_order)
    close_decision(path, record, 0, ticks_order)
    ring.publish(writer, slot)


@kernel
def write_header(path, intent, slot, reference, now_ns, ticks_receive, ticks_decode):
    """Everything of struct order_slot but the sequence word, the size and the last stamp."""
    kind = load_u8(intent + INTENT.kind)
    slot_kind, slot_flags = SLOT_NEW, 0
    if (kind == NEW) & (load_u8(intent + INTENT.flags) & REDUCE_ONLY != 0):
        slot_kind, slot_flags = SLOT_REDUCE, ENTERS
    elif kind == CANCEL:
        slot_kind = SLOT_REDUCE if load_i64(intent + INTENT.quantity) > 0 else SLOT_CANCEL
    elif kind == MASS_CANCEL:
        slot_kind = SLOT_CANCEL
    store_u16(slot + SLOT.kind, slot_kind)
    store_u16(slot + SLOT.flags, slot_flags)
    store_i64(slot + SLOT.epoch, load_i64(path + PATH.epoch))
    store_i64(slot + SLOT.time_receive_ns, now_ns)
    store_i64(slot + SLOT.ticks_receive, ticks_receive)
    store_i64(slot + SLOT.ticks_decode, ticks_decode)
    store_i64(slot + SLOT.reference, reference)


@kernel
def write_message(path, intent, slot, reference):
    """The frame behind the slot's header: a copy of its template with this order written into it."""
    kind = load_u8(intent + INTENT.kind)
    frames = load_i64(path + PATH.frames)
    message = slot + SLOT_BYTES + load_u32(frames + TEMPLATE.enter + FRAME.message_offset)  # the same for all of them
    if kind == NEW:
        template = enter_template(frames, intent)
        copy_bytes(slot + SLOT_BYTES, template + FRAME.bytes, FRAME_BYTES)
        write_enter(path, intent, message, reference)
        if load_u8(intent + INTENT.time_in_force) == TIME_FOK:
            minimum = slot + SLOT_BYTES + load_u32(template + FRAME.size) - MINIMUM_BYTES
            store_be32(minimum, load_i64(intent + INTENT.quantity))
    elif kind == REPLACE:
        post = load_u8(intent + INTENT.flags) & POST_ONLY != 0
        template = frames + (TEMPLATE.replace_post if post else TEMPLATE.replace)
        copy_bytes(slot + SLOT_BYTES, template + FRAME.bytes, FRAME_BYTES)
        write_replace(intent, message, reference)
    elif kind == CANCEL:
        template = frames + TEMPLATE.cancel
        copy_bytes(slot + SLOT_BYTES, template + FRAME.bytes, FRAME_BYTES)
        store_be32(message + CANCEL_ORDER.user_ref_num, reference)
        store_be32(message + CANCEL_ORDER.quantity, load_i64(intent + INTENT.quantity))
    else:
        template = frames + TEMPLATE.mass_cancel
        copy_bytes(slot + SLOT_BYTES, template + FRAME.bytes, FRAME_BYTES)
        store_be32(message + MASS.user_ref_num, reference)
        store_i64(message + MASS.symbol, symbol_of(path, intent))
    store_u32(slot + SLOT.size, load_u32(template + FRAME.size))
    if load_u32(template + FRAME.checksum_offset) != 0:
        seal(slot + SLOT_BYTES, load_u32(template + FRAME.size), load_u32(template + FRAME.checksum))


@kernel
def enter_template(frames, intent):
    """Address of the template that has the options of an order's terms."""
    if load_u8(intent + INTENT.time_in_force) == TIME_FOK:
        return frames + TEMPLATE.enter_whole
    return frames + (TEMPLATE.enter_post if load_u8(intent + INTENT.flags) & POST_ONLY != 0 else TEMPLATE.enter)


@kernel
def life_letter(intent):
    """Time In Force as OUCH writes it: all or nothing at once is immediate with a minimum quantity."""
    life = load_u8(intent + INTENT.time_in_force)
    return ord("0") + (TIME_IOC if life == TIME_FOK else life)


@kernel
def tagged(intent, reference):
    """What a client order id carries: the reference, and the strategy's row above it, so that an adopted order knows it."""
    return reference | (load_u32(intent + INTENT.strategy) & STRATEGY_LAST) << STRATEGY_SHIFT


@kernel
def symbol_of(path, intent):
    """The instrument's eight characters, as the venue's directory spelled them."""
    return load_i64(load_i64(path + PATH.books) + load_u32(intent + INTENT.instrument) * BOOK_BYTES + BOOK.symbol)


@kernel
def write_enter(path, intent, message, reference):
    """Enter Order, OUCH 5.0, 2.1: prices of both protocols count 1/10000."""
    store_be32(message + ENTER.user_ref_num, reference)
    store_u8(message + ENTER.side, ord("B") if load_u8(intent + INTENT.side) == SIDE_BUY else ord("S"))
    store_be32(message + ENTER.quantity, load_i64(intent + INTENT.quantity))
    store_i64(message + ENTER.symbol, symbol_of(path, intent))
    store_be64(message + ENTER.price, load_i64(intent + INTENT.price))
    store_u8(message + ENTER.time_in_force, life_letter(intent))
    write_client_reference(message + ENTER.cl_ord_id, tagged(intent, reference))


@kernel
def write_replace(intent, message, reference):
    """Replace Order, OUCH 5.0, 2.2: the quantity is the whole of the order, what has filled included."""
    store_be32(message + REPLACE_ORDER.orig_user_ref_num, load_i64(intent + INTENT.order_reference))
    store_be32(message + REPLACE_ORDER.user_ref_num, reference)
    store_be32(message + REPLACE_ORDER.quantity, load_i64(intent + INTENT.quantity))
    store_be64(message + REPLACE_ORDER.price, load_i64(intent + INTENT.price))
    store_u8(message + REPLACE_ORDER.time_in_force, life_letter(intent))
    write_client_reference(message + REPLACE_ORDER.cl_ord_id, tagged(intent, reference))


@kernel
def write_client_reference(client_order_id, reference):
    """The last 8 of 14 characters: the reference in base 32, all digits in one 64-bit word (order_frames.base32)."""
    spread = ((reference & 0xFFFFF00000) << 12) | (reference & 0xFFFFF)  # two halves of four digits
    spread = ((spread & 0x000FFC00000FFC00) << 6) | (spread & 0x000003FF000003FF)  # four quarters of two
    spread = ((spread & 0x03E003E003E003E0) << 3) | (spread & 0x001F001F001F001F)  # one digit a byte
    letters = ((spread + 0x7676767676767676) >> 7) & 0x0101010101010101  # 1 in every byte that is 10 or more
    store_be64(client_order_id + 6, spread + 0x3030303030303030 + letters * 7)


@kernel
def seal(frame, frame_bytes, checksum):
    """Finishes the UDP checksum (RFC 768, RFC 1071); zeros stand behind the frame, so whole words may be summed."""
    for offset in range(HEADERS_BYTES, frame_bytes, 8):
        word = load_i64(frame + offset)
        checksum += (word & WORD) + shift_right(word, 32)
    checksum = (checksum & WORD) + (checksum >> 32)
    checksum = (checksum & 0xFFFF) + (checksum >> 16)
    checksum = (checksum & 0xFFFF) + (checksum >> 16)
    checksum = (checksum & 0xFFFF) + (checksum >> 16)
    inverted = checksum ^ 0xFFFF
    store_u16(frame + CHECKSUM_OFFSET, inverted if inverted != 0 else 0xFFFF)
