"""How this build lays records out and codes them, as one number: two sides whose numbers differ do not exchange records.

    fields (name, type, offset) ─┐
    steps of the codec's plans  ─┼─► described() ─► SHA-256 ─► layouts(), its first four bytes, little-endian
    words (name, number)        ─┘

Said in the handshake and in captures of link records. docs/protocols/link-streams.md. Hard rule: whatever makes the same
bytes another record is in the description.
"""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256

import numpy as np

from gateway.layout import dtype, names
from gateway.link.compression.column_schema import plan_of
from gateway.link.compression.schemas import SCHEMAS
from gateway.link.streams import records

VIEWS = ("link_book", "link_listing")  # what a link_slot may be instead
WORDS = (
    *("link_kind", "link_flag", "event_kind", "event_side", "event_flag"),
    *("trading_state", "book_flag", "listing_flag"),
)


def fields(layout: np.dtype, prefix: str = "", begin: int = 0) -> Iterator[str]:
    """`name type offset` of every field; those of a struct inside as `outer.inner`."""
    for name in layout.names or ():
        inner, offset = layout.fields[name][:2]  # type: ignore[index]
        if inner.names:
            yield from fields(inner, f"{prefix}{name}.", begin + offset)
        else:
            count = "".join(f"[{length}]" for length in inner.shape)
            yield f"{prefix}{name} {inner.base.str}{count} {begin + offset}"


def described() -> str:
    """The whole description, a line each."""
    lines = []
    for schema in SCHEMAS:
        if schema.number in records.SCHEMAS:
            lines += [f"schema {schema.number}", *fields(schema.layout)]
            lines.append(" ".join(["plan", *map(str, plan_of(schema).tolist())]))
    for struct in VIEWS:
        lines += [f"struct {struct}", *fields(dtype(struct))]
    for enum in WORDS:
        lines += [f"enum {enum}", *(f"{name} {number}" for number, name in sorted(names(enum, "").items()))]
    return "\n".join(lines) + "\n"


@cache
def layouts() -> int:
    """The number, u32."""
    return int.from_bytes(sha256(described().encode()).digest()[:4], "little")
