"""Price levels of a book ⑤ in path-compressed radix trees. The contract stands in native/layout/book.h.

    root ─► branch ─► branch ─► leaf of 64 levels        at most ten branches, usually none or one

`key_of` gives a price its place, `level_for` the level there (made when it is new), `drop_level` returns what became
empty; book_depth.py finds neighbours. `side` is the line of one side (struct book_side). Hard rule: a walk is a loop of at
most NODES_DEEP turns; a node that is empty is in the free list, clean.
"""

from gateway import limits
from gateway.core.kernel import inner, leaf
from gateway.core.memory import (
    leading_zeros,
    load_i64,
    load_u32,
    quotient_i64,
    shift_right,
    store_i64,
    store_u32,
    trailing_zeros,
)
from gateway.core.nodes import branch_at, give_branch, give_leaf, leaf_at, take_branch, take_leaf
from gateway.layout import offsets, size, value

BOOK = offsets("book")
SIDE = offsets("book_side")
LEAF = offsets("leaf")
BRANCH = offsets("branch")
LEVEL = offsets("level")
LEVEL_BYTES, SIDE_BYTES = size("level"), size("book_side")

IS_BRANCH = value("BOOK_BRANCH")
INDEX = IS_BRANCH - 1
WAYS = value("BOOK_LEAF_WAYS")
BUY = value("SIDE_BUY")
DIGIT, DIGIT_BITS = 63, 6
FINE = -(1 << 63)  # the highest bit of a key: a price that is no multiple of the tick
MIDDLE = limits.PRICE_LIMIT  # of the keys: where price 0 has its place
KEY_BITS = (1 << 63) - 1
NODES_DEEP = 12
TICK_COMMON = 100  # ITCH 5.0, Price (4): one cent; the compiler knows how to divide by it


@leaf
def side_of(book, side):
    """The line of a side of a book."""
    return book + BOOK.bid + (side - BUY) * SIDE_BYTES


@leaf
def key_of(side, price):
    """Place of a price, -PRICE_LIMIT <= price < PRICE_LIMIT, in the trees of a side."""
    tick = load_i64(side + SIDE.tick)
    quotient = quotient_i64(price, TICK_COMMON) if tick == TICK_COMMON else quotient_i64(price, tick)
    if quotient * tick == price:
        return quotient + MIDDLE
    return (price + MIDDLE) | FINE


@leaf
def level_at(store, index):
    """Address of a level."""
    return leaf_at(store, index >> DIGIT_BITS) + LEAF.levels + (index & DIGIT) * LEVEL_BYTES


@leaf
def price_of(store, index):
    """Price of a level."""
    leaf = leaf_at(store, index >> DIGIT_BITS)
    return load_i64(leaf + LEAF.base) + (index & DIGIT) * load_i64(leaf + LEAF.step)


@leaf
def root_of(side, key):
    """Address of the root reference of the tree a key belongs to."""
    return side + SIDE.root + shift_right(key, 63) * 4


@leaf
def way_of(side, key):
    """Address of the way that may know the leaf of a key."""
    return side + SIDE.ways + ((key >> DIGIT_BITS) & (WAYS - 1)) * 4


@leaf
def likely_level(side, key):
    """Index of the level of a key if its way holds that leaf, which nobody has checked: to prefetch. 0: none."""
    leaf = load_u32(way_of(side, key))
    return (leaf << DIGIT_BITS) | (key & DIGIT) if leaf != 0 else 0


@leaf
def known_leaf(store, side, key):
    """The leaf of a key when its way holds it, else 0."""
    leaf = load_u32(way_of(side, key))
    if leaf != 0 and load_i64(leaf_at(store, leaf) + LEAF.prefix) == shift_right(key, DIGIT_BITS):
        return leaf
    return 0


@leaf
def level_for(store, side, key):
    """Index of the level of a key, in a leaf made for it when there is none; 0 when the pools are empty."""
    leaf = known_leaf(store, side, key)
    if leaf == 0:
        leaf = leaf_for(store, side, key)
        if leaf == 0:
            return 0
        store_u32(way_of(side, key), leaf)
    return (leaf << DIGIT_BITS) | (key & DIGIT)


@inner
def leaf_for(store, side, key):
    """Walks from a root to the leaf of a key; hangs a new one where the path ends. 0 when the pools are empty."""
    root = root_of(side, key)
    parent, reference = 0, load_u32(root)
    for _ in range(NODES_DEEP):
        if reference == 0:
            return hang_leaf(store, side, parent, key)
        if reference & IS_BRANCH:
            branch = branch_at(store, reference & INDEX)
            shift, prefix = load_u32(branch + BRANCH.shift), load_i64(branch + BRANCH.prefix)
            if prefix_above(key, shift) != prefix:
                return fork(store, side, parent, reference, (prefix << DIGIT_BITS) << shift, key)
            parent = reference & INDEX
            reference = load_u32(branch + BRANCH.children + (shift_right(key, shift) & DIGIT) * 4)
        else:
            prefix = load_i64(leaf_at(store, reference) + LEAF.prefix)
            if shift_right(key, DIGIT_BITS) == prefix:
                return reference
            return fork(store, side, parent, reference, prefix << DIGIT_BITS, key)
    return 0


