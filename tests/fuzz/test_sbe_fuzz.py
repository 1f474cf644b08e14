"""Damaged SBE messages: the generated reader says what the interpreter says and reads no byte outside (sbe_mutations.py)."""

import random
import subprocess
import sys

import pytest

from tests.fuzz import sbe_mutations
from tests.fuzz.guarded import Guarded
from tests.protocols.sbe_messages import everything

SEED = 20261121


def run(rounds: int, seconds: float, files: list[str]) -> tuple[int, int]:
    """(messages read by both, of these refused) in a child process."""
    command = [sys.executable, "-m", "tests.fuzz.sbe_mutations", str(SEED), str(rounds), str(seconds), *files]
    child = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 300)
    assert child.returncode == 0, f"exit code {child.returncode}, seed {SEED}\n{child.stdout}{child.stderr}"
    done, refused = map(int, child.stdout.split())
    return done, refused


@pytest.mark.slow
def test_reader_and_interpreter_agree_on_damaged_messages_at_a_guarded_page():
    done, refused = run(20_000, 60, [])
    assert done == 20_000
    assert done * 0.1 < refused < done * 0.9


@pytest.mark.long
def test_reader_and_interpreter_agree_on_ten_million_damaged_messages(shared_data):
    files = sorted((shared_data / "schemas").glob("*.xml"))
    files.append(shared_data / "deribit-multicast-sbe" / "deribit_multicast.xml")
    done, _ = run(10_000_000, 6 * 3600, [str(file) for file in files])
    assert done >= 10_000_000


def test_the_comparison_notices_a_reader_that_is_wrong():
    mill = sbe_mutations.Mill(everything(False), 2, random.Random(SEED))
    right = mill.kernels.reader
    guarded = Guarded(sbe_mutations.ROOM_BYTES)
    for wrong in (
        lambda address, size, length, version, *rows: right(address, size, length, version ^ 4, *rows),
        lambda address, size, length, version, *rows: max(right(address, size, length, version, *rows), 0),
        lambda address, size, length, version, *rows: right(address, size, length, version, *rows) + 1,
    ):
        mill.kernels.reader = wrong
        outcomes = [sbe_mutations.agree(mill, guarded, *mill.damage(*mill.make()))[0] for _ in range(200)]
        assert not all(outcomes)
