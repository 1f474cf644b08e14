"""Joins two processes on this host by any kind of port, for the demo and for tests; what it makes it removes.

pair        appliance ── shared memory ── venue                     no privilege
tap         appliance ── TAP ─ kernel ─ AF_PACKET ── venue          root, in a network namespace of its own
af_packet   appliance ── veth ═══════ veth ── venue                 root, in a network namespace of its own
dpdk        appliance ── memif socket ── memif ── venue             a build with DPDK, root; as every one below
dpdk:vhost      appliance ── vhost socket ── virtio-user ── venue   huge pages where some are free
dpdk:af_packet  appliance ── veth ══ veth ── venue                  both ends by DPDK's driver
dpdk:tap        appliance ── TAP ─ kernel ─ AF_PACKET ── venue      the TAP by DPDK's driver
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import CapabilityError, UsageError
from gateway.native import lib

AF_PACKET_FRAMES = 8192  # of the driver's ring in the kernel: its own 512 overflow while a process waits for a CPU


@dataclass(frozen=True)
class Wiring:
    """Port names of both ends, and the words that run a command where they exist."""

    kind: str
    appliance: str
    venue: str
    prefix: list[str] = field(default_factory=list)


def _need_root(kind: str) -> None:
    if os.geteuid() != 0:
        raise CapabilityError(f"--port {kind} makes network interfaces and needs root; run it with sudo, or use --port pair")


def _need_ip(kind: str) -> None:
    if shutil.which("ip") is None:
        raise CapabilityError(f"--port {kind} needs the command ip; install it with: apt-get install iproute2")


def _ip(*words: str) -> None:
    outcome = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    if outcome.returncode != 0:
        raise CapabilityError(f"ip {' '.join(words)}: {outcome.stderr.strip() or 'failed'}")


@contextmanager
def namespace(kind: str) -> Iterator[str]:
    """A network namespace without IPv6 chatter; removed with every interface in it."""
    _need_root(kind)
    _need_ip(kind)
    name = f"gw{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        for scope in ("all", "default"):
            setting = f"net.ipv6.conf.{scope}.disable_ipv6=1"
            subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", setting], capture_output=True, timeout=20)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=20)


@contextmanager
def _pair(name: str) -> Iterator[Wiring]:
    name = name or f"demo-{os.getpid()}"
    try:
        yield Wiring("pair", f"pair:{name}", f"pair:{name},side=b")
    finally:
        for side in "ab":  # left behind only when both ends were killed
            Path(f"/dev/shm/gateway-pair-{name}.{side}").unlink(missing_ok=True)


@contextmanager
def _tap(name: str) -> Iterator[Wiring]:
    if not Path("/dev/net/tun").exists():
        raise CapabilityError("--port tap needs /dev/net/tun; load it with: modprobe tun")
    name = name or f"gwt{os.getpid()}"
    with namespace("tap") as space:
        yield Wiring("tap", f"tap:{name}", f"af_packet:{name}", ["ip", "netns", "exec", space])


@contextmanager
def _af_packet(name: str) -> Iterator[Wiring]:
    name = name or f"gwa{os.getpid()}"
    ends = (name[:14] + "a", name[:14] + "b")
    with namespace("af_packet") as space:
        _ip("-n", space, "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for end in ends:
            _ip("-n", space, "link", "set", end, "up")
        yield Wiring("af_packet", f"af_packet:{ends[0]}", f"af_packet:{ends[1]}", ["ip", "netns", "exec", space])


@contextmanager
def _dpdk_socket(driver: str) -> Iterator[Wiring]:
    with tempfile.TemporaryDirectory(prefix="gateway-dpdk-") as folder:
        if driver == "vhost":
            path = f"{folder}/vhost.sock"
            yield Wiring("dpdk:vhost", f"dpdk:net_vhost0,iface={path}", f"dpdk:net_virtio_user0,path={path}")
        else:
            common = f"huge=no,id=0,socket={folder}/memif.sock,socket-abstract=no"
            yield Wiring("dpdk", f"dpdk:net_memif0,role=server,{common}", f"dpdk:net_memif0,role=client,{common}")


@contextmanager
def _dpdk_interface(driver: str) -> Iterator[Wiring]:
    if driver == "tap":
        with _tap("") as wiring:
            name = wiring.appliance.removeprefix("tap:")
            yield Wiring("dpdk:tap", f"dpdk:net_tap0,iface={name},huge=no", wiring.venue, wiring.prefix)
    else:
        with _af_packet("") as wiring:
            ends = [end.removeprefix("af_packet:") for end in (wiring.appliance, wiring.venue)]
            names = [f"dpdk:net_af_packet0,iface={end},framecnt={AF_PACKET_FRAMES},huge=no" for end in ends]
            yield Wiring("dpdk:af_packet", names[0], names[1], wiring.prefix)


DPDK_DRIVERS = {"memif": _dpdk_socket, "vhost": _dpdk_socket, "af_packet": _dpdk_interface, "tap": _dpdk_interface}


@contextmanager
def _dpdk(name: str) -> Iterator[Wiring]:
    if (name or "memif") not in DPDK_DRIVERS:
        raise UsageError(f"--port dpdk:{name}: the demo joins two processes by one of: {', '.join(DPDK_DRIVERS)}")
    if not lib.GATEWAY_WITH_DPDK:
        raise CapabilityError("--port dpdk: this build has no DPDK; install libdpdk-dev and run scripts/setup again")
    with DPDK_DRIVERS[name or "memif"](name) as wiring:
        yield wiring


KINDS: dict[str, Callable[[str], object]] = {"pair": _pair, "tap": _tap, "af_packet": _af_packet, "dpdk": _dpdk}


@contextmanager
def wire(port: str) -> Iterator[Wiring]:
    """Both ends for `KIND` or `KIND:NAME`; raises CapabilityError with what is missing."""
    kind, _, name = port.partition(":")
    if kind not in KINDS:
        raise UsageError(f"--port {port}: the demo joins two processes by one of: {', '.join(KINDS)}")
    with KINDS[kind](name) as wiring:  # type: ignore[attr-defined]
        yield wiring
