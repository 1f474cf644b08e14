"""The stream of one SoupBinTCP connection, whichever side reads it: packets out of bytes, signs of life in both directions.

Beside the corridor, sans I/O. Hard rule: a packet is believed once it is whole and has the length of its type; the first
one that cannot be ends the connection, with a reason, and nothing behind it is read.

    reason of a loss   length_zero   length_oversized   length_wrong   type_unknown   type_unexpected   field
                       silence   login_silence   login_refused   login_busy   session_other   ended   replaced   closed
"""

from typing import NamedTuple

from gateway import limits
from gateway.protocols.soupbintcp import CARRIERS, LENGTH_BYTES, MESSAGES


class Message(NamedTuple):
    """One message of the layer above; `sequence` is 0 in the direction that has none."""

    sequence: int
    payload: bytes


class Accepted(NamedTuple):
    """A login that was taken: the session, and the sequence of the message that comes next."""

    session: str
    sequence: int


class Said(NamedTuple):
    """A debug packet: for people."""

    text: bytes


class Lost(NamedTuple):
    """The connection is over; close the socket once what `output` still gives has left."""

    reason: str


Event = Message | Accepted | Said | Lost


class Stream:
    """Bytes and time of one connection. `expected` are the packet types the other side may send."""

    def __init__(self, expected: str, now_ns: int):
        self.expected = expected
        self.packets = 0
        self._held = b""
        self._out = bytearray()
        self._heard_ns = self._sent_ns = now_ns

    def cut(self, data: bytes, now_ns: int) -> tuple[list[bytes], str]:
        """(whole packets without their length words, why what follows them is refused or '')."""
        if data:
            self._heard_ns = now_ns
        self._held += data
        packets, offset, reason = [], 0, ""
        while not reason and len(self._held) - offset >= LENGTH_BYTES:
            length = int.from_bytes(self._held[offset : offset + LENGTH_BYTES], "big")
            reason = self._refusal(length, self._held[offset + LENGTH_BYTES : offset + LENGTH_BYTES + 1])
            if reason or len(self._held) - offset - LENGTH_BYTES < length:
                break
            packets.append(self._held[offset + LENGTH_BYTES : offset + LENGTH_BYTES + length])
            offset += LENGTH_BYTES + length
        self._held = self._held[offset:]
        self.packets += len(packets)
        return packets, reason

    def _refusal(self, length: int, kind: bytes) -> str:
        """What is wrong with a packet of which length and perhaps type are known."""
        if length == 0:
            return "length_zero"
        if length > limits.SESSION_PACKET_BYTES_MAX:
            return "length_oversized"
        if not kind:
            return ""
        message = MESSAGES.get(chr(kind[0]))
        if message is None:
            return "type_unknown"
        if message.type not in self.expected:
            return "type_unexpected"
        return "" if message.type in CARRIERS or length == message.size else "length_wrong"

    def say(self, packet: bytes, now_ns: int) -> None:
        """Puts a packet on its way."""
        self._out += packet
        self._sent_ns = now_ns

    def note_sent(self, now_ns: int) -> None:
        """Somebody else wrote to the socket: as good as a heartbeat."""
        self._sent_ns = now_ns

    def output(self) -> bytes:
        """The bytes to write, once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def owes_heartbeat(self, now_ns: int) -> bool:
        """Whether nothing was said for a heartbeat's time."""
        return now_ns - self._sent_ns >= limits.SESSION_HEARTBEAT_NS

    def is_silent(self, now_ns: int, timeout_ns: int = limits.SESSION_SILENT_NS) -> bool:
        """Whether nothing was heard for `timeout_ns`."""
        return now_ns - self._heard_ns >= timeout_ns
