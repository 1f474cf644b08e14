"""Seeded byte mutations of the exact codecs: they refuse with ValueError of their own, or give back what they were given."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.protocols import itch50, moldudp64, ouch50, soupbintcp
from gateway.protocols.headers import carried_by
from gateway.protocols.message import Message, Refused
from gateway.protocols.udp import frame
from tests.fuzz.test_guarded_kernels import damaged

SEED = 7
ROUNDS = 4000


def body(randomness: random.Random, message: Message) -> bytes:
    """Random field bytes behind the type byte."""
    return message.type.encode() + randomness.randbytes(message.size - 1)


def itch_inputs(randomness: random.Random) -> Iterator[bytes]:
    while True:
        yield body(randomness, randomness.choice(list(itch50.MESSAGES.values())))


def ouch_inputs(randomness: random.Random, direction: str) -> Iterator[bytes]:
    while True:
        message = randomness.choice(list(ouch50.MESSAGES[direction].values()))
        options = b""
        rule = ouch50.APPENDAGE[message.key]
        for _ in range(0 if rule == ouch50.NEVER else randomness.choice([0, 0, 1, 3])):
            tag = randomness.choice([*ouch50.OPTIONS, 99])
            value = randomness.randbytes(ouch50.OPTIONS[tag][1] if tag in ouch50.OPTIONS else 3)
            options += bytes([1 + len(value), tag]) + value
        tail = len(options).to_bytes(2, "big") + options if options or rule == ouch50.ALWAYS else b""
        yield body(randomness, message) + tail


def never_fails(decode: Callable[[bytes], Any], inputs: Iterator[bytes], randomness: random.Random) -> tuple[int, int]:
    """(accepted, refused) of damaged inputs; anything but a refusal is an error."""
    accepted = refused = 0
    for _ in range(ROUNDS):
        data = damaged(randomness, next(inputs))
        try:
            decode(data)
            accepted += 1
        except Refused as refusal:
            assert refusal.reason
            refused += 1
        except Exception as problem:
            raise AssertionError(f"seed {SEED}: {data.hex()}") from problem
    return accepted, refused


def test_damaged_itch_messages_are_decoded_or_refused() -> None:
    randomness = random.Random(SEED)
    assert min(never_fails(itch50.decode, itch_inputs(randomness), randomness)) > 100


@pytest.mark.parametrize("direction", [ouch50.INBOUND, ouch50.OUTBOUND])
def test_damaged_ouch_messages_are_decoded_or_refused(direction: str) -> None:
    randomness = random.Random(SEED)
    inputs = ouch_inputs(randomness, direction)
    assert min(never_fails(lambda data: ouch50.decode(data, direction), inputs, randomness)) > 100


def test_damaged_packets_and_frames_are_decoded_or_refused() -> None:
    randomness = random.Random(SEED)

    def packets() -> Iterator[bytes]:
        source = itch_inputs(randomness)
        while True:
            yield moldudp64.encode("S", 5, [next(source) for _ in range(randomness.randrange(5))])

    assert min(never_fails(moldudp64.decode, packets(), randomness)) > 100
    assert min(never_fails(carried_by, (frame(packet) for packet in packets()), randomness)) > 100


def test_damaged_session_packets_are_decoded_or_refused() -> None:
    randomness = random.Random(SEED)

    def streams() -> Iterator[bytes]:
        while True:
            yield soupbintcp.encode("LoginAccepted", session="S", sequence_number=randomness.randrange(10**9))

    def decode(stream: bytes) -> None:
        for packet in soupbintcp.split(stream)[0]:
            soupbintcp.decode(packet)

    assert min(never_fails(decode, streams(), randomness)) > 100


def test_what_decodes_encodes_back_to_the_same_bytes() -> None:
    randomness = random.Random(SEED)
    for data in (next(itch_inputs(randomness)) for _ in range(ROUNDS)):
        decoded = itch50.decode(data)
        again = itch50.encode(decoded["message"], **decoded)
        assert itch50.decode(again) == decoded
        # padding comes back as blanks; every other byte as it was
        assert all(ours == theirs or (ours == 32 and theirs == 0) for ours, theirs in zip(again, data, strict=True))
    for direction in (ouch50.INBOUND, ouch50.OUTBOUND):
        inputs = ouch_inputs(randomness, direction)
        for _ in range(ROUNDS):
            try:
                decoded = ouch50.decode(next(inputs), direction)
            except Refused as refusal:
                assert refusal.reason == "message_field"  # the same option twice
                continue
            assert ouch50.decode(ouch50.encode(decoded["message"], **decoded), direction) == decoded
