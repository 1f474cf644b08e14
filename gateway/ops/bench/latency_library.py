"""contenders/latency.c, with the types of its structs and functions.

Hard rule: the structs here are those of that file, field by field; a test compares what comes out of a run.
"""

import ctypes
from functools import cache
from typing import Any

from gateway.ops.bench.compiled import load

WORD, PLACE = ctypes.c_int64, ctypes.c_void_p
STAMPS = 11


class Probe(ctypes.Structure):
    """struct probe: what the venue's side sends, and what it saw."""

    _fields_ = [
        *((name, PLACE) for name in ("port", "bytes", "offsets", "tags", "ticks")),
        *((name, WORD) for name in ("count", "interval_ticks", "patience_ticks", "deadline_ticks", "order_bytes", "tag_at")),
        *((name, WORD) for name in ("begin_ticks", "sent", "answered", "due", "strangers", "oldest")),
    ]


class End(ctypes.Structure):
    """struct end: the stage that ends a loop."""

    _fields_ = [
        ("port", PLACE),
        ("ready", ctypes.c_char_p),
        ("ready_bytes", WORD),
        ("packets", PLACE),
        ("stop", PLACE),
        ("until", WORD),
        ("budget_ticks", WORD),
        ("turns", WORD),
        ("deadline_ticks", WORD),
    ]


class Stamps(ctypes.Structure):
    """struct stamps behind its struct port, which is skipped by its size."""

    _fields_ = [
        ("inner", ctypes.c_byte * 40),
        *((name, PLACE) for name in ("decoder", "strategy")),
        *((name, WORD) for name in ("receive_begin", "decode_begin", "decode_end", "strategy_begin", "strategy_end")),
        ("gate_end", WORD),
        ("rows", PLACE),
        *((name, WORD) for name in ("rows_max", "row_count", "mixed")),
    ]


@cache
def library() -> Any:
    """The compiled contender. Raises CapabilityError where it cannot be made."""
    told = load("latency")
    types: dict[str, tuple[list[Any], Any]] = {
        "probe_run": ([ctypes.POINTER(Probe)], None),
        "echo_orders": ([PLACE, ctypes.c_char_p, WORD, ctypes.c_uint32, ctypes.c_char_p, *[WORD] * 5], WORD),
        "socket_port": ([ctypes.c_int, ctypes.c_char_p], PLACE),
        "stamps_of_process": ([], ctypes.POINTER(Stamps)),
        "stamps_around": ([PLACE, PLACE, PLACE, PLACE], None),
        "stamps_cost": ([WORD], WORD),
    }
    for name, (arguments, outcome) in types.items():
        getattr(told, name).argtypes, getattr(told, name).restype = arguments, outcome
    return told


def address_of_function(name: str) -> int:
    """The address of a function, for a loop in C."""
    return int(ctypes.cast(getattr(library(), name), PLACE).value or 0)
