"""What a source knows of one peer that reads its streams: grants, progress of each channel, answers that wait for room.

Beside stream_server.py. Hard rule: nothing is sent on a stream without a grant of that stream that holds now.
"""

from collections import deque
from typing import Any

from gateway import limits
from gateway.link.streams import stream_request
from gateway.link.streams.retained import Retained
from gateway.link.streams.stream_progress import Progress, State, Takes
from gateway.link.streams.stream_request import (
    ANSWERS,
    CHANNELS,
    EXECUTIONS,
    MARKET_DATA,
    QUOTES,
    SNAPSHOTS,
    Answer,
    Begin,
    Ended,
    Request,
)


class Subscriber:
    """One peer's streams. `grants` by stream; `progress` by stream; `quotes` are keys it has not been sent."""

    def __init__(self, peer: Any, node: int, address: str):
        self.peer, self.node, self.address = peer, node, address
        self.grants: dict[str, Any] = {}
        self.bindings: dict[str, bytes] = {}  # stream → session its grant was made in
        self.requests: dict[str, int] = {}  # stream → id of the request that its marks carry
        self.progress: dict[str, Progress] = {}
        self.binding = b""  # what both sides know the session by, as it last was
        self.session_ns = 0  # when it came up
        self.joined = False  # market data and snapshots in one order
        self.synchronising = False  # in the middle of a scan
        self.quotes: dict[int, None] = {}
        self.generation = 0
        self.asked: deque[Request] = deque()  # that are not answered yet
        self._answers: deque[bytes] = deque()

    def look(self, now_ns: int) -> None:
        """Whether the session is another one than before."""
        binding = self.peer.binding
        if binding and binding != self.binding:
            self.binding, self.session_ns = binding, now_ns

    # answers

    def answer(self, message: Answer | Ended, now_ns: int) -> None:
        """Says it now, or when there is room; a peer that never reads answers is not remembered for ever."""
        if len(self._answers) < limits.LINK_ANSWERS_WAITING_MAX:
            self._answers.append(stream_request.encode(message))
        self.send_answers(now_ns)

    def send_answers(self, now_ns: int) -> None:
        """What waits, as long as there is room."""
        while self._answers and self.peer.send(ANSWERS, self._answers[0], now_ns=now_ns):
            self._answers.popleft()

    @property
    def answers_waiting(self) -> int:
        """How many answers have found no room."""
        return len(self._answers)

    # streams

    def granted(self, stream: str, grant: Any, request_id: int) -> None:
        """The stream is open under this grant."""
        self.grants[stream], self.requests[stream] = grant, request_id
        self.bindings[stream] = self.binding

    def why_over(self, stream: str, now_ns: int) -> str:
        """Why a stream's grant has run out, '' while it has not: its time, or a session that it was not renewed in."""
        if self.grants[stream].expires_ns <= now_ns:
            return "EXPIRED"
        other = self.bindings[stream] != self.binding
        return "BINDING" if other and now_ns - self.session_ns >= limits.LINK_REGRANT_NS else ""

    def open(self, stream: str, takes: Takes) -> Progress:
        """A fresh progress of a stream; what an older one had not sent is not sent any more."""
        self.progress[stream] = Progress(CHANNELS[stream], takes, self.grants[stream].token_id)
        return self.progress[stream]

    def close(self, stream: str) -> bool:
        """Nothing more of this stream; whether it was open. Two that are joined part: the other one keeps its grant."""
        found = self.grants.pop(stream, None) is not None
        self.progress.pop(stream, None)
        if stream in (MARKET_DATA, SNAPSHOTS):
            if self.joined:
                self.progress.pop(SNAPSHOTS, None)
                self.progress.pop(MARKET_DATA, None)
            self.joined = self.synchronising = False
        if stream == QUOTES:
            self.quotes.clear()
        return found

    def reset(self) -> None:
        """The other process is another one: it has asked for nothing."""
        self.grants.clear()
        self.requests.clear()
        self.progress.clear()
        self.quotes.clear()
        self.asked.clear()
        self._answers.clear()
        self.joined = self.synchronising = False

    def mark(self, stream: str, source: tuple[int, bytes], sequence: int, resumed: bool) -> bytes:
        """The begin mark of the current generation."""
        return stream_request.encode(Begin(self.requests[stream], self.generation, source[0], source[1], sequence, resumed))

    def send(self, retained: Retained, executions: Retained, now_ns: int) -> bool:
        """Everything there is room for; False when what comes next is gone."""
        whole = True
        for stream, progress in self.progress.items():
            state = progress.send(self.peer, executions if stream == EXECUTIONS else retained, now_ns)
            whole = whole and state is not State.BEHIND
        return whole
