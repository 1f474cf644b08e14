"""The virtio testbed without its guest: both ends of an echo over shared memory, the agent, the judgement, the watchdog.

The guest itself is booted by `scripts/testbed`, which continuous integration runs.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import kernel_cache
from tests.corridor_bench import unique_name
from vagrant.testbed import agent, bench, guest_tree, machine, network, trading
from vagrant.testbed.echo_cases import ECHO_CASES, EchoCase, far_account, far_end, judge
from vagrant.testbed.guest_tree import GuestTree

SECONDS = 30
ECHO = agent.GUEST_FILES / "echo.py"


def lines(process, wanted):
    """Reads until a line that begins so."""
    while line := process.stdout.readline():
        if line.startswith(wanted):
            return line
    raise AssertionError(process.stderr.read())


@pytest.fixture(scope="module")
def accounts():
    """What both ends counted over shared memory."""
    name = unique_name("testbed")
    words = [sys.executable, str(ECHO), f"pair:{name}"]
    environment = {**os.environ, "PYTHONPATH": str(guest_tree.ROOT)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as near:
        try:
            lines(near, "open")
            with far_end(f"pair:{name},side=b", [], frames=300, seed=7) as far:
                here = far_account(far)
            near.send_signal(signal.SIGTERM)
            there = json.loads(near.communicate(timeout=SECONDS)[0].splitlines()[-1])
        finally:
            near.kill()
    there["set_up"] = {"driver": "net_virtio"}  # a pair has no driver to name
    return here, there


def judged(here, there, chosen=ECHO_CASES[0]):
    row = bench.Row("echo")
    judge(row, here, there, chosen)
    return row


@contextlib.contextmanager
def local_agent(folder):
    """The guest's agent as a process of this host, with its files and its environment in a folder."""
    for source in agent.GUEST_FILES.glob("*.py"):
        (folder / source.name).write_text(source.read_text().replace("/run/job", str(folder)).replace("/run/", f"{folder}/"))
    surroundings = {"PYTHONPATH": str(guest_tree.ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    (folder / "environment.json").write_text(json.dumps(surroundings))
    ours, theirs = socket.socketpair()
    words = [sys.executable, "-u", str(folder / "agent.py")]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs)
    theirs.close()
    try:
        with ours:
            guest = agent.Guest(ours)
            guest.wait_until_ready(SECONDS)
            yield guest
        process.wait(SECONDS)  # it ends what it has started
    finally:
        process.kill()
        process.wait()


def test_an_echo_passes_when_all_four_counts_agree(accounts):
    row = judged(*accounts)
    assert row.problems == []
    assert (row.host_sent, row.guest_received, row.guest_echoed, row.host_echoed) == (300, 300, 300, 300)


@pytest.mark.parametrize(("side", "name"), [(0, "echoed"), (0, "sent"), (1, "received"), (1, "echoed")])
def test_one_frame_missing_on_either_side_fails_the_case(accounts, side, name):
    changed = [dict(accounts[0]), dict(accounts[1])]
    changed[side][name] -= 1
    assert any("do not agree" in problem for problem in judged(*changed).problems)


def test_a_foreign_driver_and_a_dropped_frame_fail_the_case(accounts):
    here, there = accounts
    other = judged(here, {**there, "set_up": {"driver": "net_pcap"}})
    assert other.problems == ["the guest's port is driven by net_pcap"]
    dropped = judged(here, {**there, "port": {**there["port"], "receive_dropped": 1}})
    assert dropped.problems == ["the guest's port counts {'receive_dropped': 1}"]


def test_every_queue_must_carry_a_substantial_share_of_the_frames(accounts):
    here, there = accounts
    whole = there["port"]["frames_received"]

    def problems(first, second):
        set_up = {"driver": "net_virtio", "queue0": str(first), "queue1": str(second)}
        return judged(here, {**there, "set_up": set_up}, EchoCase("queues", queues=2)).problems

    share = -(-whole // 4)
    assert problems(whole - share, share) == []
    assert problems(whole - share + 1, share - 1)
    assert problems(whole, 0)
    assert problems(whole - share - 1, share)


@pytest.mark.slow
@pytest.mark.parametrize("placement", [trading.TOGETHER, {}], ids=["together", "apart"])
def test_a_session_over_the_agents_line_is_judged_by_both_sides_accounts(tmp_path, monkeypatch, placement):
    name = unique_name("testbed")
    monkeypatch.setattr(trading, "GUEST_FOLDER", str(tmp_path))
    monkeypatch.setattr(trading, "INSTANCE", name)
    monkeypatch.setattr(trading, "PORT", f"pair:{name}")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/gateway").symlink_to(guest_tree.ROOT / "gateway")
    trading.compile_venue()
    row = bench.Row("demo")
    with local_agent(tmp_path) as guest:
        far = trading.FarSide(f"pair:{name},side=b", [], tmp_path, seed=1)
        tree = GuestTree(tmp_path, tmp_path / "tree.img")
        state = {"INSTANCE__STATE": str(tmp_path / "state"), **placement}
        trading.trade(row, guest, tree, trading.Market(seconds=1.0), far, **state)
    assert row.problems == []
    assert row.host_sent == row.guest_received > 0
    assert row.host_echoed == row.guest_echoed > 0
    assert not Path(f"/dev/shm/gateway-{name}").exists()


def test_the_agent_answers_each_request_and_survives_a_bad_one(tmp_path):
    source = (agent.GUEST_FILES / "agent.py").read_text().replace("/run/", f"{tmp_path}/")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "environment.json").write_text('{"WORD": "from the host"}')
    (tmp_path / "agent.py").write_text(source)
    requests = [
        {"do": "run", "words": ["sh", "-c", "echo $WORD; exit 3"], "seconds": 9},
        {"do": "run", "words": ["sleep", "9"], "seconds": 0.1},
        {"do": "run", "words": ["no-such-program"], "seconds": 9},
        {"do": "look", "name": "nobody"},
        {"do": "start", "name": "sleeper", "words": ["sleep", "30"]},
        {"do": "signal", "name": "sleeper", "number": 9},
        {"do": "end", "code": 5},
    ]
    text = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(
        [sys.executable, tmp_path / "agent.py"], input=text, capture_output=True, text=True, timeout=SECONDS
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers[0] == {"ready": True}
    assert answers[1] == {"code": 3, "out": "from the host\n", "err": ""}
    assert [answers[2]["code"], answers[3]["code"]] == [124, 127]
    assert "FileNotFoundError" in answers[4]["problem"]
    assert list(answers[5]) == ["pid"] and answers[6] == {}
    assert done.returncode == 5


def test_a_case_that_takes_too_long_becomes_a_complaint_and_leaves_no_folder():
    row = bench.Row("slow")
    with bench.case(row, 0.2) as folder:
        time.sleep(10)
    assert row.problems == ["not done within 0 s"]
    assert not folder.exists() and row.seconds < 5


def test_every_case_is_emulated_and_changes_nothing_on_the_disks(tmp_path):
    tree = GuestTree(tmp_path / "tree", tmp_path / "tree.img")
    for chosen in ECHO_CASES:
        words = machine.words_of(chosen.hardware(tmp_path), tmp_path, tree, tmp_path)
        assert words[words.index("-accel") + 1].startswith("tcg")
        drives = [word for word in words if "format=raw" in word]
        assert len(drives) == 3 and all("snapshot=on" in drive for drive in drives)
        assert ("intel-iommu,intremap=on,caching-mode=on" in words) == (chosen.driver == "vfio-pci")


def test_a_tree_is_only_made_for_the_guests_python(monkeypatch):
    monkeypatch.setattr(guest_tree, "GUEST_PYTHON", (3, 1))
    with pytest.raises(guest_tree.CapabilityError, match="the guest's Python is 3.1"):
        guest_tree.make()


def test_trees_of_clones_that_are_gone_are_removed(tmp_path):
    for name, origin in (("tree-gone", tmp_path / "nowhere"), ("tree-here", tmp_path)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "origin").write_text(str(origin))
        (tmp_path / f"{name}.img").write_bytes(b"")
    guest_tree.remove_orphans(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree-here", "tree-here.img"]


def test_kernels_for_a_named_processor_have_a_folder_of_their_own(monkeypatch):
    own = kernel_cache.source_hash.__wrapped__()
    for name, value in guest_tree.PROCESSOR.items():
        monkeypatch.setattr(kernel_cache.numba.config, name.removeprefix("NUMBA_"), value)
    assert kernel_cache.processor() == "x86-64-v2 +sse4.2,+popcnt,+cx16"
    assert kernel_cache.source_hash.__wrapped__() != own


@pytest.mark.root
def test_the_namespace_of_a_killed_testbed_is_removed_by_the_next(as_root):
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = f"{network.PREFIX}{dead.pid}"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=SECONDS)
    with network.link() as link:
        spaces = {path.name for path in Path("/run/netns").iterdir()}
        assert link.namespace in spaces and name not in spaces
    assert link.namespace not in {path.name for path in Path("/run/netns").iterdir()}
