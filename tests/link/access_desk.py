"""What tests of access sit at: keys, tokens, signed files, memory in the place of disks, and all of it on real ones."""

import errno
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.link.rights import roles as roles_file
from gateway.link.rights import signed_file
from gateway.link.rights.access_files import AccessFiles, AccessPaths
from gateway.link.rights.grants import Denied
from gateway.link.rights.journal import CHAIN_BEGIN
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_keys import DAY_NS, DerivedKeys, day_of, derive, principal_bytes
from gateway.link.rights.tokens import Expected, Method, Stream, Token, binding_of, mint

SECOND_NS = 1_000_000_000
DAY = 20_779
NOW = DAY * DAY_NS + 200 * SECOND_NS  # so early in the day that yesterday's key may still be asked for
NODE, PEER = 3, 2
SESSION = bytes(range(100, 132))
BOOT = bytes(range(16))
TOKEN_KEY = hashlib.sha256(b"token key of the day").digest()
ADDRESS = "192.0.2.20"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER_PUBLIC = SIGNER.public_key().public_bytes_raw()
ROLES = b"""version = 7
[roles.market_maker]
bit = 0
streams = ["snapshots"]
[roles.risk]
bit = 1
streams = ["all"]
[principals.desk-7]
roles = ["market_maker"]
nodes = [2]
[principals.risk-1]
roles = ["risk", "market_maker"]
nodes = [2, 4]
"""
ADDRESSES = b"""version = 3
geofence = ["FR", "DE"]
[peers.2]
allow = ["192.0.2.16/28", "2001:db8:1::/48"]
[peers.4]
allow = ["198.51.100.0/24"]
[regions]
FR = ["192.0.2.0/24", "2001:db8::/32"]
DE = ["198.51.100.0/24"]
elsewhere = ["192.0.2.30/32"]
"""


class Day:
    """The keys of a day, as the keyring holds them."""

    def __init__(self, token_key: bytes):
        self._token_key = token_key

    def token_key(self) -> bytes | None:
        return self._token_key


class Ring:
    """A keyring that counts who asks."""

    def __init__(self, days: dict[int, bytes] | None = None):
        self.days = {DAY: TOKEN_KEY, DAY - 1: hashlib.sha256(b"yesterday").digest()} if days is None else days
        self.asked: list[int] = []

    def day_keys(self, day: int) -> Day | None:
        self.asked.append(day)
        return Day(self.days[day]) if day in self.days else None


class Marks:
    """Floors in memory; they outlive a store that is made anew, and fail on request."""

    def __init__(self, least: int = 0):
        self.least, self.floors, self.failing, self.writes = least, {}, False, 0

    def floor(self, name: str) -> int:
        return self.floors.get(name, self.least)

    def as_they_stand(self) -> Callable[[str], int]:
        floors, least = dict(self.floors), self.least
        return lambda name: floors.get(name, least)

    def raise_to(self, name: str, value: int, others: int = 0) -> bool:
        if self.failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.writes += 1
        self.floors = {other: max(floor, others) for other, floor in self.floors.items()}
        self.floors[name] = max(value, self.floor(name))
        return True


class Lines:
    """A sink in memory."""

    def __init__(self) -> None:
        self.chain, self.lines, self.synced, self.failing = CHAIN_BEGIN, [], 0, False

    def append(self, line: bytes, chain: str) -> None:
        if self.failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.lines.append(line)
        self.chain = chain

    def sync(self) -> bool:
        self.synced = len(self.lines)
        return True

    def close(self) -> None:
        self.sync()


def key_of(principal: str, day: int = DAY) -> bytes:
    """A principal's key, as its owner has it."""
    return derive(Ring().days[day], principal_bytes(principal))


