"""The DPDK port on real drivers between processes. EAL starts once per process, so each case runs in one of its own."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from gateway.port import open_port, port_kinds
from tests.ports.dpdk_process import ASK, ECHO, finish, run, start

pytestmark = pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("near", "far"),
    [
        (
            "net_memif0,role=client,socket={0}/m.sock,socket-abstract=no",
            "net_memif0,role=server,socket={0}/m.sock,socket-abstract=no",
        ),
        ("net_virtio_user0,path={0}/v.sock", "net_vhost0,iface={0}/v.sock"),
    ],
)
def test_frames_cross_between_two_processes_and_come_back(tmp_path, near, far):
    echo = start(ECHO, f"dpdk:{far.format(tmp_path)},huge=no", "200")
    assert echo.stdout.readline() == "open\n"
    assert run(ASK, f"dpdk:{near.format(tmp_path)},huge=no", "200") == "200 True 200"
    assert finish(echo) == "200 200"


def test_before_the_peer_is_there_frames_are_refused_and_counted(tmp_path):
    program = """
with open_port(sys.argv[1]) as port:
    print(port.transmit([frame(0)] * 50), port.receive(), port.statistics())
"""
    answer = run(program, f"dpdk:net_memif0,role=client,socket={tmp_path}/m.sock,socket-abstract=no,huge=no")
    assert answer.startswith("0 [] ")
    assert "'frames_transmitted': 0" in answer
    assert "'transmit_refused': 50" in answer


@pytest.mark.slow
@pytest.mark.parametrize(("lives", "dies"), [("server", "client"), ("client", "server")])
def test_a_killed_peer_does_not_harm_the_other_and_may_come_back(tmp_path, lives, dies):
    name = f"socket={tmp_path}/m.sock,socket-abstract=no,huge=no"
    listens = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    for life in range(3):
        assert collect(port, 10) == [frame(index) for index in range(10)], life
        print("heard", flush=True)
    assert port.transmit([frame(0)]) in (0, 1)
"""
    sends = """
with open_port(sys.argv[1]) as port:
    sent, deadline = 0, time.monotonic() + 10
    while sent < 10 and time.monotonic() < deadline:
        sent += port.transmit([frame(index) for index in range(sent, 10)])
        port.receive()   # a client looks for its server here
    assert sent == 10
    print("sent", flush=True)
    time.sleep(30)
"""
    listener = start(listens, f"dpdk:net_memif0,role={lives},{name}")
    assert listener.stdout.readline() == "open\n"
    for _ in range(3):
        sender = start(sends, f"dpdk:net_memif0,role={dies},{name}")
        try:
            assert sender.stdout.readline() == "sent\n"
            assert listener.stdout.readline() == "heard\n"
        finally:
            sender.send_signal(signal.SIGKILL)
            sender.communicate()
    finish(listener)


def test_a_device_can_be_opened_again_and_leaves_no_buffer_behind(tmp_path):
    program = """
for turn in range(40):   # of 64 MiB, each leak would keep 6
    with open_port("dpdk:net_ring0,huge=no,memory=64") as port, open_port("dpdk:net_null0") as other:
        assert send(port, [frame(index) for index in range(500)]) == 500
        assert port.receive(10)[0].data == frame(0)   # 490 are still inside when it closes
        assert len(other.receive(7)) == 7
print("whole")
"""
    assert run(program) == "whole"


def test_a_capture_through_the_driver_equals_the_capture_port(shared_data):
    path = shared_data / "cme-mdp3-sbe" / "Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap"
    program = """
with open_port("pcap:" + sys.argv[1]) as capture:
    expected = [row.data for row in capture]
with open_port(f"dpdk:net_pcap0,rx_pcap={sys.argv[1]},tx_pcap=/dev/null,huge=no") as port:
    frames, deadline = [], time.monotonic() + 5
    while len(frames) < len(expected) and time.monotonic() < deadline:
        frames += [row.data for row in port.receive()]
print(frames == expected, len(frames))
"""
    assert run(program, str(path)) == "True 100"


def test_a_kernel_interface_through_the_driver(veth):
    echo = start(ECHO, f"dpdk:net_af_packet0,iface={veth[1]},huge=no", "60")
    assert echo.stdout.readline() == "open\n"
    assert run(ASK, f"af_packet:{veth[0]}", "60") == "60 True 60"
    assert finish(echo) == "60 60"


def test_a_tag_that_the_driver_strips_is_put_back(veth):
    tagged = bytes.fromhex("0200000000020200000000018100602a88b5") + bytes(80)
    program = """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    deadline, frames = time.monotonic() + 5, []
    while not frames and time.monotonic() < deadline:
        frames = port.receive()
    print(frames[0].data.hex(), frames[0].size_wire)
"""
    process = start(program, f"dpdk:net_af_packet0,iface={veth[1]},huge=no")
    assert process.stdout.readline() == "open\n"
    with open_port(f"af_packet:{veth[0]}") as port:
        port.transmit([tagged])
    assert finish(process) == f"{tagged.hex()} {len(tagged)}"


