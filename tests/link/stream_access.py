"""An access desk and a token maker for tests of the streams: tokens say in clear what they are for, each counts once."""

from typing import NamedTuple

from gateway.link.rights.tokens import Method


class Grant(NamedTuple):
    """As gateway.link.rights.grants.Grant."""

    token_id: int
    stream: str
    binding: bytes
    expires_ns: int


class Denied(NamedTuple):
    """As gateway.link.rights.grants.Denied."""

    reason: str


class Ended(NamedTuple):
    """As gateway.link.rights.grants.Ended."""

    token_id: int
    reason: str


class Desk:
    """Grants what `allowed` says for `life_ns`."""

    def __init__(self, allowed=("market_data", "snapshots", "executions", "quotes"), life_ns=60_000_000_000):
        self.allowed, self.life_ns = set(allowed), life_ns
        self.used: set[bytes] = set()
        self.held: dict[int, Grant] = {}
        self.revoked: list[Ended] = []
        self.opened: list[str] = []
        self.made = 0

    def tokens(self, stream, method, binding, payload, now_ns):
        """A token for one request."""
        self.made += 1
        return b"|".join(
            (stream.encode(), b"%d" % method, binding.hex().encode(), payload.hex().encode(), b"%d" % self.made)
        )

    def open_stream(self, peer_node, address, stream, token, session_binding, now_ns, *, method, payload):
        """A grant, or why not."""
        reason = self._reason(stream, token, session_binding, method, payload)
        if reason:
            return Denied(reason)
        grant = Grant(len(self.opened) + 1, stream, session_binding, now_ns + self.life_ns)
        self.opened.append(stream)
        self.held[grant.token_id] = grant
        return grant

    def renew(self, grant, address, token, session_binding, now_ns, payload):
        """The same grant for longer."""
        reason = self._reason(grant.stream, token, session_binding, Method.RENEW, payload)
        if grant.token_id not in self.held or self.held[grant.token_id].binding != session_binding:
            reason = "GRANT"
        if reason:
            return Denied(reason)
        self.held[grant.token_id] = grant._replace(expires_ns=now_ns + self.life_ns)
        return self.held[grant.token_id]

    def _reason(self, stream, token, binding, method, payload):
        parts = token.split(b"|")
        if token in self.used or len(parts) != 5:
            return "REPLAYED" if token in self.used else "LENGTH"
        self.used.add(token)
        if parts[0] != stream.encode() or int(parts[1]) != method:
            return "SCOPE"
        if parts[2] != binding.hex().encode():
            return "BINDING"
        if parts[3] != payload.hex().encode():
            return "PAYLOAD"
        return "" if stream in self.allowed else "ROLE"

    def close(self, token_id, now_ns):
        """Given up."""
        self.held.pop(token_id, None)

    def ended(self, now_ns):
        """Grants that were revoked."""
        found, self.revoked = self.revoked, []
        return found

    def revoke(self, stream, reason="FLOOR"):
        """Every grant of a stream ends."""
        self.allowed.discard(stream)
        self.revoked += [Ended(one, reason) for one, grant in self.held.items() if grant.stream == stream]
        self.held = {one: grant for one, grant in self.held.items() if grant.stream != stream}