def token(**changes: Any) -> Token:
    """A token of desk-7 that everything speaks for."""
    bound = binding_of(SESSION)
    assert bound is not None
    said = {
        "version": 1,
        "method": Method.SUBSCRIBE,
        "audience": NODE,
        "key_id": DAY,
        "principal": principal_bytes("desk-7"),
        "role_bits": 1,
        "scope": Stream.SNAPSHOTS,
        "issued_ns": NOW - 20 * SECOND_NS,
        "ttl_ms": 100_000,
        "boot_id": BOOT,
        "counter": 5,
        "payload_hash": hashlib.sha256(b"").digest(),
        "binding": bound,
    }
    return Token(**{**said, **changes})


def minted(read: Token | None = None, **changes: Any) -> bytes:
    """The bytes of such a token, under the right key of its principal and day."""
    read = (read or token())._replace(**changes)
    day = read.key_id if read.key_id in Ring().days else DAY
    return mint(read, derive(Ring().days[day], read.principal))


def expected(roles: roles_file.Roles | None = None, peer: int = PEER, **changes: Any) -> Expected:
    """What the verifier at NODE asks for when PEER wants snapshots."""
    roles = roles or roles_file.FORM.parse(ROLES)
    stream = changes.pop("stream", Stream.SNAPSHOTS)
    entitled = changes.pop("entitled", lambda read: roles.refuses(read, peer, stream))
    return Expected(NODE, SESSION, stream, Method.SUBSCRIBE, b"", entitled)._replace(**changes)


def keys(ring: Ring | None = None) -> DerivedKeys:
    """The verifier's keys."""
    return DerivedKeys(ring or Ring())


def load(form: Any, data: bytes, public_key: bytes, floors: Any) -> Any:
    """A signed file in force: believed, and its version is the floor."""
    believed = form.verified(data, public_key)
    signed_file.raise_floor(floors, form.kind, believed.version)
    return believed


def decided(ask: Callable[[], Any]) -> Any:
    """What is answered in the end: asked again while the disk is at it."""
    while (found := ask()) == Denied(Reason.LATER):
        time.sleep(0.0005)
    return found


def signed(kind: str, content: bytes, signer: Ed25519PrivateKey = SIGNER) -> bytes:
    """A signed file."""
    return signed_file.sign(kind, content, signer)


class Gatehouse:
    """Access on real files, which can be closed, killed and opened again."""

    def __init__(self, folder: Path, roles: bytes = ROLES, addresses: bytes = ADDRESSES):
        self.folder, self.ring = folder, Ring()
        self.roles, self.addresses = folder / "roles.toml", folder / "addresses.toml"
        self.write("roles", roles)
        self.write("addresses", addresses)
        self.files: AccessFiles | None = None
        self.open(NOW - 60 * SECOND_NS)

    def write(self, kind: str, content: bytes) -> None:
        """Puts a signed file in its place."""
        (self.folder / f"{kind}.toml").write_bytes(signed(kind, content))

    def open(self, now_ns: int = NOW) -> list[str]:
        """Opens it, and reads both files."""
        if self.files is not None:
            self.files.close()
        paths = AccessPaths(self.folder / "state", self.roles, self.addresses)
        self.files = AccessFiles(NODE, paths, DerivedKeys(self.ring), SIGNER_PUBLIC, now_ns)
        self.access = self.files.access
        return self.poll(now_ns)

    def poll(self, now_ns: int) -> list[str]:
        """Reads files that have changed, to the end."""
        assert self.files is not None
        return self.files.poll(now_ns, wait=True)

    def close(self) -> None:
        """Closes it."""
        if self.files is not None:
            self.files.close()

    def ask(self, data: bytes, now_ns: int = NOW, **changes: Any) -> Any:
        """Opens a stream: snapshots, for PEER from ADDRESS, unless told otherwise."""
        said = {"peer_node": PEER, "address": ADDRESS, "stream": "snapshots", "session_binding": SESSION, **changes}
        return decided(lambda: self.access.open_stream(token=data, now_ns=now_ns, **said))

    def journal(self) -> list[bytes]:
        """The lines written so far."""
        return (self.folder / "state" / "link" / "access.jsonl").read_bytes().splitlines()


assert day_of(NOW) == DAY