def test_a_tap_interface_of_the_driver(namespace):
    name = f"gwd{os.getpid()}"
    echo = start(ECHO, f"dpdk:net_tap0,iface={name},huge=no", "60")
    assert echo.stdout.readline() == "open\n"
    assert run(ASK, f"af_packet:{name}", "60") == "60 True 60"
    assert finish(echo) == "60 60"
    assert subprocess.run(["ip", "link", "show", name], capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("argument", "kind", "mend"),
    [
        ("", "PortNameError", "name a PCI address"),
        ("eth0", "PortNameError", "name a PCI address"),
        ("net_nosuch0", "CapabilityError", "net_nosuch0"),
        ("net_memif0,role=bad", "CapabilityError", "Unknown role"),
        ("net_pcap0,rx_pcap=/nope.pcap", "CapabilityError", "/nope.pcap"),
        ("net_null0,eal=--bogus", "PortNameError", "no option of EAL"),
        ("net_null0,eal=--help", "PortNameError", "it would end the process"),
        ("net_null0,huge=maybe", "PortNameError", "huge= is yes or no"),
        ("net_null0,memory=1", "PortNameError", "memory=1 is not a whole number"),
        ("net_null0,memory=64,descriptors=8192", "CapabilityError", "raise memory="),
        ("0000:ff:1f.7", "CapabilityError", "no such PCI device"),
        ("net_null0," + "x" * 600, "PortNameError", "longer than"),
    ],
)
def test_a_bad_device_is_one_line_and_never_the_end_of_the_process(argument, kind, mend):
    program = """
try:
    open_port("dpdk:" + sys.argv[1])
except GatewayError as error:
    print(type(error).__name__, str(error))
"""
    if "huge=" not in argument and "eal=" not in argument:
        argument += ",huge=no" if argument.startswith("net_") and len(argument) < 500 else ""
    process = start(program, argument)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert errors == ""
    assert output.count("\n") == 1, output
    assert output.startswith(f"{kind} port dpdk:"), output
    assert mend in output


def test_an_absent_interface_is_one_line_too(as_root):
    program = """
try:
    open_port("dpdk:net_af_packet0,iface=nope0,huge=no")
except GatewayError as error:
    print(type(error).__name__, str(error))
"""
    assert run(program).startswith("CapabilityError port dpdk:net_af_packet0: no such interface; ")


def test_memif_between_two_processes_needs_no_privilege(as_root, tmp_path):
    """As root, to be able to give the privilege up."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    name = f"dpdk:net_memif0,role={{}},socket={tmp_path}/m.sock,socket-abstract=no,huge=no"
    echo = start(ECHO, name.format("server"), "50", before=nobody)
    assert echo.stdout.readline() == "open\n"
    assert finish(start(ASK, name.format("client"), "50", before=nobody)) == "50 True 50"
    assert finish(echo) == "50 50"


def test_a_device_the_kernel_drives_is_left_alone():
    drivers = Path("/sys/bus/pci/devices").glob("*/driver")
    address = next((path.parent.name for path in drivers if path.resolve().name == "virtio-pci"), None)
    if address is None:
        pytest.skip("this host shows no PCI device with a kernel driver")
    program = """
try:
    open_port("dpdk:" + sys.argv[1])
except GatewayError as error:
    print(error)
"""
    assert "the kernel drives it; bind it with: gateway nic bind" in run(program, address)


def test_importing_the_package_starts_nothing_and_opening_moves_nobody():
    program = """
import os, threading
maps = open("/proc/self/maps").read()
assert "librte_net_memif" not in maps, "drivers are loaded by the first dpdk port, not by the import"
assert threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1
before = os.sched_getaffinity(0)
with open_port("dpdk:net_null0,huge=no"):
    assert os.sched_getaffinity(0) == before
    assert "librte_net_memif" in open("/proc/self/maps").read()
assert not os.path.exists(f"/var/run/dpdk/gateway_{os.getpid()}")
print("quiet")
"""
    assert run(program) == "quiet"


def test_two_devices_live_in_one_process_and_a_second_copy_is_refused():
    program = """
with open_port("dpdk:net_null0,huge=no") as first, open_port("dpdk:net_null1") as second:
    assert first.receive(1) and second.receive(1)
    try:
        open_port("dpdk:net_null0")
    except GatewayError as error:
        print(error)
"""
    assert "already open in this process" in run(program)


def test_a_frame_longer_than_a_buffer_is_refused():
    program = """
with open_port("dpdk:net_ring0,huge=no") as port:
    print(port.transmit([frame(0), frame(1, 9000), frame(2)]), len(collect(port, 1)), port.statistics())
"""
    answer = run(program)
    assert answer.startswith("1 1 ")
    assert "'transmit_refused': 2" in answer
