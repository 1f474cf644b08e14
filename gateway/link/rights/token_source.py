"""Where a client's tokens come from: minted with its own key, one for each request, each with the next counter.

    TokenSource.token("snapshots", audience, binding, now_ns) ──► 180 bytes ──► request ──► the verifier of `audience`

Hard rule: a token is never handed out twice; who asks again gets another one.
"""

import hashlib
from typing import NamedTuple, Protocol

from gateway import limits
from gateway.errors import GatewayError, UsageError
from gateway.link.rights.counter_file import Counter
from gateway.link.rights.token_keys import TokenKeys, day_of, principal_bytes
from gateway.link.rights.tokens import MILLISECOND_NS, STREAMS, VERSION, Method, Token, binding_of, mint


class TokenProvider(Protocol):
    """Whom a client asks for tokens."""

    def token(
        self,
        stream: str,
        audience: int,
        binding: bytes,
        now_ns: int,
        method: Method = Method.SUBSCRIBE,
        payload: bytes = b"",
    ) -> bytes:
        """A new token for one request to node `audience`, in the session known by `binding`. Raises GatewayError."""


class Issuer(NamedTuple):
    """In whose name, with which roles and for how long tokens are made."""

    principal: str
    role_bits: int
    ttl_ns: int = limits.TOKEN_TTL_NS_MAX


class TokenSource:
    """Tokens of one principal."""

    def __init__(self, issuer: Issuer, keys: TokenKeys, counter: Counter):
        """Raises UsageError for what no token can carry."""
        self._name = principal_bytes(issuer.principal)
        if not 0 < issuer.role_bits < 1 << 32:
            raise UsageError(f"role bits {issuer.role_bits:#x}: name at least one of the 32 roles")
        if not MILLISECOND_NS <= issuer.ttl_ns <= limits.TOKEN_TTL_NS_MAX:
            raise UsageError(f"a token lasts 1 ms to {limits.TOKEN_TTL_NS_MAX // 10**9} s; choose a ttl in between")
        self._issuer, self._keys, self._counter = issuer, keys, counter

    def token(
        self,
        stream: str,
        audience: int,
        binding: bytes,
        now_ns: int,
        method: Method = Method.SUBSCRIBE,
        payload: bytes = b"",
    ) -> bytes:
        """A new token. Raises GatewayError where there is no key for today, UsageError for a stream there is not."""
        if stream not in STREAMS:
            raise UsageError(f"{stream!r} is no stream; use one of {', '.join(STREAMS)}")
        bound = binding_of(binding)
        if bound is None:
            raise UsageError(f"no session is known by {len(binding)} bytes: wait until one is up")
        day = day_of(now_ns)
        key = self._keys.key(day, self._name)
        if key is None:
            raise GatewayError(f"no token key of {self._issuer.principal} for day {day}; ask the key service, or issue one")
        token = Token(
            version=VERSION,
            method=method,
            audience=audience,
            key_id=day,
            principal=self._name,
            role_bits=self._issuer.role_bits,
            scope=STREAMS[stream],
            issued_ns=now_ns,
            ttl_ms=self._issuer.ttl_ns // MILLISECOND_NS,
            boot_id=self._counter.boot_id,
            counter=self._counter.next(),
            payload_hash=hashlib.sha256(payload).digest(),
            binding=bound,
        )
        return mint(token, key)
