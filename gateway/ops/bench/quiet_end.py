"""How a side of a benchmark ends whose other end has gone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_end() -> Iterator[None]:
    """The benchmark was told to end: nobody reads stdout any more, and the last flush is for nobody."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
