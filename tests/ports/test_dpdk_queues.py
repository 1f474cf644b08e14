"""Several queues, filters and steering of the DPDK port on real drivers; where each of them ends in what is recorded."""

import os

import pytest

from gateway.port import port_kinds
from tests.ports.dpdk_process import finish, run, start

pytestmark = pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")

COUNT = 400
# flows differ by source port, so that whoever spreads them has something to go by
MAKE = """
FLOWS = [udp_frame(index, source=5000 + index % 97) for index in range(400)]
"""
RECEIVE = (
    MAKE
    + """
with open_port(sys.argv[1]) as port:
    print("open", flush=True)
    frames, deadline = [], time.monotonic() + 15
    while len(frames) < len(FLOWS) and time.monotonic() < deadline:
        frames += [row.data for row in port.receive(7) if row.data in FLOWS]
    flows = {}
    for data in frames:
        flows.setdefault(data[34:36], []).append(data)
    ordered = all(rows == [row for row in FLOWS if row[34:36] == source] for source, rows in flows.items())
    words = port.describe()
    print(len(frames), ordered, words["steering"], int(words["queue0"]) > 0, int(words["queue1"]) > 0)
"""
)
SEND = (
    MAKE
    + """
with open_port(sys.argv[1]) as port:
    print(send(port, FLOWS))
    collect(port, 1, 0.5)
"""
)


def test_two_queues_of_a_tap_are_both_polled_and_every_flow_stays_in_order(namespace):
    name = f"gwq{os.getpid()}"
    receiver = start(RECEIVE, f"dpdk:net_tap0,iface={name},queues=2,huge=no")
    assert receiver.stdout.readline() == "open\n"
    assert run(SEND, f"af_packet:{name}") == str(COUNT)
    assert finish(receiver) == f"{COUNT} True peer True True"


def test_two_queues_of_the_af_packet_driver_are_both_polled(veth):
    receiver = start(RECEIVE, f"dpdk:net_af_packet0,iface={veth[1]},queues=2,huge=no")
    assert receiver.stdout.readline() == "open\n"
    assert run(SEND, f"af_packet:{veth[0]}") == str(COUNT)
    assert finish(receiver) == f"{COUNT} True peer True True"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("far", "near"),
    [
        ("net_vhost0,iface={0}/v.sock", "net_virtio_user0,path={0}/v.sock"),
        (
            "net_memif0,role=server,socket={0}/m.sock,socket-abstract=no",
            "net_memif0,role=client,socket={0}/m.sock,socket-abstract=no",
        ),
    ],
)
def test_two_queues_between_two_processes_lose_nothing(tmp_path, far, near):
    receiver = start(RECEIVE, f"dpdk:{far.format(tmp_path)},queues=2,huge=no")
    assert receiver.stdout.readline() == "open\n"
    assert run(SEND, f"dpdk:{near.format(tmp_path)},queues=2,huge=no") == str(COUNT)
    assert finish(receiver).startswith(f"{COUNT} True peer True")  # the other side transmits on its first queue


def test_where_the_device_has_a_hash_it_spreads_and_where_it_takes_no_rules_that_stays():
    program = """
with open_port("dpdk:net_null0,queues=3,huge=no") as port:
    print(port.describe()["steering"])
    port.follow([(0xEF010101, 6000), (0x0A000001, 7000)])
    words = port.describe()
    print(words["steering"], words["rules"])
    for turn in range(30):
        assert len(port.receive(5)) == 5
    words = port.describe()
    print([int(words[f"queue{index}"]) for index in range(3)])
with open_port("dpdk:net_null1") as port:
    print(port.describe()["steering"])
"""
    assert run(program).splitlines() == ["hash", "hash 0", "[50, 50, 50]", "single"]


def test_a_number_of_queues_that_cannot_be_is_refused():
    program = """
try:
    open_port("dpdk:net_ring0,queues=17,huge=no")
except GatewayError as error:
    print(error)
try:
    open_port("dpdk:net_ring0,queues=0,huge=no")
except GatewayError as error:
    print(error)
"""
    first, second = run(program).splitlines()
    assert "queues=17 is not a whole number from 1 to 16" in first
    assert "queues=0 is not a whole number" in second


def test_a_device_with_fewer_queues_says_how_many(shared_data):
    path = shared_data / "cme-mdp3-sbe" / "Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap"
    program = """
try:
    open_port(f"dpdk:net_pcap0,rx_pcap={sys.argv[1]},tx_pcap=/dev/null,queues=2,huge=no")
except GatewayError as error:
    print(type(error).__name__, error)
"""
    assert run(program, str(path)) == ("CapabilityError port dpdk:net_pcap0: queues=2, but the device has 1; write queues=1")


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("", "promiscuous", "promiscuous"),
        ("promiscuous=yes,", "promiscuous", "promiscuous"),
        ("promiscuous=no,", "all-multicast", "groups"),
    ],
)
def test_frames_are_let_in_as_the_key_says_and_groups_by_the_device_s_list(namespace, key, before, after):
    program = """
with open_port(sys.argv[1]) as port:
    print(port.describe()["filter"])
    port.follow([(0xEF010101, 6000), (0xEF010102, 6000), (0x0A000001, 7000)])
    print(port.describe()["filter"])
"""
    assert run(program, f"dpdk:net_tap0,iface=gwf{os.getpid()},{key}huge=no").split() == [before, after]


def test_an_io_stage_records_how_its_port_was_set_up():
    program = """
from gateway.instance import Instance
from gateway.ops.summary import summary
from gateway.stages import Io
from tests.stage_bench import unique_name
instance = Instance.create(unique_name("dpdk"))
try:
    io = Io(instance, ["dpdk:net_null0,queues=2,huge=no"], order_rings=())
    io.follow([(0xEF010101, 6000)])
    print(summary(instance)["port"]["driver"], summary(instance)["port"]["queues"])
    io.close()
finally:
    instance.close(remove=True)
"""
    assert run(program) == "net_null 2"
