"""Makes and attaches the store of books ⑤: sizes of its regions, and the process-local handle kernels work through.

Hard rule: regions arrive zero-filled and are not touched here, so that a sparse file stays sparse; the caller keeps
the memory and the returned handle alive.
"""

import numpy as np

from gateway import limits
from gateway.core.memory import address_of
from gateway.layout import dtype, size, value

MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd: neighbouring ids spread evenly
TICK = 100  # ITCH 5.0, Price (4): one cent
LINE_BYTES = 64
NODES_LIMIT = 1 << 26  # a level index is leaf * 64 + digit in 32 bits


def books_bytes(instruments: int = limits.INSTRUMENTS_MAX) -> int:
    """Bytes of the book region's body: struct book rows."""
    return instruments * size("book")


def levels_bytes(nodes: int = limits.BOOK_NODES_MAX) -> int:
    """Bytes of the level region's body: struct book_node rows."""
    return nodes * size("book_node")


def orders_bytes(orders: int = limits.BOOK_ORDERS_MAX) -> int:
    """Bytes of the order region's body: struct book_order rows."""
    return orders * size("book_order")


def make_store(
    books_address: int,
    levels_address: int,
    orders_address: int,
    *,
    instruments: int = limits.INSTRUMENTS_MAX,
    nodes: int = limits.BOOK_NODES_MAX,
    orders: int = limits.BOOK_ORDERS_MAX,
    tick: int = TICK,
    depth: int = 0,
    multiplier: int = MULTIPLIER,
) -> np.ndarray:
    """The handle, one struct book_store, on three zero-filled bodies; kernels take `address_of(handle)`.

    `instruments`, `nodes` and `orders` are the rows of the bodies; half the order rows are used at most. `tick` is what
    a new book begins with, in price units, until a definition says otherwise, and only a hint: any other price is kept as
    exactly, in the fine trees. `depth` is how many levels a side the venue keeps, 0: all. `multiplier` is odd and may
    be drawn at random where a feed could choose its ids to collide. Raises ValueError for what cannot be.
    """
    smallest = 2 * value("BOOK_ORDERS_REACH")
    if orders < smallest or orders & (orders - 1):
        raise ValueError(f"orders is {orders}: use a power of two, {smallest} or more")
    if (books_address | levels_address | orders_address) % LINE_BYTES:
        raise ValueError(f"a body does not begin on a cache line: use addresses that are multiples of {LINE_BYTES}")
    if not 2 <= nodes <= NODES_LIMIT:
        raise ValueError(f"nodes is {nodes}: use 2 to {NODES_LIMIT}")
    if not 1 <= instruments <= limits.INSTRUMENTS_MAX:
        raise ValueError(f"instruments is {instruments}: use 1 to {limits.INSTRUMENTS_MAX}")
    if not 1 <= tick <= limits.TICK_MAX or multiplier % 2 == 0:
        raise ValueError(f"tick is {tick}, multiplier {multiplier}: use a tick of 1 to 2^40, and an odd multiplier")
    if not 0 <= depth < 1 << 32:
        raise ValueError(f"depth is {depth}: use 0 for every level, or how many the venue keeps")
    store = np.zeros(1, dtype("book_store"))
    row = store[0]
    row["books"], row["nodes"], row["orders"] = books_address, levels_address, orders_address
    row["multiplier"], row["shift"], row["mask"] = multiplier, 66 - orders.bit_length(), orders - 1
    row["tick"], row["depth"], row["orders_max"] = tick, depth, orders // 2
    row["nodes_max"], row["instruments"] = nodes, instruments
    row["leaves_used"] = row["branches_used"] = 1
    return store


class OwnedStore:
    """A store on memory of its own, for tests and tools: `address` is what kernels take."""

    def __init__(
        self,
        instruments: int = limits.INSTRUMENTS_MAX,
        nodes: int = limits.BOOK_NODES_MAX,
        orders: int = limits.BOOK_ORDERS_MAX,
        tick: int = TICK,
        depth: int = 0,
    ):
        sizes = (books_bytes(instruments), levels_bytes(nodes), orders_bytes(orders))
        self.memory = [_lines(size_bytes) for size_bytes in sizes]
        books, levels, rows = (address_of(body) for body in self.memory)
        self.handle = make_store(
            *(books, levels, rows), instruments=instruments, nodes=nodes, orders=orders, tick=tick, depth=depth
        )
        self.address = address_of(self.handle)


def _lines(size_bytes: int) -> np.ndarray:
    """Zeros that begin on a cache line: a row across two lines would cost two misses."""
    room = np.zeros(size_bytes + LINE_BYTES, np.uint8)
    start = -address_of(room) % LINE_BYTES
    return room[start : start + size_bytes]
