"""Who is let in: addresses before any cipher, then per stream the token, its roles, and whether it was used before.

    acceptor ── admit(address) ──► handshake ── open_stream(token) ──► Grant: until it expires, or ended() says why not
                    │                                │
                addresses                 tokens ─ roles ─ store             every answer: journal

Hard rule: everything is refused that nothing allows. No files, no key, no disk, no journal: nobody gets in.
"""

from collections import Counter
from typing import NamedTuple

from gateway import limits
from gateway.link.rights import addresses as addresses_file
from gateway.link.rights import roles as roles_file
from gateway.link.rights import signed_file
from gateway.link.rights.addresses import Addresses
from gateway.link.rights.grants import Asked, Denied, Ended, Grant, Grants, Held
from gateway.link.rights.journal import ENDED, GRANTED, REFUSED, Attempt, Journal
from gateway.link.rights.reasons import Reason
from gateway.link.rights.roles import KIND as ROLES_KIND
from gateway.link.rights.roles import Roles
from gateway.link.rights.signed_file import Floors
from gateway.link.rights.token_keys import TokenKeys
from gateway.link.rights.tokens import SIZE_BYTES, STREAMS, Expected, Method, Replays, Token, parse, verify


class Means(NamedTuple):
    """What access stands on."""

    keys: TokenKeys
    store: Replays
    floors: Floors
    journal: Journal
    signer: bytes  # the pinned public key of the signed files


