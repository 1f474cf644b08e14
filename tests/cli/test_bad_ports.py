"""`gateway run` with a port that cannot be: one line with the mend and the exit code, before any kernel is compiled."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main as command
from gateway.errors import EXIT_CAPABILITY, EXIT_CONFIGURATION
from gateway.instance import FOLDER, PREFIX
from gateway.port import port_kinds

CONFIGURATION = """
[instance]
name = "badport"
[port]
name = "pair:badport"
[feed]
name = "itch50"
line_a = "239.192.1.1:31001"
[session]
our_address = "10.77.0.1:41001"
venue_address = "10.77.0.2:41002"
"""
ANY = [
    ("bogus:x", EXIT_CONFIGURATION, "write KIND:ARGUMENT with one of: pcap pair"),
    ("tap:a/b", EXIT_CONFIGURATION, "an interface name has 1 to 15 characters"),
    ("tap:gw0,bogus=1", EXIT_CONFIGURATION, "bogus is not an option"),
    ("af_packet:lo,frames=3", EXIT_CONFIGURATION, "frames=3 is not a whole number from 16 to 65536"),
    ("af_packet:gwabsent0", EXIT_CAPABILITY, "no such interface; list them with: ip link"),
]
DPDK = [
    ("net_null0,huge=no,eal=--bogus", EXIT_CONFIGURATION, "see docs/operating/ports.md"),
    ("net_null0,huge=no,eal=-n", EXIT_CONFIGURATION, "needs a value"),
    ("net_null0,huge=maybe", EXIT_CONFIGURATION, "huge= is yes or no"),
    ("net_null0,huge=no,queues=99", EXIT_CONFIGURATION, "is not a whole number from 1 to 16"),
    ("net_null0,huge=no,promiscuous=x", EXIT_CONFIGURATION, "promiscuous= is auto, yes or no"),
    ("3b:00.0", EXIT_CONFIGURATION, "name a PCI address such as 0000:3b:00.0"),
    ("net_af_packet0,huge=no", EXIT_CONFIGURATION, "name the interface: iface=NAME"),
    ("net_af_packet0,iface=gwabsent0,huge=no", EXIT_CAPABILITY, "list them with: ip link"),
    ("net_tap0,iface=lo,huge=no", EXIT_CAPABILITY, "write another iface="),
    ("ffff:ff:1f.7", EXIT_CAPABILITY, "list them with: gateway nic list"),
]


def refused(port: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.toml"
    file.write_text(CONFIGURATION)
    assert command.main(["run", str(file), "--port", port]) == code
    line = capsys.readouterr().err
    assert line.startswith("gateway run: port ") and said in line and line.count("\n") == 1, line
    assert not (FOLDER / f"{PREFIX}badport").exists()


@pytest.mark.parametrize(("port", "code", "said"), ANY)
def test_a_port_that_cannot_be_is_one_line_at_once(port, code, said, tmp_path, capsys):
    refused(port, code, said, tmp_path, capsys)


@pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")
@pytest.mark.parametrize(("port", "code", "said"), DPDK)
def test_a_dpdk_port_that_cannot_be_is_one_line_at_once(port, code, said, tmp_path, capsys):
    refused(f"dpdk:{port}", code, said, tmp_path, capsys)


@pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")
def test_huge_pages_that_are_not_there_are_said_with_the_command_that_reserves_them(tmp_path, capsys):
    free = [int(path.read_text()) for path in Path("/sys/kernel/mm/hugepages").glob("*/free_hugepages")]
    if any(free):
        pytest.skip("somebody reserved huge pages on this host")
    refused("dpdk:net_null0,huge=yes", EXIT_CAPABILITY, "gateway tune --apply --huge-pages 128", tmp_path, capsys)


@pytest.mark.skipif("dpdk" not in port_kinds(), reason="this build has no DPDK")
def test_a_card_that_the_kernel_drives_names_the_command_that_binds_it(tmp_path, capsys):
    networks = [path.parent for path in Path("/sys/bus/pci/devices").glob("*/class") if path.read_text().startswith("0x02")]
    cards = [path for path in networks if (path / "driver").exists() and list(path.glob("**/net/*"))]
    if not cards:
        pytest.skip("no network card of this machine has a kernel driver")
    name = cards[0].name
    refused(f"dpdk:{name}", EXIT_CAPABILITY, f"gateway nic bind {name}", tmp_path, capsys)


NOBODY = """
import os, sys
from gateway.errors import GatewayError
from gateway.port import open_port
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for name in sys.argv[1:]:
    try:
        open_port(name).close()
        print("opened")
    except GatewayError as problem:
        print(problem.exit_code, problem)
"""


@pytest.mark.slow
@pytest.mark.root
def test_without_permission_a_port_says_which_one_it_needs(as_root):
    names = ["tap:gwn0", "af_packet:lo"]
    if "dpdk" in port_kinds():
        names += ["dpdk:net_tap0,iface=gwn1,huge=no", "dpdk:net_af_packet0,iface=lo,huge=no"]
    for name in names:
        told = subprocess.run([sys.executable, "-c", NOBODY, name], capture_output=True, text=True, timeout=60)
        assert told.stdout.startswith(f"4 port {name.partition(',')[0]}: "), told
        assert "CAP_NET_" in told.stdout and "run as root" in told.stdout and told.stdout.count("\n") == 1, told
