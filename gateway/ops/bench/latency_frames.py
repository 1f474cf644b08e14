"""What the venue's side of a latency run sends, and what it expects back: the simulated venue's line A, one message a frame.

    frame    Ethernet, IPv4, UDP, MoldUDP64 with one message       every add is answered, nothing else is
    order    Enter Order, its quantity 1 + sequence % TAGS         so the venue's side knows which frame it answers

Hard rule: the stream of a seed is the same in every process, and its sequence has no hole: whoever sends it sends all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from gateway.config import Configuration
from gateway.ops.appliance import order_frames
from gateway.protocols import moldudp64, udp
from gateway.protocols.ouch50 import offsets_of

TAGS = 64  # quantities stay small: nothing is ever sold
SYMBOLS = 32
RATE = 20_000  # messages per second of the venue's own clock
HEADER_BYTES = 42  # Ethernet, IPv4, UDP
ADDS = (b"A", b"F")


@dataclass(frozen=True)
class Batch:
    """Frames of one run, one behind the other in `bytes`; `tags` 0: no order is due."""

    bytes: np.ndarray
    offsets: np.ndarray
    tags: np.ndarray

    def __len__(self) -> int:
        return len(self.tags)


@dataclass(frozen=True)
class OrderShape:
    """What an order of the appliance looks like: the echo sends the same."""

    template: bytes
    tag_at: int

    @staticmethod
    def of(configuration: Configuration) -> "OrderShape":
        """By the appliance's own template."""
        row = order_frames(configuration).array["enter"][0]
        data = row["bytes"].tobytes()[: int(row["size"])]
        return OrderShape(data, int(row["message_offset"]) + offsets_of("EnterOrder").quantity)


def stream(seed: int) -> Iterator[tuple[bytes, int]]:
    """(frame, tag) without end: every message of line A in a packet of its own."""
    from gateway.venues.simulator.flow import frames

    first = b""
    for _, frame in frames(seed=seed, symbols=SYMBOLS, messages=1 << 40, rate=RATE):
        first = first or frame[:6]
        if frame[:6] == first:
            yield from apart(frame)


def apart(frame: bytes) -> Iterator[tuple[bytes, int]]:
    """The messages of a MoldUDP64 frame, each in one of its own."""
    packet = moldudp64.decode(frame[HEADER_BYTES:])
    for index, message in enumerate(packet.messages):
        sequence = packet.sequence + index
        payload = moldudp64.encode(packet.session, sequence, [message])
        yield headed(frame, payload), 1 + sequence % TAGS if message[:1] in ADDS else 0


def headed(like: bytes, payload: bytes) -> bytes:
    """A frame from and to where `like` went, around another payload."""
    source, destination = (".".join(str(byte) for byte in like[at : at + 4]) for at in (26, 30))
    macs = [":".join(f"{byte:02x}" for byte in like[at : at + 6]) for at in (6, 0)]
    ports = [int.from_bytes(like[at : at + 2], "big") for at in (34, 36)]
    return udp.frame(
        payload,
        source=source,
        destination=destination,
        source_port=ports[0],
        destination_port=ports[1],
        source_mac=macs[0],
        destination_mac=macs[1],
    )


def take(source: Iterator[tuple[bytes, int]], count: int) -> Batch:
    """The next frames of a stream."""
    rows = list(islice(source, count))
    sizes = np.array([0] + [len(frame) for frame, _ in rows], dtype=np.int64)
    data = np.frombuffer(b"".join(frame for frame, _ in rows), dtype=np.uint8)
    return Batch(data, np.cumsum(sizes), np.array([tag for _, tag in rows], dtype=np.int32))


def session_word(frame: bytes) -> int:
    """The first four characters of a frame's session, as the echo compares them."""
    return int.from_bytes(frame[HEADER_BYTES : HEADER_BYTES + 4], "little")
