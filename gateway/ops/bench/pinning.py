"""One thread alone on one CPU, at real-time priority where that is permitted.

Hard rule: entered only when the partner exists, for runs that end by themselves within a second: a real-time spinner
takes its CPU from everybody.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

PRIORITY = 50


@contextmanager
def pinned(cpu: int) -> Iterator[bool]:
    """This thread alone on `cpu`, real-time where permitted (yields whether), and everything as before afterwards.

    Enter it only when the partner is there: a real-time spinner without one takes its CPU from everybody.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    real_time = False
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        real_time = True
    try:
        yield real_time
    finally:
        if real_time:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, before)


@contextmanager
def real_time(threads: Sequence[int]) -> Iterator[None]:
    """Other threads, by their ids, at real-time priority where permitted; they are pinned and wait for their work."""
    try:
        with suppress(PermissionError):
            for thread in threads:
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(PRIORITY))
        yield
    finally:
        with suppress(PermissionError):
            for thread in threads:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
