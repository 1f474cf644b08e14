"""Reads books ⑤ from Python: depth, queues, instruments. Beside the corridor: slow, for commands and tests.

`store` is the handle of gateway.core.book_store. Hard rule: reads only, trusts nothing: in another process the core may
be in the middle of a change, so indexes are checked, walks are bounded, and what no longer fits is left out.
"""

import ctypes
from collections.abc import Iterator

import numpy as np

from gateway.layout import dtype, size, value

BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
IS_BRANCH = value("BOOK_BRANCH")
NODES_DEEP = 12


def _rows(address: int, count: int, struct: str) -> np.ndarray:
    memory = (ctypes.c_uint8 * (count * size(struct))).from_address(address)
    return np.ctypeslib.as_array(memory).view(dtype(struct))


def books(store: np.ndarray) -> np.ndarray:
    """Every row of struct book, live."""
    return _rows(int(store["books"][0]), int(store["instruments"][0]), "book")


def orders(store: np.ndarray) -> np.ndarray:
    """Every row of struct book_order, live; quantity 0 is an empty row."""
    return _rows(int(store["orders"][0]), int(store["mask"][0]) + 1, "book_order")


def nodes(store: np.ndarray) -> np.ndarray:
    """Every row of struct book_node, live."""
    return _rows(int(store["nodes"][0]), int(store["nodes_max"][0]), "book_node")


def instruments(store: np.ndarray) -> list[tuple[int, str]]:
    """(instrument, symbol) of each book in use, in the order of their first event; '' before the feed named it."""
    rows = books(store)
    found = []
    for listed in rows["listed"].tolist():
        if not 0 < listed <= len(rows):
            break
        found.append((listed - 1, rows["symbol"][listed - 1].decode("ascii", "replace").rstrip()))
    return found


def levels(store: np.ndarray, instrument: int, side: int, limit: int | None = None) -> list[tuple[int, int, int]]:
    """(price, quantity, orders) of the best `limit` levels of a side (SIDE_BUY, SIDE_SELL), best first; None: all."""
    book = books(store)[instrument]
    rows = nodes(store)
    line = book["bid" if side == BUY else "ask"]
    trees = [_tree_levels(rows, int(line[root]), side == BUY, NODES_DEEP) for root in ("root", "fine_root")]
    return _merge(trees[0], trees[1], side == BUY, limit)


def queue(store: np.ndarray, instrument: int, side: int, price: int) -> list[tuple[int, int]]:
    """(order_id, quantity) of a level's orders in priority order. Scans the whole order table."""
    rows = orders(store)
    here = rows[
        (rows["quantity"] != 0) & (rows["instrument"] == instrument) & (rows["side"] == side) & (rows["price"] == price)
    ]
    age = np.uint32(store["arrivals"][0]) - here["priority"]  # arrivals wrap
    here = here[np.argsort(age, kind="stable")[::-1]]
    return [(int(row["order_id"]), int(row["quantity"])) for row in here]


def _merge(
    coarse: Iterator[tuple[int, int, int]], fine: Iterator[tuple[int, int, int]], falling: bool, limit: int | None
) -> list[tuple[int, int, int]]:
    merged: list[tuple[int, int, int]] = []
    heads = [next(coarse, None), next(fine, None)]
    while (limit is None or len(merged) < limit) and (heads[0] or heads[1]):
        first, second = heads
        take_first = second is None or (first is not None and (first[0] > second[0]) == falling)
        head = first if take_first else second
        assert head is not None
        merged.append(head)
        if take_first:
            heads[0] = next(coarse, None)
        else:
            heads[1] = next(fine, None)
    return merged


def _tree_levels(nodes: np.ndarray, reference: int, falling: bool, deep: int) -> Iterator[tuple[int, int, int]]:
    index = reference & (IS_BRANCH - 1)
    if index == 0 or index >= len(nodes) or deep == 0:
        return
    if reference & IS_BRANCH:
        branch = nodes[index]["branch"]
        for digit in _digits(int(branch["occupied"]), falling):
            yield from _tree_levels(nodes, int(branch["children"][digit]), falling, deep - 1)
        return
    leaf = nodes[index]["leaf"]
    for digit in _digits(int(leaf["occupied"]), falling):
        level = leaf["levels"][digit]
        if level["quantity"] > 0:
            yield int(leaf["base"]) + digit * int(leaf["step"]), int(level["quantity"]), int(level["orders"])


def _digits(occupied: int, falling: bool) -> list[int]:
    digits = [digit for digit in range(64) if occupied >> digit & 1]
    return digits[::-1] if falling else digits
