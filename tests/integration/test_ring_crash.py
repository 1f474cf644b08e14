"""kill -9 on either side of a ring, at random instants under load: nothing is torn, nothing lost, all counted.

    parent ── fork ──► producer  (killed, forked again as the next life, …)
           ── fork ──► reader    (killed, forked again at its cursor, …)
           ── fork ──► observer  (lives through it all)
The ring is small, so both sides meet its edges all the time, and a record fills 32 cache lines, so that much of a
producer's time is spent between claim and publish.
"""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.native.ring_driver import (
    DONE,
    OBSERVED,
    OBSERVED_TORN,
    OBSERVER_MISSED,
    OBSERVER_POSITION,
    REACHED,
    TORN,
    Ledger,
    ScratchRing,
    address_of_step,
    compile_driver,
    side,
)

POSITIONS_MAX = 1 << 25
DEPTH = 16
PAIRINGS = [("c", "c"), ("numba", "numba"), ("c", "numba"), ("numba", "c")]


def fork(work: Callable[[], None]) -> int:
    """The pid of a child that does `work` and never comes back into the test."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


class Scene:
    """One ring, its ledger, and the processes at it."""

    def __init__(self, producer: str, consumer: str) -> None:
        self.driver = compile_driver()
        self.ring, self.ledger = ScratchRing(DEPTH, 2048), Ledger(POSITIONS_MAX)
        self.producer_side, self.consumer_side = side(producer), side(consumer)
        self.producer_lives = self.kills = self.kills_inside_a_record = 0
        self.reader_lives: list[tuple[int, int]] = []  # (cursor at attach, one past the last position read)
        self.pids: dict[str, int] = {}

    def start(self, role: str) -> None:
        """Forks the next life of `role`: attach where the last one died, then run until killed."""
        if role == "producer":
            self.producer_lives += 1
        if role == "reader":
            self.ledger.words[REACHED] = self.ring.header("cursor")
            self.reader_lives.append((self.ring.header("cursor"), -1))
        self.pids[role] = fork(lambda: self.live(role))

    def live(self, role: str) -> None:
        if role == "producer":
            handle = self.ring.writer(self.producer_side, self.ledger, self.producer_lives)
            step = self.producer_side.publish
        elif role == "reader":
            handle, step = self.ring.reader(self.consumer_side, self.ledger), self.consumer_side.deliver
        else:
            handle, step = self.ring.reader(self.consumer_side, self.ledger, reliable=False), self.driver.observe_record
        self.driver.run_until_killed(address_of_step(step), handle.context_address)
        signal.pause()  # on a busy machine the ledger may be full before the kill comes

    def wait_for_load(self) -> None:
        """Both sides have moved since they were last started. Bounded: on a busy machine the kill comes anyway."""
        words = (self.ring.header("claimed"), int(self.ledger.words[REACHED]))
        for _ in range(100):
            if self.ring.header("claimed") > words[0] + DEPTH and self.ledger.words[REACHED] > words[1]:
                return
            time.sleep(0.0001)

    def end(self, role: str) -> None:
        """SIGKILL, and what the instant was."""
        kill(self.pids.pop(role))
        self.kills += 1
        if role == "producer":
            self.kills_inside_a_record += self.ring.writer(self.producer_side).struct.position < self.ring.header("claimed")
        if role == "reader":
            self.reader_lives[-1] = (self.reader_lives[-1][0], int(self.ledger.words[REACHED]))

    def drain(self) -> int:
        """With both sides dead: the next reader takes what is left. Returns how many records were ever published."""
        published = self.ring.writer(self.producer_side).struct.position
        reader = self.ring.reader(self.consumer_side, self.ledger)
        self.reader_lives.append((reader.struct.position, published))
        while self.consumer_side.deliver(reader.context_address) != 0:
            assert reader.struct.position <= published
        return int(published)

    def wait_for_observer(self, published: int) -> None:
        for _ in range(5000):
            if self.ledger.words[OBSERVER_POSITION] == published:
                return
            time.sleep(0.001)
        raise AssertionError(f"the observer stands at {self.ledger.words[OBSERVER_POSITION]} of {published}")

    def close(self) -> None:
        self.ledger.words[DONE] = 1
        for pid in self.pids.values():
            kill(pid)
        self.pids.clear()


def kill_often(scene: Scene, rounds: int, seed: int) -> int:
    choose = random.Random(seed)
    for role in ("observer", "reader", "producer"):
        scene.start(role)
    for _ in range(rounds):
        scene.wait_for_load()
        time.sleep(choose.uniform(0.0002, 0.005))
        roles = choose.choice([["producer"], ["reader"], ["producer", "reader"], ["reader", "producer"]])
        for role in roles:
            scene.end(role)
        for role in choose.sample(roles, len(roles)):
            scene.start(role)
    scene.end("producer")
    scene.end("reader")
    published = scene.drain()
    scene.wait_for_observer(published)
    return published


def check(scene: Scene, published: int) -> None:
    words, delivered = scene.ledger.words, scene.ledger.delivered
    assert words[TORN] == 0, "the reader met a torn record, or one out of its place"
    assert (delivered[:published] >= 1).all(), f"lost: {(delivered[:published] == 0).nonzero()[0][:10]}"
    assert not delivered[published:].any(), "delivered without being published"

    for (_, reached), (cursor, _) in zip(scene.reader_lives, scene.reader_lives[1:], strict=False):
        assert cursor <= reached, "a new reader began behind a gap"
    read = sum(reached - cursor for cursor, reached in scene.reader_lives)
    duplicates = int(delivered[:published].sum(dtype="int64")) - published
    repeated = read - published
    # a reader killed between its two ledger stores has read one record more than it says
    assert repeated <= duplicates <= repeated + len(scene.reader_lives), "a duplicate that no restart explains"
    assert duplicates <= DEPTH * len(scene.reader_lives), "a restart repeats at most a ring's depth"

    assert words[OBSERVED_TORN] == 0
    assert words[OBSERVED] > 0
    assert words[OBSERVED] + words[OBSERVER_MISSED] == published


def prove(producer: str, consumer: str, rounds: int, seed: int) -> None:
    scene = Scene(producer, consumer)
    try:
        published = kill_often(scene, rounds, seed)
        check(scene, published)
    finally:
        scene.close()
    print(
        f"seed {seed}: {scene.kills} kills, {scene.kills_inside_a_record} inside a record, {published:,} records,"
        f" {int(scene.ledger.delivered[:published].sum(dtype='int64')) - published} read twice"
    )
    assert scene.kills >= rounds
    assert published > rounds, "there was no load to kill under"
    assert scene.kills_inside_a_record > 0, "no kill met a half-written record: the schedule proves nothing"


@pytest.mark.slow
@pytest.mark.parametrize(("producer", "consumer"), PAIRINGS)
def test_both_sides_killed_hundreds_of_times_lose_and_tear_nothing(producer, consumer):
    prove(producer, consumer, rounds=120, seed=20260)


@pytest.mark.long
@pytest.mark.parametrize(("producer", "consumer"), PAIRINGS)
@pytest.mark.parametrize("seed", [1, 2])
def test_both_sides_killed_thousands_of_times_lose_and_tear_nothing(producer, consumer, seed):
    prove(producer, consumer, rounds=2000, seed=seed)
