"""The doctor on machines that are not here: the same judgement over a made-up /proc and /sys."""

import json
from pathlib import Path

import pytest

from gateway.cli import main as command
from gateway.errors import EXIT_CAPABILITY, EXIT_DONE, EXIT_USAGE
from gateway.ops import examination
from gateway.ops.finding import FAIL, OK, WARN, Finding
from gateway.ops.host import CAPABILITIES, ClockState, Host

FLAGS = "cx16 popcnt sse4_1 sse4_2 ssse3 constant_tsc nonstop_tsc"
EVERYTHING = sum(1 << bit for bit in CAPABILITIES.values())


class Machine:
    """A folder that looks like the root of a good machine, and may be spoilt."""

    def __init__(self, root: Path):
        self.root = root
        self.write("proc/cpuinfo", f"model name\t: Test 9000\nflags\t\t: {FLAGS}\n")
        self.write("proc/meminfo", "MemTotal:  1 kB\nHugePages_Total:     512\n")
        self.write("proc/self/status", f"Name:\tx\nCapEff:\t{EVERYTHING:016x}\n")
        self.write("sys/devices/system/cpu/isolated", "2-3\n")
        self.write("sys/devices/system/cpu/nohz_full", "2-3\n")
        self.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n")
        self.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        self.write("sys/devices/system/node/node0/x", "")
        self.write("sys/class/net/eth7/address", "")
        self.write("sys/kernel/iommu_groups/0/x", "")
        self.write("dev/net/tun", "")
        self.write("dev/shm/x", "")

    def write(self, path: str, text: str) -> None:
        """Puts a file at `path`."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def remove(self, path: str) -> None:
        """Takes a file away."""
        (self.root / path).unlink()

    def examine(self, port: str = "pair:x") -> dict[str, Finding]:
        """The findings by name."""
        return {finding.name: finding for finding in examination.examine(Host(self.root), port)}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A good machine whose clock is disciplined."""
    monkeypatch.setattr(examination, "clock_state", lambda: ClockState(True, 12))
    monkeypatch.setattr(examination, "locked_memory_limit_bytes", lambda: -1)
    monkeypatch.setattr(Host, "processors", lambda self: 4)
    monkeypatch.setattr(Host, "shared_memory_free_bytes", lambda self: 1 << 40)
    return Machine(tmp_path)


def test_a_good_machine_has_nothing_to_mend(machine: Machine):
    findings = machine.examine()
    findings.pop("dpdk")  # a matter of the build, not of the machine
    findings.pop("ip command")
    assert {name: finding.status for name, finding in findings.items()} == dict.fromkeys(findings, OK)


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("sys/devices/system/cpu/isolated", "", "isolated"),
        ("sys/devices/system/cpu/nohz_full", " (null)", "tickless"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave", "governor"),
        ("proc/meminfo", "HugePages_Total: 0", "huge pages"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]", "transparent pages"),
        ("sys/devices/system/node/node1/x", "", "memory nodes"),
    ],
)
def test_what_costs_speed_warns_and_names_its_mend(machine: Machine, path: str, text: str, name: str):
    machine.write(path, text)
    finding = machine.examine()[name]
    assert finding.status == WARN
    assert finding.mend


@pytest.mark.parametrize("missing", ["constant_tsc", "nonstop_tsc"])
def test_an_uneven_time_stamp_counter_fails_for_every_port(machine: Machine, missing: str):
    machine.write("proc/cpuinfo", f"flags : {FLAGS.replace(missing, '')}\n")
    assert machine.examine("pcap:x")["tsc"].status == FAIL


def test_a_processor_older_than_the_build_fails_and_names_what_it_lacks(machine: Machine):
    machine.write("proc/cpuinfo", f"flags : {FLAGS.replace('sse4_2', '').replace('popcnt', '')}\n")
    finding = machine.examine()["instructions"]
    assert (finding.status, finding.found) == (FAIL, "without popcnt sse4_2")


