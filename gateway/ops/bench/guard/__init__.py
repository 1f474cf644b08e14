"""The regression guard of `gateway bench --guard`: instructions counted by callgrind, compared with stored values.

check.py      the stored values, what differs from them, the table
counting.py   runs the works under valgrind, and the same natively; the process that it runs
works.py      what is counted: memory, units, what each must compute
kernels.py    the numba side: loops over kernels, as C functions
library.py    the C side: counts.c and native/, with flags that belong to no machine
"""
