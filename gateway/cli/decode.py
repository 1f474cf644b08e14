"""`gateway decode FILE --feed NAME`: every message of a recording as one JSON object a line.

    {"frame": 1, "sequence": 14764496, "message": "Order Delete", "stock_locate": 2737, …}

`frame` counts the frames of the file from 1. Prices are exact decimal text ("87.3900"), never floating point; text has
lost its padding. Hard rule: stdout carries messages only; what was passed over is counted by reason on stderr.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.cli.output import print_note, progress
from gateway.errors import EXIT_DONE, GatewayError
from gateway.ops.replay import port_of
from gateway.port import Frame, Port, open_port
from gateway.protocols import itch50, moldudp64, ouch50, soupbintcp
from gateway.protocols.headers import PROTOCOL_UDP, Carried, carried_by
from gateway.protocols.message import Refused
from gateway.protocols.tcp import Stream

HELP = "print every message of a recording as JSON Lines"
FLAG_CHECKSUM_UNREADY = 1  # enum frame_flag

# A message with its sequence number, None where the transport has none.
Decoded = tuple[int | None, dict[str, Any]]


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="pcap, pcapng, or a file of length-prefixed messages")
    parser.add_argument("--feed", required=True, choices=sorted(FEEDS), help="protocol of the recording")
    parser.add_argument("--json", action="store_true", help="accepted everywhere data is printed; here it is the only form")


def run(arguments: argparse.Namespace) -> int:
    """Decodes the file; exit code 5 when the file is not readable to its end, after printing what could be read."""
    feed = FEEDS[arguments.feed]()
    with open_port(port_of(arguments.file)) as port:
        frames = print_messages(port, feed, arguments.file.name)
        damaged = port.statistics()["receive_errors"]
    feed.finish()
    text = summary(frames, feed)
    if damaged:
        raise GatewayError(f"{arguments.file}: damaged behind frame {frames}, the rest cannot be read ({text})")
    print_note(f"gateway decode: {text}")
    return EXIT_DONE


def print_messages(port: Port, feed: "Feed", name: str) -> int:
    """Prints every message; returns the frames read."""
    number = 0
    to_json = json.JSONEncoder().encode
    with progress(f"decoding {name}, frames") as update:
        while (burst := port.receive()) is not None:
            lines = []
            for frame in burst:
                number += 1
                for sequence, message in feed.decode_frame(frame):
                    lines.append(to_json({"frame": number, "sequence": sequence, **message}) + "\n")
            sys.stdout.write("".join(lines))
            update(number)
    return number


def summary(frames: int, feed: "Feed") -> str:
    """One line: how much was decoded, and what was passed over, by reason."""
    passed_over = ", ".join(f"{reason} {count:,}" for reason, count in sorted(feed.passed_over.items()))
    return f"{frames:,} frames, {feed.messages:,} messages" + (f"; passed over: {passed_over}" if passed_over else "")


class Feed:
    """A protocol on its transports. `passed_over` counts by reason whatever did not become a message."""

    def __init__(self) -> None:
        self.messages = 0
        self.passed_over: Counter[str] = Counter()

    def decode_frame(self, frame: Frame) -> Iterator[Decoded]:
        """The messages of one frame."""
        try:
            carried = carried_by(frame.data, bool(frame.flags & FLAG_CHECKSUM_UNREADY))
            yield from self.decode_udp(carried.payload) if carried.protocol == PROTOCOL_UDP else self.decode_tcp(carried)
        except Refused as refusal:
            self.passed_over[refusal.reason] += 1

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


FEEDS: dict[str, type[Feed]] = {"itch50": Itch50, "ouch50": Ouch50}
