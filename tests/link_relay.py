"""A line with faults between two network namespaces: a process that hands frames from one veth to the other, or does not.

 paris                         relay                          frankfurt
┌────────────────┐   ┌──────────────────────────┐   ┌────────────────┐
│ 10.61.0.1  p0 ═╪═══╪═ rp   AF_PACKET ×2   rf ═╪═══╪═ f0  10.61.0.2 │
└────────────────┘   └──────────────────────────┘   └────────────────┘
                       loss duplicate delay jitter reorder corrupt forge cut kbit

It edits packets and repairs the checksums of IP, TCP and UDP, so that damage reaches the program and not only the kernel.
`python -m tests.link_relay IN OUT` is the process: a line of JSON on stdin sets faults, one on stdout has the counts.
Damage hits one packet, at random, of every 1/p with a payload: by chance alone 1 % would now and then look like an attack.
Hard rule: what the relay did stands in its counts; a test that saw no fault there has shown nothing.
"""

import heapq
import json
import random
import select
import socket
import struct
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field, fields

from tests.link_frames import CRC_BYTES, Stream

ETHERNET, IP_TYPE = 14, b"\x08\x00"
TCP, UDP, SYN = 6, 17, 2
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
FRAME_BYTES, BURST = 65536, 64
DAMAGES = ("corrupt", "forge")


@dataclass
class Faults:
    """What the line does to a packet; shares are between 0 and 1."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # share that is held back by `reorder_ms`
    reorder_ms: float = 5.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # at random up to so much more: packets overtake one another
    corrupt: float = 0.0  # a byte of a ciphertext, or of a datagram
    forge: float = 0.0  # the same, and the frame's CRC repaired
    header: bool = False  # damage may hit a frame's header, too
    only_udp: bool = False
    cut: str = ""  # "a": nothing leaves the first side, "b", "both"
    kbit: int = 0  # of each direction; 0: no bound
    queue_ms: float = 50.0  # what waits longer for the bound is dropped
    record: bool = False  # keeps what the first side sends over TCP


@dataclass
class Counts:
    """What was done, of both directions."""

    packets: int = 0
    tcp: int = 0
    udp: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    forged: int = 0
    corrupted_udp: int = 0
    cut: int = 0
    overflowed: int = 0
    bytes: int = 0
    frames: int = 0
    forged_first_ns: int = 0  # unix time of the first forgery


@dataclass
class Packet:
    """An IPv4 packet in its frame."""

    frame: bytearray
    ip: int = ETHERNET
    transport: int = 0
    payload: int = 0
    end: int = 0
    protocol: int = 0
    flow: tuple = field(default_factory=tuple)

    @classmethod
    def parse(cls, frame):
        """None for what is no whole IPv4 packet of TCP or UDP."""
        if frame[12:14] != IP_TYPE or len(frame) < ETHERNET + 28:
            return None
        packet = cls(bytearray(frame))
        packet.transport = ETHERNET + (frame[ETHERNET] & 15) * 4
        packet.end = ETHERNET + struct.unpack_from(">H", frame, ETHERNET + 2)[0]
        packet.protocol = frame[ETHERNET + 9]
        if packet.protocol not in (TCP, UDP) or packet.end > len(frame):
            return None
        offset = (frame[packet.transport + 12] >> 4) * 4 if packet.protocol == TCP else 8
        packet.payload = packet.transport + offset
        packet.flow = (frame[26:34], frame[packet.transport : packet.transport + 4])
        return packet

    def repair(self):
        """The checksum of TCP or UDP, over what the packet says now."""
        at = self.transport + (16 if self.protocol == TCP else 6)
        self.frame[at : at + 2] = bytes(2)
        body = self.frame[self.transport : self.end]
        pseudo = bytes(self.frame[26:34]) + struct.pack(">BBH", 0, self.protocol, len(body))
        total = checksum(pseudo + bytes(body))
        struct.pack_into(">H", self.frame, at, total or 0xFFFF)


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Line:
    """The faults themselves: a frame and a time in, frames and their times out. No socket, no clock."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.faults, self.counts = Faults(), Counts()
        self.streams = {}
        self._free_ns = [0, 0]
        self._blocks = {}  # damage: packets left in this block, and the one that is hit

    def pass_through(self, side, frame, now_ns):
        """(due, frame) of what arrives on the other side."""
        faults, counts = self.faults, self.counts
        packet = Packet.parse(frame)
        if packet is None:
            return [(now_ns, frame)]
        counts.packets += 1
        counts.tcp += packet.protocol == TCP
        counts.udp += packet.protocol == UDP
        start = self._follow(side, packet) if packet.protocol == TCP else 0
        if faults.cut in ("both", "ab"[side]):
            counts.cut += 1
            return []
        if self.random.random() < faults.loss and self._meant(packet):
            counts.lost += 1
            return []
        due_ns = self._bandwidth(side, len(frame), now_ns)
        if due_ns is None:
            counts.overflowed += 1
            return []
        self._damage(packet, start)
        counts.bytes += len(frame)
        return self._times(packet, due_ns)

    def _meant(self, packet):
        return packet.protocol == UDP or not self.faults.only_udp

    def _times(self, packet, due_ns):
        faults, chance = self.faults, self.random.random
        copies = 1 + (chance() < faults.duplicate)
        self.counts.duplicated += copies - 1
        found = []
        for _ in range(copies):
            held = chance() < faults.reorder
            self.counts.reordered += held
            delay_ms = faults.delay_ms + chance() * faults.jitter_ms + held * faults.reorder_ms
            found.append((due_ns + int(delay_ms * 1e6), bytes(packet.frame)))
        return found

    def _bandwidth(self, side, size, now_ns):
        if not self.faults.kbit:
            return now_ns
        begin_ns = max(now_ns, self._free_ns[side])
        if begin_ns - now_ns > self.faults.queue_ms * 1e6:
            return None
        self._free_ns[side] = begin_ns + size * 8_000_000 // self.faults.kbit
        return self._free_ns[side]

    def _follow(self, side, packet):
        sequence = struct.unpack_from(">I", packet.frame, packet.transport + 4)[0]
        if packet.frame[packet.transport + 13] & SYN:
            self.streams[packet.flow] = stream = Stream((sequence + 1) % (1 << 32))
            stream.recording = self.faults.record and side == 0
            return 0
        stream = self.streams.get(packet.flow)
        if stream is None:
            return 0
        before = stream.frames
        start = stream.follow(sequence, bytes(packet.frame[packet.payload : packet.end]))
        self.counts.frames += stream.frames - before
        return start

    def _damage(self, packet, start):
        size = packet.end - packet.payload
        if not size or not self._meant(packet):
            return
        for kind in DAMAGES:
            share = getattr(self.faults, kind)
            if not share or not (places := self._places(kind, packet, start, size)) or not self._is_hit(kind, share):
                continue
            first, last = self.random.choice(places)
            at = packet.payload + self.random.randrange(first, last)
            packet.frame[at] ^= 1 << self.random.randrange(8)
            if kind == "forge":
                body = packet.frame[packet.payload + first : packet.payload + last]
                struct.pack_into("<I", packet.frame, packet.payload + last, zlib.crc32(body))
                self.counts.forged += 1
            elif packet.protocol == UDP:
                self.counts.corrupted_udp += 1
            else:
                self.counts.corrupted += 1
            packet.repair()

    def _places(self, kind, packet, start, size):
        if packet.protocol == UDP:
            return [(32, size - CRC_BYTES)] if size > 32 + CRC_BYTES else []
        stream = self.streams.get(packet.flow)
        if stream is None or not stream.frames:
            return []  # a handshake: not what this is about
        if self.faults.header:
            return [(0, size)]
        return stream.inside(start, size, whole=kind == "forge")

    def _is_hit(self, kind, share):
        left, hit = self._blocks.get(kind, (0, 0))
        if not left:
            left = max(1, round(1 / share))
            hit = self.random.randrange(left) + 1
        self._blocks[kind] = (left - 1, hit)
        return left == hit


