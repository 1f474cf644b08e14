"""ITCH 5.0 and OUCH 5.0 for `gateway decode`: MoldUDP64 packets, SoupBinTCP streams.

Hard rule: a damaged packet gives the messages in front of the damage, and its reason.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from gateway.cli.decoded_feed import Decoded, Feed
from gateway.protocols import itch50, moldudp64, ouch50, soupbintcp
from gateway.protocols.headers import Carried
from gateway.protocols.message import Refused
from gateway.protocols.tcp import Stream


class Itch50(Feed):
    """TotalView-ITCH 5.0 in MoldUDP64 packets."""

    def decode_udp(self, payload: bytes) -> Iterator[Decoded]:
        """A damaged packet gives the messages in front of the damage."""
        packet, refusal = moldudp64.decode_prefix(payload)
        yield from self.decode_moldudp64(packet, itch50.decode)
        if refusal is not None:
            raise refusal


def decode_report(message: bytes) -> dict[str, Any]:
    """A message from the venue."""
    return ouch50.decode(message, ouch50.OUTBOUND)


def decode_request(message: bytes) -> dict[str, Any]:
    """A message to the venue."""
    return ouch50.decode(message, ouch50.INBOUND)


class Ouch50(Feed):
    """OUCH 5.0 in SoupBinTCP streams, or on UDP: one order a datagram, reports in MoldUDP64 packets."""

    def __init__(self) -> None:
        super().__init__()
        self.flows: dict[tuple[int, int, int, int], Flow] = {}

    def decode_udp(self, payload: bytes) -> Iterator[Decoded]:
        """A payload that is a whole MoldUDP64 packet comes from the venue, any other goes to it."""
        try:
            packet = moldudp64.decode(payload)
        except Refused:
            yield from self.decode_message(None, payload, decode_request)
        else:
            yield from self.decode_moldudp64(packet, decode_report)

    def decode_tcp(self, carried: Carried) -> Iterator[Decoded]:
        """Unsequenced data goes to the venue, sequenced data comes from it."""
        flow = self.flows.setdefault(carried.flow, Flow())
        if not carried.payload:
            self.passed_over["no_payload"] += 1
        for packet in flow.packets(carried, self.passed_over):
            kind = chr(packet[0])
            if kind == soupbintcp.UNSEQUENCED:
                yield from self.decode_message(None, packet[1:], decode_request)
            elif kind == soupbintcp.SEQUENCED:
                yield from self.decode_message(flow.sequence, packet[1:], decode_report)
                flow.sequence = None if flow.sequence is None else flow.sequence + 1
            else:
                self.note_session_packet(flow, packet)

    def note_session_packet(self, flow: "Flow", packet: bytes) -> None:
        """A packet of the session itself: the login tells the number of the next sequenced message."""
        session = soupbintcp.decode(packet)
        if chr(packet[0]) == soupbintcp.LOGIN_ACCEPTED:
            flow.sequence = session["sequence_number"]
        name = "heartbeat" if chr(packet[0]) in soupbintcp.HEARTBEATS else session["message"]
        self.passed_over[name.lower().replace(" ", "_")] += 1

    def finish(self) -> None:
        """Counts streams that ended inside a packet or behind a segment that was never recorded."""
        unfinished = sum(bool(flow.rest) or flow.stream.finish() for flow in self.flows.values())
        if unfinished:
            self.passed_over["stream_unfinished"] += unfinished


class Flow:
    """One direction of a TCP connection that carries SoupBinTCP."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.rest = b""
        self.sequence: int | None = None  # of the next sequenced message; unknown before a login was seen

    def packets(self, carried: Carried, passed_over: Counter[str]) -> list[bytes]:
        """The packets that this segment completes. After a loss the stream is taken up at the next segment."""
        ready, lost = self.stream.accept(carried.sequence, carried.begins, carried.payload)
        if lost:
            passed_over["stream_gap"] += 1
            self.rest = b""
            self.sequence = None
        try:
            packets, self.rest = soupbintcp.split(self.rest + ready)
        except Refused:
            self.rest = b""
            raise
        return packets
