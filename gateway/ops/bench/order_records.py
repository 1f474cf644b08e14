"""Order by order as 56-byte records (schema MBO of the codec): the recorded ES days, or a seeded stream of the same make.

Hard rule: recorded records are the file's own bytes, unpacked and nothing else; the stream is a function of its seed.
"""

import importlib
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.errors import CapabilityError
from gateway.link.compression.schemas import MBO
from gateway.ops.bench.es_orders import FOLDER, PATTERN

PREFIX_BYTES = 8  # "DBN", version, u32 length of the metadata behind
WORDS = 4  # the unit of a record's own length
START_NS = 1_703_545_200_000_000_000
TICK = 250_000_000


@dataclass(frozen=True)
class Records:
    """Records in their order, and where they are from."""

    rows: np.ndarray
    source: str
    recorded: bool


def recorded(folder: Path | None) -> Records:
    """Both days below a folder. Raises CapabilityError where there is none, or nobody to unpack it."""
    files = sorted((folder / FOLDER).glob(PATTERN)) if folder is not None else []
    if not files:
        raise CapabilityError(f"{FOLDER}/{PATTERN} is not below --data or $GATEWAY_SHARED_DATA")
    if importlib.util.find_spec("zstandard") is None:
        raise CapabilityError("not installed: pip install zstandard, or 'bypass-gateway[test]'")
    reader = importlib.import_module("zstandard").ZstdDecompressor()
    days = []
    for path in files:
        data = reader.stream_reader(io.BytesIO(path.read_bytes())).read()
        begin = PREFIX_BYTES + int.from_bytes(data[4:PREFIX_BYTES], "little")
        rows = np.frombuffer(data, MBO, offset=begin)
        if not (rows["length"].astype(int) * WORDS == MBO.itemsize).all():
            raise CapabilityError(f"{path}: not every record has {MBO.itemsize} bytes")
        days.append(rows)
    return Records(np.concatenate(days), ", ".join(path.name for path in files), True)


def seeded(count: int, seed: int) -> Records:
    """Adds, changes and cancels of orders that live, in bursts; half of what a venue sends concerns a recent order."""
    choose = np.random.default_rng(seed)
    rows = np.zeros(count, MBO)
    rows["length"], rows["rtype"], rows["publisher"], rows["instrument"], rows["flags"] = 14, 160, 1, 17_077, 130
    gaps = (2.0 ** choose.uniform(8, 24, count)).astype(np.uint64) * (choose.random(count) < 0.8)
    rows["ts_event"] = START_NS + np.cumsum(gaps)
    rows["ts_recv"] = rows["ts_event"] + choose.normal(90_000, 8_000, count).astype(np.uint64)
    rows["ts_in_delta"] = choose.normal(14_800, 700, count)
    rows["sequence"] = 1_000 + np.arange(count)
    live: list[tuple[int, int, int, int]] = []
    newest, middle = 6_412_777_000_000, 19_240
    for index in range(count):
        row = rows[index]
        middle += int(choose.integers(-1, 2))
        if not live or choose.random() < 0.45:
            newest, side = newest + int(choose.integers(1, 4)), int(choose.integers(2))
            distance = int(choose.exponential(12)) + 1
            order = (newest, side, middle + (distance if side else -distance), int(choose.exponential(2)) + 1)
            live.append(order)
            action = "A"
        else:
            place = len(live) - 1 - min(int(choose.exponential(40)), len(live) - 1)
            order, action = live[place], "M" if choose.random() < 0.4 else "C"
            if action == "C":
                live.pop(place)
        row["order_id"], row["price"], row["size"] = order[0], order[2] * TICK, order[3]
        row["action"], row["side"] = ord(action), ord("BA"[order[1]])
    return Records(rows, f"seed {seed}", False)
