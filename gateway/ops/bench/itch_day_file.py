"""A synthetic day as a file of length-prefixed messages, the format of the exchange's daily files.

`gateway replay`, `book` and `decode` read it, and so do the readers of PyPI. Packets and their times are left out; each
message keeps its own. Hard rule: opening first, so that whoever follows knows every symbol before its first order.
"""

from pathlib import Path

import numpy as np

from gateway.errors import UsageError
from gateway.ops.bench.itch_day import Flow, batch_bytes_max, make_flow, opening_messages, write_batch, write_opening
from gateway.ops.bench.itch_reference import MOLD_HEADER_BYTES

BATCH_MESSAGES = 100_000


def write_day(path: Path, messages: int, seed: int, symbols: int, live_target: int) -> Flow:
    """Writes the opening and `messages` messages; returns the day's state behind them. Raises UsageError."""
    flow = make_flow(seed, symbols, live_target)
    room = max(BATCH_MESSAGES, opening_messages(flow))
    data = np.zeros(batch_bytes_max(room), np.uint8)
    offsets, sizes = np.zeros(room, np.int64), np.zeros(room, np.int64)
    try:
        with path.open("wb") as file:
            file.write(blocks_in(data, offsets, sizes, write_opening(flow, data, offsets, sizes)))
            for begin in range(0, messages, BATCH_MESSAGES):
                packets = write_batch(flow, min(BATCH_MESSAGES, messages - begin), data, offsets, sizes)
                file.write(blocks_in(data, offsets, sizes, packets))
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror or problem}; name a file that can be written") from problem
    return flow


def blocks_in(data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, packets: int) -> bytes:
    """The messages behind their lengths of packets that lie back to back, without the headers of these."""
    if packets == 0:
        return b""
    begin, end = int(offsets[0]), int(offsets[packets - 1] + sizes[packets - 1])
    keep = np.ones(end - begin, np.bool_)
    keep[offsets[:packets, None] - begin + np.arange(MOLD_HEADER_BYTES)] = False
    return data[begin:end][keep].tobytes()
