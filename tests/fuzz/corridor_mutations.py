"""Seeded damage to a synthetic day: every way a frame, a packet, a message or an order of frames can be wrong."""

import random
from collections.abc import Callable, Iterator

from gateway.limits import FRAME_BYTES_MAX
from gateway.protocols import moldudp64, udp
from gateway.protocols.headers import carried_by

PAD = 60


def wrapped(payload: bytes, **options) -> bytes:
    """A frame with right lengths and checksums around any payload."""
    return udp.frame(payload, destination="239.192.1.1", destination_port=31001, **options)


def sealed(frame: bytearray) -> bytes:
    """The IP checksum made good after the header was changed."""
    frame[24:26] = b"\0\0"
    frame[24:26] = udp.checksum(bytes(frame[14:34])).to_bytes(2, "big")
    return bytes(frame)


class Mutator:
    """Draws one kind of damage for one frame in `1 / share`; the others stay as they are."""

    def __init__(self, seed: int, share: float):
        self.random, self.share = random.Random(seed), share
        names = "flip flip_payload truncate extend extend_payload noise tag fragment no_checksum header session "
        names += "block_length kind insert oversize"
        # these may claim thousands of messages, and what follows is then taken for seen
        seldom = "truncate_payload noise_payload count sequence end crowd"
        kinds = 8 * names.split() + seldom.split()
        self.kinds: list[Callable[[bytes], bytes]] = [getattr(self, name) for name in kinds]

    def frames(self, day: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """The day with damaged, lost, late and repeated frames; times stay in order."""
        held: list[bytes] = []
        for time_ns, frame in day:
            roll = self.random.random()
            if roll < self.share / 4:
                continue
            if roll < self.share / 2:
                held.append(frame)
                continue
            yield time_ns, self.random.choice(self.kinds)(frame) if roll > 1 - self.share else frame
            if held and self.random.random() < 0.3:
                yield time_ns, held.pop(self.random.randrange(len(held)))
            if self.random.random() < self.share / 4:
                yield time_ns, frame

    def _flipped(self, data: bytes) -> bytes:
        rows = bytearray(data)
        for _ in range(self.random.choice([1, 1, 1, 2, 8])):
            rows[self.random.randrange(len(rows))] = self.random.choice([0, 255, self.random.randrange(256)])
        return bytes(rows)

    def flip(self, frame: bytes) -> bytes:
        return self._flipped(frame)

    def flip_payload(self, frame: bytes) -> bytes:
        """A wrong byte that every checksum vouches for."""
        return wrapped(self._flipped(carried_by(frame).payload))

    def truncate(self, frame: bytes) -> bytes:
        return frame[: self.random.randrange(len(frame))]

    def truncate_payload(self, frame: bytes) -> bytes:
        payload = carried_by(frame).payload
        return wrapped(payload[: self.random.randrange(len(payload))])

    def extend(self, frame: bytes) -> bytes:
        """Padding or a trailer behind the datagram: no damage at all."""
        return frame + self.random.randbytes(self.random.randrange(1, PAD))

    def extend_payload(self, frame: bytes) -> bytes:
        return wrapped(carried_by(frame).payload + self.random.randbytes(self.random.randrange(1, PAD)))

    def noise(self, frame: bytes) -> bytes:
        return self.random.randbytes(self.random.randrange(1, 200))

    def noise_payload(self, frame: bytes) -> bytes:
        """Random messages under a header that is believed."""
        return wrapped(carried_by(frame).payload[:20] + self.random.randbytes(self.random.randrange(200)))

    def tag(self, frame: bytes) -> bytes:
        kinds = self.random.choices([0x8100, 0x88A8], k=self.random.choice([1, 2, 3]))
        tags = b"".join(kind.to_bytes(2, "big") + self.random.randbytes(2) for kind in kinds)
        return frame[:12] + tags + frame[12:]

    def fragment(self, frame: bytes) -> bytes:
        rows = bytearray(frame)
        rows[20:22] = self.random.choice([0x2000, 0x2001, 0x0001, 0x4000]).to_bytes(2, "big")
        return sealed(rows)

    def no_checksum(self, frame: bytes) -> bytes:
        """IP or UDP checksum absent: taken on trust, and true here."""
        rows = bytearray(frame)
        at = self.random.choice([24, 40])
        rows[at : at + 2] = b"\0\0"
        return bytes(rows)

    def header(self, frame: bytes) -> bytes:
        """One odd byte of the IP or UDP header."""
        rows = bytearray(frame)
        rows[self.random.choice([14, 16, 17, 23, 38, 39])] = self.random.randrange(256)
        return sealed(rows)

    def _header(self, frame: bytes, at: int, word: bytes) -> bytes:
        payload = carried_by(frame).payload
        return wrapped(payload[:at] + word + payload[at + len(word) :])

    def count(self, frame: bytes) -> bytes:
        word = self.random.choice([0, 1, 2, 40, 511, 512, 513, 0x7FFF, 0xFFFE])
        return self._header(frame, 18, word.to_bytes(2, "big"))

    def sequence(self, frame: bytes) -> bytes:
        true = int.from_bytes(carried_by(frame).payload[10:18], "big")
        near = true + self.random.randrange(-300, 300)
        far = [0, 1, 1 << 62, (1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, true + (1 << 41)]
        word = self.random.choice([near] * 6 + far)
        return self._header(frame, 10, (word % (1 << 64)).to_bytes(8, "big"))

    def session(self, frame: bytes) -> bytes:
        return self._header(frame, self.random.randrange(10), self.random.randbytes(1))

    def _with_block(self, frame: bytes, change: Callable[[bytes], bytes]) -> bytes:
        packet = moldudp64.decode(carried_by(frame).payload)
        blocks = list(packet.messages)
        if not blocks:
            return self.flip_payload(frame)
        at = self.random.randrange(len(blocks))
        blocks[at] = change(blocks[at])
        return wrapped(moldudp64.encode(packet.session, packet.sequence, blocks))

    def block_length(self, frame: bytes) -> bytes:
        """A whole block of the wrong length for its type."""
        extra = self.random.randbytes(9)
        return self._with_block(frame, lambda block: (block + extra)[: self.random.randrange(len(block) + 9)])

    def kind(self, frame: bytes) -> bytes:
        return self._with_block(frame, lambda block: self.random.randbytes(1) + block[1:])

    def insert(self, frame: bytes) -> bytes:
        """The same message about another order, instrument or price."""
        return self._with_block(frame, lambda block: block[:1] + self._flipped(block[1:]))

    def oversize(self, frame: bytes) -> bytes:
        room = FRAME_BYTES_MAX - len(frame)
        return frame + bytes(self.random.choice([room, room + 1, 7000]))

    def end(self, frame: bytes) -> bytes:
        """A heartbeat that tells of what is still to come, seldom an early end of the session."""
        over = self.random.random() < 0.02
        return wrapped(carried_by(frame).payload[:18] + (b"\xff\xff" if over else b"\0\0"))

    def crowd(self, frame: bytes) -> bytes:
        """More blocks than one packet should hold, all of them empty."""
        packet = moldudp64.decode(carried_by(frame).payload)
        return wrapped(moldudp64.encode(packet.session, packet.sequence, [b""] * self.random.randrange(400, 900)))
