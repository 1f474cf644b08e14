"""The two pools of the level trees, leaves and branches, under book ⑤. The contract stands in native/layout/book.h.

A pool grows by its high-water mark and reuses what its free list holds, so zero-filled memory needs no formatting.
Hard rule: a node in the free list is clean: no level, no child, `occupied` 0.
"""

from gateway.core.kernel import inner, leaf
from gateway.core.memory import load_i64, load_u32, store_u32
from gateway.layout import offsets, size

STORE = offsets("book_store")
NODE = offsets("book_node")
LEAF = offsets("leaf")
BRANCH = offsets("branch")
NODE_BYTES = size("book_node")


@leaf
def leaf_at(store, index):
    """Address of a leaf."""
    return load_i64(store + STORE.nodes) + index * NODE_BYTES + NODE.leaf


@leaf
def branch_at(store, index):
    """Address of a branch."""
    return load_i64(store + STORE.nodes) + index * NODE_BYTES + NODE.branch


@inner
def take_leaf(store):
    """Index of a clean leaf, 0 when the pool is used up."""
    index = load_u32(store + STORE.leaves_free)
    if index != 0:
        store_u32(store + STORE.leaves_free, load_u32(leaf_at(store, index) + LEAF.parent))
        return index
    index = load_u32(store + STORE.leaves_used)
    if index >= load_i64(store + STORE.nodes_max):
        return 0
    store_u32(store + STORE.leaves_used, index + 1)
    return index


@inner
def give_leaf(store, index):
    """Returns a leaf without levels."""
    store_u32(leaf_at(store, index) + LEAF.parent, load_u32(store + STORE.leaves_free))
    store_u32(store + STORE.leaves_free, index)


@inner
def take_branch(store):
    """Index of a clean branch, 0 when the pool is used up."""
    index = load_u32(store + STORE.branches_free)
    if index != 0:
        store_u32(store + STORE.branches_free, load_u32(branch_at(store, index) + BRANCH.parent))
        return index
    index = load_u32(store + STORE.branches_used)
    if index >= load_i64(store + STORE.nodes_max):
        return 0
    store_u32(store + STORE.branches_used, index + 1)
    return index


@inner
def give_branch(store, index):
    """Returns a branch without children."""
    store_u32(branch_at(store, index) + BRANCH.parent, load_u32(store + STORE.branches_free))
    store_u32(store + STORE.branches_free, index)
