"""ITCH 5.0 packets for the suite `decode`: a fragment of a synthetic day, and the recorded messages where there are any.

Hard rule: the event rows that a right decoder makes of them are read by itch_reference.py, which knows no decoder.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.ops.bench.itch_day import batch_bytes_max, make_flow, write_batch
from gateway.ops.bench.itch_day_file import blocks_in
from gateway.ops.bench.itch_reference import reference_events
from gateway.ops.bench.recorded import payloads_of

TIME_BASE_NS = 1_700_000_000_000_000_000
SYMBOLS, LIVE_ORDERS = 8000, 200_000
MORNING_MESSAGES = 300_000  # after them that many orders stand, and the mix is the day's
RECORDED = "nasdaq-*itch50-*"  # folders of captures and of files of length-prefixed messages
RECORDED_PACKET_MESSAGES = 12  # what a file of messages is cut into


@dataclass(frozen=True)
class Stream:
    """Packets back to back in `data`; packet i is data[offsets[i] : offsets[i] + sizes[i]]."""

    data: np.ndarray
    offsets: np.ndarray  # int64
    sizes: np.ndarray  # int64
    events: np.ndarray  # struct event, one row per message: what a right decoder writes

    @property
    def messages_by_type(self) -> dict[str, int]:
        """Messages of every type that is there."""
        letters, counts = np.unique(self.events["message_type"], return_counts=True)
        return {chr(letter): int(count) for letter, count in zip(letters, counts, strict=True)}


def make_stream(messages: int, seed: int) -> Stream:
    """The `messages` messages behind the morning of a synthetic day; the same for the same seed."""
    flow = make_flow(seed, SYMBOLS, LIVE_ORDERS)
    room = max(messages, MORNING_MESSAGES)
    data = np.zeros(batch_bytes_max(room), np.uint8)
    offsets, sizes = np.zeros(room, np.int64), np.zeros(room, np.int64)
    write_batch(flow, MORNING_MESSAGES, data, offsets, sizes)
    packets = write_batch(flow, messages, data, offsets, sizes)
    end = int(offsets[packets - 1] + sizes[packets - 1])
    return _stream(data[:end].copy(), offsets[:packets].copy(), sizes[:packets].copy())


def recorded_stream(folder: Path) -> Stream | None:
    """Every recorded ITCH 5.0 message below a folder of recorded data; None where there is none."""
    payloads: list[bytes] = []
    for path in sorted(path for kind in ("*.pcap", "*.itch") for path in folder.glob(f"{RECORDED}/{kind}")):
        payloads += packets_of(path.read_bytes()) if path.suffix == ".itch" else payloads_of(path)
    if not payloads:
        return None
    return stream_of(payloads)


def beginning(stream: Stream, messages: int) -> Stream:
    """The first packets of a stream, `messages` messages or a packet more."""
    counts = np.unique(stream.events["time_receive_ns"], return_counts=True)[1]
    packets = 1 + int(np.searchsorted(np.cumsum(counts), messages))
    offsets, sizes = stream.offsets[:packets], stream.sizes[:packets]
    end = int(offsets[-1] + sizes[-1])
    return Stream(stream.data[:end], offsets, sizes, stream.events[: int(counts[:packets].sum())])


def blocks_of(stream: Stream) -> bytes:
    """The messages behind their lengths, without packets: the format of the exchange's daily files."""
    return blocks_in(stream.data, stream.offsets, stream.sizes, len(stream.offsets))


def stream_of(payloads: list[bytes]) -> Stream:
    """A stream of whole packets. Raises ValueError where they are not."""
    sizes = np.array([len(payload) for payload in payloads], np.int64)
    return _stream(np.frombuffer(b"".join(payloads), np.uint8), np.cumsum(sizes) - sizes, sizes)


def _stream(data: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> Stream:
    return Stream(data, offsets, sizes, reference_events(data, offsets, sizes, TIME_BASE_NS))


def packets_of(blocks: bytes) -> list[bytes]:
    """Packets of length-prefixed messages, with headers of our own."""
    messages, at = [], 0
    while at < len(blocks):
        end = at + 2 + int.from_bytes(blocks[at : at + 2], "big")
        messages.append(blocks[at:end])
        at = end
    packets = []
    for first in range(0, len(messages), RECORDED_PACKET_MESSAGES):
        here = messages[first : first + RECORDED_PACKET_MESSAGES]
        packets.append(bytes(10) + (first + 1).to_bytes(8, "big") + len(here).to_bytes(2, "big") + b"".join(here))
    return packets
