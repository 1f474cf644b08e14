"""What may go wrong around the DPDK port: one line with the mend, a count, and nothing left that was not there before."""

import os
import signal
import time
from pathlib import Path

import pytest

from gateway.port import port_kinds
from tests.ports.conftest import ip
from tests.ports.dpdk_process import ECHO, finish, run, start

pytestmark = pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")

REFUSE = """
for argument in sys.argv[1:]:
    try:
        open_port("dpdk:" + argument).close()
        print("opened", argument)
    except GatewayError as error:
        print(type(error).__name__, str(error))
"""

WORDS = [
    ("--bogus", "no option of EAL"),
    ("word", "no option of EAL"),
    ("-", "no option of EAL"),
    ("--", "no option of EAL"),
    ("-x", "no option of EAL"),
    ("--file-pref=x", "no option of EAL"),
    ("--help", "would end the process"),
    ("-h", "would end the process"),
    ("--version", "would end the process"),
    ("-dlibevil.so", "would end the process"),
    ("--proc-type=secondary", "would end the process"),
    ("-l;0-3", "place that with cpu="),
    ("-l0", "place that with cpu="),
    ("--lcores=0@99", "place that with cpu="),
    ("-c0xff", "place that with cpu="),
    ("--main-lcore=77", "place that with cpu="),
    ("-m64", "huge= and memory="),
    ("--no-huge", "huge= and memory="),
    ("--in-memory", "huge= and memory="),
    ("--file-prefix=other", "names its own"),
    ("--huge-dir=/nope", "names its own"),
    ("--trace=.*", "names its own"),
    ("--vdev=net_null7", "name the device as the port"),
    ("-a;0000:00:00.0", "name the device as the port"),
    ("-b0000:00:00.0", "name the device as the port"),
    ("--log-level=debug", "is not printed"),
    ("-n", "needs a value"),
    ("-n0", "whole number from 1 to 32"),
    ("-n;33", "whole number from 1 to 32"),
    ("-n4x", "whole number from 1 to 32"),
    ("-r17", "whole number from 1 to 16"),
    ("-n4;-n4", "given twice"),
    ("--no-hpet=1", "takes no value"),
    ("--iova-mode=dc", "is one of: pa va"),
    ("--iova-mode", "needs a value"),
    ("--vfio-intr=maybe", "is one of: legacy msi msix"),
    ("--vfio-vf-token=1234", "is a UUID"),
    ("--base-virtaddr=xyz", "hexadecimal"),
    ("--base-virtaddr=0x10", "hexadecimal"),
    ("--force-max-simd-bitwidth=100", "is one of: 64 128 256 512"),
    ("--mbuf-pool-ops-name=nope", "is one of: ring_mp_mc"),
    ("--syslog=nobody", "is one of: auth"),
    ("--socket-mem=64", "only with huge=yes"),
    ("--match-allocations", "only with huge=yes"),
    ("--huge-worker-stack=1", "whole number from 16"),
    (";".join(["--no-hpet"] * 70), "more words than"),
]


def test_every_bad_word_for_eal_is_one_line_before_eal_sees_it():
    arguments = [f"net_null0,huge=no,eal={words}" for words, _ in WORDS]
    program = REFUSE + "\nassert 'librte_net_null' not in open('/proc/self/maps').read(), 'EAL was started'"
    lines = run(program, *arguments[:-1]).splitlines()
    assert len(lines) == len(WORDS) - 1
    for line, (words, said) in zip(lines, WORDS[:-1], strict=True):
        assert line.startswith("PortNameError port dpdk:net_null0: eal=") and said in line, (words, line)
    assert "longer than 511" in run(REFUSE, arguments[-1])


def test_good_words_reach_eal():
    words = "-n4;-r;2;--no-hpet;--iova-mode=va;--force-max-simd-bitwidth=256;--syslog=daemon;--base-virtaddr=0x200000000000"
    assert run(REFUSE, f"net_null0,huge=no,eal={words}") == f"opened net_null0,huge=no,eal={words}"


def standing():
    """What EAL makes on a host: folders, huge page files, mounts."""
    folders = {str(path) for root in ("/var/run/dpdk", "/dev/hugepages") for path in Path(root).glob("*")}
    return folders, Path("/proc/mounts").read_text(), Path("/proc/sys/vm/nr_hugepages").read_text()


