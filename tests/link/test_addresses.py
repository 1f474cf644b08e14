"""Addresses: the allow-list of each peer and the geofence against a slow twin; both families; what is off in a file."""

import ipaddress
import random
import time

import pytest

from gateway import limits
from gateway.link.rights import addresses
from gateway.link.rights.reasons import Reason
from gateway.link.rights.signed_file import FileRefused
from tests.link import access_desk as desk

KNOWN = addresses.FORM.parse(desk.ADDRESSES)


@pytest.mark.parametrize(
    ("address", "peer", "reason"),
    [
        ("192.0.2.20", 2, None),
        ("::ffff:192.0.2.20", 2, None),
        ("::ffff:c000:214", 2, None),
        ("2001:db8:1::7", 2, None),
        ("2001:db8:1::7%eth0", 2, None),
        ("192.0.2.20", 4, Reason.ADDRESS),
        ("198.51.100.9", 4, None),
        ("198.51.100.9", 2, Reason.ADDRESS),
        ("198.51.100.9", 3, Reason.ADDRESS),
        ("192.0.2.15", 2, Reason.ADDRESS),
        ("192.0.2.32", 2, Reason.ADDRESS),
        ("2001:db8:2::7", 2, Reason.ADDRESS),
        ("::192.0.2.20", 2, Reason.ADDRESS),
        ("192.0.2.30", 2, Reason.GEOFENCE),
        ("::ffff:192.0.2.30", 2, Reason.GEOFENCE),
        ("", 2, Reason.ADDRESS_FORM),
        ("192.0.2.20:7000", 2, Reason.ADDRESS_FORM),
        ("192.0.2.020", 2, Reason.ADDRESS_FORM),
        ("192.0.2", 2, Reason.ADDRESS_FORM),
        ("paris.example", 2, Reason.ADDRESS_FORM),
        ("1" * 100_000, 2, Reason.ADDRESS_FORM),
    ],
)
def test_an_address_is_answered_for(address: str, peer: int, reason: Reason | None) -> None:
    assert KNOWN.refuses(address, peer) is reason


def test_before_the_handshake_any_peers_network_will_do() -> None:
    assert KNOWN.refuses("198.51.100.9") is None
    assert KNOWN.refuses("203.0.113.1") is Reason.ADDRESS
    assert KNOWN.refuses("192.0.2.30") is Reason.GEOFENCE


def test_without_a_geofence_the_allow_lists_decide_alone() -> None:
    known = addresses.FORM.parse(desk.ADDRESSES.replace(b'geofence = ["FR", "DE"]\n', b""))
    assert known.refuses("192.0.2.30", 2) is None
    nowhere = addresses.FORM.parse(desk.ADDRESSES.replace(b'["FR", "DE"]', b"[]"))
    assert nowhere.refuses("192.0.2.20", 2) is Reason.GEOFENCE


