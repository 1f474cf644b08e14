"""Dtypes, offsets and names of the shared structs, derived from native/layout through cffi. Nothing here is typed by hand.

EVENT = offsets("event")          EVENT.price is the byte offset: load_i64(event + EVENT.price)
dtype("event")                    the numpy structured dtype of the same struct
size("event")                     64
names("gate_reason", "GATE_")     {0: "KILL", 1: "FENCE", …}
value("EVENT_ADD")                1
"""

from collections import namedtuple
from functools import cache
from typing import Any

import numpy as np

from gateway.errors import CapabilityError
from gateway.native import ffi, lib

LAYOUT_HASH: int = lib.GATEWAY_LAYOUT_HASH
MAGIC: int = lib.GATEWAY_MAGIC
VERSION: int = lib.REGION_VERSION


def _fields(struct: str) -> list[tuple[str, Any]]:
    return ffi.typeof(f"struct {struct}").fields


@cache
def offsets(struct: str) -> Any:
    """A named tuple of byte offsets; numba freezes its fields to constants."""
    fields = _fields(struct)
    return namedtuple(struct, [name for name, _ in fields])(*[field.offset for _, field in fields])


@cache
def size(struct: str) -> int:
    """Bytes of a struct, padding included."""
    return ffi.sizeof(f"struct {struct}")


def _dtype_of(ctype: Any) -> Any:
    if ctype.kind == "primitive":
        if ctype.cname == "char":
            return np.dtype("S1")
        kind = "f" if ctype.cname in ("float", "double") else ("u" if int(ffi.cast(ctype, -1)) > 0 else "i")
        return np.dtype(f"{kind}{ffi.sizeof(ctype)}")
    if ctype.kind == "array":
        if ctype.item.kind == "primitive" and ctype.item.cname == "char":
            return np.dtype(f"S{ctype.length}")
        return np.dtype((_dtype_of(ctype.item), (ctype.length,)))
    if ctype.kind == "struct":
        return dtype(ctype.cname.removeprefix("struct "))
    raise TypeError(f"no dtype for C type {ctype.cname}")


@cache
def dtype(struct: str) -> np.dtype:
    """The numpy structured dtype of a struct; itemsize and offsets are the compiler's."""
    fields = _fields(struct)
    return np.dtype(
        {
            "names": [name for name, _ in fields],
            "formats": [_dtype_of(field.type) for _, field in fields],
            "offsets": [field.offset for _, field in fields],
            "itemsize": size(struct),
        }
    )


@cache
def value(name: str) -> int:
    """The number of an enumerator; CapabilityError where the compiled module is of another tree."""
    try:
        return int(getattr(lib, name))
    except AttributeError:
        raise CapabilityError(f"gateway._native knows no {name}: built from another tree; run scripts/setup") from None


@cache
def names(enum: str, prefix: str) -> dict[int, str]:
    """Number → name without its prefix, for printing; enumerators of other prefixes are left out."""
    elements = ffi.typeof(f"enum {enum}").elements
    return {number: name.removeprefix(prefix) for number, name in elements.items() if name.startswith(prefix)}
