"""Two network namespaces with an appliance in the near one and a plain kernel in the far one, for the exception path.

  near                                             far
┌─────────────────────────────────┐              ┌──────────────────────────┐
│  gwx ── TAP ── io ── port ──────┼── veth, pair ┼── far0    10.9.0.1       │
│  10.9.0.2      core             │   or memif   │   (veth end, or a TAP    │
└─────────────────────────────────┘              │    behind a bridge)      │
                                                 └──────────────────────────┘
Namespaces, interfaces and processes are gone when the context ends, whatever the test does.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

TAP, FAR = "gwx", "far0"
NEAR_ADDRESS, FAR_ADDRESS = "10.9.0.2", "10.9.0.1"
CLONE_NEWNET = 0x40000000
CAP_NET_ADMIN, PR_CAPBSET_DROP = 12, 24
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO = 0x8946, 0x17, 0x1F, 0x24
SECONDS = 30
BRIDGE = """
import sys, time
from gateway.port import open_port
with open_port(sys.argv[1]) as one, open_port(sys.argv[2]) as other:
    print("open", flush=True)
    while True:
        moved = 0
        for source, target in ((one, other), (other, one)):
            frames = source.receive() or []
            for frame in frames:
                target.transmit([frame.data])
            moved += len(frames)
        if not moved:
            time.sleep(0.0002)
"""


def ip(*words):
    outcome = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    assert outcome.returncode == 0, f"ip {' '.join(words)}: {outcome.stderr}"
    return outcome.stdout


@contextmanager
def inside(space):
    """This thread in a namespace; a socket made here stays there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        stack.callback(os.close, home)
        there = os.open(f"/run/netns/{space}", os.O_RDONLY)
        stack.callback(os.close, there)
        assert libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home, CLONE_NEWNET) == 0


def without_network_rights():
    """For preexec_fn: root without CAP_NET_ADMIN, from the next exec on."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0)


class Ends:
    """The two namespaces; made by `ends`."""

    def __init__(self, stack):
        self.stack = stack
        self.near, self.far = f"gwxn{os.getpid()}", f"gwxf{os.getpid()}"
        for space in (self.near, self.far):
            ip("netns", "add", space)
            stack.callback(subprocess.run, ["ip", "netns", "delete", space], capture_output=True, timeout=20)
            for scope in ("all", "default"):
                self.write(space, f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1")
            ip("-n", space, "link", "set", "lo", "up")

    def write(self, space, path, text):
        with inside(space):
            Path(path).write_text(text)

    def start(self, space, *words, **options):
        """A process in a namespace, ended with the context."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen(["ip", "netns", "exec", space, *words], **options)
        self.stack.callback(end, process)
        return process

    def wire(self, kind, folder):
        """Joins both by a port of this kind, far0 included; the words of [port] name."""
        if kind in ("af_packet", "dpdk_af_packet"):
            return self._wire_veth(kind)
        if kind == "pair":
            near, far = f"pair:gwx{os.getpid()}", f"pair:gwx{os.getpid()},side=b"
        else:
            common = f"huge=no,id=0,socket={folder}/m.sock,socket-abstract=no"
            near, far = f"dpdk:net_memif0,role=server,{common}", f"dpdk:net_memif0,role=client,{common}"
        self.bridge = (far, f"tap:{FAR}")
        return near

    def _wire_veth(self, kind):
        ip("link", "add", "near0", "netns", self.near, "type", "veth", "peer", "name", FAR, "netns", self.far)
        self.write(self.near, "/proc/sys/net/ipv4/conf/near0/arp_ignore", "8")  # near0's kernel has no part in this
        ip("-n", self.near, "link", "set", "near0", "up")
        self.bridge = None
        self._raise_far()
        with inside(self.far), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            # no wire carries merged frames; a missing checksum is io's to fill in, but the DPDK driver does not tell of it
            for command in (ETHTOOL_STSO, ETHTOOL_SGSO, *([ETHTOOL_STXCSUM] if kind != "af_packet" else [])):
                value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                request = struct.pack("16sP", FAR.encode(), ctypes.addressof(value)) + bytes(16)
                fcntl.ioctl(channel, SIOCETHTOOL, request)
        return "af_packet:near0" if kind == "af_packet" else "dpdk:net_af_packet0,iface=near0,huge=no"

    def start_bridge(self):
        """The process between the far port and far0; none where the port is far0's other end."""
        if self.bridge is None:
            return
        bridge = self.start(self.far, sys.executable, "-c", BRIDGE, *self.bridge)
        assert bridge.stdout.readline() == "open\n", bridge.communicate(timeout=SECONDS)[1]
        self._raise_far()

    def _raise_far(self):
        ip("-n", self.far, "address", "add", f"{FAR_ADDRESS}/24", "dev", FAR)
        ip("-n", self.far, "link", "set", FAR, "up")


