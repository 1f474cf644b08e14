"""The data plane: numba only. Read in this order: loop, memory, ring, arbitrate, book, levels, strategy, gate, submit."""

from gateway import kernel_cache

kernel_cache.prepare()
