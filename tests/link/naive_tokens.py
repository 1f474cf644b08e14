"""The verifier again, slow and obvious: bytes by their offsets, every counter that was ever used in a set.

It shares no code with gateway/link: the layout is written out from docs/protocols/link-tokens.md, keys and MACs come from
another library than the product's.
"""

import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

OFFSETS = {
    "version": (0, 1),
    "method": (1, 1),
    "audience": (2, 2),
    "key_id": (4, 4),
    "principal": (8, 32),
    "role_bits": (40, 4),
    "scope": (44, 4),
    "issued_ns": (48, 8),
    "ttl_ms": (56, 4),
    "boot_id": (60, 16),
    "counter": (76, 8),
    "payload_hash": (84, 32),
    "binding": (116, 32),
    "mac": (148, 32),
}
BYTES = ("principal", "boot_id", "payload_hash", "binding", "mac")
DAY_NS = 24 * 3600 * 10**9


def read(data: bytes) -> dict[str, Any]:
    """Every field."""
    cut = {name: data[offset : offset + size] for name, (offset, size) in OFFSETS.items()}
    return {name: value if name in BYTES else int.from_bytes(value, "little") for name, value in cut.items()}


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256."""
    made = HMAC(key, SHA256())
    made.update(data)
    return made.finalize()


class NaiveVerifier:
    """One node. `rights`: principal → (role bits, nodes); `streams`: role bit number → stream bits."""

    def __init__(
        self, node: int, days: dict[int, bytes], rights: dict[bytes, tuple[int, set[int]]], streams: dict[int, int]
    ):
        self.node, self.days, self.rights, self.streams = node, days, rights, streams
        self.used: set[tuple[bytes, bytes, int]] = set()

    def verify(self, data: bytes, session: bytes, stream: int, method: int, payload: bytes, peer: int, now_ns: int) -> str:
        """'' or the reason."""
        if len(data) != 180:
            return "LENGTH"
        said = read(data)
        return (
            self.authentic(data, said, now_ns)
            or self.placed(said, session)
            or self.entitled(said, stream, peer)
            or self.asked(said, stream, method, payload)
            or self.counted(said)
        )

    def authentic(self, data: bytes, said: dict[str, Any], now_ns: int) -> str:
        day, issued = said["key_id"], said["issued_ns"]
        if said["version"] != 1:
            return "VERSION"
        if day not in {(now_ns - 300 * 10**9) // DAY_NS, now_ns // DAY_NS, (now_ns + 2 * 10**9) // DAY_NS}:
            return "KEY"
        if day not in self.days:
            return "KEY"
        key = hkdf(self.days[day], b"gateway link token\0" + said["principal"])
        if mac(key, data[:148]) != said["mac"]:
            return "MAC"
        if said["ttl_ms"] == 0 or said["ttl_ms"] > 300_000:
            return "TTL"
        if issued // DAY_NS != day:
            return "DAY"
        if issued - now_ns > 2 * 10**9:
            return "EARLY"
        return "EXPIRED" if issued + said["ttl_ms"] * 10**6 <= now_ns else ""

    def placed(self, said: dict[str, Any], session: bytes) -> str:
        if said["audience"] != self.node:
            return "AUDIENCE"
        bound = hashlib.sha256(b"gateway link session\0" + session).digest()
        return "" if 16 <= len(session) <= 64 and bound == said["binding"] else "BINDING"

    def entitled(self, said: dict[str, Any], stream: int, peer: int) -> str:
        if said["principal"] not in self.rights:
            return "PRINCIPAL"
        bits, nodes = self.rights[said["principal"]]
        if peer not in nodes:
            return "NODE"
        claimed = [bit for bit in range(32) if said["role_bits"] & 1 << bit]
        if any(not bits & 1 << bit for bit in claimed):
            return "ROLE"
        return "" if any(self.streams.get(bit, 0) & stream for bit in claimed) else "ROLE"

    def asked(self, said: dict[str, Any], stream: int, method: int, payload: bytes) -> str:
        if not said["scope"] & stream:
            return "SCOPE"
        if said["method"] != method:
            return "METHOD"
        return "" if hashlib.sha256(payload).digest() == said["payload_hash"] else "PAYLOAD"

    def counted(self, said: dict[str, Any]) -> str:
        counter = said["counter"]
        life = [used for principal, boot, used in self.used if (principal, boot) == (said["principal"], said["boot_id"])]
        if counter == 0 or (life and counter <= max(life) - 1024):
            return "OLD"
        if counter in life:
            return "REPLAYED"
        self.used.add((said["principal"], said["boot_id"], counter))
        return ""
