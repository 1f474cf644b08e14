"""parse_frame and its plain Python sibling against the naive twin; the builder against another builder."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gateway import layout
from gateway.core.memory import address_of
from gateway.protocols import udp
from gateway.protocols.headers import PROTOCOL_UDP, carried_by
from gateway.protocols.message import Refused
from tests import naive_frames

REASONS = {name: layout.value(f"FEED_{name}") for name in ("OK", "FRAME_SHORT", "NOT_IPV4", "NOT_UDP", "FRAGMENT")}
NAMES = layout.names("feed_reason", "FEED_")
UNREADY, GOOD = layout.value("FRAME_CHECKSUM_UNREADY"), layout.value("FRAME_CHECKSUM_GOOD")


def kernel(frame: bytes, flags: int = 0) -> tuple[int, dict[str, Any] | None]:
    """parse_frame's answer in the naive twin's form."""
    data = np.frombuffer(frame + b"\xaa", np.uint8).copy()
    datagram = np.zeros(1, layout.dtype("datagram"))
    reason = udp.parse_frame(address_of(data), len(frame), flags, address_of(datagram))
    if reason:
        return reason, None
    row = {name: int(datagram[name][0]) for name in datagram.dtype.names}
    start, size = row.pop("payload") - address_of(data), row.pop("size")
    return 0, {**row, "payload": frame[start : start + size]}


def agree(frame: bytes, flags: int = 0) -> int:
    """Kernel, plain reader and naive twin say the same; returns the reason."""
    reason, datagram = naive_frames.parse_frame(frame, flags)
    assert kernel(frame, flags) == (reason, datagram), (frame.hex(), flags)
    try:
        carried = carried_by(frame, bool(flags & (UNREADY | GOOD)))
    except Refused as refusal:
        if refusal.reason != "tcp_header" and reason != REASONS["NOT_UDP"]:
            assert refusal.reason == NAMES[reason].lower(), frame.hex()
    else:
        assert (carried.protocol == PROTOCOL_UDP) == (reason == 0)
        assert datagram is None or carried.payload == datagram["payload"]
    return reason


def build(randomness: random.Random, payload_bytes: int) -> bytes:
    """A valid frame: tags, IP options, padding, checksums absent now and then."""
    tags = tuple(randomness.randrange(1 << 16) for _ in range(randomness.randrange(3)))
    frame = bytearray(udp.frame(randomness.randbytes(payload_bytes), vlans=tags, source_port=7, destination_port=9))
    ip = 14 + 4 * len(tags)
    if randomness.random() < 0.3:
        frame = with_options(frame, ip, randomness.randrange(1, 11))
    header = (frame[ip] & 15) * 4
    if randomness.random() < 0.2:
        frame[ip + 10 : ip + 12] = b"\0\0"
    if randomness.random() < 0.2:
        frame[ip + header + 6 : ip + header + 8] = b"\0\0"
    return bytes(frame) + randomness.randbytes(randomness.choice([0, 0, 6, 18]))


def with_options(frame: bytearray, ip: int, words: int) -> bytearray:
    """The same frame with `words` words of IP options, its header checksum right again."""
    header = bytearray(frame[ip : ip + 20]) + b"\x01" * 4 * words
    header[0] = 0x45 + words
    header[2:4] = (int.from_bytes(header[2:4], "big") + 4 * words).to_bytes(2, "big")
    header[10:12] = b"\0\0"
    header[10:12] = udp.checksum(bytes(header)).to_bytes(2, "big")
    return frame[:ip] + header + frame[ip + 20 :]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(seed=some.integers(0, 1 << 32), payload_bytes=some.integers(0, 1600), flags=some.sampled_from([0, UNREADY, GOOD]))
def test_any_valid_frame_gives_its_datagram(seed: int, payload_bytes: int, flags: int) -> None:
    assert agree(build(random.Random(seed), payload_bytes), flags) == 0


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, derandomize=True)
@given(
    seed=some.integers(0, 1 << 32),
    payload_bytes=some.integers(0, 80),
    damage=some.lists(some.tuples(some.integers(0, 63), some.integers(0, 255)), max_size=4),
    cut=some.integers(0, 200),
    flags=some.sampled_from([0, UNREADY, GOOD]),
)
def test_a_damaged_frame_is_refused_with_the_reason_of_the_naive_twin(
    seed: int, payload_bytes: int, damage: list[tuple[int, int]], cut: int, flags: int
) -> None:
    frame = bytearray(build(random.Random(seed), payload_bytes))
    for offset, byte in damage:
        if offset < len(frame):
            frame[offset] = byte
    agree(bytes(frame[: max(len(frame) - cut, 0)] if cut < 100 else frame), flags)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(frame=some.binary(max_size=120))
def test_random_bytes_are_refused_with_the_reason_of_the_naive_twin(frame: bytes) -> None:
    agree(frame)


def test_each_header_fault_has_its_own_reason() -> None:
    good = bytearray(udp.frame(b"payload", vlans=(5,)))
    ip, datagram = 18, 38

    def changed(offset: int, data: bytes, header_checksum: bool = True) -> bytes:
        frame = bytearray(good)
        frame[offset : offset + len(data)] = data
        if header_checksum:
            frame[ip + 10 : ip + 12] = b"\0\0"
            frame[ip + 10 : ip + 12] = udp.checksum(bytes(frame[ip : ip + 20])).to_bytes(2, "big")
        return bytes(frame)

    faults = {
        "FRAME_SHORT": [b"", bytes(good[:13]), bytes(good[:30]), bytes(good[:-1]), changed(ip + 2, b"\xff\xff")],
        "NOT_IPV4": [changed(16, b"\x86\xdd"), changed(16, b"\x08\x06")],
        "NOT_UDP": [changed(ip + 9, b"\x06"), changed(ip + 9, b"\x01")],
        "FRAGMENT": [changed(ip + 6, b"\x20\x00"), changed(ip + 6, b"\x00\x01")],
        "IP_HEADER": [changed(ip, b"\x65"), changed(ip, b"\x44"), changed(ip + 2, b"\x00\x13")],
        "IP_CHECKSUM": [changed(ip + 10, b"\x12\x34", False), changed(ip + 12, b"\x99", False)],
        "UDP_LENGTH": [changed(datagram + 4, b"\x00\x07"), changed(datagram + 4, b"\x00\x10"), changed(ip + 2, b"\x00\x1b")],
        "UDP_CHECKSUM": [changed(datagram + 8, b"P"), changed(datagram + 6, b"\x00\x01")],
    }
    for name, frames in faults.items():
        for frame in frames:
            assert kernel(frame) == (layout.value(f"FEED_{name}"), None), (name, frame.hex())
            agree(frame)


def test_three_tags_are_not_looked_behind() -> None:
    frame = udp.frame(b"payload", vlans=(1, 2))
    assert agree(frame) == 0
    assert agree(frame[:12] + b"\x81\x00\x00\x03" + frame[12:]) == layout.value("FEED_NOT_IPV4")


def test_padding_and_trailers_are_not_payload() -> None:
    frame = udp.frame(b"abc")
    for trailer in (b"\0" * 15, b"\xff" * 64):
        found = kernel(frame + trailer)[1]
        assert found is not None
        assert found["payload"] == b"abc"


def test_every_single_bit_error_behind_the_addresses_is_noticed_or_harmless() -> None:
    frame = udp.frame(bytes(range(30)), source_port=1, destination_port=2)
    for bit in range(8 * 14, 8 * len(frame)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        assert agree(bytes(damaged)) != 0, bit


@pytest.mark.parametrize("vlans", [(), (100,), (200, 300)])
def test_the_builder_makes_the_bytes_that_scapy_makes(vlans: tuple[int, ...]) -> None:
    scapy = pytest.importorskip("scapy.all", reason="scapy is not installed")
    payload = random.Random(5).randbytes(97)
    frame = udp.frame(
        payload,
        source="192.0.2.9",
        destination="233.54.12.111",
        source_port=1000,
        destination_port=26477,
        vlans=vlans,
        identification=77,
    )
    layers = scapy.Ether(src="02:00:00:00:00:01", dst="01:00:5e:36:0c:6f")
    for index, tag in enumerate(vlans):
        layers /= scapy.Dot1AD(vlan=tag) if index + 1 < len(vlans) else scapy.Dot1Q(vlan=tag)
    layers /= scapy.IP(src="192.0.2.9", dst="233.54.12.111", ttl=16, flags="DF", id=77)
    layers /= scapy.UDP(sport=1000, dport=26477) / scapy.Raw(payload)
    assert frame == bytes(layers)


def test_frames_that_scapy_builds_are_believed() -> None:
    scapy = pytest.importorskip("scapy.all", reason="scapy is not installed")
    randomness = random.Random(6)
    for _ in range(50):
        payload = randomness.randbytes(randomness.randrange(300))
        options = [scapy.IPOption_NOP()] * randomness.choice([0, 0, 4, 8])
        layers = scapy.Ether(dst="01:00:5e:00:00:01") / scapy.IP(dst="224.0.0.1", src="10.9.8.7", options=options)
        frame = bytes(layers / scapy.UDP(sport=5, dport=6) / scapy.Raw(payload))
        reason, found = kernel(frame)
        assert reason == 0
        assert found is not None
        assert found["payload"] == payload
        agree(frame)


def test_the_builder_refuses_what_ipv4_cannot_hold() -> None:
    for arguments in ({"payload": bytes(65508)}, {"payload": b"", "vlans": (1, 2, 3)}, {"payload": b"", "source_mac": "x"}):
        with pytest.raises(ValueError):
            udp.frame(**arguments)
