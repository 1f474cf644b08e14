"""Client orders of the simulated venue: one OUCH 5.0 message per datagram, checked, answered, matched.

Beside the corridor, inside the venue. Hard rule: a message is believed only at the specification's length; whatever is
wrong with an order is answered with the specification's reject reason, never with silence. Silent, as the specification
has it, are only a user reference that is not new and a cancel of an order that is not open.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import load_be16, load_be32, load_be64, load_i64, load_u8, load_u32, store_i64
from gateway.layout import value
from gateway.protocols.ouch50 import OPTION_TAGS, offsets_of, size_of
from gateway.venues.simulator.draws import below
from gateway.venues.simulator.faults import MILLION
from gateway.venues.simulator.feed import SYMBOL, symbol_at
from gateway.venues.simulator.frames import COUNTERS, VENUE
from gateway.venues.simulator.ladder import ORDER, level_of, order_at
from gateway.venues.simulator.letters import LETTERS
from gateway.venues.simulator.matching import cancelled, entered, match, new_order_id, reduce, replace, rest, tradable
from gateway.venues.simulator.reports import (
    CHANGE,
    ENTER,
    MASS,
    report_accepted,
    report_account,
    report_cancel_rejected,
    report_canceled,
    report_mass_cancel,
    report_rejected,
    report_replaced,
)
from gateway.venues.simulator.rows import client_row, row_taken
from gateway.venues.simulator.symbols import find_symbol

WITHDRAW = offsets_of("CancelOrder")
ENTER_BYTES, CHANGE_BYTES = size_of("EnterOrder"), size_of("ReplaceOrder")
WITHDRAW_BYTES, MASS_BYTES, QUERY_BYTES = size_of("CancelOrder"), size_of("MassCancel"), size_of("AccountQuery")
SIDE_NONE, SIDE_BUY, SIDE_SELL = value("SIDE_NONE"), value("SIDE_BUY"), value("SIDE_SELL")
OPEN, ENDED = value("VENUE_OPEN"), value("VENUE_ENDED")
MIN_QTY, POST_ONLY, NUMBER_BYTES = OPTION_TAGS["min_qty"], OPTION_TAGS["post_only"], 4
QUANTITY_MAX = 999_999  # a share quantity is below one million, section 2.1
BLANKS = 0x2020202020202020

# Reject reasons, Appendix B
REASON_CLOSED = 0x0002
REASON_DISPLAY = 0x0003
REASON_SIDE = 0x0009
REASON_PROCESSING = 0x000A
REASON_OTHER = 0x000F
REASON_QUANTITY = 0x0013
REASON_REPLACE = 0x0015
REASON_SYMBOL = 0x0017
REASON_PRICE = 0x001D


@inner
def _counted(venue, offset):
    add_to(load_i64(venue + VENUE.counters) + offset, 1)


@inner
def _drawn(venue, ppm):
    return below(venue + VENUE.random_fault, MILLION) < ppm


@inner
def _new_reference(venue, reference):
    """Whether a user reference is above every one before it, section 1.2; others are ignored and counted."""
    if reference <= load_i64(venue + VENUE.last_reference):
        _counted(venue, COUNTERS.duplicates_ignored)
        return False
    store_i64(venue + VENUE.last_reference, reference)
    return True


@inner
def _side_of(letter):
    """Buy, or one of the three ways to sell."""
    if letter == LETTERS.B:
        return SIDE_BUY
    return SIDE_SELL if letter == LETTERS.S or letter == LETTERS.T or letter == LETTERS.E else SIDE_NONE


@inner
def _terms_refused(venue, symbol, quantity, price, life, display, reference):
    """Why an order or a replacement cannot be taken, 0: it can."""
    if load_i64(venue + VENUE.phase) != OPEN:
        return REASON_CLOSED
    if symbol < 0:
        return REASON_SYMBOL
    if quantity < 1 or quantity > QUANTITY_MAX:
        return REASON_QUANTITY
    if level_of(symbol_at(venue, symbol), price) < 0:
        return REASON_PRICE
    if display != LETTERS.Y and display != LETTERS.A:
        return REASON_DISPLAY
    if life != LETTERS.ZERO and life != LETTERS.THREE:
        return REASON_OTHER
    if load_i64(venue + VENUE.free_row) == 0 or row_taken(venue, reference):
        return REASON_PROCESSING
    return 0


@inner
def _work(venue, symbol, side, level, quantity, reference, order_id, immediate, minimum, post):
    """Matches an accepted order and decides what becomes of the rest.

    `minimum`: nothing trades unless so many shares do (option MinQty); `post`: what would trade is cancelled (PostOnly).
    """
    possible = tradable(symbol_at(venue, symbol), side, level, quantity)
    if (post != 0 and possible > 0) or possible < minimum:
        cancelled(venue, quantity)
        report_canceled(venue, reference, quantity, LETTERS.F if post != 0 else LETTERS.I)
        return
    partial = _drawn(venue, load_i64(venue + VENUE.partial_ppm)) and possible > 0 and minimum == 0
    wanted = quantity
    if partial:
        wanted = below(venue + VENUE.random_fault, possible)
        _counted(venue, COUNTERS.faults_partial)
    traded = match(venue, symbol, side, level, wanted, reference)
    left = quantity - traded
    if left == 0:
        return
    if partial or immediate:
        cancelled(venue, left)
        report_canceled(venue, reference, left, LETTERS.I if immediate else LETTERS.Z)
    else:
        rest(venue, symbol, side, level, left, order_id, reference, traded, 0)


@inner
def _on_enter(venue, message, size_bytes):
    reference = load_be32(message + ENTER.user_ref_num)
    if not _new_reference(venue, reference):
        return
    symbol = find_symbol(venue, load_i64(message + ENTER.symbol))
    side = _side_of(load_u8(message + ENTER.side))
    quantity, price = load_be32(message + ENTER.quantity), load_be64(message + ENTER.price)
    life, display = load_u8(message + ENTER.time_in_force), load_u8(message + ENTER.display)
    reason = _terms_refused(venue, symbol, quantity, price, life, display, reference)
    if reason == 0 and side == SIDE_NONE:
        reason = REASON_SIDE
    if reason == 0 and _drawn(venue, load_i64(venue + VENUE.reject_ppm)):
        reason = REASON_OTHER
        _counted(venue, COUNTERS.faults_rejected)
    if reason != 0:
        report_rejected(venue, reference, reason, message + ENTER.cl_ord_id)
        return
    order_id = new_order_id(venue)
    entered(venue, quantity)
    report_accepted(venue, message, reference, order_id)
    level = level_of(symbol_at(venue, symbol), price)
    minimum = option_number(message, ENTER_BYTES, size_bytes, MIN_QTY)
    post = option_number(message, ENTER_BYTES, size_bytes, POST_ONLY)
    # a minimum is kept by an order that does not rest: later trades would have to be held back too
    minimum = minimum if life == LETTERS.THREE else 0
    _work(venue, symbol, side, level, quantity, reference, order_id, life == LETTERS.THREE, minimum, post == LETTERS.P)


@inner
def _on_replace(venue, message, size_bytes):
    """The quantity asked for is the whole order's, shares already executed included, section 2.2."""
    reference = load_be32(message + CHANGE.user_ref_num)
    if not _new_reference(venue, reference):
        return
    original = load_be32(message + CHANGE.orig_user_ref_num)
    row = client_row(venue, original)
    if row == 0:
        report_rejected(venue, reference, REASON_REPLACE, message + CHANGE.cl_ord_id)
        return
    order = order_at(venue, row)
    symbol, side = load_u32(order + ORDER.symbol), load_u8(order + ORDER.side)
    quantity = load_be32(message + CHANGE.quantity) - load_u32(order + ORDER.executed)
    price = load_be64(message + CHANGE.price)
    life, display = load_u8(message + CHANGE.time_in_force), load_u8(message + CHANGE.display)
    reason = _terms_refused(venue, symbol, quantity, price, life, display, reference)
    if reason != 0:
        report_rejected(venue, reference, reason, message + CHANGE.cl_ord_id)
        return
    order_id = new_order_id(venue)
    report_replaced(venue, message, original, reference, symbol, side, quantity, order_id)
    level = level_of(symbol_at(venue, symbol), price)
    post = option_number(message, CHANGE_BYTES, size_bytes, POST_ONLY) == LETTERS.P
    if post and tradable(symbol_at(venue, symbol), side, level, quantity) > 0:
        entered(venue, quantity)
        reduce(venue, row, 0)
        cancelled(venue, quantity)
        report_canceled(venue, reference, quantity, LETTERS.F)
        return
    left = replace(venue, row, level, quantity, reference, order_id, 1 if life == LETTERS.THREE else 0)
    if left > 0:
        report_canceled(venue, reference, left, LETTERS.I)


