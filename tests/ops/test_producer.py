"""Two processes for one stage: the second waits until the first is dead, and writes nothing before."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gateway import layout
from gateway.config import load
from gateway.instance import Instance
from gateway.ops.demo import CONFIGURATION, PASSWORD, USERNAME, free_address
from gateway.ops.process import CONFIGURATION_FILE
from gateway.ops.producer import FILLED, hold_rings
from gateway.ops.session_secret import VARIABLE
from gateway.pipeline import RINGS, STAGES
from tests.stage_bench import unique_name

WAIT_SECONDS, MOMENT_SECONDS = 30.0, 0.5
HOLDER = """
import sys
from gateway.instance import Instance
from gateway.ops.producer import hold_rings
print(hold_rings(Instance.attach(sys.argv[1]), sys.argv[2].split(",")), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def instance():
    made = Instance.create(unique_name("producer"))
    yield made
    made.close(remove=True)


@pytest.fixture
def start():
    """Starts a process; each is ended."""
    processes = []

    def begin(*words, **more):
        processes.append(subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def wait_for(what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


def test_every_stage_has_a_ring_of_its_own():
    assert set(FILLED) == {stage.name for stage in STAGES} | {"session", "link"}
    assert len(set(FILLED.values())) == len(FILLED) and set(FILLED.values()) <= {ring.name for ring in RINGS}


@pytest.mark.slow
@pytest.mark.parametrize("stages", ["session", "io", "core", "io,core"])
def test_the_second_waits_until_the_first_is_dead(instance, start, stages):
    first = start("-c", HOLDER, instance.name, stages)
    assert first.stdout.readline() == b"True\n"
    second = start("-c", HOLDER, instance.name, stages.split(",")[0])
    os.set_blocking(second.stdout.fileno(), False)
    time.sleep(2 * MOMENT_SECONDS)
    assert not second.stdout.read() and second.poll() is None
    first.send_signal(signal.SIGKILL)
    wait_for(lambda: second.stdout.read() == b"True\n")


def test_another_stage_does_not_wait(instance, start):
    assert start("-c", HOLDER, instance.name, "session").stdout.readline() == b"True\n"
    assert start("-c", HOLDER, instance.name, "io,core").stdout.readline() == b"True\n"


def test_who_waits_hears_the_stop_word(instance, start):
    assert start("-c", HOLDER, instance.name, "session").stdout.readline() == b"True\n"
    instance.control[0]["stop"] = 1
    assert not hold_rings(instance, ["session"])


@pytest.mark.slow
def test_two_sessions_of_one_instance_are_one_at_a_time(instance, start):
    orders = {"carriage": "soupbintcp", "address": free_address(), "username": USERNAME}
    configuration = load(CONFIGURATION, {"instance.name": instance.name, **{f"orders.{key}": orders[key] for key in orders}})
    document = json.dumps(configuration.model_dump(mode="json", by_alias=True))
    (instance.folder / CONFIGURATION_FILE).write_text(document)
    beat = instance.control[0]["heartbeats"][layout.value("PROCESS_SESSION")]
    words, environment = ("-m", "gateway.ops.process", str(instance.folder), "session"), {**os.environ, VARIABLE: PASSWORD}
    first = start(*words, env=environment)
    wait_for(lambda: beat["pid"] == first.pid and beat["state"] == layout.value("PROCESS_RUNNING"))
    second = start(*words, env=environment)
    time.sleep(3 * MOMENT_SECONDS)
    assert second.poll() is None and beat["pid"] == first.pid and beat["state"] == layout.value("PROCESS_RUNNING")
    first.send_signal(signal.SIGKILL)
    wait_for(lambda: beat["pid"] == second.pid and beat["state"] == layout.value("PROCESS_RUNNING"))
    instance.control[0]["stop"] = 1
    assert second.wait(WAIT_SECONDS) == 0
