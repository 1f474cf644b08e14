"""What a peer costs: both sides in one process, joined by memory, CPU time.

python -m tests.link.peer_bench
"""

import time
from collections.abc import Callable

from gateway import limits
from gateway.link.frames import wire
from gateway.link.peers import channel
from gateway.link.peers.event import Delivered
from tests.link.pair import MILLISECOND, Pair

ROUNDS = 7


class Bench:
    """The initiator speaks; the other side takes, consumes and acknowledges."""

    def __init__(self) -> None:
        self.pair = Pair().up()
        self.caller, self.called = self.pair.peers
        self.delivered = 0

    def turn(self, number: int, connection: int, body: bytes, messages: int) -> None:
        now_ns = self.pair.now_ns
        for _ in range(messages):
            assert self.caller.send(number, body, now_ns=now_ns)
        self.called.received(connection, self.caller.output(connection, 1 << 20, now_ns), now_ns)
        for event in self.called.events():
            if isinstance(event, Delivered):
                self.called.consumed(event.channel, len(event.message.body))
                self.delivered += 1

    def answer(self) -> None:
        data = self.called.output(wire.CONTROL, 1 << 20, self.pair.now_ns)
        if data:
            self.caller.received(wire.CONTROL, data, self.pair.now_ns)

    def control(self, count: int) -> None:
        for message in range(count):
            self.pair.now_ns += MILLISECOND // 32
            self.turn(channel.CONTROL, wire.CONTROL, bytes(64), 1)
            if message % 32 == 0:
                self.answer()

    def bulk(self, count: int) -> None:
        for _ in range(count // 4):
            self.pair.now_ns += MILLISECOND // 10
            self.turn(channel.MARKET_DATA, wire.BULK, bytes(limits.LINK_BODY_BYTES_MAX), 4)
            self.answer()

    def idle(self, count: int) -> None:
        for _ in range(count):
            self.caller.tick(self.pair.now_ns)
            _ = (self.caller.deadline_ns, self.caller.has_output(wire.CONTROL), self.caller.has_output(wire.BULK))


def microseconds(work: Callable[[int], None], count: int) -> float:
    """Of one, in the quietest of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work(count)
        best = min(best, time.process_time() - began)
    return best / count * 1e6


def main() -> None:
    """Prints a line a figure."""
    bench = Bench()
    print(f"control, 64 bytes, send to delivered    {microseconds(bench.control, 4000):8.1f} us")
    bulk = microseconds(bench.bulk, 800)
    print(f"bulk, 16 KiB, send to delivered         {bulk:8.1f} us  {1e6 / bulk:8,.0f} frames/s  {16384 / bulk:6,.0f} MB/s")
    print(f"a turn with nothing to do               {microseconds(bench.idle, 4000):8.1f} us")
    assert bench.delivered == ROUNDS * 4800


if __name__ == "__main__":
    main()