@leaf
def prefix_above(key, shift):
    """The digits of a key above the one at `shift`, which may be the first."""
    return shift_right(shift_right(key, shift), DIGIT_BITS)


@inner
def hang_leaf(store, side, parent, key):
    """A new leaf where nothing hangs yet: at the root, or at a free digit of `parent`."""
    leaf = new_leaf(store, side, parent, key)
    if leaf != 0:
        hang(store, side, parent, key, leaf)
    return leaf


@inner
def new_leaf(store, side, parent, key):
    """A leaf for the levels around a key, not hung yet; 0 when the pool is empty."""
    leaf = take_leaf(store)
    if leaf != 0:
        address = leaf_at(store, leaf)
        step = 1 if key < 0 else load_i64(side + SIDE.tick)
        store_u32(address + LEAF.parent, parent)
        store_i64(address + LEAF.prefix, shift_right(key, DIGIT_BITS))
        store_i64(address + LEAF.step, step)
        store_i64(address + LEAF.base, ((key & KEY_BITS & ~DIGIT) - MIDDLE) * step)
    return leaf


@inner
def hang(store, side, parent, key, reference):
    """Makes `reference` the root of the key's tree, or the child of `parent` at the key's digit."""
    if parent == 0:
        store_u32(root_of(side, key), reference)
        return
    branch = branch_at(store, parent)
    digit = shift_right(key, load_u32(branch + BRANCH.shift)) & DIGIT
    store_u32(branch + BRANCH.children + digit * 4, reference)
    store_i64(branch + BRANCH.occupied, load_i64(branch + BRANCH.occupied) | (1 << digit))


@inner
def fork(store, side, parent, reference, node_key, key):
    """A branch above `reference`, at the highest digit where its keys and `key` differ, and a new leaf beside it."""
    fresh = take_branch(store)
    if fresh == 0:
        return 0
    leaf = new_leaf(store, side, fresh, key)
    if leaf == 0:
        give_branch(store, fresh)
        return 0
    shift = (63 - leading_zeros(node_key ^ key)) // DIGIT_BITS * DIGIT_BITS
    branch = branch_at(store, fresh)
    store_u32(branch + BRANCH.parent, parent)
    store_i64(branch + BRANCH.prefix, prefix_above(key, shift))
    store_u32(branch + BRANCH.shift, shift)
    adopt(store, reference, fresh)
    hang(store, side, fresh, node_key, reference)
    hang(store, side, fresh, key, leaf)
    hang(store, side, parent, key, fresh | IS_BRANCH)
    return leaf


@leaf
def adopt(store, reference, parent):
    """Tells a node who its parent is."""
    if reference & IS_BRANCH:
        store_u32(branch_at(store, reference & INDEX) + BRANCH.parent, parent)
    else:
        store_u32(leaf_at(store, reference) + LEAF.parent, parent)


@leaf
def occupy(store, index):
    """Marks a level that there was not before."""
    leaf = leaf_at(store, index >> DIGIT_BITS)
    store_i64(leaf + LEAF.occupied, load_i64(leaf + LEAF.occupied) | (1 << (index & DIGIT)))


@leaf
def drop_level(store, side, index):
    """Unmarks a level that is empty, and returns its leaf when it was the last there. 1: the leaf stays."""
    leaf = leaf_at(store, index >> DIGIT_BITS)
    occupied = load_i64(leaf + LEAF.occupied) & ~(1 << (index & DIGIT))
    store_i64(leaf + LEAF.occupied, occupied)
    if occupied != 0:
        return 1
    drop_leaf(store, side, index >> DIGIT_BITS)
    return 0


@inner
def drop_leaf(store, side, leaf):
    """Takes an empty leaf out of its tree; a branch left with one child goes too."""
    address = leaf_at(store, leaf)
    key, parent = load_i64(address + LEAF.prefix) << DIGIT_BITS, load_u32(address + LEAF.parent)
    way = way_of(side, key)
    if load_u32(way) == leaf:
        store_u32(way, 0)
    give_leaf(store, leaf)
    if parent == 0:
        store_u32(root_of(side, key), 0)
        return
    branch = branch_at(store, parent)
    digit = shift_right(key, load_u32(branch + BRANCH.shift)) & DIGIT
    store_u32(branch + BRANCH.children + digit * 4, 0)
    occupied = load_i64(branch + BRANCH.occupied) & ~(1 << digit)
    store_i64(branch + BRANCH.occupied, occupied)
    only = trailing_zeros(occupied)
    if only + leading_zeros(occupied) == 63:
        drop_branch(store, side, parent, only, key)


@inner
def drop_branch(store, side, index, only, key):
    """Takes a branch out of the tree of a key; its only child, at digit `only`, takes its place."""
    branch = branch_at(store, index)
    reference = load_u32(branch + BRANCH.children + only * 4)
    parent = load_u32(branch + BRANCH.parent)
    adopt(store, reference, parent)
    hang(store, side, parent, key, reference)
    store_u32(branch + BRANCH.children + only * 4, 0)
    store_i64(branch + BRANCH.occupied, 0)
    give_branch(store, index)


@leaf
def edge_digit(occupied, side_number):
    """The highest set bit for a bid, the lowest for an ask."""
    return 63 - leading_zeros(occupied) if side_number == BUY else trailing_zeros(occupied)
