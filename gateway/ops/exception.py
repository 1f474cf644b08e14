"""The exception path beside an open port: its TAP, what core keeps for itself, the groups joined through it.

      NIC ─ port ─ io ─┬─ followed UDP ──► core
                       └─ everything else ◄──► TAP ─ kernel: ARP, IGMP, ping, TCP        native/exception.h

Hard rule: everything made here dies with the process: the TAP has no other owner, the memberships hang on sockets.
"""

import contextlib
import hashlib
import shutil
import socket
import struct
import subprocess
import sys
import time
from typing import Any

from gateway import layout, limits
from gateway.config import Configuration
from gateway.errors import CapabilityError, ConfigurationError
from gateway.native import ffi, lib, text
from gateway.protocols.udp import checksum
from gateway.sections import endpoint
from gateway.stages import Io
from gateway.venues.definition_file import load_definition
from gateway.venues.feed import LINK_FEED, Destination

COMMAND_SECONDS = 3.0
TAKEN_SECONDS = 1.0  # a predecessor that was just killed takes its TAP along
LEAVE_SECONDS = 0.1  # for the kernel's reports that say that we leave
POLL_SECONDS = 0.002
LOCAL_MAC = b"\x02"  # locally administered, unicast (IEEE 802)
MEMBERSHIPS_PER_SOCKET = 16  # Linux allows 20: net.ipv4.igmp_max_memberships
QUERY_ANSWER_TENTHS, QUERY_ROBUSTNESS, QUERY_SECONDS = 10, 2, 125  # the defaults of RFC 3376 section 8, a fast answer
ALL_SYSTEMS, ALL_SYSTEMS_MAC = bytes((224, 0, 0, 1)), bytes.fromhex("01005e000001")
QUERIER_MAC = bytes.fromhex("020000000000")
IP_ADD_MEMBERSHIP = 35  # module socket names only the short form of its argument


class KernelPath:
    """Makes the TAP ready and attaches it to `io`. Raises CapabilityError, one line with the mend."""

    def __init__(self, io: Io, configuration: Configuration):
        self.io = io
        self.section = configuration.exception
        self.path: Any = ffi.new("struct exception *")
        self._memberships: list[socket.socket] = []
        self._open = False
        try:
            self._follow(configuration)
            self._open_tap()
            self._set_up(self.section.mac or self._own_mac() or derived_mac(configuration.instance.name))
            self._join(configuration)
        except BaseException:
            self.close()
            raise
        io.io.exception = self.path

    def _follow(self, configuration: Configuration) -> None:
        listed = lines_of(configuration)
        self.path.any_multicast = not listed
        for address, port in [*listed, *ours_of(configuration)]:
            if lib.exception_follow(self.path, address, port) != 0:
                raise ConfigurationError(
                    f"exception.tap: the feed lists more than {lib.EXCEPTION_DESTINATIONS_MAX} destinations; list fewer"
                )

    def _open_tap(self) -> None:
        name = self.section.tap
        wait_until_free(name)
        clock = ffi.cast("struct clock_calibration *", self.io.instance.clock_address)
        error = ffi.new("char[]", lib.PORT_ERROR_BYTES)
        if lib.port_open(ffi.addressof(self.path, "tap"), f"tap:{name}".encode(), clock, error) != 0:
            raise CapabilityError(f"exception.tap: {text(error)}")
        self._open = True
        counters = self.io.instance.address("counters") + layout.offsets("counters").io
        self.path.notes = ffi.addressof(self.io.io, "notes")
        lib.exception_prepare(self.path, clock, ffi.cast("struct io_counters *", counters))

    def _set_up(self, mac: str) -> None:
        name = self.section.tap
        ip("link", "set", "dev", name, "down")
        ip("link", "set", "dev", name, "address", mac, "mtu", str(limits.EXCEPTION_MTU))
        ip("address", "add", self.section.address, "dev", name)
        ip("link", "set", "dev", name, "up")

    def _own_mac(self) -> str:
        address = ffi.new("uint8_t[6]")
        known = lib.port_hardware_address(self.io.io.ports, address) == 0
        return ":".join(f"{byte:02x}" for byte in address) if known else ""

    def _join(self, configuration: Configuration) -> None:
        groups = {address for address, _ in lines_of(configuration) if is_multicast(address)}
        index = socket.if_nametoindex(self.section.tap)
        for number, group in enumerate(sorted(groups) if self.section.join else []):
            if number % MEMBERSHIPS_PER_SOCKET == 0:
                self._memberships.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC))
            request = struct.pack("!I4x", group) + struct.pack("=i", index)  # struct ip_mreqn, ip(7)
            try:
                self._memberships[-1].setsockopt(socket.IPPROTO_IP, IP_ADD_MEMBERSHIP, request)
            except OSError as problem:
                raise CapabilityError(
                    f"exception.join: the kernel does not join {dotted(group)} on {self.section.tap}: {problem.strerror}; "
                    "raise it with: sysctl net.ipv4.igmp_max_memberships=64, or write join = false"
                ) from None

        if groups and self.section.join:
            query = igmp_query()
            ffi.memmove(self.path.query, query, len(query))
            self.path.query_bytes = len(query)

    def _leave(self) -> None:
        """Drops the memberships and lets the kernel's reports out of the port."""
        self.path.query_bytes = 0
        for membership in self._memberships:
            membership.close()
        deadline = time.monotonic() + LEAVE_SECONDS
        while self._memberships and self.io.io.exception and time.monotonic() < deadline:
            lib.exception_send(self.path, self.io.io.ports, lib.clock_read_ticks())
            time.sleep(POLL_SECONDS)
        self._memberships.clear()

    def close(self) -> None:
        """Leaves the groups and removes the TAP; the io loop no longer runs. A second call does nothing."""
        self._leave()
        self.io.io.exception = ffi.NULL
        if self._open:
            self._open = False
            lib.port_close(ffi.addressof(self.path, "tap"))