@contextmanager
def ends():
    """The namespaces of one test."""
    with ExitStack() as stack:
        yield Ends(stack)


def end(process):
    """Ends a process we started."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def ping(space, address, seconds=SECONDS, size=56):
    """Sends echo requests until one comes back with its own bytes; how many were sent, or 0: none came back."""
    data = bytes(range(256)) * 6
    with inside(space), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as channel:
        channel.settimeout(0.2)
        deadline = time.monotonic() + seconds
        number = 0
        while time.monotonic() < deadline:
            number += 1
            body = struct.pack(">HH", os.getpid() & 0xFFFF, number) + data[:size]
            request = b"\x08\x00" + struct.pack(">H", internet_checksum(b"\x08\x00\0\0" + body)) + body
            with suppress(OSError):  # no route, while the TAP is gone
                channel.sendto(request, (address, 0))
                while True:
                    packet = channel.recv(4096)
                    if packet[20:22] == b"\0\0" and packet[24:] == body:
                        return number
            time.sleep(0.05)
    return 0


def internet_checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo_over_tcp(server_space, address, client_space, data):
    """What comes back of `data` from an echo server in one namespace to a client in the other."""
    with inside(server_space):
        listener = socket.create_server((address, 0))
    with listener:
        listener.settimeout(SECONDS)
        thread = threading.Thread(target=serve_echo, args=(listener,))
        thread.start()
        try:
            with inside(client_space):
                client = socket.socket()
                client.settimeout(SECONDS)
                client.connect(listener.getsockname())
            with client:
                return exchange(client, data)
        finally:
            thread.join(2 * SECONDS)


def serve_echo(listener):
    with suppress(OSError):
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(SECONDS)
            while data := peer.recv(65536):
                peer.sendall(data)


def exchange(client, data):
    def send():
        with suppress(OSError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    received = bytearray()
    while part := client.recv(65536):
        received += part
    sender.join(SECONDS)
    return bytes(received)


class Memberships:
    """Hears the IGMPv3 reports that arrive at far0 (RFC 3376 section 4.2)."""

    IS_JOINED, CHANGE_TO_INCLUDE, CHANGE_TO_EXCLUDE = 2, 3, 4  # with no sources: an answer to a query, leave, join

    def __init__(self, space, stack):
        with inside(space):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            self.socket.bind((FAR, 0x0800))
        self.socket.settimeout(0.2)
        stack.callback(self.socket.close)

    def changes(self, kind, wanted, seconds=SECONDS):
        """Groups for which a change of this kind arrived, until all `wanted` are among them or time is up."""
        found, deadline = set(), time.monotonic() + seconds
        while not wanted <= found and time.monotonic() < deadline:
            with suppress(TimeoutError):
                found |= {group for what, group in records(self.socket.recv(4096)) if what == kind}
        return found


def records(frame):
    """(record type, group) of an IGMPv3 report; nothing for any other frame."""
    if len(frame) < 34 or frame[23] != 2:
        return
    report = frame[14 + (frame[14] & 15) * 4 :]
    if report[0] != 0x22:
        return
    at = 8
    for _ in range(int.from_bytes(report[6:8], "big")):
        kind, words, sources = struct.unpack(">BBH", report[at : at + 4])
        yield kind, socket.inet_ntoa(report[at + 4 : at + 8])
        at += 8 + 4 * (words + sources)
