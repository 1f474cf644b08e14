"""What a frame costs: sealing and parsing by size, a handshake, and a round trip between two processes. Medians.

python -m tests.link.wire_bench
"""

import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable

from gateway.link.frames import wire
from gateway.link.frames.frame_stream import FrameStream
from gateway.link.frames.protection import Opener, Sealer
from tests.link import wire_desk as desk

ROUNDS = 9
SIZES = {64: 4000, 1400: 3000, 16 * 1024: 1000}
ROUND_TRIPS = 5000
HANDSHAKES = 20


def median_us(work: Callable[[], None], count: int) -> float:
    """Microseconds of one of `count`, median of the rounds."""
    found = []
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        work()
        found.append((time.perf_counter_ns() - begin) / count / 1000)
    return statistics.median(found)


def frame_costs(size: int, count: int) -> tuple[float, float]:
    """(seal, parse) of one frame; parsed from pieces of 64 KiB as a socket gives them."""
    sealer, stream = desk.line()
    message = desk.said(bytes(size))
    frames: list[bytes] = []

    def seal() -> None:
        frames.clear()
        for _ in range(count):
            frames.append(sealer.seal(message))

    def parse() -> None:
        for begin in range(0, len(data), 65536):
            stream.feed(data[begin : begin + 65536])
            while stream.next() is not None:
                pass

    sealed, parsed = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        seal()
        sealed.append((time.perf_counter_ns() - begin) / count / 1000)
        data = b"".join(frames)
        begin = time.perf_counter_ns()
        parse()
        parsed.append((time.perf_counter_ns() - begin) / count / 1000)
    assert stream.opener.record == sealer.record and not any(stream.counters)
    return statistics.median(sealed), statistics.median(parsed)


def handshakes() -> None:
    """Both sides of some handshakes."""
    for seed in range(HANDSHAKES):
        desk.shake(seed)


def end(side: int) -> tuple[Sealer, FrameStream]:
    """One end of a connection, both directions."""
    known = desk.HANDS.initiator
    mine = Sealer(side, wire.CONTROL, side - 1, known.session_key, known.hour, known.secret)
    other = 3 - side
    key = (known.session_key, known.hour, known.secret)
    return mine, FrameStream(Opener(other, wire.CONTROL, other - 1, *key, desk.secret_of, desk.repeated))


def answered(sock: socket.socket, count: int) -> None:
    """The other process: every message comes back."""
    sealer, stream = end(2)
    while count:
        stream.feed(sock.recv(65536))
        while (item := stream.next()) is not None:
            sock.send(sealer.seal(item))
            count -= 1


def round_trips_us() -> list[float]:
    """Of 64-byte messages over loopback TCP to another process, sorted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for sock in (near, far):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    process = multiprocessing.get_context("fork").Process(target=answered, args=(far, ROUND_TRIPS))
    process.start()
    sealer, stream = end(1)
    message, found = desk.said(bytes(64)), []
    for _ in range(ROUND_TRIPS):
        begin = time.perf_counter_ns()
        near.send(sealer.seal(message))
        while stream.next() is None:
            stream.feed(near.recv(65536))
        found.append((time.perf_counter_ns() - begin) / 1000)
    process.join()
    near.close()
    far.close()
    return sorted(found)


if __name__ == "__main__":
    for body_bytes, frames in SIZES.items():
        seal_us, parse_us = frame_costs(body_bytes, frames)
        rate = body_bytes / max(seal_us, parse_us)
        print(f"body {body_bytes:6} B   seal {seal_us:6.2f} us   parse {parse_us:6.2f} us   {rate:5.0f} MB/s by the slower")
    print(f"handshake, both sides {median_us(handshakes, HANDSHAKES):6.0f} us")
    trips = round_trips_us()
    half, most = trips[len(trips) // 2], trips[len(trips) * 99 // 100]
    print(f"64-byte round trip, two processes: p50 {half:.0f} us  p99 {most:.0f} us")
