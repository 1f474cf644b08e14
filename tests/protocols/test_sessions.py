"""SoupBinTCP packets, and the TCP bytes they are cut from."""

import random

import pytest

from gateway.protocols import soupbintcp
from gateway.protocols.message import Refused
from gateway.protocols.tcp import HELD_SEGMENTS_MAX, Stream


def test_every_packet_type_decodes_and_encodes() -> None:
    fields = {
        "LoginAccepted": {"session": "000001", "sequence_number": 12},
        "LoginRejected": {"reject_reason_code": "A"},
        "LoginRequest": {
            "username": "user",
            "password": "secret",
            "requested_session": "",
            "requested_sequence_number": 1,
        },
    }
    for key, message in soupbintcp.BY_KEY.items():
        values = {"payload": b"text"} if message.type in soupbintcp.CARRIERS else fields.get(key, {})
        data = soupbintcp.encode(key, **values)
        (packet,), rest = soupbintcp.split(data)
        assert (rest, packet[:1].decode()) == (b"", message.type)
        assert soupbintcp.decode(packet) == {"message": message.name, **values}


def test_login_accepted_is_laid_out_as_specified() -> None:
    data = soupbintcp.encode("LoginAccepted", session="S1", sequence_number=7)
    assert data == b"\x00\x1fA" + b"S1        " + b"                   7"


def test_a_stream_is_cut_into_its_packets_wherever_it_was_split() -> None:
    packets = [soupbintcp.encode("UnsequencedData", payload=bytes(n)) for n in (0, 1, 47)] + [soupbintcp.encode("R")]
    stream = b"".join(packets)
    for cut in range(len(stream) + 1):
        first, rest = soupbintcp.split(stream[:cut])
        second, left = soupbintcp.split(rest + stream[cut:])
        assert left == b""
        assert first + second == [packet[2:] for packet in packets]


def test_impossible_packets_are_refused() -> None:
    for packet in (b"", b"?", b"A123", b"R1", b"A" + b" " * 29 + b"x"):
        with pytest.raises(Refused):
            soupbintcp.decode(packet)
    with pytest.raises(Refused):
        soupbintcp.split(b"\0\0U")
    for name, values in (("NoSuch", {}), ("R", {"payload": b"x"}), ("A", {"colour": 1}), ("U", {"payload": bytes(65536)})):
        with pytest.raises(Refused):
            soupbintcp.encode(name, **values)


def test_segments_in_any_order_repeated_and_overlapping_give_the_stream() -> None:
    for seed in range(40):
        randomness = random.Random(seed)
        data = randomness.randbytes(600)
        start = randomness.choice([0, 5000, (1 << 32) - 100])
        stream = Stream()
        assert stream.accept(start, True, b"") == (b"", False)
        cuts = sorted(randomness.sample(range(1, 600), 20))
        segments = [(begin, data[begin:end]) for begin, end in zip([0, *cuts], [*cuts, 600], strict=True)]
        segments += [(begin - min(begin, 7), data[begin - min(begin, 7) : begin + 3]) for begin, _ in segments]
        randomness.shuffle(segments)
        got = b""
        for begin, payload in segments:
            ready, lost = stream.accept((start + 1 + begin) % (1 << 32), False, payload)
            assert not lost
            got += ready
        assert got == data, f"seed {seed}"
        assert not stream.finish()


def test_a_segment_that_never_comes_is_a_reported_gap() -> None:
    stream = Stream()
    assert stream.accept(100, False, b"ab") == (b"ab", False)
    outcomes = [stream.accept(110 + 2 * index, False, b"cd") for index in range(HELD_SEGMENTS_MAX + 1)]
    assert [lost for _, lost in outcomes] == [False] * HELD_SEGMENTS_MAX + [True]
    assert outcomes[-1][0] == b"cd" * (HELD_SEGMENTS_MAX + 1)
    stream.accept(900, False, b"late")
    assert stream.finish()
