"""`gateway run`: what keeps it from starting is one line and an exit code; what it made is gone afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.corridor_bench import Feed, unique_name
from tests.integration.appliance import RISK

COMMAND = [sys.executable, "-m", "gateway.cli.main", "run"]


class Setup:
    """A configuration file in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder, self.name = folder, unique_name("cli")
        self.path = folder / "gateway.toml"
        self.tables = {
            "instance": f'name = "{self.name}"\nstate = "{folder}/state"\n',
            "port": f'name = "pair:{self.name}"\n',
            "placement": 'idle = "sleep"\n',
        }

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*COMMAND, str(self.write()), *words],
            capture_output=True,
            text=True,
            timeout=200,
            env={**os.environ, **environment},
        )

    def write(self) -> Path:
        self.path.write_text("".join(f"[{name}]\n{text}" for name, text in self.tables.items()))
        return self.path

    def left_over(self) -> list[str]:
        return [path.name for path in Path("/dev/shm").glob(f"*{self.name}*")]

    def refused(self, code: int, *said: str) -> None:
        outcome = self.run()
        assert outcome.returncode == code, outcome.stderr
        lines = [line for line in outcome.stderr.splitlines() if not line.startswith(("starting: ", "compiling "))]
        assert outcome.stdout == "" and len(lines) == 1, outcome.stderr
        assert all(text in lines[0] for text in said), outcome.stderr
        assert self.left_over() == []


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_a_missing_configuration_is_named(tmp_path):
    outcome = subprocess.run([*COMMAND, str(tmp_path / "no.toml")], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 3 and "no.toml" in outcome.stderr and outcome.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("placement", "together = 5\n", "placement.together"),
        ("placement", "idel = true\n", "did you mean idle"),
        ("plaecment", "idle = 5\n", "placement"),
        ("watch", "control_stale_ms = 1\n", "watch.control_stale_ms"),
    ],
)
def test_a_bad_key_is_named_with_its_mend(setup, table, text, said):
    setup.tables[table] = text
    setup.refused(3, said)


def test_a_strategy_without_limits_does_not_start(setup):
    setup.tables["strategy"] = 'file = "strategy.py"\n'
    setup.refused(3, "risk.quantity_max", "unset")


@pytest.mark.parametrize(
    ("port", "code", "said"),
    [
        ("carrier:pigeon", 3, "write KIND:ARGUMENT"),
        ("af_packet:nosuchinterface", 4, "nosuchinterface"),
    ],
)
def test_a_port_that_does_not_exist_is_named(setup, port, code, said):
    setup.tables["port"] = f'name = "{port}"\n'
    setup.refused(code, said, port)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def on_event(:\n", "strategy.py:1"),
        ("def on_event(state, event, book, orders):\n    open('x')\n", "numba cannot compile"),
    ],
)
def test_a_strategy_that_cannot_be_compiled_is_named_with_its_line(setup, text, said):
    (setup.folder / "strategy.py").write_text(text)
    setup.tables |= {"strategy": f'file = "{setup.folder}/strategy.py"\ninstruments = ["*"]\n', "risk": RISK}
    setup.refused(3, said, "could not start")


def test_a_latch_that_is_set_keeps_it_from_starting(setup):
    (setup.folder / "state").mkdir()
    (setup.folder / "state" / "kill").write_text("COMMAND yesterday")
    setup.refused(5, "COMMAND yesterday", "gateway kill --clear")


@pytest.mark.parametrize("what", ["state", "journal"])
def test_a_folder_that_cannot_be_written_is_named(setup, what):
    (setup.folder / "file").write_text("")
    where = f"{setup.folder}/file/below"
    if what == "state":
        setup.tables["instance"] = f'name = "{setup.name}"\nstate = "{where}"\n'
    else:
        setup.tables["journal"] = f'folder = "{where}"\n'
    setup.refused(5, str(setup.folder / "file"))


@pytest.mark.slow
def test_a_recording_as_port_is_played_once_and_the_appliance_ends_by_itself(setup):
    feed = Feed()
    feed.packet(*feed.listing())
    feed.packet(feed.add(1, "B", 100, 1_000_000))
    setup.tables["port"] = f'name = "pcap:{feed.write(setup.folder / "day.pcap")}"\n'
    outcome = setup.run("--json")
    assert outcome.returncode == 0, outcome.stderr
    assert '"messages": 3' in outcome.stdout and '"frames_received": 2' in outcome.stdout
    assert "ended" not in outcome.stderr and setup.left_over() == []


@pytest.mark.slow
def test_seconds_bound_a_run(setup):
    began = time.monotonic()
    outcome = setup.run("--seconds", "0.2", "--json")
    assert outcome.returncode == 0 and '"kill_latch": ""' in outcome.stdout
    assert time.monotonic() - began < 60 and setup.left_over() == []


@pytest.mark.slow
def test_a_stop_while_it_starts_is_obeyed_at_once(setup, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cold")}  # minutes of compiling ahead
    process = subprocess.Popen([*COMMAND, str(setup.write())], stderr=subprocess.PIPE, env=environment, text=True)
    deadline = time.monotonic() + 60
    while not Path(f"/dev/shm/gateway-{setup.name}/configuration.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and "is running" not in errors, errors
    assert time.monotonic() - began < 5 and setup.left_over() == []
