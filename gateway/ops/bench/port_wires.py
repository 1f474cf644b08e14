"""The wires of the ports benchmark: what joins side 0 and side 1, and how each side opens its end.

    side 0                                side 1
    pair:NAME               ◄── shm ──►   pair:NAME,side=b
    dpdk:net_memif0         ◄── shm ──►   dpdk:net_memif0
    af_packet:gwp0          ◄── veth ─►   af_packet:gwp1            one network namespace for all
    dpdk:net_af_packet0     ◄── veth ─►   dpdk:net_af_packet0       interfaces of ports …
    tap:gwt0    ◄─ bridge gwt (kernel) ─► tap:gwt1
    UDP socket  gwu0        ◄── veth ─►   gwu1  UDP socket          … and one more for the far socket

Hard rule: every interface lives in a namespace without a name, so it dies with the two processes.
"""

import ctypes
import os
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import CapabilityError

CLONE_NEWNET = 0x40000000
COMMAND_SECONDS = 10
UDP_NET, UDP_MASK = "10.99.0.", 24
RECEIVE_BYTES, BUSY_POLL_US, WAKE_US = 4 << 20, 50, 5_000
SO_BUSY_POLL, SO_RCVBUFFORCE = 46, 33  # linux/socket.h; module socket does not name them
MEMIF, PAIR, AF_PACKET, TAP = "memif (dpdk)", "pair", "af_packet", "tap"
PMD_AF_PACKET, UDP_BUSY, UDP_BLOCKING = "af_packet (dpdk)", "UDP busy-poll", "UDP blocking"


@dataclass(frozen=True)
class Wire:
    """One way between the sides. `port` has {side}, {letter}, {role}, {name}, {folder} to fill; empty: a UDP socket."""

    name: str
    port: str
    root: bool = False
    link: str = ""  # stem of the veth pair below it

    @property
    def ours(self) -> bool:
        """Whether a port is measured, not a reference."""
        return bool(self.port)


WIRES = (
    Wire(PAIR, "pair:{name},side={letter}"),
    Wire(MEMIF, "dpdk:net_memif{index},role={role},socket={folder}/memif{index},socket-abstract=no,huge=no"),
    Wire(AF_PACKET, "af_packet:gwp{index}{side}", root=True, link="gwp"),
    Wire(PMD_AF_PACKET, "dpdk:net_af_packet{index},iface=gwd{index}{side},huge=no", root=True, link="gwd"),
    Wire(TAP, "tap:gwt{side}", root=True),
    Wire(UDP_BUSY, ""),
    Wire(UDP_BLOCKING, ""),
)


def port_of(wire: Wire, side: int, index: int, folder: Path) -> str:
    """The port name of one side; `index` 1 is a second wire of the same kind."""
    name = f"{folder.name}-{index}"
    parts = {"side": side, "letter": "ab"[side], "role": ("server", "client")[side], "index": index}
    return wire.port.format(name=name, folder=folder, **parts)


def _called(outcome: int, what: str) -> None:
    if outcome != 0:
        raise CapabilityError(f"{what}: {os.strerror(ctypes.get_errno())}; run as root on a host that allows it")


def leave_namespace() -> None:
    """Moves this thread into a network namespace of its own."""
    _called(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET), "a network namespace")
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")  # it would talk on every link
    ip("link", "set", "lo", "up")


def enter_namespace(pid: int) -> None:
    """Moves this thread into the network namespace of another process."""
    file = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        _called(ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET), f"the network namespace of process {pid}")
    finally:
        os.close(file)


def ip(*words: str) -> None:
    """Runs `ip`. Raises CapabilityError with what it said."""
    if shutil.which("ip") is None:
        raise CapabilityError("needs the command ip; install it with: apt-get install iproute2")
    outcome = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=COMMAND_SECONDS)
    if outcome.returncode != 0:
        raise CapabilityError(f"ip {' '.join(words)}: {(outcome.stderr.strip() or 'failed').splitlines()[0]}")


def lay_links(far_pid: int) -> None:
    """Side 0: the veth pairs below the ports, and the one of the sockets, whose far end goes to `far_pid`."""
    for link in (wire.link for wire in WIRES if wire.link):
        for index in (0, 1):
            near, far = f"{link}{index}0", f"{link}{index}1"
            ip("link", "add", near, "type", "veth", "peer", "name", far)
            for name in (near, far):
                ip("link", "set", name, "up")
    ip("link", "add", "gwu0", "type", "veth", "peer", "name", "gwu1", "netns", str(far_pid))
    raise_socket_link(0)


def raise_socket_link(side: int) -> None:
    """Gives this side's end of the sockets' veth its address."""
    ip("address", "add", f"{UDP_NET}{side + 1}/{UDP_MASK}", "dev", f"gwu{side}")
    ip("link", "set", f"gwu{side}", "up")


def bridge_taps() -> None:
    """Side 0, once both TAPs stand: the kernel carries frames from one to the other, and learns no addresses."""
    ip("link", "add", "gwt", "type", "bridge", "mcast_snooping", "0")  # else it speaks itself
    for side in (0, 1):
        ip("link", "set", f"gwt{side}", "master", "gwt")
        ip("link", "set", "dev", f"gwt{side}", "type", "bridge_slave", "learning", "off")
    ip("link", "set", "gwt", "up")


def open_socket(wire: Wire, side: int, apart: bool) -> socket.socket:
    """A bound UDP socket; `apart`: on the veth between the namespaces, else on the loopback."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _try(opened, SO_RCVBUFFORCE, RECEIVE_BYTES) or _try(opened, socket.SO_RCVBUF, RECEIVE_BYTES)
    if wire.name == UDP_BUSY:
        _try(opened, SO_BUSY_POLL, BUSY_POLL_US)  # of devices with a NAPI; veth and loopback are polled by us alone
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, WAKE_US))
    opened.bind((address_of(side, apart), 0))
    return opened


def address_of(side: int, apart: bool) -> str:
    """Where the socket of a side is bound."""
    return f"{UDP_NET}{side + 1}" if apart else "127.0.0.1"


def _try(opened: socket.socket, option: int, number: int) -> bool:
    try:
        opened.setsockopt(socket.SOL_SOCKET, option, number)
    except OSError:
        return False
    return True
