"""Tokens: who asks for which stream of which gateway, in which session; 180 bytes, one layout, one MAC, no choice.

    issuer ── mint ──► 180 bytes in a request ──► verify: length, version, key, MAC, time, audience, binding, role and
    scope, method, payload ──► store (token_store.py): was it used? ──► Token

docs/protocols/link-tokens.md has the layout. Hard rule: nothing is read out of a token before its MAC has passed, but for
what finds the key (version, key id, principal); and no store is touched before everything else has passed.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import NamedTuple, Protocol

from gateway import limits
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_keys import TokenKeys, day_of

VERSION = 1
MILLISECOND_NS = 1_000_000
TTL_MS_MAX = limits.TOKEN_TTL_NS_MAX // MILLISECOND_NS
BINDING_BYTES_MIN, BINDING_BYTES_MAX = 16, 64  # of what a session is known by, before it is hashed
BINDING_INFO = b"gateway link session\0"
_SIGNED = struct.Struct("<BBHI32sIIQI16sQ32s32s")
SIGNED_BYTES = _SIGNED.size
MAC_BYTES = 32
SIZE_BYTES = SIGNED_BYTES + MAC_BYTES
NO_PAYLOAD = hashlib.sha256(b"").digest()


class Method(IntEnum):
    """What a token is for."""

    SUBSCRIBE = 1
    SNAPSHOT = 2
    RENEW = 3


class Stream(IntFlag):
    """The streams, as bits of a token's scope; other bits are free for streams to come."""

    MARKET_DATA = 1
    SNAPSHOTS = 2
    EXECUTIONS = 4
    QUOTES = 8


STREAMS = {stream.name.lower(): stream for stream in Stream if stream.name}


class Token(NamedTuple):
    """What a token says, in the order of its bytes, without the MAC."""

    version: int
    method: int
    audience: int  # node that may accept it
    key_id: int  # day of the key
    principal: bytes  # name, padded with zeros to 32 bytes
    role_bits: int
    scope: int  # bits of Stream
    issued_ns: int
    ttl_ms: int
    boot_id: bytes  # 16 bytes: the life of the issuer that counts
    counter: int  # from 1, never twice in one life
    payload_hash: bytes  # SHA-256 of what it authorises
    binding: bytes  # binding_of the session that it may be used in

    @property
    def expires_ns(self) -> int:
        """The first moment at which it no longer counts."""
        return self.issued_ns + self.ttl_ms * MILLISECOND_NS

    @property
    def name(self) -> str:
        """The principal as text."""
        return self.principal.rstrip(b"\0").decode("ascii", "replace")


class Expected(NamedTuple):
    """What a verifier asks of a token: who it is itself, the session, and what is about to be done."""

    audience: int
    binding: bytes  # what both sides know the session by; binding_of it stands in the token
    stream: Stream
    method: Method
    payload: bytes
    entitled: Callable[[Token], Reason | None]  # roles.py: what its principal may


class Replays(Protocol):
    """Who remembers which tokens were used."""

    def accept(self, token: Token, now_ns: int) -> Reason | None:
        """None: it is new, and is used from now on, also after a restart. Called for tokens whose MAC has passed only."""


def binding_of(session: bytes) -> bytes | None:
    """A session as a token carries it: SHA-256 of "gateway link session", 0, and what both sides know the session by.

    None for what no session is known by (shorter than 16 bytes, longer than 64): where none is up, no token counts.
    """
    whole = BINDING_BYTES_MIN <= len(session) <= BINDING_BYTES_MAX
    return hashlib.sha256(BINDING_INFO + session).digest() if whole else None


def pack(token: Token) -> bytes:
    """The bytes that the MAC covers. Raises struct.error for a value that its field does not hold."""
    return _SIGNED.pack(*token)


def parse(data: bytes) -> Token:
    """What 180 bytes say; nothing of it is to be believed yet. Raises struct.error for another length."""
    return Token(*_SIGNED.unpack(data[:SIGNED_BYTES]))


def mint(token: Token, key: bytes) -> bytes:
    """The token's 180 bytes under the key of its day and principal."""
    signed = pack(token)
    return signed + hmac.digest(key, signed, "sha256")


def verify(data: bytes, expected: Expected, keys: TokenKeys, store: Replays, now_ns: int) -> Token | Reason:
    """The token, used up with that, or the first reason against it."""
    if not isinstance(data, bytes | bytearray | memoryview) or len(data) != SIZE_BYTES:
        return Reason.LENGTH
    data = bytes(data)
    token = parse(data)
    refused = (
        authentic(data, token, keys, now_ns)
        or _misdirected(token, expected)
        or _unentitled(token, expected)
        or store.accept(token, now_ns)
    )
    return refused or token


def authentic(data: bytes, token: Token, keys: TokenKeys, now_ns: int) -> Reason | None:
    """Why these 180 bytes are none of its principal's at this time: version, key, MAC, time; None: they are."""
    return _forged(data, token, keys, now_ns) or _untimely(token, now_ns)


def _forged(data: bytes, token: Token, keys: TokenKeys, now_ns: int) -> Reason | None:
    if token.version != VERSION:
        return Reason.VERSION
    if not day_of(now_ns - limits.TOKEN_TTL_NS_MAX) <= token.key_id <= day_of(now_ns + limits.TOKEN_EARLY_NS):
        return Reason.KEY  # asked before the keyring is: nobody makes it look for keys of any day
    key = keys.key(token.key_id, token.principal)
    if key is None:
        return Reason.KEY
    right = hmac.digest(key, data[:SIGNED_BYTES], "sha256")
    return None if hmac.compare_digest(right, data[SIGNED_BYTES:]) else Reason.MAC


def _untimely(token: Token, now_ns: int) -> Reason | None:
    if not 0 < token.ttl_ms <= TTL_MS_MAX:
        return Reason.TTL
    if day_of(token.issued_ns) != token.key_id:
        return Reason.DAY
    if token.issued_ns > now_ns + limits.TOKEN_EARLY_NS:
        return Reason.EARLY
    return Reason.EXPIRED if now_ns >= token.expires_ns else None


def _misdirected(token: Token, expected: Expected) -> Reason | None:
    if token.audience != expected.audience:
        return Reason.AUDIENCE
    binding = binding_of(expected.binding)
    return None if binding is not None and hmac.compare_digest(token.binding, binding) else Reason.BINDING


def _unentitled(token: Token, expected: Expected) -> Reason | None:
    refused = expected.entitled(token)
    if refused:
        return refused
    if not token.scope & expected.stream:
        return Reason.SCOPE
    if token.method != expected.method:
        return Reason.METHOD
    right = hashlib.sha256(expected.payload).digest()
    return None if hmac.compare_digest(right, token.payload_hash) else Reason.PAYLOAD
