"""Two nodes that have shaken hands, and frames of every kind of wrong: what the tests of the wire stand on."""

import random
import struct
from collections.abc import Callable
from typing import NamedTuple

from gateway.link.frames import noise, wire
from gateway.link.frames.datagram import DatagramOpener, DatagramSealer
from gateway.link.frames.frame_stream import FrameStream
from gateway.link.frames.handshake import Established, Initiator, Pairing, Responder, Statement
from gateway.link.frames.protection import Opener, Sealer
from gateway.link.frames.wire import Message, Refusal, Refused

HOUR = 500_000
NOW_NS = HOUR * 3600 * 10**9 + 10**12
FENCE = 7


def entropy_of(seed: int) -> Callable[[int], bytes]:
    """Random bytes that a seed repeats."""
    return random.Random(seed).randbytes


def secret_of(hour: int) -> bytes | None:
    """The secrets that both nodes know: of six hours."""
    return random.Random(hour).randbytes(32) if HOUR - 2 <= hour <= HOUR + 3 else None


def repeated(schema: int, body: memoryview, raw_bytes: int) -> bytes:
    """Stands in for the codec: a body unpacks to copies of itself; `schema` 666 is no body, 667 comes out short."""
    if schema == 666:
        raise ValueError("no body")
    copies = raw_bytes // max(1, len(body)) + 1
    return (bytes(body) * copies)[: raw_bytes - (schema == 667)]


PRIVATE_1, PRIVATE_2 = entropy_of(1)(32), entropy_of(2)(32)
PAIRING_1 = Pairing(1, PRIVATE_1, 2, noise.public_key(PRIVATE_2))
PAIRING_2 = Pairing(2, PRIVATE_2, 1, noise.public_key(PRIVATE_1))
LAYOUTS = 0x80706050
STATEMENT_1 = Statement(entropy_of(3)(16), FENCE, entropy_of(4)(16), tuple(range(1, 17)), entropy_of(5)(16), LAYOUTS)
STATEMENT_2 = Statement(entropy_of(4)(16), FENCE + 1, entropy_of(3)(16), tuple(range(101, 117)), layouts=LAYOUTS)


class Hands(NamedTuple):
    """Both ends of one handshake."""

    first: bytes
    second: bytes
    initiator: Established
    responder: Established


def shake(seed: int = 6, connection: int = wire.CONTROL) -> Hands:
    """A whole handshake between node 1 and node 2."""
    entropy = entropy_of(seed)
    initiator = Initiator(PAIRING_1, connection, STATEMENT_1, secret_of)
    first = initiator.first(NOW_NS, entropy)
    assert isinstance(first, bytes)
    answered = Responder(PAIRING_2, connection, STATEMENT_2, secret_of, 0).first(first, NOW_NS + 5, entropy)
    assert not isinstance(answered, Refused), answered
    second, established = answered
    done = initiator.second(second)
    assert isinstance(done, Established), done
    return Hands(first, second, done, established)


HANDS = shake()


def line(hands: Hands = HANDS) -> tuple[Sealer, FrameStream]:
    """Node 1's end and node 2's end of the direction from 1 to 2."""
    return sealer(hands), FrameStream(opener(hands))


def sealer(hands: Hands = HANDS) -> Sealer:
    """What node 1 sends with."""
    mine = hands.initiator
    return Sealer(1, wire.CONTROL, wire.TO_RESPONDER, mine.session_key, mine.hour, mine.secret)


def opener(hands: Hands = HANDS) -> Opener:
    """What node 2 receives with."""
    key, hour, secret = hands.responder.session_key, hands.responder.hour, hands.responder.secret
    return Opener(1, wire.CONTROL, wire.TO_RESPONDER, key, hour, secret, secret_of, repeated)


def datagram_line() -> tuple[DatagramSealer, DatagramOpener]:
    """The same over UDP."""
    mine, other = HANDS.initiator, HANDS.responder
    sending = DatagramSealer(1, wire.TO_RESPONDER, mine.session_key, mine.hour, mine.secret)
    key, hour, secret = other.session_key, other.hour, other.secret
    return sending, DatagramOpener(1, wire.TO_RESPONDER, key, hour, secret, secret_of, repeated)


def said(body: bytes = b"said", sequence: int = 1, **changed: int) -> Message:
    """A plain message on the control channel."""
    whole = Message(wire.Type.DATA, 0, 0, FENCE, sequence, NOW_NS, 0, 0, len(body), body)
    return whole._replace(**changed)


def drained(stream: FrameStream) -> list:
    """Everything that a stream has now."""
    found = []
    while (item := stream.next()) is not None:
        found.append(item)
    return found


def header_changed(frame: bytes, **fields: int) -> bytes:
    """Header fields set and the header's CRC made good; the outer CRC still is."""
    names = ["magic", "version", "flags", "type", "channel", "source", "key_epoch", "fence", "record", "length"]
    values = dict(zip(names, wire.HEAD.unpack_from(frame), strict=True)) | fields
    head = wire.HEAD.pack(*values.values())
    return head + wire.CRC.pack(wire.crc32c(head)) + frame[wire.HEADER_BYTES :]


def outer_repaired(frame: bytes) -> bytes:
    """Both outer CRCs made good: what only an attacker does."""
    head, sealed = frame[: wire.ASSOCIATED_BYTES], frame[wire.HEADER_BYTES : -wire.CRC_BYTES]
    return head + struct.pack("<I", wire.crc32c(head)) + sealed + struct.pack("<I", wire.crc32(sealed))


def bit_flipped(data: bytes, bit: int) -> bytes:
    """One bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def counted(counters: list[int]) -> dict[str, int]:
    """Counters that are not zero, by word."""
    return {Refusal(index).word: count for index, count in enumerate(counters) if count}
