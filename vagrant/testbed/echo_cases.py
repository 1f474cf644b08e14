"""Counted frames through the gateway's own `dpdk:` port in the guest and back: one case for each way a NIC is joined.

    far end (host) ══ TAP, or vhost-user ══ virtio NIC ── vfio-pci | uio_pci_generic ── DPDK net_virtio ── echo (guest)

A case passes when four counts agree: sent and heard again here, received and sent back there, byte for byte.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError
from vagrant.testbed.agent import GUEST_FOLDER, Guest
from vagrant.testbed.bench import FAR_END_SECONDS, Bench, Row, beside, bind, case, tap_netdev, unbind
from vagrant.testbed.machine import DATA_PLANE, Hardware
from vagrant.testbed.network import TAP, link

CASE_SECONDS = 400.0
OPEN_SECONDS = 120.0
ECHO = ("python3", f"{GUEST_FOLDER}/echo.py")
FLOWS_MAX = 20_000  # a source port each
QUEUE_SHARE_MIN = 0.25  # of the frames, for two queues: the TAP's hash gives each about half
DOCTOR_FAILS_EMULATED = {"tsc"}  # an emulated processor has no invariant counter, and says so


@dataclass(frozen=True)
class EchoCase:
    """How the NIC is joined and driven."""

    name: str
    driver: str = "vfio-pci"
    nic: str = ""
    queues: int = 1
    vhost: bool = False
    doctor: bool = False  # also asks `gateway doctor` in the guest

    @property
    def flows(self) -> int:
        """A TAP sends a flow where it heard it last, and the port answers on queue 0: a flow tells of spreading once."""
        return FLOWS_MAX if self.queues > 1 else 1

    def hardware(self, folder: Path) -> Hardware:
        """What QEMU is told."""
        if self.vhost:
            chardev = ("-chardev", f"socket,id=vhost,path={folder}/vhost.sock")
            nic = ",vectors=0"  # QEMU 7.2 dies of MSI-X on a vhost-user NIC under emulation
            netdev = "vhost-user,chardev=vhost"
            return Hardware(netdev, iommu=False, nic=nic, shared_memory=True, options=chardev, memory_mib=1024)
        more = f",mq=on,vectors={2 * self.queues + 2}" if self.queues > 1 else ""
        memory_mib = 2048 if self.doctor else 1024  # the doctor asks for 1 GiB of shared memory: an instance needs it
        return Hardware(tap_netdev(self.queues), iommu=self.driver == "vfio-pci", nic=self.nic + more, memory_mib=memory_mib)


ECHO_CASES = (
    EchoCase("vfio", doctor=True),
    EchoCase("uio", driver="uio_pci_generic"),
    EchoCase("packed", nic=",packed=on"),
    EchoCase("queues", queues=2),
    EchoCase("vhost", driver="uio_pci_generic", vhost=True),
)


def run_echo(bench: Bench, chosen: EchoCase) -> Row:
    """The whole case."""
    more = f",queues={chosen.queues}" if chosen.queues > 1 else ""
    row = Row(chosen.name, port=f"dpdk:{DATA_PLANE}{more}")
    with case(row, CASE_SECONDS) as folder, contextlib.ExitStack() as stack:
        prefix = [] if chosen.vhost else stack.enter_context(link(chosen.queues)).prefix
        far_port = f"dpdk:net_vhost0,iface={folder}/vhost.sock,huge=no" if chosen.vhost else f"af_packet:{TAP}"
        row.details["far_port"] = far_port.replace(str(folder), "…")
        far = stack.enter_context(far_end(far_port, prefix, bench.frames, bench.seed, chosen.flows))
        guest = stack.enter_context(bench.guest(row, chosen.hardware(folder), folder, prefix))
        bind(row, guest, chosen.driver)
        if chosen.doctor:
            examine(row, guest)
        exchange(row, guest, far, chosen)
        unbind(row, guest)
    return row


def exchange(row: Row, guest: Guest, far: "subprocess.Popen[str]", chosen: EchoCase) -> None:
    """All frames there and back, on a card that DPDK has."""
    guest.start("echo", *ECHO, row.port)
    guest.wait("echo", "open", seconds=OPEN_SECONDS)
    account = far_account(far)
    guest.signal("echo")
    judge(row, account, guest.wait("echo").json_line(), chosen)


@contextlib.contextmanager
def far_end(port: str, prefix: list[str], frames: int, seed: int, flows: int = 1) -> Iterator["subprocess.Popen[str]"]:
    """The host's end, its port open; it waits for a word before it sends."""
    words = ["vagrant.testbed.far_end", port, "--frames", str(frames), "--seed", str(seed), "--flows", str(flows)]
    with beside(words, prefix) as process:
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline() != "open\n":
            raise GatewayError(f"the host's end: {process.stderr.read().strip().splitlines()[-1]}")
        yield process


