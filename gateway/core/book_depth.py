"""The levels of a side of a book ⑤ in order: the best, the next worse one, the one at a position.

`side` is the line of one side (struct book_side), `number` says which (enum event_side); a level is known by its index,
0 is none. Hard rule: reads only; each step is a bounded walk, so whoever goes through a side bounds the number of steps.
"""

from gateway.core.kernel import inner, kernel, leaf
from gateway.core.levels import (
    BRANCH,
    BUY,
    DIGIT,
    DIGIT_BITS,
    FINE,
    INDEX,
    IS_BRANCH,
    LEAF,
    MIDDLE,
    NODES_DEEP,
    SIDE,
    edge_digit,
    known_leaf,
    prefix_above,
    price_of,
    root_of,
)
from gateway.core.memory import load_i64, load_u32, quotient_i64, shift_right
from gateway.core.nodes import branch_at, leaf_at


@kernel
def best_level(store, side, number):
    """Index of the best level of a side, 0 when it is empty. With the other side's number: of the worst level."""
    coarse = edge_level(store, load_u32(side + SIDE.root), number)
    fine_root = load_u32(side + SIDE.fine_root)
    if fine_root == 0:
        return coarse
    return better_level(store, coarse, edge_level(store, fine_root, number), number)


@kernel
def next_level(store, side, number, price):
    """Index of the best level that is worse than a price, 0 when there is none."""
    if price <= -MIDDLE and number == BUY or price >= MIDDLE - 1 and number != BUY:
        return 0
    towards = -1 if number == BUY else 1
    tick = load_i64(side + SIDE.tick)
    quotient = quotient_i64(price, tick)
    beyond = quotient * tick - price  # of the multiple of the tick that the division found
    if beyond * towards <= 0:
        quotient += towards
    coarse = seek_level(store, load_u32(side + SIDE.root), quotient + MIDDLE, number)
    fine_root = load_u32(side + SIDE.fine_root)
    if fine_root == 0:
        return coarse
    return better_level(store, coarse, seek_level(store, fine_root, (price + towards + MIDDLE) | FINE, number), number)


@kernel
def level_at_position(store, side, number, position):
    """Index of the level `position` from the best, the best being 1; 0 when there are fewer. Only for a book of levels."""
    if position < 1 or position > load_u32(side + SIDE.levels):
        return 0
    index = best_level(store, side, number)
    for _ in range(position - 1):
        index = next_level(store, side, number, price_of(store, index))
    return index


@inner
def better_level(store, coarse, fine, number):
    """The better one of a level of either tree."""
    if coarse == 0 or fine == 0:
        return coarse | fine
    return fine if (price_of(store, fine) > price_of(store, coarse)) == (number == BUY) else coarse


@inner
def edge_level(store, reference, number):
    """Index of the highest level of a tree for a bid, the lowest for an ask; 0 for an empty tree."""
    for _ in range(NODES_DEEP):
        if reference & IS_BRANCH == 0:
            break
        branch = branch_at(store, reference & INDEX)
        digit = edge_digit(load_i64(branch + BRANCH.occupied), number)
        reference = load_u32(branch + BRANCH.children + digit * 4)
    if reference == 0:
        return 0
    return leaf_edge(store, reference, number)


@leaf
def leaf_edge(store, leaf, number):
    """Index of the best level of a leaf that has one."""
    return (leaf << DIGIT_BITS) | edge_digit(load_i64(leaf_at(store, leaf) + LEAF.occupied), number)


@inner
def seek_level(store, reference, key, number):
    """Index of the best level of a tree whose key is `key` or worse; 0: none. Keys of one tree differ in 63 bits."""
    aside = 0  # the best subtree passed so far that is worse than the path
    for _ in range(NODES_DEEP):
        if reference == 0:
            break
        is_leaf = reference & IS_BRANCH == 0
        node = leaf_at(store, reference) if is_leaf else branch_at(store, reference & INDEX)
        shift = 0 if is_leaf else load_u32(node + BRANCH.shift)
        prefix = load_i64(node + LEAF.prefix) if is_leaf else load_i64(node + BRANCH.prefix)
        occupied = load_i64(node + LEAF.occupied) if is_leaf else load_i64(node + BRANCH.occupied)
        wanted = prefix_above(key, shift)
        if wanted != prefix:
            worse = (prefix < wanted) == (number == BUY)
            return edge_level(store, reference if worse else aside, number)
        digit = shift_right(key, shift) & DIGIT
        if is_leaf:
            left = digits_from(occupied, digit, number)
            return (reference << DIGIT_BITS) | edge_digit(left, number) if left != 0 else edge_level(store, aside, number)
        left = digits_from(occupied, digit, number) & ~(1 << digit)
        if left != 0:
            aside = load_u32(node + BRANCH.children + edge_digit(left, number) * 4)
        reference = load_u32(node + BRANCH.children + digit * 4)
    return edge_level(store, aside, number)


@leaf
def digits_from(occupied, digit, number):
    """The set bits at a digit and on the worse side of it: below it for a bid, above it for an ask."""
    return occupied & ~(-2 << digit) if number == BUY else occupied & (-1 << digit)


@kernel
def find_level(store, side, key):
    """Index of the level of a key when there is one, else 0."""
    leaf = known_leaf(store, side, key)
    if leaf == 0:
        leaf = find_leaf(store, load_u32(root_of(side, key)), key)
    if leaf == 0 or shift_right(load_i64(leaf_at(store, leaf) + LEAF.occupied), key & DIGIT) & 1 == 0:
        return 0
    return (leaf << DIGIT_BITS) | (key & DIGIT)


@inner
def find_leaf(store, reference, key):
    """The leaf of a key below a node reference, 0 when there is none."""
    for _ in range(NODES_DEEP):
        if reference & IS_BRANCH == 0:
            break
        branch = branch_at(store, reference & INDEX)
        shift = load_u32(branch + BRANCH.shift)
        if prefix_above(key, shift) != load_i64(branch + BRANCH.prefix):
            return 0
        reference = load_u32(branch + BRANCH.children + (shift_right(key, shift) & DIGIT) * 4)
    if reference != 0 and load_i64(leaf_at(store, reference) + LEAF.prefix) != shift_right(key, DIGIT_BITS):
        return 0
    return reference
