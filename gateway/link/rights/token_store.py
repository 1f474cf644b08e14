"""Which tokens were used: per principal and life of its issuer the highest counter and the 1,024 below it.

    counter      highest - 1023 … highest      above
    ───── OLD ─────┼──── one bit each ────┼──── new: the window moves up ────►
    issued_ns    ── FORGOTTEN ──┼──► of a life that is not remembered (also: our own restart): only what was issued later

A life is forgotten when its tokens have expired; then everything of that principal issued up to its newest token is out.
The same line is on disk (mark_writer.py), written some 250 ms ahead of what is accepted, so that a restart begins there.
Hard rule: a token is accepted once, whatever restarts, clock steps and full disks lie between; in doubt it is refused.
"""

from collections.abc import Callable
from typing import Protocol

from gateway import limits
from gateway.link.rights.reasons import Reason
from gateway.link.rights.tokens import Token

_BITS = (1 << limits.TOKEN_WINDOW) - 1


class Marks(Protocol):
    """Times that only rise, by principal, kept across restarts: mark_writer.MarkWriter."""

    def floor(self, name: str) -> int:
        """What was issued up to then may have been used."""

    def as_they_stand(self) -> Callable[[str], int]:
        """The floors of now, whatever is raised later."""

    def raise_to(self, name: str, value: int, others: int = 0) -> bool:
        """Raises this one, and those of all other names to `others`; False: not before the disk has them, ask again.

        Raises OSError when that cannot be kept.
        """


class Window:
    """The counters of one life."""

    __slots__ = ("after_ns", "bits", "expires_ns", "highest", "issued_ns")

    def __init__(self, after_ns: int):
        """Tokens that were issued up to `after_ns` are not for this window to know."""
        self.after_ns = after_ns
        self.highest = self.bits = 0  # bit n: highest - n was used
        self.issued_ns = self.expires_ns = 0  # of its newest token, of the one that lasts longest

    def refuses(self, counter: int) -> Reason | None:
        """Why this counter is not new."""
        below = self.highest - counter
        if counter < 1 or below >= limits.TOKEN_WINDOW:
            return Reason.OLD
        return Reason.REPLAYED if below >= 0 and self.bits >> below & 1 else None

    def use(self, token: Token) -> None:
        """Marks it as used."""
        above = token.counter - self.highest
        if above > 0:
            self.bits = (self.bits << above & _BITS if above < limits.TOKEN_WINDOW else 0) | 1
            self.highest = token.counter
        else:
            self.bits |= 1 << -above
        self.issued_ns = max(self.issued_ns, token.issued_ns)
        self.expires_ns = max(self.expires_ns, token.expires_ns)


class TokenStore:
    """The windows of all principals; bounded: PRINCIPALS_MAX times TOKEN_BOOTS_MAX of about 300 bytes."""

    def __init__(self, marks: Marks):
        self._marks = marks
        self._before = marks.as_they_stand()  # what an earlier life of ours may have accepted
        self._dropped_ns = 0  # the latest of what was accepted of principals that gave way to others
        self._lives: dict[bytes, dict[bytes, Window]] = {}
        self._forgotten_ns: dict[bytes, int] = {}
        self.accepted = 0

    def accept(self, token: Token, now_ns: int) -> Reason | None:
        """None: new, and used with that; else why not, and nothing has changed. LATER: the disk is at its mark."""
        lives = self._lives_of(token.principal, now_ns)
        if lives is None:
            return Reason.FULL
        window = lives.get(token.boot_id)
        fresh = window is None
        if window is None:
            self._forget(token.principal, lives, now_ns)
            window = Window(self._forgotten_ns[token.principal])
        refused = Reason.FORGOTTEN if token.issued_ns <= window.after_ns else window.refuses(token.counter)
        if not refused and fresh and len(lives) >= limits.TOKEN_BOOTS_MAX:
            refused = Reason.FULL
        refused = refused or self._keep(token, now_ns)
        if refused:
            return refused
        window.use(token)
        lives[token.boot_id] = window
        self.accepted += 1
        return None

    def _lives_of(self, principal: bytes, now_ns: int) -> dict[bytes, Window] | None:
        """The lives of a principal; None: there is no room for another principal."""
        found = self._lives.get(principal)
        if found is None and self._room(now_ns):
            found = self._lives[principal] = {}
            self._forgotten_ns[principal] = max(self._before(_mark(principal)), self._dropped_ns)
        return found

    def _room(self, now_ns: int) -> bool:
        """Whether there is room for another principal; those whose lives have all expired give way."""
        if len(self._lives) >= limits.PRINCIPALS_MAX:
            for principal, lives in list(self._lives.items()):
                self._forget(principal, lives, now_ns)
                if not lives:
                    self._dropped_ns = max(self._dropped_ns, self._forgotten_ns.pop(principal))
                    del self._lives[principal]
        return len(self._lives) < limits.PRINCIPALS_MAX

    def _forget(self, principal: bytes, lives: dict[bytes, Window], now_ns: int) -> None:
        """Lives whose tokens have all expired give way."""
        for boot_id in [boot_id for boot_id, window in lives.items() if now_ns >= window.expires_ns]:
            gone = lives.pop(boot_id)
            self._forgotten_ns[principal] = max(self._forgotten_ns[principal], gone.issued_ns)

    def _keep(self, token: Token, now_ns: int) -> Reason | None:
        """Writes the mark ahead of a token; in the same write everybody else's, so that many at once are one write.

        Others are moved by what both clocks say at least: no issuer's clock, nor ours alone, shuts them out.
        """
        name = _mark(token.principal)
        if token.issued_ns <= self._marks.floor(name):
            return None
        others = min(token.issued_ns, now_ns) + limits.TOKEN_MARK_AHEAD_NS
        try:
            kept = self._marks.raise_to(name, token.issued_ns + limits.TOKEN_MARK_AHEAD_NS, others)
        except OSError:
            return Reason.STORE
        return None if kept else Reason.LATER


def _mark(principal: bytes) -> str:
    return principal.rstrip(b"\0").decode("ascii", "replace")