def far_account(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Lets the host's end run and hears what it counted."""
    try:
        out, err = process.communicate("go\n", timeout=FAR_END_SECONDS)
    except subprocess.TimeoutExpired:
        raise GatewayError(f"the host's end did not finish within {FAR_END_SECONDS:.0f} s") from None
    try:
        return dict(json.loads(out.splitlines()[-1]))
    except (IndexError, ValueError):
        raise GatewayError(f"the host's end: {(err.strip().splitlines() or ['it said nothing'])[-1]}") from None


def examine(row: Row, guest: Guest) -> None:
    """`gateway doctor` for this port, in the guest: nothing may fail but what emulation brings with it."""
    found = guest.gateway("doctor", "--port", row.port, "--json").json()
    failed = {finding["name"] for finding in found["findings"] if finding["status"] == "fail"}
    row.details["doctor"] = {finding["name"]: finding["status"] for finding in found["findings"]}
    row.require(failed <= DOCTOR_FAILS_EMULATED, f"gateway doctor in the guest: {', '.join(sorted(failed))}")


def judge(row: Row, here: dict[str, Any], there: dict[str, Any], chosen: EchoCase) -> None:
    """Four counts that must agree, and nothing refused, lost, damaged or forgotten on the way."""
    row.host_sent, row.host_echoed = here["sent"], here["echoed"]
    row.guest_received, row.guest_echoed = there["received"], there["echoed"]
    row.driver = there["set_up"].get("driver", "")
    row.details |= {"host": here, "guest": there}
    counts = {row.host_sent, row.guest_received, row.guest_echoed, row.host_echoed}
    row.require(len(counts) == 1 and row.host_sent > 0, "the counts of both sides do not agree")
    row.require(here["damaged_or_repeated"] == 0, f"{here['damaged_or_repeated']} frames came back damaged or twice")
    row.require(row.driver == "net_virtio", f"the guest's port is driven by {row.driver or 'nobody'}")
    port = there["port"]
    lost = {
        name: port[name] for name in ("receive_dropped", "receive_errors", "transmit_refused", "buffers_lost") if port[name]
    }
    row.require(not lost, f"the guest's port counts {lost}")
    whole = there["warm"] + there["received"] + there["foreign"]
    row.require(port["frames_received"] == whole, f"the port counts {port['frames_received']} frames, the echo {whole}")
    if chosen.queues > 1:
        queues = [int(there["set_up"].get(f"queue{index}", 0)) for index in range(chosen.queues)]
        row.details["queues"] = queues
        fair = sum(queues) == whole and min(queues) >= QUEUE_SHARE_MIN * whole
        row.require(fair, f"frames by queue: {queues}, of {whole}")


def run_link(bench: Bench) -> Row:
    """The cable is pulled between two echoes: the guest's port sees and counts it, and traffic goes on afterwards."""
    row = Row("link", port=f"dpdk:{DATA_PLANE}")
    chosen = EchoCase("link")
    with case(row, CASE_SECONDS) as folder, contextlib.ExitStack() as stack:
        wire = stack.enter_context(link())
        guest = stack.enter_context(bench.guest(row, chosen.hardware(folder), folder, wire.prefix))
        bind(row, guest)
        guest.start("echo", *ECHO, row.port)
        guest.wait("echo", "link up", seconds=OPEN_SECONDS)
        accounts = []
        for number in range(2):
            if number:
                guest.set_link(up=False)
                guest.wait("echo", "link down")
                guest.set_link(up=True)
                guest.wait("echo", "link down\nlink up")
            with far_end(f"af_packet:{TAP}", wire.prefix, bench.frames, bench.seed) as far:
                accounts.append(far_account(far))
        guest.signal("echo")
        there = guest.wait("echo").json_line()
        added = {name: sum(one[name] for one in accounts) for name in ("sent", "echoed", "damaged_or_repeated")}
        judge(row, {**added, "rounds": accounts}, there, chosen)
        row.require(there["port"]["link_flaps"] == 1, f"the port counts {there['port']['link_flaps']} flaps, not 1")
    return row
