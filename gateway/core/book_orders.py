"""The venue's live orders by id: a hash table beside book ⑤. The contract stands in native/layout/book.h.

An order stands at its home row or fewer than BOOK_ORDERS_REACH rows behind it; the home row remembers how far the
farthest of its orders stands. So a lookup reads a bounded number of rows, nearly always one, a deletion moves nothing,
and a row keeps its address while its order lives. Venues count ids up and most orders die young: 32 ids in a row have
their homes in 32 neighbouring lines, in an order that their group's hash turns, so that no step between ids leaves lines
unused. What came last stands together, and is near. Hard rule: an empty row is one with quantity 0, whatever its id says.
"""

from numba import int64

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, load_u32, multiply_wrapping, shift_right, store_u8, store_u32
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
ORDER = offsets("book_order")
ORDER_BYTES = size("book_order")
REACH = value("BOOK_ORDERS_REACH")

GROUP_BITS = 5
GROUP_LAST = (1 << GROUP_BITS) - 1
NO_ROW = 0
TAKEN = -1  # the id is alive already


@leaf
def home_of(store, order_id):
    """Index of the home row, the first of a cache line: multiply-shift of the id's group, then its place in the group."""
    group = multiply_wrapping(shift_right(order_id, GROUP_BITS), load_i64(store + STORE.multiplier))
    return (shift_right(group, load_i64(store + STORE.shift)) ^ (order_id & GROUP_LAST)) << 1


@leaf
def row_at(store, index):
    """Address of row `index`, cyclically."""
    return load_i64(store + STORE.orders) + (index & load_i64(store + STORE.mask)) * ORDER_BYTES


@leaf
def home_row(store, order_id):
    """Address of the home row, to prefetch."""
    return row_at(store, home_of(store, order_id))


@leaf
def find_order(store, order_id):
    """Address of the live order's row, or 0."""
    home = home_of(store, order_id)
    first = row_at(store, home)
    near = near_row(first, order_id)
    if near != NO_ROW:
        return near
    for distance in range(2, load_u8(first + ORDER.reach) + 1):
        row = row_at(store, home + distance)
        if holds(row, order_id):
            return row
    return NO_ROW


@leaf
def holds(row, order_id):
    """Whether this order lives in this row."""
    return (load_i64(row + ORDER.order_id) == order_id) & (load_u32(row + ORDER.quantity) != 0)


@leaf
def near_row(first, order_id):
    """The row of an order that stands in its home line, or 0. No branch: which of the two it is nobody can foretell."""
    second = first + ORDER_BYTES
    return int64(holds(first, order_id)) * first + int64(holds(second, order_id)) * second


@leaf
def vacant_row(store, order_id):
    """Address of the row a new order may take; TAKEN when the id is alive, NO_ROW when there is none within reach."""
    home = home_of(store, order_id)
    first = row_at(store, home)
    first_used = int64(load_u32(first + ORDER.quantity) != 0)
    second_used = int64(load_u32(first + ORDER_BYTES + ORDER.quantity) != 0)
    if load_u8(first + ORDER.reach) > 1 or first_used & second_used != 0:
        return far_vacancy(store, home, order_id)
    if near_row(first, order_id) != NO_ROW:
        return TAKEN
    return first + first_used * ORDER_BYTES


@kernel
def far_vacancy(store, home, order_id):
    """As vacant_row, where the home line does not say it all."""
    reach = load_u8(row_at(store, home) + ORDER.reach)
    vacancy = NO_ROW
    for distance in range(REACH):
        if distance > reach and vacancy != NO_ROW:
            return vacancy
        row = row_at(store, home + distance)
        if load_u32(row + ORDER.quantity) == 0:
            if vacancy == NO_ROW:
                vacancy = row
        elif distance <= reach and load_i64(row + ORDER.order_id) == order_id:
            return TAKEN
    return vacancy


@leaf
def keep_reach(store, row, order_id):
    """Lets the home row know of an order just written to `row`, when that is farther than all others."""
    home = home_of(store, order_id)
    first = row_at(store, home)
    if row == first:
        return
    distance = distance_between(store, first, row)
    if distance > load_u8(first + ORDER.reach):
        store_u8(first + ORDER.reach, distance)


@leaf
def distance_between(store, first, row):
    """Rows from `first` to `row`, cyclically."""
    return ((row - first) // ORDER_BYTES) & load_i64(store + STORE.mask)


@leaf
def release_row(store, row):
    """Empties a row; the farthest order of a home gives its reach back."""
    home = home_of(store, load_i64(row + ORDER.order_id))
    store_u32(row + ORDER.quantity, 0)
    first = row_at(store, home)
    if row == first:
        return
    distance = distance_between(store, first, row)
    if distance == load_u8(first + ORDER.reach):
        store_u8(first + ORDER.reach, farthest_before(store, home, distance) if distance > 1 else 0)


@kernel
def farthest_before(store, home, limit):
    """How far the farthest order of this home stands among the rows before `limit`; 0: at home, or none."""
    for distance in range(limit - 1, 0, -1):
        row = row_at(store, home + distance)
        if load_u32(row + ORDER.quantity) != 0 and home_of(store, load_i64(row + ORDER.order_id)) == home:
            return distance
    return 0
