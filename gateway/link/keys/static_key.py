"""A node's static X25519 key: the private half in a file of its own, the public half in everybody's configuration.

    gateway link-keys static FILE ─► FILE: one line of base64, mode 0600        stdout: the public key, for the peers

Hard rule: the pinned public keys are the allow-list; a private key that others could have read is refused.
"""

import base64
import binascii
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.errors import ConfigurationError
from gateway.link.keys import secret_file

KEY_BYTES = 32
FILE_BYTES_MAX = 64
WHAT = "static key"


def create(path: Path) -> bytes:
    """Makes a key and its file; the public key. Raises GatewayError where a file stands already."""
    key = X25519PrivateKey.generate()
    secret_file.create(path, base64.b64encode(key.private_bytes_raw()) + b"\n", WHAT)
    return key.public_key().public_bytes_raw()


def read_private(path: Path) -> bytes:
    """The private key, 32 bytes. Raises ConfigurationError: absent, readable by others, no key."""
    key = _decode(secret_file.read_line(path, WHAT, FILE_BYTES_MAX))
    if key is None:
        raise ConfigurationError(f"{WHAT}: {path} holds no key; mend: gateway link-keys static ANOTHER-FILE")
    return key


def public_of(private: bytes) -> bytes:
    """The public key, 32 bytes, of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def format_public(public: bytes) -> str:
    """As it is written into a configuration."""
    return base64.b64encode(public).decode()


def parse_public(text: str) -> bytes:
    """The reverse. Raises ConfigurationError for what is no key; all zeros are none."""
    key = _decode(text.strip())
    if key is None:
        raise ConfigurationError("public key: 44 characters of base64, as gateway link-keys prints them")
    return key


def _decode(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES and any(key) else None
