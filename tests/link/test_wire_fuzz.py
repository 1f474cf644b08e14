"""Bytes of every kind into the frame parser, the datagram opener and both handshake messages: no crash, bounded memory.

A failure prints its seed; the seed alone repeats it.
"""

import random
import resource
from pathlib import Path

import pytest

from gateway.link.frames import wire
from gateway.link.frames.handshake import Established, Initiator, Responder
from gateway.link.frames.wire import Refusal, Refused, Stale
from tests.link import wire_desk as desk

RSS_BYTES_MAX = 32 << 20  # that the process may grow by while it reads 100 MB of hostile bytes


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Mutator:
    """Wrong frames of one seed: flips with and without repaired CRCs, cuts, repeats, noise, headers that promise much."""

    def __init__(self, seed: int):
        self.draw = random.Random(seed)
        self.sealer = desk.sealer()
        self.kinds = [
            self.good,
            self.good,
            self.flipped,
            self.repaired,
            self.cut,
            self.noise,
            self.promise,
            self.field,
            self.epoch,
        ]

    def good(self) -> bytes:
        return self.sealer.seal(desk.said(self.draw.randbytes(self.draw.randrange(300)), sequence=self.draw.getrandbits(64)))

    def flipped(self) -> bytes:
        frame = self.good()
        return desk.bit_flipped(frame, self.draw.randrange(len(frame) * 8))

    def repaired(self) -> bytes:
        return desk.outer_repaired(self.flipped())

    def cut(self) -> bytes:
        frame = self.good()
        return frame[: self.draw.randrange(len(frame))]

    def noise(self) -> bytes:
        return self.draw.randbytes(self.draw.randrange(1, 200))

    def promise(self) -> bytes:
        return desk.header_changed(
            self.good(), length=self.draw.choice((44, 45, 1 << 19, 1 << 20, (1 << 20) + 1, 2**32 - 1))
        )

    def field(self) -> bytes:
        sizes = {"flags": 8, "type": 8, "channel": 8, "source": 16, "key_epoch": 32, "fence": 32, "record": 64, "length": 32}
        name = self.draw.choice(list(sizes))
        return desk.header_changed(self.good(), **{name: self.draw.getrandbits(sizes[name])})

    def epoch(self) -> bytes:
        hour = self.sealer.hour
        return self.sealer.rekey(hour, desk.secret_of(hour), desk.NOW_NS, desk.FENCE)


@pytest.mark.parametrize("seed", range(300))
def test_any_bytes_into_the_frame_parser_end_in_a_counted_reason(seed: int):
    mutator = Mutator(seed)
    stream = desk.line()[1]
    for _ in range(mutator.draw.randrange(1, 40)):
        data = mutator.draw.choice(mutator.kinds)()
        while data:
            size = mutator.draw.choice((1, 32, 100, 5000))
            stream.feed(data[:size])
            data = data[size:]
            items = desk.drained(stream)
            assert stream.buffered_bytes <= wire.FRAME_BYTES_MAX
            assert (stream.refused is not None) == any(isinstance(item, Refused) for item in items) or not items
    survived = (Refusal.OUTER_CRC, Refusal.FENCE)
    refusals = [count for reason, count in enumerate(stream.counters) if reason not in survived]
    assert sum(refusals) == (stream.refused is not None)


def test_a_promise_of_much_that_drips_holds_one_frame_and_no_more():
    frame = desk.header_changed(desk.sealer().seal(desk.said()), length=1 << 20)
    for size in (1, 1000, 65536):
        stream = desk.line()[1]
        stream.feed(frame[:32])
        for _ in range(min(20_000, (1 << 20) // size)):
            stream.feed(bytes(size))
            assert stream.next() is None
            assert stream.buffered_bytes <= wire.FRAME_BYTES_MAX


def test_a_hundred_megabytes_of_hostile_bytes_grow_the_process_by_no_more_than_its_bound():
    draw, before, most, read = random.Random(0), resident_bytes(), 0, 0
    while read < 100 << 20:
        stream = desk.line()[1]
        data = desk.header_changed(desk.sealer().seal(desk.said()), length=draw.choice((1 << 20, 1 << 19, 70000)))
        data += bytes(1 << 20)
        for begin in range(0, len(data), 1 << 18):
            stream.feed(data[begin : begin + (1 << 18)])
            desk.drained(stream)
            most = max(most, resident_bytes())
        assert any(stream.counters)
        read += len(data)
    assert most - before < RSS_BYTES_MAX


@pytest.mark.parametrize("seed", range(100))
def test_any_datagram_is_taken_or_counted(seed: int):
    mutator = Mutator(seed)
    sealer, opener = desk.datagram_line()
    good = 0
    for _ in range(40):
        mutator.sealer = sealer
        mutator.kinds = [kind for kind in mutator.kinds if kind != mutator.epoch]
        found = opener.open(mutator.draw.choice(mutator.kinds)())
        good += isinstance(found, wire.Message | Stale)
    assert good + sum(opener.counters) == 40


def handshake_noise(draw: random.Random, data: bytes) -> bytes:
    """A handshake message made wrong, its CRC mostly good."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 30))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    kind = draw.randrange(5)
    if kind == 0:
        return bytes(changed[: draw.randrange(len(changed))])
    if kind == 1:
        return draw.randbytes(draw.choice((0, 15, 16, 259, 260, 261, 5000)))
    if kind == 2:
        changed = bytearray(data[:16] + draw.randbytes(240) + data[-4:])
    return bytes(changed[:-4]) + wire.CRC.pack(wire.crc32(bytes(changed[:-4])))


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_as_handshake_messages_are_refused_with_a_reason(seed: int):
    draw = random.Random(seed)
    for _ in range(25):
        data = handshake_noise(draw, desk.HANDS.first)
        if data != desk.HANDS.first:
            responder = Responder(desk.PAIRING_2, wire.CONTROL, desk.STATEMENT_2, desk.secret_of, 0)
            assert isinstance(responder.first(data, desk.NOW_NS, desk.entropy_of(1)), Refused)
        data = handshake_noise(draw, desk.HANDS.second)
        initiator = Initiator(desk.PAIRING_1, wire.CONTROL, desk.STATEMENT_1, desk.secret_of)
        initiator.first(desk.NOW_NS, desk.entropy_of(6))
        found = initiator.second(data)
        assert isinstance(found, Refused if data != desk.HANDS.second else Established)
