"""Bodies of the link's own frames: what is packed is read, and nothing else is."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.link.frames import bodies
from gateway.link.peers import acknowledgement

U16, U32, U64 = st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=60)
PAIRS = [
    (bodies.pack_heartbeat, bodies.read_heartbeat, st.builds(bodies.Heartbeat, U64, U64, st.integers(-(2**63), 2**63 - 1))),
    (bodies.pack_epoch, bodies.read_epoch, st.builds(bodies.NextEpoch, U32, U32)),
    (bodies.pack_fence, bodies.read_fence, U32),
    (bodies.pack_kill, bodies.read_kill, st.builds(bodies.Kill, U16, U16, U64, TEXT)),
    (bodies.pack_goaway, bodies.read_goaway, st.builds(bodies.GoAway, U16, U32, TEXT)),
]
READERS = [pair[1] for pair in PAIRS] + [acknowledgement.read, acknowledgement.read_missing]


@pytest.mark.parametrize(("pack", "read", "values"), PAIRS, ids=lambda part: getattr(part, "__name__", "values"))
def test_what_is_packed_is_read_and_a_byte_more_or_less_is_nothing(pack, read, values):
    @settings(max_examples=60, deadline=None)
    @given(values)
    def check(value):
        body = pack(value)
        assert read(body) == value
        if pack not in (bodies.pack_kill, bodies.pack_goaway):
            assert read(body[:-1]) is None and read(body + b"!") is None

    check()


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_any_bytes_are_read_or_are_nothing(read):
    draw = random.Random(7)
    for _ in range(3000):
        read(draw.randbytes(draw.choice((0, 1, 4, 8, 12, 24, 28, 60, 208, 221, 400))))
    assert read(b"") is None


def test_acknowledgements_are_read_as_they_were_packed_and_nothing_else_is():
    rows = [acknowledgement.Row(2, 3, 40, 45, 1 << 40), acknowledgement.Row(15, 0, 7, 7, 9)]
    body = acknowledgement.pack(True, (5, 6), (100, 2**64 - 1), rows)
    assert acknowledgement.read(body) == (1, (5, 6), (100, 2**64 - 1), rows)
    missing = acknowledgement.pack_missing(5, 41, 2, 99)
    assert acknowledgement.read_missing(missing) == (5, 2, 41, 99)
    for change in (lambda data: data[:-1], lambda data: data + b"!", lambda data: b""):
        assert acknowledgement.read(change(body)) is None
        assert acknowledgement.read_missing(change(missing)) is None
    assert acknowledgement.read_missing(acknowledgement.pack_missing(5, 41, 0, 99)) is None
    assert acknowledgement.read_missing(acknowledgement.pack_missing(5, 0, 1, 99)) is None
    assert acknowledgement.read(b"\2" + body[1:]) is None


def test_what_makes_no_sense_is_nothing():
    assert bodies.read_kill(bodies.KILL.pack(1, 1, 1) + b"\xff") is None
    assert bodies.read_goaway(bodies.GOAWAY.pack(1, 1, 1)) is None


def test_words_are_cut_between_characters():
    long = "ü" * 400
    assert bodies.read_kill(bodies.pack_kill(bodies.Kill(1, 1, 1, "a" + long))).text == "a" + "ü" * 127
    assert bodies.read_goaway(bodies.pack_goaway(bodies.GoAway(1, 1, long))).text == "ü" * 128
    assert bodies.read_kill(bodies.KILL.pack(1, 1, 1) + bytes(257)) is None
