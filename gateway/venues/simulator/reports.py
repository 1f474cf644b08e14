"""OUCH 5.0 messages of the simulated venue to its client, written straight into the reports' packet.

Beside the corridor, inside the venue. Hard rule: layouts come from the protocol's table. An order's terms are echoed
from the client's own message, as the specification asks; only what the venue decided is written anew.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import (
    copy_bytes,
    load_i64,
    store_be16,
    store_be32,
    store_be64,
    store_i64,
    store_u8,
)
from gateway.layout import value
from gateway.protocols.ouch50 import offsets_of, size_of
from gateway.venues.simulator.feed import SYMBOL, symbol_at
from gateway.venues.simulator.frames import COUNTERS, VENUE
from gateway.venues.simulator.letters import LETTERS
from gateway.venues.simulator.packets import reserve

ENTER, CHANGE, MASS = offsets_of("EnterOrder"), offsets_of("ReplaceOrder"), offsets_of("MassCancel")
ACCEPTED, REPLACED = offsets_of("OrderAccepted"), offsets_of("OrderReplaced")
EXECUTED, CANCELED, REJECTED = offsets_of("OrderExecuted"), offsets_of("OrderCanceled"), offsets_of("Rejected")
REFUSED, ANSWER = offsets_of("CancelReject"), offsets_of("MassCancelResponse")
NEXT = offsets_of("AccountQueryResponse")
ACCEPTED_BYTES, REPLACED_BYTES = size_of("OrderAccepted"), size_of("OrderReplaced")
EXECUTED_BYTES, CANCELED_BYTES = size_of("OrderExecuted"), size_of("OrderCanceled")
REJECTED_BYTES, REFUSED_BYTES = size_of("Rejected"), size_of("CancelReject")
ANSWER_BYTES, NEXT_BYTES = size_of("MassCancelResponse"), size_of("AccountQueryResponse")
CL_ORD_ID_BYTES = 14
SIDE_BUY = value("SIDE_BUY")


@inner
def _begin(venue, letter, size_bytes, reference):
    """A message with its header: type, nanoseconds since midnight, user reference."""
    message = reserve(venue, venue + VENUE.reports, size_bytes)
    store_u8(message, letter)
    store_be64(message + CANCELED.timestamp, load_i64(venue + VENUE.now_ns) - load_i64(venue + VENUE.midnight_ns))
    store_be32(message + CANCELED.user_ref_num, reference)
    return message


@inner
def _counted(venue, offset):
    add_to(load_i64(venue + VENUE.counters) + offset, 1)


@inner
def report_accepted(venue, request, reference, order_id):
    """Accepted, section 3.2: every term of the Enter Order at `request`, the venue's order id, state live."""
    message = _begin(venue, LETTERS.A, ACCEPTED_BYTES, reference)
    # side to display stand in one run in both messages, capacity to cross type in another
    copy_bytes(message + ACCEPTED.side, request + ENTER.side, ENTER.capacity - ENTER.side)
    copy_bytes(message + ACCEPTED.capacity, request + ENTER.capacity, ENTER.cl_ord_id - ENTER.capacity)
    store_be64(message + ACCEPTED.order_reference_number, order_id)
    store_u8(message + ACCEPTED.order_state, LETTERS.L)
    copy_bytes(message + ACCEPTED.cl_ord_id, request + ENTER.cl_ord_id, CL_ORD_ID_BYTES)
    store_be16(message + ACCEPTED.appendage_length, 0)
    _counted(venue, COUNTERS.orders_accepted)


