"""The host's side of a data-plane link: a network namespace with a TAP in it, which QEMU opens and we listen on.

    ┌── namespace gwtbPID ──────────────────────────┐
    │   our port af_packet:gwtb0 ── TAP ── QEMU ─── virtio NIC ── guest
    │   or the kernel, 10.9.0.1/24                  │
    └───────────────────────────────────────────────┘

Hard rule: the machine's own network is never touched; what a killed run left behind goes when the next one starts.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import CapabilityError

TAP = "gwtb0"
FAR_ADDRESS, NEAR_ADDRESS = "10.9.0.1", "10.9.0.2"
PREFIX = "gwtb"
SECONDS = 20


def ip(*words: str) -> None:
    """Runs `ip`; raises CapabilityError with what it said."""
    outcome = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=SECONDS)
    if outcome.returncode != 0:
        raise CapabilityError(f"ip {' '.join(words)}: {outcome.stderr.strip() or 'failed'}")


@dataclass(frozen=True)
class Link:
    """A namespace with the TAP."""

    namespace: str

    @property
    def prefix(self) -> list[str]:
        """Words that run a command in it."""
        return ["ip", "netns", "exec", self.namespace]

    def give_address(self) -> None:
        """Lets the host's kernel speak on the TAP."""
        ip("-n", self.namespace, "address", "add", f"{FAR_ADDRESS}/24", "dev", TAP)


def remove_left_over() -> None:
    """Namespaces of testbeds that were killed."""
    folder = Path("/run/netns")
    for path in folder.glob(f"{PREFIX}*") if folder.is_dir() else []:
        found = re.fullmatch(rf"{PREFIX}(\d+)", path.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            subprocess.run(["ip", "netns", "delete", path.name], capture_output=True, timeout=SECONDS)


@contextlib.contextmanager
def link(queues: int = 1) -> Iterator[Link]:
    """The namespace and its TAP, silent unless somebody speaks; removed at the end."""
    remove_left_over()
    name = f"{PREFIX}{os.getpid()}"
    ip("netns", "add", name)
    try:
        for scope in ("all", "default"):
            words = ["ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1"]
            subprocess.run(words, capture_output=True, timeout=SECONDS)
        ip("-n", name, "tuntap", "add", "dev", TAP, "mode", "tap", *(["multi_queue"] if queues > 1 else []))
        ip("-n", name, "link", "set", TAP, "up", "txqueuelen", "4096")
        yield Link(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=SECONDS)
