"""The data plane: numba only. Read in this order: loop, memory, ring, book, levels, strategy, gate, submit."""
