"""The file of what the controls after the trade have halted: damaged, absurd, not to be written, killed in the middle."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import layout
from gateway.ops import durable_file, post_trade_record
from gateway.ops.halts import BITS
from tests.post_trade_desk import (
    controls_in,
)


@pytest.fixture
def control(tmp_path):
    with controls_in(tmp_path / "state") as make:
        yield make


DAMAGE = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data.replace(b'"capital"', b'"capitbl"'),
    "binary": lambda data: os.urandom(200),
    "no digest": lambda data: data.partition(b"\n")[0],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_not_whole_counts_as_halted_and_is_kept(control, damage):
    first = control()
    first.turn(turns=60)
    path = post_trade_record.path_in(control.state)
    damaged = DAMAGE[damage](path.read_bytes())
    path.write_bytes(damaged)
    second = control()
    assert second.account["halted"] == BITS["RECORD"] and "RECORD fired" in second.told[0]
    assert (control.state / "post_trade.damaged.1").read_bytes() == damaged
    third = control()
    assert third.account["halted"] == BITS["RECORD"], "until a human says otherwise"


BODIES = (
    {"halts": {"account": {"CHEESE": {"at": 1, "why": "x"}}}},
    {"halts": {"moon": {"GAP": {"at": 1, "why": "x"}}}},
    {"halts": []},
    {"halts": {"account": {"DAILY": 5}}},
    {"halts": {}, "equity": {"high": [[5, 1], [4, 1]], "day": "", "day_base": 0}},
    {"halts": {}, "equity": {"high": [], "day": "", "day_base": "much"}},
)


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_file_that_is_whole_and_absurd_counts_as_halted(control, body):
    post_trade_record.write(control.state, {"equity": {}, "strategies": {}, "capital": 1, "profit": 0, "carried": 0, **body})
    assert control().account["halted"] & BITS["RECORD"]


def test_a_file_that_cannot_be_written_halts_in_memory_and_is_tried_again(control, monkeypatch):
    running = control()
    running.turn()

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_file, "replace", full)
    running.turn(turns=100)
    assert running.account["halted"] == BITS["RECORD"] and running.fired("RECORD") == 1
    assert sum("No space left" in line for line in running.told) == 1
    monkeypatch.undo()
    running.turn()
    assert control().account["halted"] == BITS["RECORD"]


CRASH = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.post_trade_desk import CAPITAL, Control
running = Control(Path(sys.argv[1]))
running.controls._tell = lambda line: print(line, flush=True)
running.turn(turns=3)
print(running.settings.instance.name, flush=True)
print("ready", flush=True)
step = 0
while True:
    step += 1
    running.account["profit_value"] = -CAPITAL * step // 2000
    running.turn()
"""


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_killed_at_any_moment_what_was_announced_is_on_disk(control, lines):
    """A control whose equity falls is killed once it has said so many lines: what it said was halted is halted."""
    root = str(Path(layout.__file__).parents[1])
    command = ["timeout", "-s", "KILL", "60", sys.executable, "-c", CRASH.format(root=root), str(control.state)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    name, *said = itertools.islice(process.stdout, lines + 1)
    os.kill(int(name.rpartition("-")[0].rpartition("-")[2]), signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    shutil.rmtree(f"/dev/shm/gateway-{name.strip()}")
    announced = {line.split()[0] for line in said} - {"ready"}
    after = control()
    assert len(said) >= lines and announced <= {name for name, bit in BITS.items() if int(after.account["halted"]) & bit}