class Relay:
    """The process: two sockets, a heap of frames under way, commands."""

    def __init__(self, interfaces, seed):
        self.line = Line(seed)
        self.sockets = [raw_socket(name) for name in interfaces]
        self.heap, self.number = [], 0
        self.poll = select.poll()
        for one in (*self.sockets, sys.stdin):
            self.poll.register(one, select.POLLIN)

    def run(self):
        """Until stdin ends."""
        print(json.dumps({"ready": True}), flush=True)
        while True:
            wait_ms = max(0.0, (self.heap[0][0] - time.monotonic_ns()) / 1e6) if self.heap else None
            for descriptor, _ in self.poll.poll(wait_ms):
                if descriptor == sys.stdin.fileno():
                    if not self._command():
                        return
                else:
                    self._take(0 if descriptor == self.sockets[0].fileno() else 1)
            self._deliver()

    def _take(self, side):
        for _ in range(BURST):
            try:
                frame = self.sockets[side].recv(FRAME_BYTES)
            except BlockingIOError:
                return
            found = self.line.pass_through(side, frame, time.monotonic_ns())
            if self.line.counts.forged and not self.line.counts.forged_first_ns:
                self.line.counts.forged_first_ns = time.time_ns()
            for due_ns, out in found:
                self.number += 1
                heapq.heappush(self.heap, (due_ns, self.number, 1 - side, out))

    def _deliver(self):
        now_ns = time.monotonic_ns()
        while self.heap and self.heap[0][0] <= now_ns:
            _, _, side, frame = heapq.heappop(self.heap)
            try:
                self.sockets[side].send(frame)
            except BlockingIOError:
                self.line.counts.overflowed += 1

    def _command(self):
        words = sys.stdin.readline()
        if not words:
            return False
        asked = json.loads(words)
        if asked.pop("recorded", False):
            print(json.dumps([bytes(s.payload).hex() for s in self.line.streams.values() if s.payload]), flush=True)
            return True
        known = {row.name for row in fields(Faults)}
        assert set(asked) <= known, asked
        self.line.faults = Faults(**{**asdict(self.line.faults), **asked})
        print(json.dumps(asdict(self.line.counts)), flush=True)
        return True


def raw_socket(name):
    """Every frame of an interface, none of our own."""
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
    one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
    one.bind((name, 3))
    return one


if __name__ == "__main__":
    Relay(sys.argv[1:3], int(sys.argv[3])).run()