@pytest.mark.parametrize(
    ("capability", "name", "needed_by"),
    [("NET_RAW", "raw sockets", "af_packet:eth7"), ("NET_ADMIN", "interfaces", "tap:gw0")],
)
def test_a_missing_privilege_fails_only_for_the_port_that_needs_it(machine, capability, name, needed_by):
    machine.write("proc/self/status", f"CapEff:\t{EVERYTHING & ~(1 << CAPABILITIES[capability]):016x}\n")
    assert machine.examine("pair:x")[name].status == WARN
    assert machine.examine(needed_by)[name].status == FAIL


def test_a_missing_tun_device_fails_only_for_tap(machine: Machine):
    machine.remove("dev/net/tun")
    assert machine.examine("pair:x")["tun device"].status == WARN
    assert machine.examine("tap:gw0")["tun device"].status == FAIL


def test_too_little_shared_memory_fails_for_every_port(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    needed = examination.shared_memory_needed_bytes()
    monkeypatch.setattr(Host, "shared_memory_free_bytes", lambda self: needed)
    assert machine.examine()["shared memory"].status == OK
    monkeypatch.setattr(Host, "shared_memory_free_bytes", lambda self: needed - 1)
    assert machine.examine()["shared memory"].status == FAIL


def test_an_undisciplined_clock_is_unproven_and_never_ok(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(examination, "clock_state", lambda: ClockState(False, 16_000_000))
    finding = machine.examine()["clock"]
    assert finding.status == WARN
    assert finding.found.startswith("UNPROVEN")


def test_an_absent_interface_fails_and_the_present_ones_are_named(machine: Machine):
    assert machine.examine("af_packet:eth7")["interface"].status == OK
    finding = machine.examine("af_packet:eth8,frames=4")["interface"]
    assert finding.status == FAIL
    assert "eth7" in finding.mend


def test_an_absent_capture_fails(machine: Machine, tmp_path: Path):
    assert machine.examine(f"pcap:{tmp_path}/no.pcap")["capture"].status == FAIL
    machine.write("in.pcap", "")
    assert machine.examine(f"pcap:{tmp_path}/in.pcap,speed=max")["capture"].status == OK


def test_a_machine_that_shows_nothing_is_examined_all_the_same(tmp_path: Path):
    for port in ("pair:x", "tap:x", "af_packet:x", "dpdk:0000:3b:00.0", "pcap:x"):
        findings = examination.examine(Host(tmp_path), port)
        assert {"tsc", "instructions", "shared memory"} <= {row.name for row in findings if row.status == FAIL}
        assert all(finding.mend for finding in findings if finding.status != OK)


def test_this_machine_is_examined_and_a_failure_leaves_with_4(capsys: pytest.CaptureFixture[str]):
    code = command.main(["doctor", "--port", "af_packet:not_there", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == EXIT_CAPABILITY
    assert report["ok"] is False
    assert {"name", "status", "found", "meaning", "mend"} == set(report["findings"][0])
    assert "interface" in [row["name"] for row in report["findings"] if row["status"] == FAIL]


def test_the_table_ends_with_a_verdict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    findings = [Finding("a", OK, "good", "means"), Finding("b", WARN, "[red]slow[/red]", "costs", "run faster")]
    monkeypatch.setattr("gateway.cli.doctor.examine", lambda host, port: findings)
    assert command.main(["doctor"]) == EXIT_DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "port pair:gateway can run here; 1 warnings"
    assert any("[red]slow[/red]" in line for line in lines)
    assert any("mend: run faster" in line for line in lines)


@pytest.mark.parametrize("port", ["eth0", "wire:eth0", ":x"])
def test_a_port_of_no_kind_is_a_usage_error(capsys: pytest.CaptureFixture[str], port: str):
    assert command.main(["doctor", "--port", port]) == EXIT_USAGE
    assert capsys.readouterr().err.startswith(f"gateway doctor: port {port}: write KIND:ARGUMENT with one of: pair")
