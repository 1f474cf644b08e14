"""Paris and Frankfurt on this host: two network namespaces, the relay in a third between them; all gone afterwards.

 gwlp PID             gwlr PID: relay           gwlf PID
┌────────────┐      ┌──────────────────┐      ┌────────────┐
│ p0 .1      ╪══════╪ rp            rf ╪══════╪ f0 .2      │      10.61.0.0/24
└────────────┘      └──────────────────┘      └────────────┘
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.integration.far_end import SIOCETHTOOL, end, inside, ip

PARIS, FRANKFURT = "10.61.0.1", "10.61.0.2"
ROOT = Path(__file__).resolve().parent.parent
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)  # ETHTOOL_STXCSUM, _STSO, _SGSO, _SGRO: no wire carries what they leave undone


class Relay:
    """The relay's process, from outside."""

    def __init__(self, process):
        self.process = process
        assert json.loads(process.stdout.readline())["ready"]

    def set(self, **faults):
        """Sets faults; the counts so far."""
        return self._ask(faults)

    def counts(self):
        """The counts so far."""
        return self._ask({})

    def recorded(self):
        """What the first side has sent on each TCP connection, while `record` was set."""
        return [bytes.fromhex(text) for text in self._ask({"recorded": True})]

    def _ask(self, words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Spaces:
    """The namespaces; made by `spaces`."""

    def __init__(self, stack, relayed=True):
        """Without the relay one veth joins the two."""
        self.stack = stack
        self.paris, self.between, self.frankfurt = (f"gwl{letter}{os.getpid()}" for letter in "prf")
        for space in (self.paris, self.between, self.frankfurt):
            ip("netns", "add", space)
            stack.callback(subprocess.run, ["ip", "netns", "delete", space], capture_output=True, timeout=20)
            for scope in ("all", "default"):
                with inside(space):
                    Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
            ip("-n", space, "link", "set", "lo", "up")
        if relayed:
            self._join(self.paris, "p0", "rp", PARIS)
            self._join(self.frankfurt, "f0", "rf", FRANKFURT)
        else:
            self._join_directly()

    def _join_directly(self):
        ip("link", "add", "p0", "netns", self.paris, "type", "veth", "peer", "name", "f0", "netns", self.frankfurt)
        for space, name, address in ((self.paris, "p0", PARIS), (self.frankfurt, "f0", FRANKFURT)):
            ip("-n", space, "address", "add", f"{address}/24", "dev", name)
            ip("-n", space, "link", "set", name, "up")

    def _join(self, space, near, far, address):
        ip("link", "add", near, "netns", space, "type", "veth", "peer", "name", far, "netns", self.between)
        ip("-n", space, "address", "add", f"{address}/24", "dev", near)
        for where, name in ((space, near), (self.between, far)):
            without_offloads(where, name)
            ip("-n", where, "link", "set", name, "up")

    def relay(self, seed=1, **faults):
        """Starts the relay; the line is up then."""
        words = [sys.executable, "-m", "tests.link_relay", "rp", "rf", str(seed)]
        relay = Relay(self.start(self.between, *words, stdin=subprocess.PIPE))
        relay.set(**faults)
        return relay

    def start(self, space, *words, **options):
        """A process in a namespace, ended with the context."""
        options = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, **options}
        process = subprocess.Popen(["ip", "netns", "exec", space, *words], **options)
        self.stack.callback(finish, process)
        return process


def finish(process):
    """Ends a process and closes its pipes."""
    with suppress(OSError):
        if process.stdin:
            process.stdin.close()
    end(process)


def without_offloads(space, name):
    """The kernel fills checksums in and cuts segments itself."""
    with inside(space), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            fcntl.ioctl(channel, SIOCETHTOOL, struct.pack("16sP", name.encode(), ctypes.addressof(value)) + bytes(16))


@contextmanager
def spaces():
    """The three namespaces of one test."""
    with ExitStack() as stack:
        yield Spaces(stack)
