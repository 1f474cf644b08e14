"""What `gateway decode` does with the frames of any feed: a message, or a reason counted.

A kind of feed is a file beside this one, `decoded_KIND.py`, with a `Feed` of its own. Hard rule: nothing here prints.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from gateway.port import Frame
from gateway.protocols import moldudp64
from gateway.protocols.headers import PROTOCOL_UDP, Carried, carried_by
from gateway.protocols.message import Refused

FLAG_CHECKSUM_UNREADY = 1  # enum frame_flag

# A message with its sequence number, None where the transport has none.
Decoded = tuple[int | None, dict[str, Any]]


class Feed:
    """A protocol on its transports. `passed_over` counts by reason whatever did not become a message."""

    def __init__(self) -> None:
        self.messages = 0
        self.passed_over: Counter[str] = Counter()

    def decode_frame(self, frame: Frame) -> Iterator[Decoded]:
        """The messages of one frame."""
        try:
            carried = carried_by(frame.data, bool(frame.flags & FLAG_CHECKSUM_UNREADY))
            yield from self.decode_datagram(carried) if carried.protocol == PROTOCOL_UDP else self.decode_tcp(carried)
        except Refused as refusal:
            self.passed_over[refusal.reason] += 1

    def decode_datagram(self, carried: Carried) -> Iterator[Decoded]:
        """The messages of a datagram; for feeds that look at its addresses."""
        yield from self.decode_udp(carried.payload)

    def decode_udp(self, payload: bytes) -> Iterator[Decoded]:
        """The messages of a UDP payload."""
        raise NotImplementedError

    def decode_tcp(self, carried: Carried) -> Iterator[Decoded]:
        """The messages of a TCP segment; none for a feed that has no TCP."""
        raise Refused("not_udp", "a TCP segment")

    def finish(self) -> None:
        """Counts what was still incomplete at the end of the recording."""

    def decode_moldudp64(self, packet: moldudp64.Packet, decode: Callable[[bytes], dict[str, Any]]) -> Iterator[Decoded]:
        """The messages of a packet, numbered; heartbeats and the end of the session are counted."""
        if packet.count == moldudp64.HEARTBEAT:
            self.passed_over["heartbeat"] += 1
        if packet.count == moldudp64.END_OF_SESSION:
            self.passed_over["end_of_session"] += 1
        for number, message in enumerate(packet.messages, start=packet.sequence):
            yield from self.decode_message(number, message, decode)

    def decode_message(
        self, sequence: int | None, message: bytes, decode: Callable[[bytes], dict[str, Any]]
    ) -> Iterator[Decoded]:
        """One message, or its refusal counted."""
        try:
            yield sequence, decode(message)
            self.messages += 1
        except Refused as refusal:
            self.passed_over[refusal.reason] += 1
