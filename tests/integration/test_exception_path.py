"""The kernel exception path, whole: `gateway run` in one namespace, a plain kernel in the other, every kind of port.

The picture stands in far_end.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import layout
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops.exception import derived_mac
from gateway.port import open_port, port_kinds
from gateway.protocols import moldudp64, udp
from gateway.venues.definition_file import FOLDER
from tests.corridor_bench import unique_name
from tests.exception_bench import arp_for, echo_request, io_with_tap, turns_ns
from tests.integration.far_end import (
    FAR,
    FAR_ADDRESS,
    NEAR_ADDRESS,
    SECONDS,
    TAP,
    Memberships,
    echo_over_tcp,
    end,
    ends,
    inside,
    ip,
    ping,
    without_network_rights,
)
from tests.test_exception import ARP

pytestmark = pytest.mark.root
START_SECONDS = 200
GROUPS = {"239.192.1.1", "239.192.1.2"}
RUNNING = layout.value("PROCESS_RUNNING")
MEBIBYTE = 1 << 20
KINDS = ["pair", "af_packet", "memif", "dpdk_af_packet"]


@pytest.fixture
def places(as_root):
    if not Path("/dev/net/tun").exists():
        pytest.skip("this host has no /dev/net/tun")
    with ends() as both:
        yield both


class Run:
    """`gateway run` with an exception path in the near namespace."""

    def __init__(self, places, port, folder, more=""):
        self.places, self.name = places, unique_name("exception")
        path = folder / "gateway.toml"
        path.write_text(
            f'[instance]\nname = "{self.name}"\nstate = "{folder}/state"\n[port]\nname = "{port}"\n'
            f'[placement]\nidle = "sleep"\n[exception]\ntap = "{TAP}"\naddress = "{NEAR_ADDRESS}/24"\n{more}'
        )
        self.log = folder / "log"
        self.process = places.start(
            places.near,
            *(sys.executable, "-m", "gateway.cli.main", "run", str(path), "--json"),
            stderr=self.log.open("ab"),
        )

    def wait(self):
        """Returns once io and core run."""
        self.instance = self.until(self._attached, START_SECONDS)
        return self

    def _attached(self):
        try:
            instance = Instance.attach(self.name)
        except AttachError:
            return None
        beats = instance.control[0]["heartbeats"]
        names = ("PROCESS_IO", "PROCESS_CORE")
        return instance if all(beats[layout.value(name)]["state"] == RUNNING for name in names) else None

    def until(self, what, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            if found := what():
                return found
            time.sleep(0.02)
        raise AssertionError(f"waited {seconds} s in vain; {self.log.read_text()}")

    @property
    def io_pid(self):
        return int(self.instance.control[0]["heartbeats"][layout.value("PROCESS_IO")]["pid"])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(output)

    def close(self):
        """Ends a run that a failed test left, and its folder."""
        end(self.process)
        for path in Path("/dev/shm").glob(f"gateway-pair-gwx{os.getpid()}.*"):
            path.unlink()
        if hasattr(self, "instance"):
            self.instance.close(remove=True)


@pytest.fixture
def started(places, tmp_path):
    """Starts an appliance on a kind of port, with the far side wired to it: (run, memberships)."""
    runs = []

    def start(kind, more=""):
        if kind not in ("pair", "af_packet") and "dpdk" not in port_kinds():
            pytest.skip("this build has no DPDK")
        port = places.wire(kind, tmp_path)
        heard = Memberships(places.far, places.stack) if places.bridge is None else None
        run = Run(places, port, tmp_path, more)
        runs.append(run)
        if heard is None:
            run.wait()
            places.start_bridge()
            heard = Memberships(places.far, places.stack)
        return run.wait(), heard

    yield start
    for run in runs:
        run.close()


def neighbour(space, address, device):
    """The hardware address that a namespace's kernel has for an IPv4 address."""
    words = ip("-n", space, "neighbour", "show", address, "dev", device).split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else ""


def hardware_address(space, device):
    words = ip("-n", space, "link", "show", "dev", device).split()
    return words[words.index("link/ether") + 1]


