"""The relay of the link's tests: each fault does what it says, is counted, and leaves checksums that a kernel believes."""

import os
import random
import socket
import struct
import threading

import pytest

from gateway.link.frames import wire
from tests.integration.far_end import inside
from tests.link_relay import ETHERNET, TCP, UDP, Line, Packet, checksum
from tests.link_spaces import FRANKFURT, spaces

SYN, ACK = 2, 16


def packet(payload, sequence=1000, flags=ACK, protocol=TCP):
    """A whole frame with right checksums."""
    if protocol == TCP:
        body = struct.pack(">HHIIBBHHH", 4000, 5000, sequence, 0, 5 << 4, flags, 65535, 0, 0) + payload
    else:
        body = struct.pack(">HHHH", 4000, 5000, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + bytes([10, 61, 0, 1, 10, 61, 0, 2])
    found = Packet.parse(bytes(12) + b"\x08\x00" + head + body)
    found.repair()
    return bytes(found.frame)


def is_right(frame):
    """Whether the transport's checksum holds."""
    found = Packet.parse(frame)
    body = bytes(found.frame[found.transport : found.end])
    return checksum(bytes(frame[26:34]) + struct.pack(">BBH", 0, found.protocol, len(body)) + body) == 0


def frame_of(record, size=300):
    """A link's frame with noise for a ciphertext."""
    ciphertext = random.Random(record).randbytes(size)
    head = wire.pack_header(wire.Header(0, 1, 2, 1, 1, 0, record, size))
    return head + ciphertext + struct.pack("<I", wire.crc32(ciphertext))


def stream_of(line, frames, now_ns=0):
    """A connection whose every frame is a packet of its own; what arrives of each."""
    line.pass_through(0, packet(b"", 999, SYN), now_ns)
    arrived, sequence = [], 1000
    for data in (os.urandom(wire.HANDSHAKE_BYTES), *frames):
        arrived.append(line.pass_through(0, packet(data, sequence), now_ns))
        sequence += len(data)
    return arrived[1:]


def test_a_line_without_faults_hands_everything_on_at_once_as_it_is():
    frames = [frame_of(number) for number in range(50)]
    line = Line(1)
    for data, found in zip(frames, stream_of(line, frames), strict=True):
        assert len(found) == 1 and found[0][0] == 0 and found[0][1].endswith(data)
    assert line.counts.frames == 50 and line.counts.corrupted == line.counts.lost == 0


def test_corruption_hits_the_ciphertext_alone_and_one_packet_of_every_hundred():
    frames = [frame_of(number) for number in range(500)]
    line = Line(2)
    line.faults.corrupt = 0.01
    damaged = 0
    for data, found in zip(frames, stream_of(line, frames), strict=True):
        ((_, frame),) = found
        payload = frame[-len(data) :]
        assert is_right(frame)
        assert payload[:32] == data[:32] and payload[-4:] == data[-4:]
        damaged += wire.crc32(payload[32:-4]) != struct.unpack("<I", payload[-4:])[0]
    assert damaged == line.counts.corrupted and 4 <= damaged <= 6


def test_forgery_repairs_the_crc_of_the_frame_and_of_tcp():
    frames = [frame_of(number) for number in range(100)]
    line = Line(3)
    line.faults.forge = 0.1
    changed = 0
    for data, found in zip(frames, stream_of(line, frames), strict=True):
        payload = found[0][1][-len(data) :]
        assert wire.crc32(payload[32:-4]) == struct.unpack("<I", payload[-4:])[0] and is_right(found[0][1])
        changed += payload != data
    assert changed == line.counts.forged == 10


def test_a_frame_that_is_cut_into_segments_is_found_again_also_when_it_is_sent_twice():
    data = frame_of(1, 4000)
    line = Line(4)
    line.pass_through(0, packet(b"", 999, SYN), 0)
    line.pass_through(0, packet(os.urandom(wire.HANDSHAKE_BYTES), 1000), 0)
    line.faults.corrupt = 1.0
    begin = 1000 + wire.HANDSHAKE_BYTES
    for again in range(2):
        for at in range(0, len(data), 1448):
            ((_, frame),) = line.pass_through(0, packet(data[at : at + 1448], begin + at), 0)
            piece = data[at : at + 1448]
            found = frame[-len(piece) :]
            places = [index for index in range(len(piece)) if piece[index] != found[index]]
            assert len(places) == 1 and 32 <= at + places[0] < 4032, again
    assert line.counts.frames == 1


def test_loss_duplication_and_the_cut_are_as_many_as_asked():
    line = Line(5)
    line.faults.loss = line.faults.duplicate = 0.1
    copies = [len(line.pass_through(0, packet(b"x" * 40, protocol=UDP), 0)) for _ in range(5000)]
    assert 400 < line.counts.lost < 600 and 350 < line.counts.duplicated < 550
    assert copies.count(0) == line.counts.lost and copies.count(2) == line.counts.duplicated
    line.faults.cut = "a"
    assert line.pass_through(0, packet(b"x"), 0) == [] and line.counts.cut == 1
    line.faults.loss = 0.0
    assert line.pass_through(1, packet(b"x"), 0)


def test_the_bucket_lets_ten_megabits_through_and_drops_what_would_wait_too_long():
    line = Line(6)
    line.faults.kbit, line.faults.queue_ms = 10_000, 50
    due = [found[0][0] for _ in range(200) if (found := line.pass_through(0, packet(b"x" * 1000, protocol=UDP), 0))]
    assert line.counts.overflowed == 200 - len(due) > 0
    size = ETHERNET + 20 + 8 + 1000
    assert due[0] == size * 800 and 50_000_000 <= due[-1] <= 52_000_000


@pytest.mark.root
def test_a_kernels_own_tcp_carries_a_megabyte_through_a_relay_that_loses_delays_and_reorders(as_root):
    data = os.urandom(1 << 20)
    with spaces() as places:
        relay = places.relay(seed=1, loss=0.01, delay_ms=1, reorder=0.02, duplicate=0.01)
        with inside(places.frankfurt):
            listener = socket.create_server((FRANKFURT, 5001))
        found = bytearray()

        def take():
            peer, _ = listener.accept()
            peer.settimeout(30)
            with peer:
                while part := peer.recv(65536):
                    found.extend(part)

        thread = threading.Thread(target=take)
        thread.start()
        with listener, inside(places.paris), socket.create_connection((FRANKFURT, 5001), 10) as sender:
            sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)
            thread.join(60)
        counts = relay.counts()
    assert bytes(found) == data
    assert counts["lost"] > 0 and counts["reordered"] > 0 and counts["duplicated"] > 0
