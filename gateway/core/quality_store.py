"""Makes the handle of data quality: settings of a person into what the kernels compare with, and the names of the groups.

Hard rule: regions arrive zero-filled; nothing is judged that the settings do not ask for.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.instruments import SYMBOL_BYTES, hash_text
from gateway.core.memory import address_of
from gateway.layout import dtype, value

GROUPS_MAX, MEMBERS_MAX = value("QUALITY_GROUPS_MAX"), value("QUALITY_MEMBERS_MAX")
PPM = 1_000_000
assert (limits.QUALITY_GROUPS_MAX, limits.QUALITY_MEMBERS_MAX) == (GROUPS_MAX, MEMBERS_MAX)
BOOKS_PER_MS = 16  # 8,000 books in half a second, at some three cache misses each


@dataclass(frozen=True)
class QualitySettings:
    """What is judged; 0 turns a control off. Groups hold (symbol, scale): price × 10^scale is comparable within a group."""

    z_max: float = 0.0
    deviation_ppm: int = 0
    window: int = 64
    warm_up: int = 32
    agree: int = 8
    floor_ppm: int = 100
    stale_after_ns: int = 0
    groups: tuple[tuple[tuple[str, int], ...], ...] = ()
    apart_ppm: int = 0
    apart_ns: int = 0
    books_per_ms: int = BOOKS_PER_MS
    price_exponent: int = 0

    @property
    def filters(self) -> bool:
        """Whether prices are judged."""
        return self.z_max > 0 or self.deviation_ppm > 0

    @property
    def on(self) -> bool:
        """Whether anything is to be done at all."""
        return self.filters or self.stale_after_ns > 0 or bool(self.groups and self.apart_ppm)


class Quality:
    """The struct quality and what it points into; `address` is what kernels take. Keep it alive."""

    def __init__(self, handle: np.ndarray, groups: np.ndarray, keep: list[Any]):
        self.handle = handle
        self.groups = groups
        self.address = address_of(handle)
        self._keep = keep


def make_quality(settings: QualitySettings, *, account: int, rows: int, rows_max: int, store: int, listings: int) -> Quality:
    """The handle over region quality (`account` its header, `rows` its body), a struct book_store and struct instruments.

    Addresses all; `rows_max` is the number of rows of both tables. Raises ValueError for settings that cannot be.
    """
    if not (math.isfinite(settings.z_max) and settings.z_max >= 0 and settings.window >= 1 and settings.agree >= 1):
        raise ValueError(f"z_max {settings.z_max}, window {settings.window}, agree {settings.agree}: out of range")
    groups = np.zeros(max(1, len(settings.groups)), dtype=dtype("quality_group"))
    names = name_rows(settings.groups)
    events = np.zeros(value("QUALITY_SWEEP_MAX"), dtype=dtype("event"))
    handle = np.zeros(1, dtype=dtype("quality"))
    row = handle[0]
    row["account"], row["rows"], row["rows_max"], row["store"] = account, rows, rows_max, store
    row["listings"], row["groups"], row["group_count"] = listings, address_of(groups), len(settings.groups)
    row["names"], row["name_count"], row["events"] = address_of(names), len(names), address_of(events)
    row["filters"] = int(settings.filters)
    row["weight"], row["z_squared"] = 2.0 / (settings.window + 1), settings.z_max**2
    row["deviation"], row["floor"] = settings.deviation_ppm / PPM, settings.floor_ppm / PPM
    row["warm_up"], row["agree"] = settings.warm_up, settings.agree
    row["stale_after_ns"], row["apart"], row["apart_ns"] = (
        settings.stale_after_ns,
        settings.apart_ppm / PPM,
        settings.apart_ns,
    )
    row["price_exponent"], row["books_per_ms"] = settings.price_exponent, settings.books_per_ms
    return Quality(handle, groups, [names, events])


def name_rows(groups: tuple[tuple[tuple[str, int], ...], ...]) -> np.ndarray:
    """struct quality_name of every symbol, sorted by hash. Raises ValueError for too many, too long, or one symbol twice."""
    if len(groups) > GROUPS_MAX:
        raise ValueError(f"{len(groups)} groups: use at most {GROUPS_MAX}")
    found: dict[str, tuple[int, int]] = {}
    for index, group in enumerate(groups):
        if not 1 <= len(group) <= MEMBERS_MAX:
            raise ValueError(f"group {index + 1} has {len(group)} symbols: use 1 to {MEMBERS_MAX}")
        for symbol, scale in group:
            if symbol in found:
                raise ValueError(f"{symbol} stands twice in the groups: remove one")
            if not 1 <= len(symbol.encode()) <= SYMBOL_BYTES:
                raise ValueError(f"{symbol!r} is no symbol of 1 to {SYMBOL_BYTES} bytes")
            found[symbol] = (index, scale)
    names = np.zeros(len(found), dtype=dtype("quality_name"))
    for row, (symbol, (index, scale)) in zip(names, found.items(), strict=True):
        text = np.frombuffer(symbol.encode(), dtype=np.uint8)
        row["hash"] = hash_text(address_of(text), len(text))
        row["group"], row["scale"], row["symbol_bytes"], row["symbol"] = index, scale, len(text), symbol.encode()
    return np.ascontiguousarray(names[np.argsort(names["hash"], kind="stable")])
