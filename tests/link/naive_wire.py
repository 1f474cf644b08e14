"""A second implementation of the wire, as slow and plain as docs/protocols/link.md reads: every byte by hand.

X25519 is the ladder of RFC 7748 in Python, CRC-32C goes bit by bit, GCM is cryptography's streaming interface (the
product uses another), HKDF is two lines of HMAC. Nothing of gateway/link is imported.
"""

import hmac
import zlib
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PRIME = 2**255 - 19


def x25519(private: bytes, point: bytes = (9).to_bytes(32, "little")) -> bytes:
    """RFC 7748, section 5."""
    scalar = int.from_bytes(private, "little") & ~7 & (2**255 - 1) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for index in reversed(range(255)):
        bit = scalar >> index & 1
        if swapped ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % PRIME, b * b % PRIME, d * a % PRIME, c * b % PRIME
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, (aa - bb) * (aa + 121665 * (aa - bb)) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def crc32c(data: bytes) -> int:
    """Castagnoli, reflected, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def seal(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """AES-256-GCM: ciphertext and tag."""
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(associated)
    return encryptor.update(plain) + encryptor.finalize() + encryptor.tag


def mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, sha256).digest()


def little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def prefix(message: int, connection: int, initiator: int, responder: int, hour: int) -> bytes:
    """Before a handshake message."""
    head = b"GH" + little(1, 1) + little(message, 1) + little(connection, 1) + bytes(3)
    return head + little(initiator, 2) + little(responder, 2) + little(hour, 4)


def payload(
    session: bytes, boot: bytes, time_ns: int, fence: int, layouts: int, known_boot: bytes, resume: list[int]
) -> bytes:
    """Sealed in a handshake message."""
    head = session + boot + little(time_ns, 8) + little(fence, 4) + little(layouts, 4) + known_boot
    return head + b"".join(little(number, 8) for number in resume)


class Noise:
    """KKpsk2 with both sides' private keys in one hand: writes both messages."""

    def __init__(self, prologue: bytes, initiator: bytes, responder: bytes):
        self.initiator, self.responder = initiator, responder
        self.chain = self.hash = b"Noise_KKpsk2_25519_AESGCM_SHA256"
        self.key = b""
        for text in (prologue, x25519(initiator), x25519(responder)):
            self.said(text)

    def said(self, text: bytes) -> None:
        self.hash = sha256(self.hash + text).digest()

    def mixed(self, secret: bytes) -> None:
        once = mac(self.chain, secret)
        self.chain = mac(once, b"\1")
        self.key = mac(once, self.chain + b"\2")

    def mixed_psk(self, secret: bytes) -> None:
        once = mac(self.chain, secret)
        self.chain = mac(once, b"\1")
        hashed = mac(once, self.chain + b"\2")
        self.said(hashed)
        self.key = mac(once, hashed + b"\3")

    def closed(self, ephemeral: bytes, plain: bytes) -> bytes:
        text = seal(self.key, bytes(12), plain, self.hash)  # every key of this pattern seals one payload: nonce 0
        self.said(text)
        return x25519(ephemeral) + text

    def first(self, ephemeral: bytes, plain: bytes) -> bytes:
        self.ephemeral = ephemeral
        self.said(x25519(ephemeral))
        self.mixed(x25519(ephemeral))
        self.mixed(x25519(ephemeral, x25519(self.responder)))
        self.mixed(x25519(self.initiator, x25519(self.responder)))
        return self.closed(ephemeral, plain)

    def second(self, ephemeral: bytes, psk: bytes, plain: bytes) -> bytes:
        self.said(x25519(ephemeral))
        self.mixed(x25519(ephemeral))
        self.mixed(x25519(ephemeral, x25519(self.ephemeral)))
        self.mixed(x25519(ephemeral, x25519(self.initiator)))
        self.mixed_psk(psk)
        return self.closed(ephemeral, plain)

    def session_key(self) -> bytes:
        once = mac(self.chain, b"")
        toward_responder = mac(once, b"\1")
        return self.hash + toward_responder + mac(once, toward_responder + b"\2")


def framed(head: bytes, noise: bytes) -> bytes:
    """A whole handshake message."""
    return head + noise + little(zlib.crc32(head + noise), 4)


def epoch_key(
    session_key: bytes, secret: bytes, connection: int, direction: int, epoch: int, hour: int
) -> tuple[bytes, bytes]:
    """RFC 5869 by hand: 44 bytes are two rounds."""
    info = b"gateway link" + little(connection, 1) + little(direction, 1) + little(epoch, 4) + little(hour, 4)
    extracted = mac(session_key, secret)
    first = mac(extracted, info + b"\1")
    second = mac(extracted, first + info + b"\2")
    return first, second[:12]


def frame(key: bytes, iv: bytes, epoch: int, record: int, source: int, told: dict, body: bytes, raw: bytes) -> bytes:
    """One frame; `told` holds type, channel, flags, fence, sequence, sent_ns, schema and token_id."""
    head = b"GL" + little(1, 1) + little(told["flags"], 1) + little(told["type"], 1) + little(told["channel"], 1)
    head += little(source, 2) + little(epoch, 4) + little(told["fence"], 4) + little(record, 8)
    head += little(24 + len(body) + 4 + 16, 4)
    inner = little(told["sequence"], 8) + little(told["sent_ns"], 8) + little(len(raw), 4)
    inner += little(told["schema"], 2) + little(told["token_id"], 2)
    counter = bytes(4) + record.to_bytes(8, "big")
    nonce = bytes(a ^ b for a, b in zip(iv, counter, strict=True))
    sealed = seal(key, nonce, inner + body + little(zlib.crc32(raw), 4), head)
    return head + little(crc32c(head), 4) + sealed + little(zlib.crc32(sealed), 4)
