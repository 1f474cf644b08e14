"""From where peers may call: an allow-list per peer and a geofence, from a signed file, asked before any cipher.

    version = 3                               [regions]
    geofence = ["FR", "DE"]                   FR = ["192.0.2.0/24", "2001:db8:1::/48"]
    [peers.2]                                 DE = ["198.51.100.0/24"]
    allow = ["192.0.2.16/28"]                 elsewhere = ["192.0.2.66/32"]

An address belongs to the region with the longest network around it. Hard rule: an address that no network holds is refused;
without a valid file nobody is let in.
"""

import ipaddress
from typing import Annotated, Generic, NamedTuple, TypeVar

from pydantic import Field, model_validator

from gateway import limits
from gateway.link.rights import signed_file
from gateway.link.rights.reasons import Reason
from gateway.link.rights.signed_file import VERSION_MAX, FileRefused, Words

KIND = "addresses"
ADDRESS_SHOWN = 48
Value = TypeVar("Value")
_MAPPED_BITS = 96  # ::ffff:0:0/96: an IPv4 address as a socket of both families shows it

Networks = Annotated[list[str], Field(max_length=limits.ADDRESS_PREFIXES_MAX)]
RegionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class PeerWords(Words):
    """`[peers.NODE]`."""

    allow: Networks


class AddressesWords(Words):
    """The whole file. Without `geofence` the allow-lists alone decide."""

    version: int = Field(ge=1, le=VERSION_MAX)
    peers: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}$")], PeerWords] = Field(max_length=limits.LINK_PEERS_MAX)
    regions: dict[RegionName, Networks] = Field(default_factory=dict, max_length=1024)
    geofence: list[RegionName] | None = Field(None, max_length=1024)

    @model_validator(mode="after")
    def consistent(self) -> "AddressesWords":
        """Regions that are allowed are there, nodes are nodes, and all of it fits."""
        strange = next((name for name in self.geofence or () if name not in self.regions), None)
        if strange is not None:
            raise ValueError(f"geofence: there is no region {strange}; write it under [regions]")
        if any(int(node) > 65_535 for node in self.peers):
            raise ValueError("peers: a node is 1 to 65535")
        lists = [peer.allow for peer in self.peers.values()] + list(self.regions.values())
        if sum(map(len, lists)) > limits.ADDRESS_PREFIXES_MAX:
            raise ValueError(f"more than {limits.ADDRESS_PREFIXES_MAX} networks; write fewer, larger ones")
        return self


class Place(NamedTuple):
    """An address or the network's own: family (4, 6) and number."""

    family: int
    number: int


BITS = {4: 32, 6: 128}


def place_of(address: str) -> Place | None:
    """The number of an address in text; IPv4 inside IPv6 is IPv4. None for what is no address."""
    if len(address) > limits.ADDRESS_TEXT_MAX:
        return None
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:
        return Place(4, int(found.ipv4_mapped))
    return Place(found.version, int(found))


class Prefixes(Generic[Value]):
    """Networks of both families with a value each; asked with one look per length that occurs."""

    def __init__(self) -> None:
        self._tables: dict[int, dict[int, dict[int, Value]]] = {4: {}, 6: {}}

    def table(self, family: int, length: int) -> dict[int, Value]:
        """The networks of a family and length, by their leading bits."""
        tables = self._tables[family]
        if length not in tables:
            tables[length] = {}
            self._tables[family] = dict(sorted(tables.items(), reverse=True))
        return self._tables[family][length]

    def longest(self, place: Place) -> Value | None:
        """The value of the longest network around a place."""
        bits = BITS[place.family]
        for length, table in self._tables[place.family].items():
            found = table.get(place.number >> bits - length)
            if found is not None:
                return found
        return None

    def around(self, place: Place) -> list[Value]:
        """The values of every network around a place, the longest first."""
        bits = BITS[place.family]
        tables = self._tables[place.family].items()
        return [table[key] for length, table in tables if (key := place.number >> bits - length) in table]


def _network(text: str) -> tuple[int, int, int]:
    """(family, length, leading bits) of a network in text. Raises FileRefused."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise FileRefused(
            f"{text[:ADDRESS_SHOWN]!r} is no network; write ADDRESS/LENGTH, no bit set behind LENGTH"
        ) from None
    family, length, number = network.version, network.prefixlen, int(network.network_address)
    if family == 6 and length >= _MAPPED_BITS and number >> 32 == 0xFFFF:
        family, length, number = 4, length - _MAPPED_BITS, number & 0xFFFFFFFF
    return family, length, number >> BITS[family] - length


class Addresses:
    """An addresses file that is believed. Immutable."""

    def __init__(self, words: AddressesWords, content: bytes = b""):
        """Raises FileRefused for a network that is none, or that two regions claim."""
        self.version, self.content = words.version, content
        self._fence = None if words.geofence is None else frozenset(words.geofence)
        self._peers: Prefixes[set[int]] = Prefixes()
        self._regions: Prefixes[str] = Prefixes()
        for node, peer in words.peers.items():
            for text in peer.allow:
                family, length, key = _network(text)
                self._peers.table(family, length).setdefault(key, set()).add(int(node))
        for name, networks in words.regions.items():
            for text in networks:
                family, length, key = _network(text)
                if self._regions.table(family, length).setdefault(key, name) != name:
                    raise FileRefused(f"{text} is in two regions; leave it in one")

    def refuses(self, address: str, peer_node: int | None = None) -> Reason | None:
        """Why nobody may call from there, or (with `peer_node`) why that peer may not."""
        place = place_of(address)
        if place is None:
            return Reason.ADDRESS_FORM
        nodes = self._peers.around(place)
        if not nodes or (peer_node is not None and not any(peer_node in some for some in nodes)):
            return Reason.ADDRESS
        if self._fence is not None and self._regions.longest(place) not in self._fence:
            return Reason.GEOFENCE
        return None


FORM = signed_file.Form(KIND, AddressesWords, Addresses)
