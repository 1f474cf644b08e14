"""Order rows of the simulated venue: taking and giving back, the flow's list of live orders, the client's by reference.

Beside the corridor, inside the venue. Hard rule: a live row belongs to exactly one owner: it stands in the flow's list
(so that a draw finds it) or in the client's chain (oldest first, so that a mass cancel answers in order of entry).
"""

from gateway.core.kernel import inner
from gateway.core.memory import load_i64, load_u32, store_i64, store_u32
from gateway.venues.simulator.frames import VENUE
from gateway.venues.simulator.ladder import CLIENT_ROWS, ORDER, order_at


@inner
def _join_flow(venue, row, order):
    members = load_i64(venue + VENUE.pool_count)
    store_u32(load_i64(venue + VENUE.pool) + members * 4, row)
    store_u32(order + ORDER.pool_index, members)
    store_i64(venue + VENUE.pool_count, members + 1)


@inner
def _leave_flow(venue, order):
    last = load_i64(venue + VENUE.pool_count) - 1
    pool = load_i64(venue + VENUE.pool)
    index, moved = load_u32(order + ORDER.pool_index), load_u32(pool + last * 4)
    store_u32(pool + index * 4, moved)
    store_u32(order_at(venue, moved) + ORDER.pool_index, index)
    store_i64(venue + VENUE.pool_count, last)


@inner
def _join_client(venue, row, order, reference):
    tail = load_i64(venue + VENUE.client_tail)
    store_u32(order + ORDER.client_previous, tail)
    store_u32(order + ORDER.client_next, 0)
    if tail != 0:
        store_u32(order_at(venue, tail) + ORDER.client_next, row)
    else:
        store_i64(venue + VENUE.client_head, row)
    store_i64(venue + VENUE.client_tail, row)
    store_i64(venue + VENUE.client_open, load_i64(venue + VENUE.client_open) + 1)
    store_u32(load_i64(venue + VENUE.client_rows) + (reference & (CLIENT_ROWS - 1)) * 4, row)


@inner
def _leave_client(venue, order, reference):
    before, behind = load_u32(order + ORDER.client_previous), load_u32(order + ORDER.client_next)
    if before != 0:
        store_u32(order_at(venue, before) + ORDER.client_next, behind)
    else:
        store_i64(venue + VENUE.client_head, behind)
    if behind != 0:
        store_u32(order_at(venue, behind) + ORDER.client_previous, before)
    else:
        store_i64(venue + VENUE.client_tail, before)
    store_i64(venue + VENUE.client_open, load_i64(venue + VENUE.client_open) - 1)
    store_u32(load_i64(venue + VENUE.client_rows) + (reference & (CLIENT_ROWS - 1)) * 4, 0)


@inner
def take_row(venue, symbol, order_id, reference, executed):
    """A row for a new resting order of the client (`reference`) or of the flow (0); 0 when none is free."""
    row = load_i64(venue + VENUE.free_row)
    if row == 0:
        return 0
    order = order_at(venue, row)
    store_i64(venue + VENUE.free_row, load_u32(order + ORDER.next))
    store_i64(order + ORDER.order_id, order_id)
    store_u32(order + ORDER.symbol, symbol)
    store_u32(order + ORDER.user_reference, reference)
    store_u32(order + ORDER.executed, executed)
    if reference != 0:
        _join_client(venue, row, order, reference)
    else:
        _join_flow(venue, row, order)
    return row


@inner
def give_row(venue, row):
    """Gives a row back; the order has left its queue."""
    order = order_at(venue, row)
    reference = load_u32(order + ORDER.user_reference)
    if reference != 0:
        _leave_client(venue, order, reference)
    else:
        _leave_flow(venue, order)
    store_i64(order + ORDER.order_id, 0)
    store_u32(order + ORDER.next, load_i64(venue + VENUE.free_row))
    store_i64(venue + VENUE.free_row, row)


@inner
def row_taken(venue, reference):
    """Whether another open order stands where a new `reference` would be kept."""
    return load_u32(load_i64(venue + VENUE.client_rows) + (reference & (CLIENT_ROWS - 1)) * 4) != 0


@inner
def client_row(venue, reference):
    """The row of the client's open order with this user reference, or 0."""
    row = load_u32(load_i64(venue + VENUE.client_rows) + (reference & (CLIENT_ROWS - 1)) * 4)
    if row == 0 or load_u32(order_at(venue, row) + ORDER.user_reference) != reference:
        return 0
    return row
