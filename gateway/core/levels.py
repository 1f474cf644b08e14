"""Price levels of a book ⑤ in path-compressed radix trees. The contract stands in native/layout/book.h.

    root ─► branch ─► branch ─► leaf of 64 levels        at most five branches, usually none or one

`key_of` gives a price its place, `level_for` the level there (made when it is new), `drop_level` returns what became
empty, `best_level` is the end of both trees of a side. Hard rule: a walk is a loop of at most NODES_DEEP turns; a node
that is empty is in the free list, clean.
"""

from numba import njit

from gateway.core.kernel import kernel, leaf
from gateway.core.memory import leading_zeros, load_i64, load_u32, store_i64, store_u32, trailing_zeros
from gateway.core.nodes import branch_at, give_branch, give_leaf, leaf_at, take_branch, take_leaf
from gateway.layout import offsets, size, value

STORE = offsets("book_store")
BOOK = offsets("book")
LEAF = offsets("leaf")
BRANCH = offsets("branch")
LEVEL = offsets("level")
WAY = offsets("leaf_way")
LEVEL_BYTES, WAY_BYTES = size("level"), size("leaf_way")
SIDE_WAYS_BYTES = BOOK.ask_ways - BOOK.bid_ways

IS_BRANCH = value("BOOK_BRANCH")
INDEX = IS_BRANCH - 1
WAYS = value("BOOK_LEAF_WAYS")
BUY = value("SIDE_BUY")
DIGIT, DIGIT_BITS = 63, 6
FINE_BIT = 36  # set in the key of a price that is no multiple of the tick: above every digit
NODES_DEEP = 7
HUNDREDTH, HUNDREDTH_SHIFT = 0x51EB851F, 37  # x * HUNDREDTH >> SHIFT == x // 100 for every x below 2^32


@leaf
def key_of(store, price):
    """Place of a price, 0 <= price < 2^32, in the trees of a side."""
    tick = load_i64(store + STORE.tick)
    if tick == 100:
        key = (price * HUNDREDTH) >> HUNDREDTH_SHIFT
    else:
        key = divide(price, tick)
    if key * tick == price:
        return key
    return price | (1 << FINE_BIT)


@njit(error_model="numpy")
def divide(price, tick):
    """price // tick without the check for zero: make_store refuses a tick below 1."""
    return price // tick


@leaf
def level_at(store, index):
    """Address of a level."""
    return leaf_at(store, index >> DIGIT_BITS) + LEAF.levels + (index & DIGIT) * LEVEL_BYTES


@leaf
def root_of(book, side, key):
    """Address of the root reference of the tree a key belongs to."""
    return book + BOOK.bid_root + (side - BUY) * 4 + (key >> FINE_BIT) * 8


@leaf
def way_of(book, side, key):
    """Address of the way that may know the leaf of a key."""
    return book + BOOK.bid_ways + (side - BUY) * SIDE_WAYS_BYTES + ((key >> DIGIT_BITS) & (WAYS - 1)) * WAY_BYTES


@leaf
def known_level(book, side, key):
    """Index of the level of a key when a way knows its leaf, else 0."""
    way = way_of(book, side, key)
    if load_u32(way + WAY.tag) == key >> DIGIT_BITS:
        leaf = load_u32(way + WAY.leaf)
        if leaf != 0:
            return (leaf << DIGIT_BITS) | (key & DIGIT)
    return 0


@leaf
def level_for(store, book, side, key):
    """Index of the level of a key, in a leaf made for it when there is none; 0 when the pools are empty."""
    index = known_level(book, side, key)
    if index != 0:
        return index
    leaf = leaf_for(store, root_of(book, side, key), key)
    if leaf == 0:
        return 0
    way = way_of(book, side, key)
    store_u32(way + WAY.tag, key >> DIGIT_BITS)
    store_u32(way + WAY.leaf, leaf)
    return (leaf << DIGIT_BITS) | (key & DIGIT)


@kernel
def leaf_for(store, root, key):
    """Walks from a root to the leaf of a key; hangs a new one where the path ends. 0 when the pools are empty."""
    parent, reference = 0, load_u32(root)
    for _ in range(NODES_DEEP):
        if reference == 0:
            return hang_leaf(store, root, parent, key)
        if reference & IS_BRANCH:
            branch = branch_at(store, reference & INDEX)
            shift = load_u32(branch + BRANCH.shift)
            prefix = load_u32(branch + BRANCH.prefix)
            if key >> (shift + DIGIT_BITS) != prefix:
                return fork(store, root, parent, reference, prefix << (shift + DIGIT_BITS), key)
            parent = reference & INDEX
            reference = load_u32(branch + BRANCH.children + ((key >> shift) & DIGIT) * 4)
        else:
            prefix = load_u32(leaf_at(store, reference) + LEAF.prefix)
            if key >> DIGIT_BITS == prefix:
                return reference
            return fork(store, root, parent, reference, prefix << DIGIT_BITS, key)
    return 0


@kernel
def hang_leaf(store, root, parent, key):
    """A new leaf where nothing hangs yet: at the root, or at a free digit of `parent`."""
    leaf = take_leaf(store)
    if leaf != 0:
        address = leaf_at(store, leaf)
        store_u32(address + LEAF.parent, parent)
        store_u32(address + LEAF.prefix, key >> DIGIT_BITS)
        hang(store, root, parent, key, leaf)
    return leaf


