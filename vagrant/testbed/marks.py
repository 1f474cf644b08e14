"""The counted frames of an echo: how both sides tell them from everything else, and from those that only warm up.

Ethernet · IPv4 · UDP · "GWECHO" · kind (1) · sequence (4) · filling
"""

import random
import struct

from gateway.protocols import udp

MAGIC = b"GWECHO"
WARM, COUNTED = 1, 2
AT = 14 + 20 + 8  # no tags: the payload of UDP
MARK = struct.Struct(">6sBI")
FILLING_MAX = 1400
FAR_MAC, NEAR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:10"
PORT_FIRST, PORT = 20_000, 40_000


def kind_of(frame: bytes) -> int:
    """WARM, COUNTED, or 0: none of ours."""
    if len(frame) < AT + MARK.size or frame[AT : AT + len(MAGIC)] != MAGIC:
        return 0
    return frame[AT + len(MAGIC)]


def make(kind: int, sequence: int, flow: int, filling: bytes) -> bytes:
    """A frame of one of several flows: each has a source port of its own, so a card with queues spreads them."""
    return udp.frame(
        MARK.pack(MAGIC, kind, sequence) + filling,
        source="10.9.0.1",
        destination="10.9.0.2",
        source_port=PORT_FIRST + flow,
        destination_port=PORT,
        source_mac=FAR_MAC,
        destination_mac=NEAR_MAC,
    )


def counted(count: int, flows: int, seed: int) -> list[bytes]:
    """The frames of a run, of every size that fits."""
    chance = random.Random(seed)
    return [
        make(COUNTED, number, number % flows, chance.randbytes(chance.randint(18, FILLING_MAX))) for number in range(count)
    ]
