"""Kernels over damaged frames and packets that end at a guarded page: no read outside, no more events than there is room.

The kernels run in a child process: a read outside kills it, and the test names the seed.
"""

import random
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from gateway import layout
from gateway.core.memory import address_of
from gateway.protocols import itch50, moldudp64, udp
from gateway.protocols.itch50_decode import EVENTS_MAX, decode_packet, make_table
from gateway.protocols.udp import parse_frame
from tests.fuzz.guarded import Guarded

SEED = 20261121
ROUNDS = 15_000
ROOM_BYTES = 8192


def messages(randomness: random.Random) -> Iterator[bytes]:
    """Messages, most of them real ones."""
    kinds = list(itch50.LENGTHS)
    for _ in range(randomness.choice([0, 1, 2, 5, 40])):
        kind = randomness.choice(kinds)
        body = bytearray(randomness.randbytes(itch50.LENGTHS[kind]))
        body[0] = ord(kind)
        if kind in "AFP":
            body[19] = ord(randomness.choice("BS"))
        yield bytes(body[: randomness.randrange(len(body))] if randomness.random() < 0.05 else body)


def damaged(randomness: random.Random, data: bytes) -> bytes:
    """The same bytes, some of them changed, cut or doubled."""
    result = bytearray(data)
    for _ in range(randomness.choice([0, 1, 1, 3, 10])):
        if result:
            result[randomness.randrange(len(result))] = randomness.randrange(256)
    if randomness.random() < 0.3:
        del result[randomness.randrange(len(result) + 1) :]
    if randomness.random() < 0.05:
        result += bytes(result)
    return bytes(result[:ROOM_BYTES])


def run_kernels(seed: int, rounds: int) -> None:
    """Every input at both guards: at the upper one a read behind it is caught, at the lower one a read before it."""
    randomness = random.Random(seed)
    inside = Guarded(ROOM_BYTES)
    rows = Guarded(EVENTS_MAX * layout.size("event"))
    events = rows.put(bytes(EVENTS_MAX * layout.size("event")))
    table = make_table()
    counters = np.zeros(1, layout.dtype("core_counters"))
    datagram = np.zeros(1, layout.dtype("datagram"))
    for _ in range(rounds):
        packet = damaged(randomness, moldudp64.encode("SESSION", randomness.randrange(1 << 63), messages(randomness)))
        frame = damaged(randomness, udp.frame(packet[:1400], vlans=(1,) * randomness.randrange(3)))
        skip = randomness.choice([0, 0, 1, 7, 1000])
        for put in (inside.put, inside.put_low):
            where = put(packet), len(packet), skip, 1, events, address_of(counters)
            written = decode_packet(address_of(table), *where)
            assert 0 <= written <= EVENTS_MAX, (seed, packet.hex())
            flags = randomness.randrange(2)
            start = put(frame)
            if parse_frame(start, len(frame), flags, address_of(datagram)) == 0:
                payload, size = int(datagram["payload"][0]), int(datagram["size"][0])
                assert start <= payload <= payload + size <= start + len(frame), (seed, frame.hex())
                decode_packet(address_of(table), payload, size, 0, 1, events, address_of(counters))
    print("done", rounds)


@pytest.mark.slow
def test_no_kernel_reads_outside_a_damaged_frame() -> None:
    command = [sys.executable, "-c", f"from {__name__} import run_kernels; run_kernels({SEED}, {ROUNDS})"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.stdout == f"done {ROUNDS}\n", f"seed {SEED}: exit {outcome.returncode}, {outcome.stderr[-2000:]}"


def test_the_guard_does_catch_a_read_behind_the_end() -> None:
    script = (
        "from tests.fuzz.guarded import Guarded; import ctypes; g = Guarded(64); a = g.put(b'x' * 8); "
        "print(ctypes.string_at(a, 8)); ctypes.string_at(a, 9); print('read outside')"
    )
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.stdout in ("", "b'xxxxxxxx'\n")
    assert outcome.returncode < 0
