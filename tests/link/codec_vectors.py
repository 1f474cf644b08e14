"""Vectors of the column format, for a second implementation: python -m tests.link.codec_vectors writes codec_vectors.json.

Each has the number of its schema, the records and the body, in hexadecimal. A change of the format, of a struct or of a
default code changes them: they are then written again, and the change is reviewed with them.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gateway.layout import dtype, value
from gateway.link.compression import codec
from gateway.link.compression.schemas import SCHEMA_EVENT, SCHEMA_EXECUTIONS, SCHEMA_LINK, SCHEMA_MBO, SCHEMA_QUOTES, SCHEMAS
from gateway.ops.bench.order_records import seeded

FILE = Path(__file__).parent / "codec_vectors.json"
MIDNIGHT_NS, TICK = 1_700_000_000_000_000_000, 250_000_000


def events() -> np.ndarray:
    """One event of every class: new, replaced, executed by the new name, deleted, a level, changed."""
    rows = np.zeros(8, dtype("event"))
    kinds = ("ADD", "ADD", "REPLACE", "EXECUTE", "DELETE", "LEVEL", "SET", "ADD")
    rows["kind"] = [value(f"EVENT_{name}") for name in kinds]
    rows["sequence"] = [9, 9, 10, 11, 12, 12, 13, 14]
    rows["time_venue_ns"] = MIDNIGHT_NS + np.array([0, 0, 1000, 4000, 5000, 5000, 9000, 9000])
    rows["time_receive_ns"] = rows["time_venue_ns"] + [700, 700, 650, 720, 690, 690, 701, 703]
    rows["order_id"] = [100, 101, 100, 110, 101, 1 << 32, 110, 111]
    rows["other_id"] = [0, 0, 110, 77, 0, 0, 0, 0]
    rows["price"] = np.array([4800, 4801, 4802, 0, 0, 4803, 4799, 4800]) * TICK
    rows["quantity"], rows["side"] = [5, 7, 6, 1, 0, 50, 4, 3], [1, 2, 1, 0, 0, 2, 1, 1]
    rows["instrument"], rows["message_type"] = 3, list(b"AAUED AA")[:8]
    return rows


def _slots() -> np.ndarray:
    rows = np.zeros(3, next(schema.layout for schema in SCHEMAS if schema.number == SCHEMA_LINK))
    rows["event"], rows["kind"] = events()[:3], value("LINK_EVENT")
    rows["size"], rows["arrivals"] = dtype("link_slot").itemsize - 16, [1, 2, 3]
    rows["time_ns"] = rows["event"]["time_receive_ns"]
    return rows


def _executions() -> np.ndarray:
    rows = np.zeros(2, dtype("link_execution"))
    rows["sequence"], rows["price"], rows["quantity"] = [1, 2], [4800, 4801], [3, 2]
    rows["time_ns"] = [MIDNIGHT_NS, MIDNIGHT_NS + 5000]
    return rows


def _quotes() -> np.ndarray:
    rows = np.zeros(2, dtype("link_quote"))
    rows["bid_price"], rows["ask_price"], rows["instrument"] = [100, 101], [102, 103], 1
    rows["time_ns"] = [MIDNIGHT_NS, MIDNIGHT_NS + 7]
    return rows


def vectors() -> Iterator[dict[str, object]]:
    """What each shows, its schema, records and body."""
    for what, schema, raw in (
        ("nothing, raw", 0, b""),
        ("text of no schema, one LZ4 block", 0, b"the same words, " * 12),
        ("noise, raw", SCHEMA_EVENT, random.Random(5).randbytes(128)),
        ("one event of zeros", SCHEMA_EVENT, bytes(64)),
        ("events of zeros", SCHEMA_EVENT, bytes(64 * 40)),
        ("events of every class", SCHEMA_EVENT, events().tobytes()),
        ("order records, one packet", SCHEMA_MBO, seeded(25, 11).rows.tobytes()),
        ("slots", SCHEMA_LINK, _slots().tobytes()),
        ("executions", SCHEMA_EXECUTIONS, _executions().tobytes()),
        ("quotes", SCHEMA_QUOTES, _quotes().tobytes()),
    ):
        yield {"what": what, "schema": schema, "raw": raw.hex(), "body": codec.pack(schema, raw).hex()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(list(vectors()), indent=1) + "\n")
