"""What every case of the testbed has at hand, and the row it fills: one case is one guest, from boot to power off."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from gateway.errors import GatewayError
from gateway.ops.supervisor import end_process
from vagrant.testbed.agent import Guest
from vagrant.testbed.guest_tree import ROOT, GuestTree
from vagrant.testbed.machine import DATA_PLANE, Hardware, Machine, machine
from vagrant.testbed.network import TAP

FAR_END_SECONDS = 120.0


@dataclass
class Row:
    """What a case found. It is ok when nothing was complained of."""

    case: str
    port: str = ""
    bound_to: str = ""
    driver: str = ""  # of DPDK, as the port itself says
    host_sent: int = 0
    guest_received: int = 0
    guest_echoed: int = 0
    host_echoed: int = 0
    exit_code: int = -1  # of the guest
    seconds: float = 0.0
    boot_seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing was complained of."""
        return not self.problems

    def require(self, true: object, otherwise: str) -> None:
        """Complains unless it holds."""
        if not true:
            self.problems.append(otherwise)

    def as_json(self) -> dict[str, Any]:
        """For printing."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True)
class Bench:
    """Image and tree that all cases share, and what the user chose."""

    image: Path
    tree: GuestTree
    frames: int = 1000
    seed: int = 1
    keep: Path | None = None  # where logs of a failed case go

    @contextlib.contextmanager
    def guest(self, row: Row, hardware: Hardware, folder: Path, prefix: list[str]) -> Iterator[Machine]:
        """A booted guest whose exit code lands in the row."""
        with machine(hardware, self.image, self.tree, folder, prefix) as guest:
            row.boot_seconds = guest.boot_seconds
            yield guest
            row.exit_code = guest.end()
            row.require(row.exit_code == 0, f"the guest's exit code is {row.exit_code}")


def bind(row: Row, guest: Guest, driver: str = "vfio-pci") -> None:
    """Hands the data-plane NIC over, by the gateway's own command."""
    outcome = guest.gateway("nic", "bind", DATA_PLANE, "--driver", driver, "--json")
    if outcome.code != 0:
        raise GatewayError(f"gateway nic bind in the guest: {outcome.err.strip()}")
    card = outcome.json()[0]
    row.bound_to = card["driver"]
    row.require(card["driver"] == driver, f"the NIC is bound to {card['driver']}, not {driver}")
    row.require("net_virtio" in card["poll_mode_drivers"], f"nic bind names no DPDK driver: {card['poll_mode_drivers']}")


def unbind(row: Row, guest: Guest) -> None:
    """Gives it back to the kernel, which must have it again."""
    outcome = guest.gateway("nic", "unbind", DATA_PLANE, "--json")
    row.require(outcome.code == 0, f"gateway nic unbind in the guest: {outcome.err.strip()}")
    if outcome.code == 0:
        row.require(outcome.json()[0]["driver"] == "virtio-pci", "the kernel's driver did not get the NIC back")


def tap_netdev(queues: int = 1) -> str:
    """QEMU's words for the TAP of `network.link`; checksums are whole on it, as on a wire."""
    return f"tap,ifname={TAP},script=no,downscript=no,vnet_hdr=off" + (f",queues={queues}" if queues > 1 else "")


@contextlib.contextmanager
def beside(words: list[str], prefix: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A process of this clone that runs while the case does; ended with it."""
    command = [*prefix, sys.executable, "-m", *words]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield process
    finally:
        end_process(process)  # type: ignore[arg-type]
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]


class OutOfTime(GatewayError):
    """A case took longer than its bound."""


@contextlib.contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """Ends whatever goes on here after `seconds`, by an exception, so that everything is cleaned up."""

    def bite(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"not done within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, bite)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def case(row: Row, seconds: float) -> Iterator[Path]:
    """One case from start to row: a temporary folder, a watchdog, and faults that become complaints."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gateway-testbed-") as folder:
        try:
            with watchdog(seconds):
                yield Path(folder)
        except GatewayError as problem:
            row.problems.append(str(problem))
    row.seconds = round(time.monotonic() - began, 1)