@inner
def _withdraw(venue, row, keep, reason):
    """Takes shares off a client's open order and says so."""
    reference = load_u32(order_at(venue, row) + ORDER.user_reference)
    taken = reduce(venue, row, keep)
    if taken > 0:
        report_canceled(venue, reference, taken, reason)
    return taken


@inner
def _on_cancel(venue, message):
    """The quantity asked for is the size the order may reach in all, executed shares included, section 2.3."""
    reference = load_be32(message + WITHDRAW.user_ref_num)
    row = client_row(venue, reference)
    if row == 0:
        _counted(venue, COUNTERS.cancels_ignored)
        return
    if load_i64(venue + VENUE.phase) == ENDED:
        report_cancel_rejected(venue, reference)
        return
    keep = load_be32(message + WITHDRAW.quantity) - load_u32(order_at(venue, row) + ORDER.executed)
    if _withdraw(venue, row, keep, LETTERS.U) == 0:
        _counted(venue, COUNTERS.cancels_ignored)


@inner
def _on_mass_cancel(venue, message):
    """Every open order of the client, or those of one symbol; a blank symbol means all, section 2.5."""
    _counted(venue, COUNTERS.mass_cancels_received)
    reference = load_be32(message + MASS.user_ref_num)
    if not _new_reference(venue, reference):
        return
    if load_i64(venue + VENUE.phase) == ENDED:
        report_cancel_rejected(venue, reference)
        return
    report_mass_cancel(venue, message, reference)
    word = load_i64(message + MASS.symbol)
    row = load_i64(venue + VENUE.client_head)
    while row != 0:
        order = order_at(venue, row)
        following = load_u32(order + ORDER.client_next)
        symbol = symbol_at(venue, load_u32(order + ORDER.symbol))
        if word == BLANKS or word == load_i64(symbol + SYMBOL.word):
            _withdraw(venue, row, 0, LETTERS.U)
        row = following