def open_beside(io: Io, configuration: Configuration) -> None:
    """Opens the exception path beside `io`, which it closes where that fails. Raises CapabilityError.

    An io that replaces another goes on without the path instead: cancels may be waiting for it.
    """
    try:
        io.beside = KernelPath(io, configuration)
    except BaseException as problem:
        earlier = io.instance.control[0]["heartbeats"][layout.value("PROCESS_IO")]["pid"]
        if isinstance(problem, CapabilityError) and earlier != 0:
            # bare: io opens no file and imports no log, which is control's (ADR 0030)
            print(f"gateway run: io goes on without its exception path: {problem}", file=sys.stderr, flush=True)
            return
        io.close()
        raise


def lines_of(configuration: Configuration) -> list[Destination]:
    """Where the feed's datagrams go, as core lists them; none: by rules, or anywhere. Compiles nothing."""
    feed = configuration.feed
    if feed.name == LINK_FEED and not feed.definition:
        return []  # what is mirrored comes by a ring
    definition = load_definition(feed.definition or feed.name)
    if definition.decoder == "itch50":
        named = [feed.line_a, feed.line_b, feed.snapshot_line]
        return [] if feed.any_destination else [endpoint(text) for text in named if text]
    lines = [] if feed.any_destination else definition.lines
    return [endpoint(text) for line in lines for text in (line.a, line.b) if text]


def ours_of(configuration: Configuration) -> list[Destination]:
    """Where core itself is addressed: reports of the order session, retransmissions."""
    return [endpoint(configuration.session.our_address), endpoint(configuration.feed.recovery_address)]


def wait_until_free(name: str) -> None:
    """Returns once no interface has this name. Raises CapabilityError when one keeps it."""
    deadline = time.monotonic() + TAKEN_SECONDS
    while exists(name):
        if time.monotonic() > deadline:
            raise CapabilityError(
                f"exception.tap: an interface {name} exists already; choose another name, "
                f"or remove it with: ip link delete {name}"
            )
        time.sleep(POLL_SECONDS)


def exists(name: str) -> bool:
    """Whether this network namespace has such an interface."""
    with contextlib.suppress(OSError):
        return socket.if_nametoindex(name) > 0
    return False


def ip(*words: str) -> None:
    """Runs `ip`. Raises CapabilityError with what it said."""
    if shutil.which("ip") is None:
        raise CapabilityError("exception.tap: needs the command ip; install it with: apt-get install iproute2")
    try:
        outcome = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        raise CapabilityError(f"exception.tap: ip {' '.join(words)} did not end; is the host overloaded?") from None
    if outcome.returncode != 0:
        said = (outcome.stderr.strip() or "failed").splitlines()[0]
        raise CapabilityError(f"exception.tap: ip {' '.join(words)}: {said}")


def derived_mac(name: str) -> str:
    """A hardware address that stays the same for this host and this instance, and is nobody else's by design."""
    digest = hashlib.sha256(f"{socket.gethostname()} {name}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in LOCAL_MAC + digest[:5])


def igmp_query() -> bytes:
    """A frame with an IGMPv3 general query (RFC 3376 section 4.1): the kernel says within a second what it has joined."""
    body = struct.pack("!BBHIBBH", 0x11, QUERY_ANSWER_TENTHS, 0, 0, QUERY_ROBUSTNESS, QUERY_SECONDS, 0)
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    # to all systems, from nobody (RFC 4541 section 2.1.1), one hop, internet control, router alert (RFC 2113)
    head = struct.pack("!BBHHHBBHI4sI", 0x46, 0xC0, 24 + len(body), 0, 0, 1, 2, 0, 0, ALL_SYSTEMS, 0x94040000)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return ALL_SYSTEMS_MAC + QUERIER_MAC + b"\x08\x00" + head + body


def is_multicast(address: int) -> bool:
    """Whether an IPv4 address in host order is a group (RFC 1112 section 4)."""
    return address >> 28 == 14


def dotted(address: int) -> str:
    """An IPv4 address in host order as text."""
    return socket.inet_ntoa(address.to_bytes(4, "big"))
