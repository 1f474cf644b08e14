"""Own working orders by instrument and side ⑦⑧: a list through the order rows, and the best price of each side for SELF.

    gate_row.buys ─► order ─► order ─► 0          gate_row.own_bid   the highest price in that list
    gate_row.sells ─► order ─► 0                  gate_row.own_ask   the lowest

Hard rule: an order stands in its list from the moment it is sent until its state is terminal; UNKNOWN is not.
"""

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import load_i64, load_u8, load_u32, store_u32
from gateway.layout import offsets, size, value

PATH = offsets("order_path")
ROW = offsets("gate_row")
ORDER = offsets("order")
ROW_BYTES, ORDER_BYTES = size("gate_row"), size("order")
SIDE_BUY = value("SIDE_BUY")


@leaf
def index_of(path, order):
    """One plus the number of an order's row."""
    return (order - load_i64(path + PATH.orders)) // ORDER_BYTES + 1


@leaf
def order_of(path, index):
    """Address of the row behind one plus its number."""
    return load_i64(path + PATH.orders) + ((index - 1) & load_i64(path + PATH.orders_mask)) * ORDER_BYTES


@leaf
def row_of(path, order):
    """Address of the struct gate_row of an order."""
    return load_i64(path + PATH.rows) + load_u32(order + ORDER.instrument) * ROW_BYTES


@leaf
def better(buying, price, best):
    """Whether a price is further toward the other side than the best; 0: there is none."""
    return (best == 0) | ((price > best) if buying else (price < best))


@kernel
def enlist(path, order):
    """An order that is about to leave joins its list."""
    row, index = row_of(path, order), index_of(path, order)
    buying = load_u8(order + ORDER.side) == SIDE_BUY
    head, best = (row + ROW.buys, row + ROW.own_bid) if buying else (row + ROW.sells, row + ROW.own_ask)
    first = load_u32(head)
    store_u32(order + ORDER.next, first)
    store_u32(order + ORDER.previous, 0)
    if first != 0:
        store_u32(order_of(path, first) + ORDER.previous, index)
    store_u32(head, index)
    if better(buying, load_i64(order + ORDER.price), load_u32(best)):
        store_u32(best, load_i64(order + ORDER.price))


@kernel
def delist(path, order):
    """An order that is over leaves its list."""
    row = row_of(path, order)
    buying = load_u8(order + ORDER.side) == SIDE_BUY
    following, previous = load_u32(order + ORDER.next), load_u32(order + ORDER.previous)
    if previous != 0:
        store_u32(order_of(path, previous) + ORDER.next, following)
    else:
        store_u32(row + (ROW.buys if buying else ROW.sells), following)
    if following != 0:
        store_u32(order_of(path, following) + ORDER.previous, previous)
    store_u32(order + ORDER.next, 0)
    store_u32(order + ORDER.previous, 0)
    find_best(path, row, buying, load_i64(order + ORDER.price))


@kernel
def find_best(path, row, buying, price):
    """The best price of a side after one at `price` left it or moved; the list is walked only when that was the best."""
    best_at = row + (ROW.own_bid if buying else ROW.own_ask)
    if load_u32(best_at) != price:
        return
    index, best = load_u32(row + (ROW.buys if buying else ROW.sells)), 0
    for _ in range(load_i64(path + PATH.orders_mask) + 1):
        if index == 0:
            break
        order = order_of(path, index)
        if better(buying, load_i64(order + ORDER.price), best):
            best = load_i64(order + ORDER.price)
        index = load_u32(order + ORDER.next)
    store_u32(best_at, best)


@kernel
def reprice(path, order, price_before, price):
    """A working order has another price now, written to its row already."""
    row = row_of(path, order)
    buying = load_u8(order + ORDER.side) == SIDE_BUY
    best_at = row + (ROW.own_bid if buying else ROW.own_ask)
    if better(buying, price, load_u32(best_at)):
        store_u32(best_at, price)
    else:
        find_best(path, row, buying, price_before)