@inner
def on_session_lost(venue):
    """Cancel on disconnect: every open order of the client, with the reason of the system, section 3.4."""
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.sessions_lost, 1)
    row = load_i64(venue + VENUE.client_head)
    while row != 0 and load_i64(venue + VENUE.phase) != ENDED:
        following = load_u32(order_at(venue, row) + ORDER.client_next)
        if _withdraw(venue, row, 0, LETTERS.Z) > 0:
            add_to(counters + COUNTERS.orders_canceled_lost, 1)
        row = following


@inner
def _whole(message, size_bytes, fixed_bytes):
    """Whether a message with an appendage has exactly the length it states."""
    return size_bytes >= fixed_bytes and size_bytes - fixed_bytes == load_be16(message + fixed_bytes - 2)


@inner
def option_number(message, fixed_bytes, size_bytes, tag):
    """The number in an option of 1 or 4 bytes behind the fixed fields; 0: none. What leaves the message is not read."""
    offset = fixed_bytes
    while offset + 2 <= size_bytes:
        length = load_u8(message + offset)
        if length < 1 or offset + 1 + length > size_bytes:
            return 0
        if load_u8(message + offset + 1) == tag:
            if length == 1 + NUMBER_BYTES:
                return load_be32(message + offset + 2)
            return load_u8(message + offset + 2) if length == 2 else 0
        offset += 1 + length
    return 0


@inner
def _received(venue, counter, stamp, time_ns):
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + counter, 1)
    store_i64(counters + stamp, time_ns)


@inner
def on_message(venue, message, size_bytes, time_ns):
    """One OUCH message of the client, received at `time_ns`. Of the options MinQty and PostOnly are served."""
    kind = load_u8(message) if size_bytes > 0 else 0
    if kind == LETTERS.O and _whole(message, size_bytes, ENTER_BYTES):
        _received(venue, COUNTERS.orders_received, COUNTERS.time_last_order_ns, time_ns)
        _on_enter(venue, message, size_bytes)
    elif kind == LETTERS.U and _whole(message, size_bytes, CHANGE_BYTES):
        _received(venue, COUNTERS.replaces_received, COUNTERS.time_last_order_ns, time_ns)
        _on_replace(venue, message, size_bytes)
    elif kind == LETTERS.X and (size_bytes == WITHDRAW_BYTES or _whole(message, size_bytes, WITHDRAW_BYTES + 2)):
        _received(venue, COUNTERS.cancels_received, COUNTERS.time_last_cancel_ns, time_ns)
        _on_cancel(venue, message)
    elif kind == LETTERS.C and _whole(message, size_bytes, MASS_BYTES):
        _received(venue, COUNTERS.cancels_received, COUNTERS.time_last_cancel_ns, time_ns)
        _on_mass_cancel(venue, message)
    elif kind == LETTERS.Q and (size_bytes == QUERY_BYTES or _whole(message, size_bytes, QUERY_BYTES + 2)):
        _counted(venue, COUNTERS.queries_received)
        report_account(venue, load_i64(venue + VENUE.last_reference) + 1)
    elif kind == LETTERS.M or kind == LETTERS.D or kind == LETTERS.E:
        _counted(venue, COUNTERS.messages_unsupported)
    else:
        _counted(venue, COUNTERS.frames_malformed)