@inner
def report_replaced(venue, request, original, reference, symbol, side, quantity, order_id):
    """Replaced, section 3.3: `quantity` is what is open now; capacity and cross type are the venue's usual ones."""
    message = reserve(venue, venue + VENUE.reports, REPLACED_BYTES)
    store_u8(message, LETTERS.U)
    store_be64(message + REPLACED.timestamp, load_i64(venue + VENUE.now_ns) - load_i64(venue + VENUE.midnight_ns))
    store_be32(message + REPLACED.orig_user_ref_num, original)
    store_be32(message + REPLACED.user_ref_num, reference)
    store_u8(message + REPLACED.side, LETTERS.B if side == SIDE_BUY else LETTERS.S)
    store_be32(message + REPLACED.quantity, quantity)
    store_i64(message + REPLACED.symbol, load_i64(symbol_at(venue, symbol) + SYMBOL.word))
    # price, time in force and display stand in one run in both messages
    copy_bytes(message + REPLACED.price, request + CHANGE.price, CHANGE.inter_market_sweep_eligibility - CHANGE.price)
    store_be64(message + REPLACED.order_reference_number, order_id)
    store_u8(message + REPLACED.capacity, LETTERS.P)
    copy_bytes(message + REPLACED.inter_market_sweep_eligibility, request + CHANGE.inter_market_sweep_eligibility, 1)
    store_u8(message + REPLACED.cross_type, LETTERS.N)
    store_u8(message + REPLACED.order_state, LETTERS.L)
    copy_bytes(message + REPLACED.cl_ord_id, request + CHANGE.cl_ord_id, CL_ORD_ID_BYTES)
    store_be16(message + REPLACED.appendage_length, 0)
    _counted(venue, COUNTERS.orders_replaced)


@inner
def report_executed(venue, reference, quantity, price, liquidity, match_number):
    """Executed, section 3.6; liquidity 'A' added, 'R' removed."""
    message = _begin(venue, LETTERS.E, EXECUTED_BYTES, reference)
    store_be32(message + EXECUTED.quantity, quantity)
    store_be64(message + EXECUTED.price, price)
    store_u8(message + EXECUTED.liquidity_flag, liquidity)
    store_be64(message + EXECUTED.match_number, match_number)
    store_be16(message + EXECUTED.appendage_length, 0)
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.executions, 1)
    add_to(counters + COUNTERS.executed_shares, quantity)


@inner
def report_canceled(venue, reference, quantity, reason):
    """Canceled, section 3.4: `quantity` shares were taken off the order."""
    message = _begin(venue, LETTERS.C, CANCELED_BYTES, reference)
    store_be32(message + CANCELED.quantity, quantity)
    store_u8(message + CANCELED.reason, reason)
    _counted(venue, COUNTERS.orders_canceled)


@inner
def report_rejected(venue, reference, reason, client_order_id):
    """Rejected, section 3.8; `client_order_id` is the address of the request's own."""
    message = _begin(venue, LETTERS.J, REJECTED_BYTES, reference)
    store_be16(message + REJECTED.reason, reason)
    copy_bytes(message + REJECTED.cl_ord_id, client_order_id, CL_ORD_ID_BYTES)
    _counted(venue, COUNTERS.orders_rejected)
    _counted(venue, COUNTERS.rejects + (reason & 63) * 8)


@inner
def report_cancel_rejected(venue, reference):
    """Cancel Reject, section 3.10: the session is over, the order stays as it is."""
    _begin(venue, LETTERS.I, REFUSED_BYTES, reference)
    _counted(venue, COUNTERS.cancels_rejected)


@inner
def report_account(venue, reference):
    """Account Query Response, section 3.17: `reference` is the next new one."""
    message = reserve(venue, venue + VENUE.reports, NEXT_BYTES)
    store_u8(message, LETTERS.Q)
    store_be64(message + NEXT.timestamp, load_i64(venue + VENUE.now_ns) - load_i64(venue + VENUE.midnight_ns))
    store_be32(message + NEXT.next_user_ref_num, reference)


@inner
def report_mass_cancel(venue, request, reference):
    """Mass Cancel Response, section 3.14: firm and symbol as asked for."""
    message = _begin(venue, LETTERS.X, ANSWER_BYTES, reference)
    copy_bytes(message + ANSWER.firm, request + MASS.firm, MASS.appendage_length - MASS.firm)
