"""Death at every single instruction of publish and of deliver, C and numba: the exact form of "survives kill -9".

For k = 1, 2, 3 …: fork a child, let it execute k instructions of the step under ptrace, SIGKILL it, attach its
successor to what it left, and check. It ends when a child comes through the step; every instant before it was met.
"""

import ctypes
import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.test_ring_crash import fork, kill
from tests.native.ring_driver import (
    DONE,
    OBSERVED_TORN,
    Handle,
    Ledger,
    ScratchRing,
    address_of_step,
    compile_driver,
    side,
)

PTRACE_SINGLESTEP = 9
INSTRUCTIONS_MAX = 3000
DEPTH = 8
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def die_after(step, handle: Handle, instructions: int) -> bool:
    """A child dies `instructions` into `step`; True when it had come through before."""
    driver, done = compile_driver(), handle.ledger.words
    pid = fork(lambda: driver.run_traced(address_of_step(step), handle.context_address))
    try:
        os.waitpid(pid, os.WUNTRACED)
        for _ in range(instructions):
            if libc.ptrace(PTRACE_SINGLESTEP, pid, None, None) != 0:
                pytest.skip(f"ptrace is not allowed here: {os.strerror(ctypes.get_errno())}")
            _, status = os.waitpid(pid, 0)
            assert os.WIFSTOPPED(status), "the child ended by itself"
            if os.WSTOPSIG(status) != signal.SIGTRAP or done[DONE]:
                break
    finally:
        kill(pid)
    through = bool(done[DONE])
    done[DONE] = 0
    return through


def instants() -> Iterator[int]:
    yield from range(1, INSTRUCTIONS_MAX)
    raise AssertionError(f"the step did not end within {INSTRUCTIONS_MAX} instructions")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c", "numba"])
def test_a_producer_may_die_at_every_instruction_of_publish(name):
    ring, ledger = ScratchRing(DEPTH, 128), Ledger(1)
    reader, lives = ring.reader(side(name)), []
    for life in range(DEPTH):  # a full lap, so that every slot holds an old record
        assert ring.writer(side(name), ledger, life).publish() == 1
        assert reader.take() == life + 1
        reader.acknowledge()
    for instructions in instants():
        position = reader.struct.position
        through = die_after(side(name).publish, ring.writer(side(name), ledger, instructions), instructions)

        oldest = ring.reader(side(name), reliable=False)  # an observer at the very slot that was being overwritten
        oldest.struct.position = position - DEPTH
        assert oldest.observe() in (1, -1)
        assert oldest.ledger.words[OBSERVED_TORN] == 0
        successor = ring.writer(side(name), ledger, -instructions)
        published = successor.struct.position == position + 1
        assert reader.take() == (position + 1 if published else 0), "the reader sees it exactly when it is published"
        assert published or successor.struct.position == position
        assert successor.publish() == 1
        assert reader.take() == successor.struct.position, "the record behind the death is whole and in its place"
        reader.acknowledge()
        lives.append(published)
        if through:
            break
    print(f"{name}: killed after each of {len(lives)} instructions, {lives.count(False)} before publication")
    assert lives == sorted(lives), "publication happens at one instruction and stays"
    assert lives.count(False) > 20
    assert lives[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c", "numba"])
def test_a_reader_may_die_at_every_instruction_of_deliver(name):
    ring = ScratchRing(DEPTH, 128)
    writer, lives = ring.writer(side(name)), []
    ledger = Ledger(DEPTH * INSTRUCTIONS_MAX)
    for instructions in instants():
        base = ring.header("cursor")
        assert sum(writer.publish() for _ in range(DEPTH)) == DEPTH
        reader = ring.reader(side(name), ledger)
        for _ in range(DEPTH - 1):
            assert side(name).deliver(reader.context_address) > 0
        through = die_after(side(name).deliver, reader, instructions)  # reads the eighth and gives all eight back

        acknowledged = ring.header("cursor") == base + DEPTH
        assert acknowledged or ring.header("cursor") == base
        assert not acknowledged or ledger.delivered[base + DEPTH - 1] == 1, "given back before it was used"
        successor = ring.reader(side(name), ledger)
        for position in range(successor.struct.position, base + DEPTH):
            assert side(name).deliver(successor.context_address) == position + 1
        assert side(name).deliver(successor.context_address) == 0
        assert set(ledger.delivered[base : base + DEPTH]) <= {1, 2}
        lives.append(acknowledged)
        if through:
            break
    print(f"{name}: killed after each of {len(lives)} instructions, {lives.count(False)} before the acknowledgement")
    assert lives == sorted(lives)
    assert lives.count(False) > 20
    assert lives[-1]