@kernel
def hang(store, root, parent, key, reference):
    """Makes `reference` the root, or the child of `parent` at the key's digit."""
    if parent == 0:
        store_u32(root, reference)
        return
    branch = branch_at(store, parent)
    digit = (key >> load_u32(branch + BRANCH.shift)) & DIGIT
    store_u32(branch + BRANCH.children + digit * 4, reference)
    store_i64(branch + BRANCH.occupied, load_i64(branch + BRANCH.occupied) | (1 << digit))


@kernel
def fork(store, root, parent, reference, node_key, key):
    """A branch above `reference`, at the highest digit where its keys and `key` differ, and a new leaf beside it."""
    fresh = take_branch(store)
    if fresh == 0:
        return 0
    leaf = take_leaf(store)
    if leaf == 0:
        give_branch(store, fresh)
        return 0
    shift = (63 - leading_zeros(node_key ^ key)) // DIGIT_BITS * DIGIT_BITS
    branch = branch_at(store, fresh)
    store_u32(branch + BRANCH.parent, parent)
    store_u32(branch + BRANCH.prefix, key >> (shift + DIGIT_BITS))
    store_u32(branch + BRANCH.shift, shift)
    adopt(store, reference, fresh)
    hang(store, root, fresh, node_key, reference)
    store_u32(leaf_at(store, leaf) + LEAF.prefix, key >> DIGIT_BITS)
    adopt(store, leaf, fresh)
    hang(store, root, fresh, key, leaf)
    hang(store, root, parent, key, fresh | IS_BRANCH)
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
    """Marks a level that got its first order."""
    leaf = leaf_at(store, index >> DIGIT_BITS)
    store_i64(leaf + LEAF.occupied, load_i64(leaf + LEAF.occupied) | (1 << (index & DIGIT)))


@kernel
def drop_level(store, book, side, index, price):
    """Unmarks a level that lost its last order, and returns its leaf when it was the last there. 1: the leaf stays."""
    leaf = leaf_at(store, index >> DIGIT_BITS)
    occupied = load_i64(leaf + LEAF.occupied) & ~(1 << (index & DIGIT))
    store_i64(leaf + LEAF.occupied, occupied)
    if occupied != 0:
        return 1
    drop_leaf(store, book, side, index >> DIGIT_BITS, key_of(store, price))
    return 0


@kernel
def drop_leaf(store, book, side, leaf, key):
    """Takes an empty leaf out of its tree; a branch left with one child goes too."""
    way = way_of(book, side, key)
    if load_u32(way + WAY.leaf) == leaf:
        store_u32(way + WAY.leaf, 0)
    root = root_of(book, side, key)
    parent = load_u32(leaf_at(store, leaf) + LEAF.parent)
    give_leaf(store, leaf)
    if parent == 0:
        store_u32(root, 0)
        return
    branch = branch_at(store, parent)
    digit = (key >> load_u32(branch + BRANCH.shift)) & DIGIT
    store_u32(branch + BRANCH.children + digit * 4, 0)
    occupied = load_i64(branch + BRANCH.occupied) & ~(1 << digit)
    store_i64(branch + BRANCH.occupied, occupied)
    if occupied & (occupied - 1) == 0:
        only = trailing_zeros(occupied)
        reference = load_u32(branch + BRANCH.children + only * 4)
        grandparent = load_u32(branch + BRANCH.parent)
        adopt(store, reference, grandparent)
        hang(store, root, grandparent, key, reference)
        store_u32(branch + BRANCH.children + only * 4, 0)
        store_i64(branch + BRANCH.occupied, 0)
        give_branch(store, parent)


@kernel
def best_level(store, book, side):
    """Address of the best level of a side, 0 when the side is empty."""
    coarse = edge_level(store, load_u32(root_of(book, side, 0)), side)
    fine_root = load_u32(root_of(book, side, 1 << FINE_BIT))
    if fine_root == 0:
        return coarse
    fine = edge_level(store, fine_root, side)
    if coarse == 0:
        return fine
    coarse_price, fine_price = load_u32(coarse + LEVEL.price), load_u32(fine + LEVEL.price)
    return fine if (fine_price > coarse_price) == (side == BUY) else coarse


@kernel
def edge_level(store, reference, side):
    """Address of the highest level of a tree for a bid, the lowest for an ask; 0 for an empty tree."""
    for _ in range(NODES_DEEP):
        if reference & IS_BRANCH == 0:
            break
        branch = branch_at(store, reference & INDEX)
        digit = edge_digit(load_i64(branch + BRANCH.occupied), side)
        reference = load_u32(branch + BRANCH.children + digit * 4)
    if reference == 0:
        return 0
    leaf = leaf_at(store, reference)
    return leaf + LEAF.levels + edge_digit(load_i64(leaf + LEAF.occupied), side) * LEVEL_BYTES


@kernel
def same_leaf_best(store, index, side):
    """Address of the best level left in the leaf of a level."""
    leaf = leaf_at(store, index >> DIGIT_BITS)
    return leaf + LEAF.levels + edge_digit(load_i64(leaf + LEAF.occupied), side) * LEVEL_BYTES


@leaf
def edge_digit(occupied, side):
    """The highest set bit for a bid, the lowest for an ask."""
    return 63 - leading_zeros(occupied) if side == BUY else trailing_zeros(occupied)
