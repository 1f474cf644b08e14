"""Static keys of simulated nodes: made from their number, worth nothing."""

from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

PAIR = (1, 2)  # nodes: the one that dials, the one that listens


@cache
def private_key(node: int) -> bytes:
    """32 bytes."""
    return sha256(b"a simulated node" + node.to_bytes(2, "little")).digest()


@cache
def public_key(node: int) -> bytes:
    """32 bytes."""
    return X25519PrivateKey.from_private_bytes(private_key(node)).public_key().public_bytes_raw()