def random_network(chance: random.Random) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Networks that often hold one another."""
    if chance.random() < 0.6:
        number, length = (
            0x0A000000 | chance.getrandbits(4) << 20 | chance.getrandbits(8),
            chance.choice([0, 8, 12, 24, 30, 32]),
        )
        return ipaddress.IPv4Network((number >> 32 - length << 32 - length if length else 0, length))
    number, length = (
        0x20010DB8 << 96 | chance.getrandbits(3) << 64 | chance.getrandbits(4),
        chance.choice([0, 32, 64, 126, 128]),
    )
    return ipaddress.IPv6Network((number >> 128 - length << 128 - length if length else 0, length))


@pytest.mark.parametrize("seed", range(15))
def test_the_tables_answer_what_a_walk_through_all_networks_answers(seed: int) -> None:
    chance = random.Random(seed)
    peers = {node: [random_network(chance) for _ in range(chance.randrange(1, 6))] for node in (1, 2, 3)}
    regions = {random_network(chance): chance.choice(["FR", "DE", "US"]) for _ in range(12)}
    lines = ["version = 1", 'geofence = ["FR", "DE"]', "[regions]"]
    for name in ("FR", "DE", "US"):
        lines.append(f"{name} = {[str(network) for network, region in regions.items() if region == name]}".replace("'", '"'))
    for node, networks in peers.items():
        lines += [f"[peers.{node}]", f"allow = {[str(network) for network in networks]}".replace("'", '"')]
    known = addresses.FORM.parse("\n".join(lines).encode())
    refused = 0
    for _ in range(400):
        network = random_network(chance)
        address = network[chance.randrange(min(network.num_addresses, 1 << 20))]
        node = chance.choice([1, 2, 3, None])
        asked = [other for some, others in peers.items() if node in (None, some) for other in others]
        around = [other for other in regions if other.version == address.version and address in other]
        region = regions[max(around, key=lambda other: other.prefixlen)] if around else ""
        right = "" if any(address in other for other in asked if other.version == address.version) else "ADDRESS"
        right = right or ("" if region in ("FR", "DE") else "GEOFENCE")
        text = f"::ffff:{address}" if address.version == 4 and chance.random() < 0.5 else str(address)
        assert (known.refuses(text, node) or "") == right, f"seed {seed}: {text} of {node}"
        refused += right != ""
    assert 0 < refused < 400


def test_a_network_written_as_mapped_is_one_of_ipv4() -> None:
    known = addresses.FORM.parse(b'version = 1\n[peers.2]\nallow = ["::ffff:10.1.0.0/112"]\n')
    assert known.refuses("10.1.2.3", 2) is None
    assert known.refuses("::ffff:10.1.2.3", 2) is None
    assert known.refuses("10.2.2.3", 2) is Reason.ADDRESS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"192.0.2.16/28", b"192.0.2.17/28"), "is no network"),
        ((b"192.0.2.16/28", b"paris"), "is no network"),
        ((b"192.0.2.16/28", b"1" * 10_000), "is no network"),
        ((b"peers.2", b"peers.0"), "peers"),
        ((b"peers.2", b"peers.70000"), "a node is 1 to 65535"),
        ((b'"DE"]', b'"UK"]'), "there is no region UK"),
        ((b'DE = ["198.51.100.0/24"]', b'DE = ["192.0.2.0/24"]'), "is in two regions"),
        ((b"version = 3", b"version = -3"), "version"),
        ((b"version = 3", b"version = 3\nextra = 1"), "extra"),
        ((b"allow = [", b"allow = 7 #"), "allow"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_file_that_is_off_says_where(change: tuple[bytes, bytes], why: str) -> None:
    content = desk.ADDRESSES.replace(*change, 1)
    with pytest.raises(FileRefused, match=why) as refused:
        desk.load(addresses.FORM, desk.signed("addresses", content), desk.SIGNER_PUBLIC, desk.Marks())
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_more_networks_than_fit_are_refused() -> None:
    networks = ", ".join(f'"10.{number >> 8}.{number & 255}.0/24"' for number in range(20_000))
    content = f"version = 1\n[peers.2]\nallow = [{networks}]\n[peers.3]\nallow = [{networks}]\n".encode()
    with pytest.raises(FileRefused, match=f"more than {limits.ADDRESS_PREFIXES_MAX} networks"):
        addresses.FORM.parse(content)


def test_a_lower_version_of_addresses_is_refused() -> None:
    floors = desk.Marks()
    desk.load(addresses.FORM, desk.signed("addresses", desk.ADDRESSES), desk.SIGNER_PUBLIC, floors)
    with pytest.raises(FileRefused, match="version 2 is below 3"):
        desk.load(
            addresses.FORM, desk.signed("addresses", desk.ADDRESSES.replace(b"= 3", b"= 2")), desk.SIGNER_PUBLIC, floors
        )


def test_an_answer_takes_microseconds_with_thousands_of_networks() -> None:
    networks = ", ".join(f'"10.{number >> 8}.{number & 255}.0/24"' for number in range(20_000))
    known = addresses.FORM.parse(f"version = 1\n[peers.2]\nallow = [{networks}]\n".encode())
    began = time.perf_counter()
    for number in range(10_000):
        known.refuses(f"10.1.{number & 255}.7")
    assert time.perf_counter() - began < 1.0, "100 µs each would be ten times what it takes on a busy machine"
