"""Where the simulated venue and its client stand on the wire, and the frame headers that follow from it.

Beside the corridor. Hard rule: the two sides agree only through these numbers; the appliance's configuration names the
same groups and ports.

    line A ─ 239.192.1.1:31001 ────┐
    line B ─ 239.192.1.2:31002 ────┤
    snapshots ─ 239.192.1.3:31003 ─┤ to the client's interface
    reports ─ 10.77.0.1:41001 ─────┤     orders ─ 10.77.0.2:41002 ───┐ to the venue
    replies ─ whoever asked ───────┘     requests ─ 10.77.0.2:41003 ─┘
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

import numpy as np


@dataclass(frozen=True)
class Endpoint:
    """A UDP endpoint: IPv4 address and port; `hardware` is its MAC, empty for a multicast group."""

    address: str
    port: int
    hardware: str = ""

    @property
    def number(self) -> int:
        """The IPv4 address in host order."""
        return int(IPv4Address(self.address))

    @property
    def hardware_bytes(self) -> bytes:
        """The MAC, or the one a multicast group maps to (RFC 1112, section 6.4)."""
        if self.hardware:
            return bytes.fromhex(self.hardware.replace(":", ""))
        return b"\x01\x00\x5e" + (self.number & 0x7FFFFF).to_bytes(3, "big")


@dataclass(frozen=True)
class Addresses:
    """Everything both sides must agree on."""

    line_a: Endpoint = Endpoint("239.192.1.1", 31001)
    line_b: Endpoint = Endpoint("239.192.1.2", 31002)
    venue: Endpoint = Endpoint("10.77.0.2", 41002, "02:00:0a:4d:00:02")
    client: Endpoint = Endpoint("10.77.0.1", 41001, "02:00:0a:4d:00:01")
    requests: Endpoint = Endpoint("10.77.0.2", 41003, "02:00:0a:4d:00:02")
    snapshots: Endpoint = Endpoint("239.192.1.3", 31003)


NOBODY = Endpoint("0.0.0.0", 0, "00:00:00:00:00:00")  # a template whose receiver is filled in frame by frame


def headers_of(source: Endpoint, target: Endpoint) -> bytes:
    """Ethernet, IPv4 and UDP headers (42 bytes) with lengths, identification and checksums 0; time to live 16."""
    ethernet = target.hardware_bytes + source.hardware_bytes + b"\x08\x00"
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 0, 0, 0x4000, 16, 17, 0, source.number, target.number)
    return ethernet + ip + struct.pack(">HHHH", source.port, target.port, 0, 0)


def fill_template(template: np.void, source: Endpoint, target: Endpoint) -> None:
    """Fills one struct venue_template: the headers and the constant part of the UDP checksum (RFC 768)."""
    template["bytes"] = np.frombuffer(headers_of(source, target), dtype=np.uint8)
    words = [17, source.port, target.port]
    for endpoint in (source, target):
        words += [endpoint.number >> 16, endpoint.number & 0xFFFF]
    template["sum"] = sum(words)
