"""What a reader has asked of its source: requests without an answer, grants that run out, when to ask again.

    CLOSED ── due, session up ──► ASKED ── ok ──► OPEN ── half its life over ──► renew ──► OPEN
       ▲                            │ denied        │ ended, failed, other process
       └──────── later each time ───┴───────────────┘

Beside stream_reader.py, sans I/O. Hard rule: every request carries a token of its own, bound to the session and to what
it asks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.rights.tokens import Method
from gateway.link.streams import stream_request
from gateway.link.streams.stream_request import ANSWERS, RENEW, SNAPSHOT, SUBSCRIBE, Answer, Request

METHODS = {SUBSCRIBE: Method.SUBSCRIBE, SNAPSHOT: Method.SNAPSHOT, RENEW: Method.RENEW}
Tokens = Callable[[str, Method, bytes, bytes, int], bytes]  # stream, method, binding, payload, now → token


class State(Enum):
    """Of one stream."""

    CLOSED = "closed"
    ASKED = "asked"
    OPEN = "open"


@dataclass
class Asked:
    """One stream as far as requests go."""

    stream: str
    state: State = State.CLOSED
    request: Request | None = None  # without an answer
    asked_ns: int = 0
    due_ns: int = 0  # of the next attempt
    renew_ns: int = 0
    failures: int = 0
    answers: int = field(default=0)  # that said yes


class Asking:
    """The requests of one reader."""

    def __init__(self, peer: Any, tokens: Tokens):
        self._peer, self._tokens = peer, tokens
        self._id, self._binding = 0, b""
        self.streams: dict[str, Asked] = {}
        self.counters = dict.fromkeys(("requests", "renewals", "denied", "unanswered", "strays"), 0)

    def stream(self, name: str) -> Asked:
        """What is known of a stream."""
        return self.streams.setdefault(name, Asked(name))

    def ask(self, name: str, request: str, now_ns: int, cursor: str = "", join: bool = False) -> int:
        """Sends a request; its id, or 0 while the channel of answers has no room or no token can be had (GatewayError)."""
        asked = self.stream(name)
        self._id += 1
        made = Request(request, self._id, name, cursor, join)
        method = METHODS.get(request)
        if method is not None:
            payload = stream_request.bare(made)
            made = made._replace(token=self._tokens(name, method, self._binding, payload, now_ns))
        if not self._peer.send(ANSWERS, stream_request.encode(made), now_ns=now_ns):
            return 0
        self.counters["renewals" if request == RENEW else "requests"] += 1
        asked.request, asked.asked_ns = made, now_ns
        if request == SUBSCRIBE:
            asked.state = State.ASKED
        return self._id

    def on_answer(self, answer: Answer, now_ns: int) -> tuple[Asked, Request] | None:
        """Whose answer it is and to what; None: nobody waits for it."""
        for asked in self.streams.values():
            request = asked.request
            if request is not None and request.id == answer.answer:
                asked.request = None
                if answer.ok:
                    self._granted(asked, answer, now_ns)
                elif request.request != RENEW:
                    self.counters["denied"] += 1
                    self.closed(asked.stream, now_ns)
                else:
                    self.counters["denied"] += 1
                    asked.renew_ns = now_ns + limits.LINK_RENEW_AGAIN_NS
                return asked, request
        self.counters["strays"] += 1
        return None

    def closed(self, name: str, now_ns: int) -> None:
        """A stream has to be asked for again, later each time it fails."""
        asked = self.stream(name)
        wait_ns = limits.LINK_ASK_FIRST_NS << min(asked.failures, limits.LINK_ASK_DOUBLINGS_MAX)
        asked.state, asked.request, asked.due_ns = State.CLOSED, None, now_ns + (wait_ns if asked.failures else 0)
        asked.failures += 1

    def forget_all(self, now_ns: int) -> None:
        """The other process knows nothing of us: everything is asked for again at once."""
        for asked in self.streams.values():
            asked.state, asked.request, asked.due_ns, asked.failures = State.CLOSED, None, now_ns, 0

    def bind(self, binding: bytes, now_ns: int) -> None:
        """In another session of the same processes streams go on; their grants are renewed in it at once."""
        if binding == self._binding:
            return
        self._binding = binding
        for asked in self.streams.values():
            if asked.state is State.OPEN:
                asked.renew_ns = now_ns

    def is_due(self, name: str, now_ns: int) -> bool:
        """Whether a closed stream is to be asked for now."""
        asked = self.stream(name)
        return asked.state is State.CLOSED and asked.due_ns <= now_ns

    def tick(self, now_ns: int) -> None:
        """Renews what is to be renewed; a request that nobody answers is given up."""
        for asked in self.streams.values():
            if asked.request is not None and now_ns - asked.asked_ns > limits.LINK_REQUEST_ANSWER_NS:
                self.counters["unanswered"] += 1
                asked.request = None
                if asked.state is State.ASKED:
                    self.closed(asked.stream, now_ns)
            if asked.state is State.OPEN and asked.request is None and asked.renew_ns <= now_ns:
                try:
                    self.ask(asked.stream, RENEW, now_ns)
                except GatewayError:  # no token yet: the grant lasts a while
                    asked.renew_ns = now_ns + limits.LINK_RENEW_AGAIN_NS

    def _granted(self, asked: Asked, answer: Answer, now_ns: int) -> None:
        asked.state, asked.failures = State.OPEN, 0
        asked.answers += 1
        life_ns = answer.expires_ns - now_ns
        asked.renew_ns = answer.expires_ns - min(max(life_ns // 2, 0), limits.LINK_RENEW_BEFORE_NS)
