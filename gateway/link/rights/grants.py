"""What was granted and still holds: one row per open stream, until its token expires or what allowed it is gone.

Hard rule: a grant ends by itself; nothing has to arrive for that, and only a new token gives another.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from gateway import limits
from gateway.link.rights.reasons import Reason
from gateway.link.rights.tokens import Token


class Grant(NamedTuple):
    """A stream that may be read."""

    token_id: int  # 1 to 65535, of this process: stands in the frames of the stream
    principal: str
    roles: int  # bits
    expires_ns: int
    stream: str


class Denied(NamedTuple):
    """A stream that may not be read."""

    reason: Reason


class Ended(NamedTuple):
    """A grant that no longer holds."""

    token_id: int
    reason: Reason


class Asked(NamedTuple):
    """Who asks, from where, in which session, for what."""

    peer_node: int
    address: str
    binding: bytes
    stream: str


class Held(NamedTuple):
    """A grant with what it stands on."""

    grant: Grant
    asked: Asked
    principal: bytes  # as the token carries it
    day: int  # of the key
    roles_version: int


class Grants:
    """All grants of this process; bounded altogether and per peer."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._of_peer: Counter[int] = Counter()
        self._last = 0
        self.expires_ns = limits.LINK_NEVER_NS  # no grant expires before

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def get(self, token_id: int) -> Held | None:
        """The grant of that number."""
        return self._held.get(token_id)

    def add(self, token: Token, asked: Asked, roles_version: int) -> Grant | Reason:
        """A new grant, or BUSY."""
        peer = asked.peer_node
        if len(self._held) >= limits.GRANTS_MAX or self._of_peer[peer] >= limits.GRANTS_PER_PEER_MAX:
            return Reason.BUSY
        self._of_peer[peer] += 1
        return self._put(self._free(), token, asked, roles_version)

    def renew(self, token_id: int, token: Token, asked: Asked, roles_version: int) -> Grant:
        """The same grant on another token."""
        return self._put(token_id, token, asked, roles_version)

    def _put(self, token_id: int, token: Token, asked: Asked, roles_version: int) -> Grant:
        grant = Grant(token_id, token.name, token.role_bits, token.expires_ns, asked.stream)
        self.expires_ns = min(self.expires_ns, grant.expires_ns)
        self._held[token_id] = Held(grant, asked, token.principal, token.key_id, roles_version)
        return grant

    def find_first(self) -> None:
        """Looks for the first that expires."""
        self.expires_ns = min((held.grant.expires_ns for held in self._held.values()), default=limits.LINK_NEVER_NS)

    def _free(self) -> int:
        """The next number that is not in use: one that was is not used again for long."""
        while True:
            self._last = self._last % 0xFFFF + 1
            if self._last not in self._held:
                return self._last

    def remove(self, token_id: int) -> Held | None:
        """Takes a grant out."""
        held = self._held.pop(token_id, None)
        if held is not None:
            self._of_peer[held.asked.peer_node] -= 1
            self._of_peer += Counter()  # drops peers without grants
        return held