def refused_with(argument, said, before=(), environment=None):
    stood = standing()
    program = "import os\nos.environ.update(" + repr(environment or {}) + ")\n" + REFUSE
    line = finish(start(program, argument, before=before))
    assert line.startswith("CapabilityError port dpdk:") and said in line, line
    assert "\n" not in line
    assert standing() == stood


def test_what_the_host_lacks_is_said_before_eal_starts():
    if "0" != Path("/proc/sys/vm/nr_hugepages").read_text().strip():
        pytest.skip("somebody reserved huge pages on this host")
    refused_with("net_null0,huge=yes", "write huge=no")
    kib = int(next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemAvail" in line))
    if kib < 60 << 20:
        refused_with("net_null0,huge=no,memory=65536", "MiB free; write less")
    refused_with("net_null0,huge=no", "/proc/dpdk cannot be written", environment={"RUNTIME_DIRECTORY": "/proc"})


@pytest.mark.parametrize("files", [5, 7, 8, 40])
def test_too_few_open_files_are_said_before_eal_aborts(files):
    refused_with("net_null0,huge=no", "ulimit -n 1024", before=("prlimit", f"--nofile={files}"))


@pytest.mark.parametrize("limit", ["--as=1000000000"])
def test_when_eal_fails_half_way_nothing_is_left(limit):
    stood = standing()
    process = start(REFUSE, "net_null0,huge=no,memory=1024", "net_null0,huge=no", before=("prlimit", limit))
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    lines = output.splitlines()
    assert len(lines) == 2 and all(line.startswith("CapabilityError port dpdk:net_null0: ") for line in lines), output
    assert standing() == stood


def test_a_process_that_was_killed_leaves_no_files(tmp_path):
    stood = standing()
    process = start(ECHO, "dpdk:net_null0,huge=no", "1000000000")
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert standing() == stood


def test_one_device_belongs_to_one_process(veth, tmp_path):
    tap = f"gwo{os.getpid()}"
    names = [
        f"net_af_packet0,iface={veth[0]},huge=no",
        f"net_tap0,iface={tap},huge=no",
        f"net_memif0,role=server,socket={tmp_path}/m.sock,socket-abstract=no,huge=no",
        f"net_vhost0,iface={tmp_path}/v.sock,huge=no",
    ]
    hold = """
ports = [open_port("dpdk:" + argument) for argument in sys.argv[1:]]
print("open", flush=True)
sys.stdin.readline()
for port in ports:
    assert port.close() == 0
"""
    holder = start(hold, *names)
    assert holder.stdout.readline() == "open\n"
    lines = run(REFUSE, *names).splitlines()
    for line, said in zip(
        lines, ("another port has it", "exists already", "listens on its socket", "listens on its"), strict=True
    ):
        assert line.startswith("CapabilityError") and said in line, line
    finish(holder)
    assert run(REFUSE, *names).splitlines() == [f"opened {name}" for name in names]


def test_a_killed_vhost_server_leaves_a_socket_that_is_no_hindrance(tmp_path):
    name = f"net_vhost0,iface={tmp_path}/v.sock,huge=no"
    first = start(ECHO, f"dpdk:{name}", "1")
    assert first.stdout.readline() == "open\n"
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=10)
    assert (tmp_path / "v.sock").exists()
    assert run(REFUSE, name) == f"opened {name}"


def test_an_empty_pool_refuses_counts_and_recovers():
    program = """
with open_port("dpdk:net_ring0,huge=no,descriptors=64") as port:
    for turn in range(3):
        before = port.statistics()["transmit_refused"]
        sent = sum(port.transmit([frame(index) for index in range(64)]) for _ in range(15))
        refused = port.statistics()["transmit_refused"] - before
        got = len(collect(port, sent))
        print(sent < 960, sent + refused == 960, got == sent)
    counters = port.statistics()
print(port.close())
"""
    assert run(program).splitlines() == ["True True True"] * 3 + ["0"]