def has_tap(space):
    return subprocess.run(["ip", "-n", space, "link", "show", TAP], capture_output=True, timeout=20).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ping_arp_tcp_and_igmp_work_on_the_port_that_io_owns(places, started, kind):
    # the DPDK driver tells the address of near0 itself, whose kernel would answer as well
    run, heard = started(kind, 'mac = "02:00:00:00:09:02"' if kind == "dpdk_af_packet" else "")
    assert ping(places.far, NEAR_ADDRESS) and ping(places.near, FAR_ADDRESS)
    assert ping(places.far, NEAR_ADDRESS, size=1400) and ping(places.near, FAR_ADDRESS, size=1400)
    near_mac = hardware_address(places.near, TAP)
    assert neighbour(places.far, NEAR_ADDRESS, FAR) == near_mac
    assert neighbour(places.near, FAR_ADDRESS, TAP) == hardware_address(places.far, FAR)
    if kind in ("pair", "af_packet"):
        assert near_mac == derived_mac(run.name)
    data = os.urandom(MEBIBYTE)
    assert echo_over_tcp(places.near, NEAR_ADDRESS, places.far, data) == data
    assert echo_over_tcp(places.far, FAR_ADDRESS, places.near, data) == data
    if places.bridge is None:
        assert heard.changes(heard.CHANGE_TO_EXCLUDE, GROUPS) >= GROUPS
    # the far end may have come up after the joins had left: they are said again
    assert heard.changes(heard.IS_JOINED, GROUPS) >= GROUPS
    heard = Memberships(places.far, places.stack)
    result = run.stop()
    assert heard.changes(heard.CHANGE_TO_INCLUDE, GROUPS, 5) >= GROUPS
    assert result["io"]["exception_in"] > 700 and result["io"]["exception_out"] > 700
    assert result["kill_latch"] == "" and result["io"]["orders_transmitted"] == 0
    assert not has_tap(places.near)