class Access:
    """Access to the streams of one node. Sans I/O but for the files of `means`; time comes in."""

    def __init__(self, node: int, means: Means):
        """Without `load_roles` and `load_addresses` it refuses everybody."""
        self._node, self._means = node, means
        self._roles: Roles | None = None
        self._addresses: Addresses | None = None
        self._grants = Grants()
        self._look_ns = 0  # when grants are compared with addresses and keys next
        self._floor = 0  # that they were compared with last
        self.counters: Counter[str] = Counter()  # granted, ended, and every reason

    # signed files

    def load_roles(self, data: bytes) -> None:
        """Takes a signed roles file; grants of a lower version end. Raises GatewayError, and the old one stays."""
        self.take_roles(roles_file.FORM.verified(data, self._means.signer))

    def load_addresses(self, data: bytes) -> None:
        """Takes a signed addresses file. Raises GatewayError, and the old one stays."""
        self.take_addresses(addresses_file.FORM.verified(data, self._means.signer))

    def take_roles(self, roles: Roles) -> None:
        """The same of one whose signature has passed."""
        signed_file.raise_floor(self._means.floors, roles_file.KIND, roles.version)
        self._roles = roles

    def take_addresses(self, addresses: Addresses) -> None:
        """The same of one whose signature has passed."""
        signed_file.raise_floor(self._means.floors, addresses_file.KIND, addresses.version)
        self._addresses, self._look_ns = addresses, 0

    def raise_roles_floor(self, version: int) -> None:
        """From now on only roles of that version or a higher one count: revokes at once. Raises OSError."""
        self._means.floors.raise_to(ROLES_KIND, version)

    @property
    def roles(self) -> Roles | None:
        """The roles that count; None: nobody may anything."""
        floor = self._means.floors.floor(ROLES_KIND)
        return self._roles if self._roles is not None and self._roles.version >= floor else None

    # connections

    def admit(self, address: str, now_ns: int) -> str | None:
        """None: that address may begin a handshake; else the reason why not, which is journalled."""
        reason = Reason.ADDRESSES if self._addresses is None else self._addresses.refuses(address)
        if reason:
            self.attempted(Attempt("connect", REFUSED, reason, address=address), now_ns)
        return reason

    def admit_peer(self, peer_node: int, address: str, now_ns: int) -> str | None:
        """The same for a peer whose handshake has shown who it is; the attempt is journalled, also when it is let in."""
        reason = Reason.ADDRESSES if self._addresses is None else self._addresses.refuses(address, peer_node)
        outcome = REFUSED if reason else GRANTED
        written = self.attempted(Attempt("handshake", outcome, reason or "", peer_node, address, proven=True), now_ns)
        return reason or (None if written else Reason.JOURNAL)

    def attempted(self, attempt: Attempt, now_ns: int) -> bool:
        """Journals an attempt that was decided elsewhere, such as a handshake that failed; False: it could not be."""
        self.counters[attempt.reason or attempt.outcome] += 1
        return self._means.journal.record(attempt, now_ns)

    # streams

    def open_stream(
        self,
        peer_node: int,
        address: str,
        stream: str,
        token: bytes,
        session_binding: bytes,
        now_ns: int,
        *,
        method: Method = Method.SUBSCRIBE,
        payload: bytes = b"",
    ) -> Grant | Denied:
        """Uses the token up for one stream; `session_binding` is what both sides know the session by.

        Denied with LATER is no answer: the disk is still at it, and the same is to be asked again.
        """
        asked = Asked(peer_node, address, session_binding, stream)
        found: Token | Grant | Reason = self._examine(asked, token, method, payload, now_ns)
        if isinstance(found, Token):
            found = self._grants.add(found, asked, self._version)
        return self._answer("open", asked, token, found, now_ns)

    def renew(
        self, grant: Grant, address: str, token: bytes, session_binding: bytes, now_ns: int, payload: bytes = b""
    ) -> Grant | Denied:
        """A grant of this session on a new token (method RENEW) of the same principal; it keeps its number."""
        token_id = grant.token_id
        held = self._grants.get(token_id)
        mine = held is not None and held.asked.binding == session_binding
        peer_node = held.asked.peer_node if held and mine else 0
        asked = Asked(peer_node, address, session_binding, held.grant.stream if held and mine else "")
        found: Token | Grant | Reason = Reason.GRANT
        if held is not None and mine and not self._why_over(held, now_ns):
            found = self._examine(asked, token, Method.RENEW, payload, now_ns, held.principal)
            if isinstance(found, Token):
                found = self._grants.renew(token_id, found, asked, self._version)
        return self._answer("renew", asked, token, found, now_ns)

    @property
    def _version(self) -> int:
        return self._roles.version if self._roles else 0

    def _examine(
        self, asked: Asked, token: bytes, method: Method, payload: bytes, now_ns: int, principal: bytes | None = None
    ) -> Token | Reason:
        """The token, used up, when everything speaks for it; `principal`: the only one that may ask."""
        if self._addresses is None:
            return Reason.ADDRESSES
        refused = self._addresses.refuses(asked.address, asked.peer_node)
        if refused:
            return refused
        stream = STREAMS.get(asked.stream)
        if stream is None:
            return Reason.STREAM

        def entitled(read: Token) -> Reason | None:
            roles = self.roles
            if roles is None:
                return Reason.ROLES
            if principal is not None and read.principal != principal:
                return Reason.PRINCIPAL
            return roles.refuses(read, asked.peer_node, stream)

        expected = Expected(self._node, asked.binding, stream, method, payload, entitled)
        return verify(token, expected, self._means.keys, self._means.store, now_ns)

    def _answer(self, event: str, asked: Asked, token: bytes, found: Token | Grant | Reason, now_ns: int) -> Grant | Denied:
        """Journals what was decided; what is not written down is not granted."""
        if isinstance(found, Grant):
            allowed = Attempt(event, GRANTED, "", asked.peer_node, asked.address, found.principal, asked.stream, True)
            if self.attempted(allowed, now_ns):
                return found
            self._grants.remove(found.token_id)
            self.counters[Reason.JOURNAL] += 1
            return Denied(Reason.JOURNAL)
        reason = Reason(str(found))
        if reason is Reason.LATER:
            return Denied(reason)
        claimed = _claimed(token)
        stream = asked.stream if asked.stream in STREAMS else ""
        self.attempted(Attempt(event, REFUSED, reason, asked.peer_node, asked.address, claimed, stream), now_ns)
        return Denied(reason)

    # what holds

    def holds(self, token_id: int, now_ns: int) -> bool:
        """Whether a grant still holds: by time and floor, at every frame; by address and key as `ended` has looked."""
        held = self._grants.get(token_id)
        return held is not None and not self._why_over(held, now_ns)

    def ended(self, now_ns: int) -> list[Ended]:
        """Grants that no longer hold, each once; every turn may ask. Writes what the journal held back, too.

        Time and floor are looked at in every call; addresses at once when they change, keys every half second.
        """
        self._means.journal.tick(now_ns)
        look = not now_ns < self._look_ns <= now_ns + limits.ACCESS_FILES_NS
        floor = self._means.floors.floor(ROLES_KIND)
        if not look and floor == self._floor and now_ns < self._grants.expires_ns:
            return []
        if look:
            self._look_ns = now_ns + limits.ACCESS_FILES_NS
        self._floor = floor
        why = self._why_ended if look else self._why_over
        found = [Ended(held.grant.token_id, reason) for held in self._grants if (reason := why(held, now_ns))]
        for token_id, reason in found:
            self._end(token_id, reason, now_ns)
        self._grants.find_first()
        return found

    def close(self, token_id: int, now_ns: int) -> None:
        """Its holder gave a stream up."""
        self._end(token_id, Reason.CLOSED, now_ns)

    def close_session(self, session_binding: bytes, now_ns: int) -> None:
        """A session is gone, and its grants with it."""
        for held in self._grants:
            if held.asked.binding == session_binding:
                self._end(held.grant.token_id, Reason.CLOSED, now_ns)

    def _why_over(self, held: Held, now_ns: int) -> Reason | None:
        if now_ns >= held.grant.expires_ns:
            return Reason.EXPIRED
        return Reason.FLOOR if held.roles_version < self._means.floors.floor(ROLES_KIND) else None

    def _why_ended(self, held: Held, now_ns: int) -> Reason | None:
        if over := self._why_over(held, now_ns):
            return over
        if self._addresses is None or self._addresses.refuses(held.asked.address, held.asked.peer_node):
            return Reason.ADDRESS
        return Reason.KEY if self._means.keys.key(held.day, held.principal) is None else None

    def _end(self, token_id: int, reason: Reason, now_ns: int) -> None:
        held = self._grants.remove(token_id)
        if held is not None:
            asked, grant = held.asked, held.grant
            self.attempted(
                Attempt("end", ENDED, reason, asked.peer_node, asked.address, grant.principal, asked.stream, True), now_ns
            )


def _claimed(token: bytes) -> str:
    """The principal that a refused token names: a claim, nothing more."""
    return parse(bytes(token)).name if isinstance(token, bytes | bytearray) and len(token) == SIZE_BYTES else ""
