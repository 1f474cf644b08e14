"""Compiles, or loads, every kernel that the link's loop uses, before the first peer is heard.

Hard rule: a loop that stops to compile is silent to its peers, and suspected; so whatever is jitted runs here once.
"""

import numpy as np

from gateway.core.ring import put_many
from gateway.link.compression import codec
from gateway.link.streams import records

ROWS = 64


def warm() -> None:
    """Packs and unpacks rows of every schema that the streams use; seconds the first time, less with a warm cache.

    And puts no rows into no ring, as the mirror will put some into link_core.
    """
    put_many(0, 0, records.SLOT_BYTES, 0)
    for schema, dtype in records.SCHEMAS.items():
        for batch in (np.zeros(ROWS, dtype), _noise(dtype)):
            raw = records.without_sequences(batch).tobytes() if schema == records.SCHEMA_LINK else batch.tobytes()
            codec.unpack(schema, codec.pack(schema, raw), len(raw))


def _noise(dtype: np.dtype) -> np.ndarray:
    """Rows that compress badly: the other way through the codec."""
    size = ROWS * dtype.itemsize
    return (np.arange(size, dtype=np.uint64) * np.uint64(2654435761) >> np.uint64(13)).astype(np.uint8).view(dtype)
