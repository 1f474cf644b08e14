"""A KeyService that is Vault's or OpenBao's transit engine, with the wrapped secrets in a KV store (version 2) beside it.

    wrapped     GET  STORE/data/gateway-link/hourly/498123 ── there? ─► its ciphertext; its version is the generation
                     └ not: POST TRANSIT/datakey/wrapped/gateway-link, context = name/period/generation
                            POST STORE/data/…, cas = 0: the first of all regions wins, the others read what it wrote
    unwrap      POST TRANSIT/decrypt/gateway-link, the same context
    certify     POST TRANSIT/sign/gateway-link-node-N, a key of each node, so that a policy lets a region sign as itself only
    authority   GET  TRANSIT/keys/gateway-link-node-N
    revoke      POST STORE/data/…, cas = generation, a new data key; then STORE/destroy of the old versions

Nobody but who unwraps sees a secret in the clear, the store never does. What Vault must hold and allow stands in
docs/operating/link-keys.md. Hard rule: regions agree on a secret by the store's check-and-set alone; none is overwritten.
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import clock, limits
from gateway.link.keys import key_certificate
from gateway.link.keys.key_certificate import Certificate
from gateway.link.keys.key_service import DAILY, SECRET_BYTES, KeyRefusal, KeyRefused, Wrapped, check_near
from gateway.link.keys.vault_connection import VaultConnection

WRAPPING_KEY = "gateway-link"
NODE_KEY = "gateway-link-node-{}"
PATH = "gateway-link/{}/{}"
WRITE_ATTEMPTS = 3  # another region may be first; then ours is read again
CAS_WORDS = "check-and-set"


class VaultKeyService:
    """Vault at `url`. One call at a time; each may block for two of its timeouts, as the library counts them."""

    def __init__(
        self,
        url: str,
        transit: str = "transit",
        store: str = "secret",
        token_file: Path | None = None,
        authority_file: Path | None = None,
        namespace: str = "",
        timeout_ns: int = limits.KEY_DEADLINE_NS,
        now_ns: Callable[[], int] = clock.utc_ns,
    ):
        """Raises ConfigurationError (address, token), CapabilityError (the extra `vault` is not installed)."""
        self._transit, self._store, self._now_ns = transit, store, now_ns
        self._vault = VaultConnection(url, token_file, authority_file, namespace, timeout_ns)

    def wrapped(self, name: str, period: int) -> bytes:
        """See KeyService."""
        check_near(name, period, self._now_ns())
        for _ in range(WRITE_ATTEMPTS):
            found = self._read(name, period)
            if found is not None:
                return Wrapped(name, period, *found).pack()
            self._write(name, period, 1)
        raise KeyRefused(KeyRefusal.FAULT, "what was written cannot be read")

    def unwrap(self, wrapped: bytes) -> bytearray:
        """See KeyService."""
        said = Wrapped.unpack(wrapped)
        found = self._read(said.name, said.period)
        if found is None or found[0] != said.generation:
            raise KeyRefused(KeyRefusal.REVOKED)
        answer = self._vault.ask(
            lambda client: client.secrets.transit.decrypt_data(
                name=WRAPPING_KEY,
                ciphertext=said.sealed.decode("ascii", "replace"),
                context=_context(said.name, said.period, said.generation),
                mount_point=self._transit,
            ),
            invalid=KeyRefusal.DAMAGED,
        )
        return bytearray(_decoded(_part(answer, "plaintext"), SECRET_BYTES))

    def certify(self, source: int, public_key: bytes, day: int) -> bytes:
        """See KeyService."""
        check_near(DAILY, day, self._now_ns())
        generation = Wrapped.unpack(self.wrapped(DAILY, day)).generation
        authority = self.authority(source)
        version = max(authority)
        said = Certificate(source, version, day, generation, public_key)
        answer = self._vault.ask(
            lambda client: client.secrets.transit.sign_data(
                name=NODE_KEY.format(source),
                hash_input=base64.b64encode(said.signed_text()).decode(),
                key_version=version,
                mount_point=self._transit,
            )
        )
        text = _part(answer, "signature").rpartition(":")[2]
        certificate = said.body() + _decoded(text, key_certificate.SIGNATURE_BYTES)
        key_certificate.check(certificate, authority, source, day, generation)
        return certificate

    def authority(self, source: int) -> dict[int, bytes]:
        """See KeyService. Versions below the key's min_decryption_version are not shown, and so not believed."""
        answer = self._vault.ask(
            lambda client: client.secrets.transit.read_key(name=NODE_KEY.format(source), mount_point=self._transit),
            absent=f"transit has no key {NODE_KEY.format(source)}",
        )
        keys = answer.get("keys")
        if not isinstance(keys, dict) or not keys:
            raise KeyRefused(KeyRefusal.FAULT, "its answer shows no keys")
        try:
            return {
                int(version): _decoded(key["public_key"], key_certificate.PUBLIC_KEY_BYTES) for version, key in keys.items()
            }
        except (TypeError, KeyError, ValueError):
            raise KeyRefused(KeyRefusal.FAULT, f"{NODE_KEY.format(source)} is no Ed25519 key") from None

    def revoke(self, name: str, period: int) -> int:
        """See KeyService. The old versions are destroyed in the store; a copy that somebody took Vault would still open."""
        check_near(name, period, self._now_ns())
        for _ in range(WRITE_ATTEMPTS):
            found = self._read(name, period, deleted_too=True)
            generation = found[0] if found else 0
            if self._write(name, period, generation + 1):
                if generation:
                    self._destroy(name, period, list(range(1, generation + 1)))
                return generation + 1
        raise KeyRefused(KeyRefusal.FAULT, "others write the same period all the time")

    def close(self) -> None:
        """Hangs up and forgets the token."""
        self._vault.close()

    def _read(self, name: str, period: int, deleted_too: bool = False) -> tuple[int, bytes] | None:
        """(generation, ciphertext) of what stands in the store; None: nothing yet. REVOKED for what was deleted there."""
        answer = self._vault.ask(
            lambda client: client.secrets.kv.v2.read_secret_version(
                path=PATH.format(name, period), mount_point=self._store, raise_on_deleted_version=False
            ),
            absent="",
        )
        if not answer:
            return None
        metadata, data = answer.get("metadata"), answer.get("data")
        generation = metadata.get("version") if isinstance(metadata, dict) else None
        if type(generation) is not int or generation < 1:
            raise KeyRefused(KeyRefusal.FAULT, "its answer has no version; is the store KV version 2?")
        if data is None and deleted_too:
            return generation, b""
        if data is None:
            raise KeyRefused(KeyRefusal.REVOKED, "deleted in the store")
        ciphertext = data.get("ciphertext") if isinstance(data, dict) else None
        if not isinstance(ciphertext, str) or not ciphertext.isascii():
            raise KeyRefused(KeyRefusal.FAULT, "what stands in the store is no wrapped secret")
        return generation, ciphertext.encode()

    def _write(self, name: str, period: int, generation: int) -> bool:
        """A new data key as that generation; whether we were first."""
        answer = self._vault.ask(
            lambda client: client.secrets.transit.generate_data_key(
                name=WRAPPING_KEY,
                key_type="wrapped",
                context=_context(name, period, generation),
                bits=8 * SECRET_BYTES,
                mount_point=self._transit,
            )
        )
        secret = {"ciphertext": _part(answer, "ciphertext")}
        try:
            self._vault.ask(
                lambda client: client.secrets.kv.v2.create_or_update_secret(
                    path=PATH.format(name, period), secret=secret, cas=generation - 1, mount_point=self._store
                )
            )
        except KeyRefused as refused:
            if CAS_WORDS in str(refused):
                return False
            raise
        return True

    def _destroy(self, name: str, period: int, versions: list[int]) -> None:
        try:
            self._vault.ask(
                lambda client: client.secrets.kv.v2.destroy_secret_versions(
                    path=PATH.format(name, period), versions=versions, mount_point=self._store
                ),
                bodiless=True,
            )
        except KeyRefused as refused:
            raise KeyRefused(refused.reason, "replaced, but the old version still stands in the store") from None

    def __repr__(self) -> str:
        return f"VaultKeyService({self._transit!r}, {self._store!r})"


def _context(name: str, period: int, generation: int) -> str:
    """What Vault derives the wrapping key of this one secret from: it opens as nothing else."""
    return base64.b64encode(f"{name}/{period}/{generation}".encode()).decode()


def _part(answer: dict[str, Any], name: str) -> str:
    part = answer.get(name)
    if not isinstance(part, str) or not part:
        raise KeyRefused(KeyRefusal.FAULT, f"its answer has no {name}")
    return part


def _decoded(text: str, size: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        data = b""
    if len(data) != size:
        raise KeyRefused(KeyRefusal.FAULT, f"its answer is not {size} bytes")
    return data
