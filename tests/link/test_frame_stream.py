"""Frames over TCP: whole messages out of any pieces, every refusal in its turn, damage that does not end the line."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.errors import LinkError
from gateway.link.frames import bodies, wire
from gateway.link.frames.protection import Sealer
from gateway.link.frames.wire import Damaged, Flag, Message, Refusal, Refused, Stale, Type
from tests.link import wire_desk as desk

KINDS = sorted(set(Type) - {Type.EPOCH})


@st.composite
def messages(draw) -> Message:
    """Any message that a peer may send, its body raw."""
    body = draw(st.binary(max_size=2000))
    numbers = st.integers(0, 2**64 - 1)
    flags = draw(st.integers(0, 31)) & ~Flag.COMPRESSED
    head = (draw(st.sampled_from(KINDS)), draw(st.integers(0, 15)), flags, draw(st.just(desk.FENCE)))
    tail = (draw(numbers), draw(numbers), draw(st.integers(0, 65535)), draw(st.integers(0, 65535)), len(body), body)
    return Message(*map(int, head), *tail)


@settings(max_examples=120, deadline=None)
@given(st.lists(messages(), max_size=12), st.integers(0, 2**32), st.integers(0, 12))
def test_what_was_sealed_comes_out_whole_whatever_the_pieces(said: list[Message], seed: int, rekey_at: int):
    sealer, stream = desk.line()
    data = b""
    for index, message in enumerate(said):
        if index == rekey_at:
            data += sealer.rekey(desk.HOUR + 1, desk.secret_of(desk.HOUR + 1), desk.NOW_NS, desk.FENCE)
        data += sealer.seal(message)
    found, draw = [], random.Random(seed)
    while data:
        size = draw.choice((1, 31, 32, 100, 3000))
        stream.feed(memoryview(data)[:size] if draw.random() < 0.5 else data[:size])
        data = data[size:]
        found += desk.drained(stream)
    assert found == said
    assert stream.buffered_bytes == 0 and not any(stream.counters)


def test_the_longest_frame_passes_and_a_longer_one_is_never_sealed():
    sealer, stream = desk.line()
    longest = desk.said(bytes(wire.BODY_BYTES_MAX))
    data = sealer.seal(longest)
    assert len(data) == wire.FRAME_BYTES_MAX
    for begin in range(0, len(data), 65536):
        stream.feed(data[begin : begin + 65536])
    assert desk.drained(stream) == [longest]
    with pytest.raises(LinkError):
        sealer.seal(desk.said(bytes(wire.BODY_BYTES_MAX + 1)))


def rebuilt(frame: bytes, **fields: int) -> bytes:
    """Header fields set, every CRC good, the tag not."""
    return desk.outer_repaired(desk.header_changed(frame, **fields))


def sealed_inside(message: Message, body_crc: int | None = None) -> bytes:
    """A frame of somebody who has the key and lies inside."""
    return desk.sealer().seal(message, wire.crc32(message.body) if body_crc is None else body_crc)


PLAIN = desk.sealer().seal(desk.said())
COMPRESSED = int(Flag.COMPRESSED)
REFUSED = {
    Refusal.LENGTH: desk.header_changed(PLAIN, length=limits.LINK_CIPHERTEXT_BYTES_MAX + 1),
    Refusal.HEADER_CRC: desk.bit_flipped(PLAIN, 28 * 8),
    Refusal.MAGIC: rebuilt(PLAIN, magic=0x4C46),
    Refusal.VERSION: rebuilt(PLAIN, version=2),
    Refusal.FLAGS: rebuilt(PLAIN, flags=32),
    Refusal.TYPE: rebuilt(PLAIN, type=11),
    Refusal.CHANNEL: rebuilt(PLAIN, channel=16),
    Refusal.SOURCE: rebuilt(PLAIN, source=3),
    Refusal.EPOCH: rebuilt(PLAIN, key_epoch=2),
    Refusal.RECORD: rebuilt(PLAIN, record=1),
    Refusal.TAG: rebuilt(PLAIN, fence=desk.FENCE + 1),
    Refusal.RAW_LENGTH: sealed_inside(desk.said(raw_bytes=5)),
    Refusal.UNPACK: sealed_inside(desk.said(flags=COMPRESSED, schema=666)),
    Refusal.INNER_CRC: sealed_inside(desk.said(), body_crc=1),
    Refusal.BODY: sealed_inside(desk.said(bodies.pack_epoch(bodies.NextEpoch(3, desk.HOUR)), type=Type.EPOCH)),
    Refusal.NO_SECRET: sealed_inside(desk.said(bodies.pack_epoch(bodies.NextEpoch(2, 1)), type=Type.EPOCH)),
}


@pytest.mark.parametrize("reason", REFUSED, ids=lambda reason: reason.word)
def test_each_refusal_has_its_word_and_its_counter_and_ends_the_stream(reason: Refusal):
    stream = desk.line()[1]
    stream.feed(REFUSED[reason] + PLAIN)
    assert desk.drained(stream) == [Refused(reason)]
    assert desk.counted(stream.counters) == {reason.word: 1}
    stream.feed(PLAIN)
    assert stream.next() is None and stream.buffered_bytes == 0 and stream.refused is reason


@pytest.mark.parametrize(
    "frame",
    [
        sealed_inside(desk.said(raw_bytes=3)),
        sealed_inside(desk.said(flags=COMPRESSED, raw_bytes=4 * 255 + 1)),
        sealed_inside(desk.said(bytes(8192), flags=COMPRESSED, raw_bytes=limits.LINK_RAW_BYTES_MAX + 1)),
        sealed_inside(desk.said(flags=COMPRESSED, raw_bytes=2**32 - 1)),
    ],
    ids=("shorter than it is", "beyond the ratio", "beyond the bound", "four gigabytes"),
)
def test_a_raw_length_that_lies_is_refused_before_anything_is_unpacked(frame: bytes):
    stream = desk.line()[1]
    stream.feed(frame)
    assert desk.drained(stream) == [Refused(Refusal.RAW_LENGTH)]


def test_a_body_that_unpacks_to_another_length_is_refused():
    stream = desk.line()[1]
    stream.feed(sealed_inside(desk.said(flags=COMPRESSED, schema=667, raw_bytes=100)))
    assert desk.drained(stream) == [Refused(Refusal.UNPACK)]


def test_a_compressed_body_comes_out_unpacked_and_its_crc_is_that_of_the_unpacked_body():
    sealer, stream = desk.line()
    packed = desk.said(b"ab", flags=COMPRESSED, raw_bytes=6)
    stream.feed(sealer.seal(packed, wire.crc32(b"ababab")))
    assert desk.drained(stream) == [packed._replace(body=b"ababab")]
    with pytest.raises(LinkError):
        sealer.seal(packed)


# in the order of checks; each fault is laid over all that come later, and must be the one that is named
FAULTS = (
    (Refusal.LENGTH, lambda frame: frame[:24] + bytes(4) + frame[28:]),
    (Refusal.HEADER_CRC, lambda frame: desk.bit_flipped(frame, 28 * 8)),
    (Refusal.MAGIC, lambda frame: desk.header_changed(frame, magic=1)),
    (Refusal.VERSION, lambda frame: desk.header_changed(frame, version=2)),
    (Refusal.FLAGS, lambda frame: desk.header_changed(frame, flags=128)),
    (Refusal.TYPE, lambda frame: desk.header_changed(frame, type=0)),
    (Refusal.CHANNEL, lambda frame: desk.header_changed(frame, channel=255)),
    (Refusal.SOURCE, lambda frame: desk.header_changed(frame, source=9)),
    (Refusal.EPOCH, lambda frame: desk.header_changed(frame, key_epoch=0)),
    (Refusal.RECORD, lambda frame: desk.header_changed(frame, record=7)),
    (Refusal.OUTER_CRC, lambda frame: desk.bit_flipped(frame, len(frame) * 8 - 1)),
    (Refusal.TAG, lambda frame: desk.outer_repaired(desk.bit_flipped(frame, 40 * 8))),
)


@pytest.mark.parametrize("index", range(len(FAULTS)))
def test_checks_happen_in_their_order(index: int):
    frame = sealed_inside(desk.said(raw_bytes=99), body_crc=1)
    for _, fault in reversed(FAULTS[index:]):
        frame = fault(frame)
    stream = desk.line()[1]
    stream.feed(frame)
    stream.next()
    assert desk.counted(stream.counters) == {FAULTS[index][0].word: 1}


def test_fence_comes_before_raw_length_and_raw_length_before_the_inner_crc():
    for fence, wanted in ((8, "fence"), (7, "raw_length")):
        stream = desk.line()[1]
        stream.opener.fence = fence
        stream.feed(sealed_inside(desk.said(raw_bytes=99), body_crc=1))
        stream.next()
        assert desk.counted(stream.counters) == {wanted: 1}


def test_a_frame_of_an_older_fence_is_dropped_with_its_sequence_and_the_line_goes_on():
    sealer, stream = desk.line()
    stream.feed(sealer.seal(desk.said(sequence=1, fence=9)) + sealer.seal(desk.said(sequence=2, channel=3)))
    stream.feed(sealer.seal(desk.said(sequence=2, fence=9)))
    assert [type(item) for item in desk.drained(stream)] == [Message, Stale, Message]
    assert stream.opener.fence == 9 and desk.counted(stream.counters) == {"fence": 1}


def test_a_damaged_frame_is_dropped_and_the_next_one_opens():
    sealer, stream = desk.line()
    first, second, third = (sealer.seal(desk.said(sequence=index, channel=2)) for index in range(3))
    for bit in random.Random(1).sample(range(32 * 8, len(second) * 8), 50):
        stream = desk.line()[1]
        stream.feed(first + desk.bit_flipped(second, bit) + third)
        found = desk.drained(stream)
        assert found[1] == Damaged(2, 1, Type.DATA) and found[2].sequence == 2
        assert desk.counted(stream.counters) == {"outer_crc": 1} and stream.refused is None


def test_every_bit_of_the_ciphertext_with_repaired_crcs_is_refused_by_its_tag():
    frame = desk.sealer().seal(desk.said(bytes(range(64))))
    for bit in range(32 * 8, (len(frame) - 4) * 8):
        stream = desk.line()[1]
        stream.feed(desk.outer_repaired(desk.bit_flipped(frame, bit)))
        assert stream.next() == Refused(Refusal.TAG), bit


def test_every_bit_of_the_header_is_refused_with_repaired_crcs_and_without():
    frame = desk.sealer().seal(desk.said(bytes(range(64))))
    tags = 0
    for bit in range(32 * 8):
        stream = desk.line()[1]
        stream.feed(desk.bit_flipped(frame, bit))
        assert stream.next() in (Refused(Refusal.HEADER_CRC), Refused(Refusal.LENGTH)), bit
        if bit < 28 * 8:
            stream = desk.line()[1]
            stream.feed(desk.outer_repaired(desk.bit_flipped(frame, bit)) + frame)
            item = stream.next()
            assert isinstance(item, Refused | Damaged | None), bit  # None: it claims more than came
            tags += item == Refused(Refusal.TAG)
    assert tags >= 5 + 32 + 4 + 2, "flags, fence, types and channels that exist are caught by nothing but the tag"


def test_a_frame_that_is_sent_twice_is_refused_by_its_record_number():
    sealer, stream = desk.line()
    frame = sealer.seal(desk.said())
    stream.feed(frame + frame)
    assert [type(item) for item in desk.drained(stream)] == [Message, Refused]
    assert stream.refused is Refusal.RECORD


def test_frames_of_another_session_connection_or_direction_are_refused_by_their_tag():
    other = desk.shake(seed=77)
    mine = desk.HANDS.initiator
    strange = [desk.sealer(other)]
    strange += [
        Sealer(1, place[0], place[1], mine.session_key, mine.hour, mine.secret) for place in ((0, 1), (1, 0), (2, 0))
    ]
    strange += [Sealer(1, 0, 0, mine.session_key, mine.hour + 1, mine.secret)]
    for sealer in strange:
        stream = desk.line()[1]
        stream.feed(sealer.seal(desk.said()))
        assert stream.next() == Refused(Refusal.TAG)


def test_a_worn_key_seals_and_opens_nothing_more():
    sealer, stream = desk.line()
    sealer.frames_in_epoch = limits.LINK_REKEY_FRAMES_HARD - 1
    stream.opener.frames_in_epoch = limits.LINK_REKEY_FRAMES_HARD - 1
    stream.feed(sealer.seal(desk.said()))
    assert isinstance(stream.next(), Message)
    with pytest.raises(LinkError):
        sealer.seal(desk.said())
    sealer.frames_in_epoch = 0
    stream.feed(sealer.seal(desk.said()))
    assert stream.next() == Refused(Refusal.KEY_WORN)


def test_a_stream_that_is_fed_without_being_read_says_so():
    stream = desk.line()[1]
    stream.feed(bytes(1 << 20))
    stream.feed(bytes(1 << 20))
    with pytest.raises(LinkError):
        stream.feed(b"more")
    with pytest.raises(LinkError):
        desk.line()[1].feed(bytes((1 << 20) + 1))