@pytest.mark.slow
def test_after_a_killed_io_the_path_comes_back_and_the_groups_are_joined_again(places, started):
    run, heard = started("af_packet")
    assert ping(places.far, NEAR_ADDRESS)
    assert heard.changes(heard.CHANGE_TO_EXCLUDE, GROUPS) >= GROUPS
    before, mac = run.io_pid, hardware_address(places.near, TAP)
    heard = Memberships(places.far, places.stack)
    os.kill(before, signal.SIGKILL)
    run.until(lambda: run.io_pid != before and has_tap(places.near))
    assert ping(places.far, NEAR_ADDRESS) and ping(places.near, FAR_ADDRESS)
    assert heard.changes(heard.CHANGE_TO_EXCLUDE, GROUPS) >= GROUPS
    assert hardware_address(places.near, TAP) == mac
    data = os.urandom(MEBIBYTE // 8)
    assert echo_over_tcp(places.near, NEAR_ADDRESS, places.far, data) == data
    run.stop()
    assert not has_tap(places.near)


@pytest.mark.slow
def test_an_io_that_replaces_another_goes_on_without_a_tap_rather_than_not_at_all(places, started):
    run, _ = started("af_packet")
    before = run.io_pid
    os.kill(before, signal.SIGKILL)
    run.until(lambda: not has_tap(places.near))
    ip("-n", places.near, "link", "add", TAP, "type", "veth", "peer", "name", "other0")
    run.until(lambda: run.io_pid != before)
    assert f"goes on without its exception path: exception.tap: an interface {TAP} exists" in run.log.read_text()
    received = int(run.instance.counters[0]["io"]["frames_received"])
    ping(places.far, NEAR_ADDRESS, 0.5)  # ARP, which nobody answers now
    run.until(lambda: run.instance.counters[0]["io"]["frames_published"] > 0)
    assert run.instance.counters[0]["io"]["frames_received"] > received
    run.stop()


def test_thirty_groups_are_joined_and_left(places, tmp_path):
    """More than one socket may hold: Linux allows 20 memberships each."""
    wanted = {f"239.1.{index}.1" for index in range(15)} | {f"239.1.{index}.2" for index in range(15)}
    lines = "".join(f'\n[[lines]]\na = "239.1.{index}.1:15001"\nb = "239.1.{index}.2:15002"\n' for index in range(15))
    (tmp_path / "many.toml").write_text((FOLDER / "cme_mdp3.toml").read_text() + lines)
    with io_with_tap(places.near, {"feed.definition": str(tmp_path / "many.toml")}) as (io, _, _):
        assert joined(places.near) >= wanted
        io.beside.close()
        assert not joined(places.near) & wanted and not has_tap(places.near)


def joined(space):
    """The groups that a namespace's kernel has joined (/proc/net/igmp prints them in host order)."""
    with inside(space):
        text = Path("/proc/thread-self/net/igmp").read_text()
    words = [line.split()[0] for line in text.splitlines()[1:] if line.startswith("\t")]
    return {socket.inet_ntoa(int(word, 16).to_bytes(4, "little")) for word in words}


@pytest.mark.slow
def test_without_join_the_kernel_reports_no_group(places, started):
    run, heard = started("af_packet", "join = false\n")
    assert ping(places.far, NEAR_ADDRESS)
    assert not heard.changes(heard.CHANGE_TO_EXCLUDE, GROUPS, 1) & GROUPS
    assert not heard.changes(heard.IS_JOINED, GROUPS, 4) & GROUPS
    run.stop()


@pytest.mark.slow
def test_during_a_flood_of_exception_frames_no_market_frame_is_lost(places, tmp_path):
    name = f"gwx{os.getpid()}"
    run = Run(places, f"pair:{name}", tmp_path)
    try:
        run.wait()
        with open_port(f"pair:{name},side=b") as peer:
            market = [
                udp.frame(
                    moldudp64.encode("FLOOD", number, [b"S" + bytes(11)]), destination="239.192.1.1", destination_port=31001
                )
                for number in range(1, 20_001)
            ]
            deadline = time.monotonic() + 60
            for start in range(0, len(market), 8):
                burst = [frame for each in market[start : start + 8] for frame in (each, *[ARP] * 7)]
                while burst and time.monotonic() < deadline:
                    burst = burst[peer.transmit(burst) :]
                peer.receive()
            io, core = run.instance.counters[0]["io"], run.instance.counters[0]["core"]
            run.until(lambda: core["packets"] == len(market), 30)
        assert io["frames_published"] >= len(market) and io["drop_ring_full"] == 0
        assert core["gaps"] == 0 and core["packets"] == len(market)
        flood = int(io["exception_in"] + io["exception_throttled"] + io["exception_failed"])
        assert flood == 7 * len(market) and io["exception_throttled"] > 0 and io["exception_failed"] == 0
        assert run.stop()["kill_latch"] == ""
    finally:
        run.close()


@pytest.mark.parametrize("kind", ["ARP", "ping"])
def test_a_turn_under_a_flood_takes_sixteen_frames_each_way_and_no_more_time_than_they_need(places, kind):
    with io_with_tap(places.near) as (io, peer, instance):
        mac = bytes.fromhex(derived_mac(io.instance.name).replace(":", ""))
        asked = (NEAR_ADDRESS, FAR_ADDRESS)
        frame = arp_for(*asked) if kind == "ARP" else echo_request(*asked, mac)
        before = {name: int(instance.counters[0]["io"][f"exception_{name}"]) for name in ("in", "out", "throttled")}
        costs = turns_ns(io, peer, [frame] * 64, 400, paced=False)
        passed = {name: int(instance.counters[0]["io"][f"exception_{name}"]) - before[name] for name in before}
    assert passed["in"] == 400 * lib.EXCEPTION_FRAMES_PER_TURN and passed["throttled"] == 400 * 48
    assert passed["out"] <= 400 * lib.EXCEPTION_FRAMES_PER_TURN
    calls = 2 * lib.EXCEPTION_FRAMES_PER_TURN + 1
    assert costs[len(costs) // 2] < calls * 20_000, costs  # a kernel call of 20 us would be a very busy machine's


@pytest.mark.slow
def test_an_appliance_whose_tap_is_taken_ends_with_one_line_and_leaves_nothing(places, tmp_path):
    ip("-n", places.near, "link", "add", TAP, "type", "veth", "peer", "name", "other0")
    run = Run(places, f"pair:gwx{os.getpid()}", tmp_path)
    try:
        run.process.communicate(timeout=START_SECONDS)
        log = run.log.read_text()
        assert run.process.returncode == 4, log
        assert f"an interface {TAP} exists already; choose another name" in log.splitlines()[-1]
        assert not list(Path("/dev/shm").glob(f"gateway*{run.name}*"))
    finally:
        run.close()


OPEN_ONLY = """
import sys
from gateway.config import load
from gateway.errors import GatewayError
from gateway.instance import Instance
from gateway.ops.appliance import io_stage
configuration = load(None, {"instance.name": sys.argv[1], "exception.tap": sys.argv[2]})
instance = Instance.create(sys.argv[1])
try:
    io_stage(instance, configuration, port="pair:" + sys.argv[1])
except GatewayError as problem:
    print(problem)
    sys.exit(problem.exit_code)
finally:
    instance.close(remove=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no rights", "not permitted; needs CAP_NET_ADMIN"),
        ("no device", "no /dev/net/tun; load it with: modprobe tun"),
        ("no command", "apt-get install iproute2"),
    ],
)
def test_a_path_that_cannot_be_made_says_why_in_one_line(places, tmp_path, case, said):
    before, options = [], {}
    if case == "no rights":
        options["preexec_fn"] = without_network_rights
    elif case == "no device":
        before = ["sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"]
    else:
        before = ["env", f"PATH={tmp_path}"]
    name = unique_name("refused")
    process = places.start(places.near, *before, sys.executable, "-c", OPEN_ONLY, name, TAP, **options)
    output, errors = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 4 and said in output and output.count("\n") == 1, output + errors
    assert not has_tap(places.near) and not list(Path("/dev/shm").glob(f"gateway*{name}*"))