def test_buffers_that_never_come_back_are_counted_while_it_runs_and_at_the_end():
    program = """
import ctypes
port = open_port("dpdk:net_null0,huge=no,descriptors=64")
pool = ctypes.CDLL("librte_mempool.so.23").rte_mempool_lookup
pool.restype = ctypes.c_void_p
take = ctypes.CDLL("librte_net.so.23").rte_net_make_rarp_packet
take.argtypes, take.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p
before = port.statistics()["buffers_lost"]
for _ in range(300):
    assert take(pool(b"gateway_0"), bytes(6))
time.sleep(0.15)
print(before, port.statistics()["buffers_lost"] >= 300 - 128, port.close())
"""
    assert run(program) == "0 True 300"


@pytest.mark.parametrize("driver", ["net_af_packet0,iface={veth}", "net_tap0,iface={tap}"])
def test_a_link_that_goes_down_and_up_is_counted_and_frames_flow_again(veth, driver):
    tap = f"gwl{os.getpid()}"
    watch = """
def until(port, state, seconds=8):
    deadline = time.monotonic() + seconds
    while port.statistics()["link_state"] != state and time.monotonic() < deadline:
        port.receive()
        time.sleep(0.02)
    return port.statistics()["link_state"] == state

with open_port(sys.argv[1]) as port:
    print(until(port, 1), flush=True)
    print(until(port, 2), flush=True)
    print(until(port, 1), flush=True)
    print(len(collect(port, 5)), port.statistics()["link_flaps"], flush=True)
"""
    near = tap if "tap" in driver else veth[0]
    process = start(watch, f"dpdk:{driver.format(tap=tap, veth=veth[1])},huge=no")
    assert process.stdout.readline() == "True\n"
    ip("link", "set", near, "down")
    assert process.stdout.readline() == "True\n"
    ip("link", "set", near, "up")
    assert process.stdout.readline() == "True\n"
    deadline = time.monotonic() + 5
    send_some = """
with open_port(sys.argv[1]) as port:
    print(send(port, [frame(index) for index in range(5)]))
"""
    assert time.monotonic() < deadline and run(send_some, f"af_packet:{near}") == "5"
    assert finish(process) == "5 1"


def test_a_peer_that_dies_takes_the_link_down(tmp_path):
    name = f"socket={tmp_path}/m.sock,socket-abstract=no,huge=no"
    watch = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    for state in (1, 2):
        deadline = time.monotonic() + 8
        while port.statistics()["link_state"] != state and time.monotonic() < deadline:
            port.receive()
            time.sleep(0.02)
        print(port.statistics()["link_state"], port.statistics()["link_flaps"], flush=True)
"""
    process = start(watch, f"dpdk:net_memif0,role=server,{name}")
    assert process.stdout.readline() == "open\n"
    peer = start(ECHO, f"dpdk:net_memif0,role=client,{name}", "1000")
    assert process.stdout.readline() == "1 0\n"
    peer.send_signal(signal.SIGKILL)
    peer.communicate(timeout=10)
    assert finish(process) == "2 1"


@pytest.fixture
def huge_pages(as_root):
    """128 huge pages of 2 MiB for one test, taken back by the same number: others may have changed theirs meanwhile."""
    setting = Path("/proc/sys/vm/nr_hugepages")
    before = setting.read_text()
    setting.write_text(str(int(before) + 128))
    try:
        if int(setting.read_text()) < int(before) + 128:
            pytest.skip("this host has no 128 huge pages to spare")
        yield
    finally:
        setting.write_text(str(max(0, int(setting.read_text()) - 128)))


@pytest.mark.slow
def test_over_huge_pages_vhost_and_virtio_user_leave_no_file(huge_pages, tmp_path):
    stood = standing()
    echo = start(ECHO, f"dpdk:net_vhost0,iface={tmp_path}/v.sock,huge=yes", "100")
    assert echo.stdout.readline() == "open\n"
    ask = """
with open_port(sys.argv[1]) as port:
    frames = [frame(index, 60 + index) for index in range(100)]
    print(send(port, frames), collect(port, 100) == frames)
"""
    assert run(ask, f"dpdk:net_virtio_user0,path={tmp_path}/v.sock,huge=yes") == "100 True"
    assert finish(echo) == "100 100"
    assert standing() == stood
