"""Noise_KKpsk2_25519_AESGCM_SHA256, revision 34 of the specification, this one pattern and nothing else.

Below handshake.py. Both static keys are known before; the hour's secret is mixed in by the second message.

    -> s                     initiator                                        responder
    <- s                        │ ── e, es, ss ─────── payload sealed ──────────► │
    ...                         │ ◄───────── e, ee, se, psk ─── payload sealed ── │
    -> e, es, ss                │                                                 │
    <- e, ee, se, psk        Split                                             Split

Hard rule: a state that has refused a message is of no further use; randomness (the ephemeral key) comes from outside.
"""

import hmac
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PROTOCOL_NAME = b"Noise_KKpsk2_25519_AESGCM_SHA256"
KEY_BYTES = 32
TAG_BYTES = 16


class NoiseError(Exception):
    """A message whose tag is wrong, or a public key without a secret."""


def public_key(private_key: bytes) -> bytes:
    """The X25519 public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def shared_secret(private_key: bytes, other_public_key: bytes) -> bytes:
    """DH of the specification's section 12.1; an all-zero outcome (a point of small order) is refused."""
    try:
        return X25519PrivateKey.from_private_bytes(private_key).exchange(X25519PublicKey.from_public_bytes(other_public_key))
    except ValueError:
        raise NoiseError("the other side's public key gives no secret") from None


def expand(chaining_key: bytes, material: bytes, outputs: int) -> list[bytes]:
    """HKDF of section 4.3: two or three outputs of 32 bytes."""
    temporary = hmac.digest(chaining_key, material, "sha256")
    found = [b""]
    for index in range(outputs):
        found.append(hmac.digest(temporary, found[-1] + bytes([index + 1]), "sha256"))
    return found[1:]


class CipherState:
    """Section 5.1: a key and a counting nonce."""

    def __init__(self, key: bytes):
        self._cipher = AESGCM(key)
        self._count = 0

    def _nonce(self) -> bytes:
        nonce = bytes(4) + self._count.to_bytes(8, "big")
        self._count += 1
        return nonce

    def encrypt(self, associated: bytes, plain: bytes) -> bytes:
        """Ciphertext and tag."""
        return self._cipher.encrypt(self._nonce(), plain, associated)

    def decrypt(self, associated: bytes, sealed: bytes) -> bytes:
        """The plain text, or NoiseError."""
        try:
            return self._cipher.decrypt(self._nonce(), sealed, associated)
        except InvalidTag:
            raise NoiseError("the tag is wrong") from None


class SymmetricState:
    """Section 5.2: chaining key and hash of everything that was said."""

    def __init__(self) -> None:
        self.hash = PROTOCOL_NAME  # exactly 32 bytes, therefore not hashed
        self._chaining_key = self.hash
        self._cipher: CipherState | None = None

    def mix_key(self, material: bytes) -> None:
        """A new chaining key and a new cipher."""
        self._chaining_key, key = expand(self._chaining_key, material, 2)
        self._cipher = CipherState(key)

    def mix_hash(self, data: bytes) -> None:
        """Said, therefore hashed."""
        self.hash = sha256(self.hash + data).digest()

    def mix_key_and_hash(self, material: bytes) -> None:
        """For a pre-shared key."""
        self._chaining_key, hashed, key = expand(self._chaining_key, material, 3)
        self.mix_hash(hashed)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plain: bytes) -> bytes:
        """Seals with the hash as associated data."""
        assert self._cipher, "every payload of this pattern follows a DH"
        sealed = self._cipher.encrypt(self.hash, plain)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        """Opens with the hash as associated data, or NoiseError."""
        assert self._cipher, "every payload of this pattern follows a DH"
        plain = self._cipher.decrypt(self.hash, sealed)
        self.mix_hash(sealed)
        return plain

    def split(self) -> tuple[bytes, bytes]:
        """The two keys of section 5.2: of what the initiator sends, and of what the responder sends."""
        first, second = expand(self._chaining_key, b"", 2)
        return first, second


class HandshakeState:
    """Section 5.3 for KKpsk2: `write_first`/`read_first`, then `write_second`/`read_second`, then `hash` and `split`."""

    def __init__(self, *, initiator: bool, prologue: bytes, private_key: bytes, remote_public_key: bytes):
        self._private_key = private_key
        self._remote_public_key = remote_public_key
        self._ephemeral = b""
        self._remote_ephemeral = b""
        self._symmetric = SymmetricState()
        self._symmetric.mix_hash(prologue)
        own = public_key(private_key)
        for known in (own, remote_public_key) if initiator else (remote_public_key, own):
            self._symmetric.mix_hash(known)

    @property
    def hash(self) -> bytes:
        """The handshake hash: both sides have the same, and nobody else's handshake has it."""
        return self._symmetric.hash

    def split(self) -> tuple[bytes, bytes]:
        """Keys after the second message: initiator's, responder's."""
        return self._symmetric.split()

    def _mix_ephemeral(self, key: bytes) -> None:
        self._symmetric.mix_hash(key)
        self._symmetric.mix_key(key)  # section 9.2: patterns with a pre-shared key also mix e

    def write_first(self, ephemeral: bytes, payload: bytes) -> bytes:
        """e, es, ss and the payload; `ephemeral` is a fresh private key."""
        self._ephemeral = ephemeral
        public = public_key(ephemeral)
        self._mix_ephemeral(public)
        self._symmetric.mix_key(shared_secret(ephemeral, self._remote_public_key))
        self._symmetric.mix_key(shared_secret(self._private_key, self._remote_public_key))
        return public + self._symmetric.encrypt_and_hash(payload)

    def read_first(self, message: bytes) -> bytes:
        """The payload of the first message, or NoiseError."""
        self._remote_ephemeral = message[:KEY_BYTES]
        self._mix_ephemeral(self._remote_ephemeral)
        self._symmetric.mix_key(shared_secret(self._private_key, self._remote_ephemeral))
        self._symmetric.mix_key(shared_secret(self._private_key, self._remote_public_key))
        return self._symmetric.decrypt_and_hash(message[KEY_BYTES:])

    def write_second(self, ephemeral: bytes, psk: bytes, payload: bytes) -> bytes:
        """e, ee, se, psk and the payload."""
        public = public_key(ephemeral)
        self._mix_ephemeral(public)
        self._symmetric.mix_key(shared_secret(ephemeral, self._remote_ephemeral))
        self._symmetric.mix_key(shared_secret(ephemeral, self._remote_public_key))
        self._symmetric.mix_key_and_hash(psk)
        return public + self._symmetric.encrypt_and_hash(payload)

    def read_second(self, psk: bytes, message: bytes) -> bytes:
        """The payload of the second message, or NoiseError."""
        public = message[:KEY_BYTES]
        self._mix_ephemeral(public)
        self._symmetric.mix_key(shared_secret(self._ephemeral, public))
        self._symmetric.mix_key(shared_secret(self._private_key, public))
        self._symmetric.mix_key_and_hash(psk)
        return self._symmetric.decrypt_and_hash(message[KEY_BYTES:])
