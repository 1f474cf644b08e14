"""The source's side of the streams, sans I/O: takes requests, asks who may, sends each subscriber what it has not got.

    core_link ─► publish ─► retained ─┬─► subscriber ─ progress ─► peer.send          docs/protocols/link-streams.md
    fills     ─► publish_executions   ├─► subscriber …
    quotes    ─► publish_quotes       └─► …
                    requests ◄── peer (channel 5) ── on_event      scans ─► source.request_scan, one for all who wait

Hard rule: a slow subscriber costs its own place and nobody else's; the source never waits for one.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from gateway import limits
from gateway.link.compression import codec
from gateway.link.peers.event import Delivered, Event, Restarted, Up, Writable
from gateway.link.rights.tokens import Method
from gateway.link.streams import records, stream_request
from gateway.link.streams.packing import Pack, Packing, executions_entries
from gateway.link.streams.retained import Retained
from gateway.link.streams.stream_opening import NotYet, Opening
from gateway.link.streams.stream_quotes import Quotes
from gateway.link.streams.stream_request import ANSWERS, MARKET_DATA, SNAPSHOTS, Answer, Ended, Request
from gateway.link.streams.stream_scans import Scans
from gateway.link.streams.stream_subscriber import Subscriber

JOINED = (MARKET_DATA, SNAPSHOTS)
SCAN_ENDS_KEPT = 1024


class Source(Protocol):
    """Whose records these are."""

    node: int
    boot_id: bytes  # of the ring's life, 16 bytes

    def request_scan(self) -> None:
        """Core is to scan its books; the scan's records come through `publish` as all others do."""


class Access(Protocol):
    """Who may read what (gateway/link/rights/access.py). A grant has token_id and expires_ns; a denial has a reason."""

    def open_stream(
        self,
        peer_node: int,
        address: str,
        stream: str,
        token: bytes,
        session_binding: bytes,
        now_ns: int,
        *,
        method: Method,
        payload: bytes,
    ) -> Any:
        """A grant, or a denial; one with LATER is asked again."""

    def renew(self, grant: Any, address: str, token: bytes, session_binding: bytes, now_ns: int, payload: bytes) -> Any:
        """The grant on a new token, or a denial."""

    def close(self, token_id: int, now_ns: int) -> None:
        """Its holder gave a stream up."""

    def ended(self, now_ns: int) -> list[Any]:
        """Grants that no longer hold, each once: token_id and reason."""


class StreamServer:
    """All subscribers of one source."""

    def __init__(self, source: Source, access: Access, pack: Pack = codec.pack, bytes_max: int = limits.LINK_RETAINED_BYTES):
        self.source, self.access = source, access
        self.retained = Retained(bytes_max)
        self.executions = Retained(limits.LINK_EXECUTIONS_RETAINED_BYTES)
        self.quotes = Quotes(pack)
        self.scans = Scans(source.request_scan)
        self.packing, self._pack = Packing(pack), pack
        self.subscribers: dict[int, Subscriber] = {}  # by node
        self.scan_ends: deque[int] = deque(maxlen=SCAN_ENDS_KEPT)
        self.lost_sequence = 0  # of the last LOST: no book of before it is whole
        self._opening = Opening(self)
        words = ("requests", "malformed", "denied", "opened", "ended", "behind", "resumed", "too_old", "answers_lost")
        self.counters = dict.fromkeys(words, 0)

    # peers

    def attach(self, peer: Any, node: int, address: str) -> None:
        """A peer that may ask for streams; again when it comes from another address."""
        known = self.subscribers.get(node)
        if known is not None and known.peer is peer:
            known.address = address
        else:
            self.subscribers[node] = Subscriber(peer, node, address)

    def detach(self, node: int, now_ns: int) -> None:
        """The peer is gone for good."""
        subscriber = self.subscribers.pop(node, None)
        if subscriber is not None:
            self.forget(subscriber, now_ns)

    def on_event(self, node: int, event: Event, now_ns: int) -> None:
        """What the peer of this node tells; what is not of streams is passed over."""
        subscriber = self.subscribers[node]
        subscriber.look(now_ns)
        if isinstance(event, Delivered) and event.channel == ANSWERS:
            self.on_delivered(node, event.message, now_ns)
        elif isinstance(event, Writable):
            self._serve(subscriber, now_ns)
        elif isinstance(event, Restarted) or (isinstance(event, Up) and not event.resumed):
            self.forget(subscriber, now_ns)

    def forget(self, subscriber: Subscriber, now_ns: int) -> None:
        """Every stream of a subscriber ends without a word."""
        for grant in subscriber.grants.values():
            self.access.close(grant.token_id, now_ns)
        subscriber.reset()
        self.scans.forget(subscriber.node)

    def on_delivered(self, node: int, message: Any, now_ns: int) -> None:
        """One message of channel 5. Answers to requests of our own are for our subscription, not for us."""
        subscriber = self.subscribers[node]
        try:
            request = stream_request.decode(message.body)
            if isinstance(request, stream_request.Begin):
                raise ValueError("FIELD")
        except ValueError:
            self.counters["malformed"] += 1
            return
        if isinstance(request, Request):
            self.counters["requests"] += 1
            subscriber.asked.append(request)
            self._answer_all(subscriber, now_ns)
            self._serve(subscriber, now_ns)

    def _answer_all(self, subscriber: Subscriber, now_ns: int) -> None:
        """Requests in their order, up to one that cannot be answered yet."""
        with suppress(NotYet):
            while subscriber.asked:
                answer = self._answer(subscriber, subscriber.asked[0], now_ns)
                subscriber.asked.popleft()
                subscriber.answer(answer, now_ns)

    def _answer(self, subscriber: Subscriber, request: Request, now_ns: int) -> Answer:
        """What is done about a request, and said to it."""
        actions: dict[str, Callable[..., Answer]] = {
            stream_request.SUBSCRIBE: self._opening.subscribe,
            stream_request.SNAPSHOT: self._opening.snapshot,
            stream_request.RENEW: self._opening.renew,
            stream_request.UNSUBSCRIBE: self._opening.unsubscribe,
        }
        action = actions.get(request.request)
        if action is None or request.stream not in stream_request.STREAMS:
            return Answer(request.id, False, "REQUEST")
        return action(subscriber, request, now_ns)

    # records

    def publish(self, rows: np.ndarray, now_ns: int) -> None:
        """The next records of core_link, in their order; every subscriber is sent what it has room for."""
        kinds = rows["kind"]
        marks = np.flatnonzero((kinds == records.LOST) | (kinds == records.SCAN_BEGIN) | (kinds == records.SCAN_END))
        waiting = deque(zip(rows["sequence"][marks].tolist(), kinds[marks].tolist(), strict=True))
        for entry in self.packing.entries(rows):
            self.retained.append(entry)
            while waiting and waiting[0][0] < entry.end:
                self._on_mark(*waiting.popleft(), now_ns)
        self.serve(now_ns)

    def publish_executions(self, rows: np.ndarray, now_ns: int) -> None:
        """The next executions, numbered without a hole; after a restart all of before at once."""
        if len(rows):
            for entry in executions_entries(rows, self._pack):
                self.executions.append(entry)
            self.serve(now_ns)

    def publish_quotes(self, rows: np.ndarray, now_ns: int) -> None:
        """The latest quotes of some instruments."""
        self.quotes.publish(rows, self.subscribers.values())
        self.serve(now_ns)

    def restarted(self, now_ns: int) -> None:
        """`source.boot_id` is another one: sequences began anew. Who is joined waits for a scan, others go on from here."""
        self.retained.clear()
        self.packing.previous = self.lost_sequence = 0
        self.scan_ends.clear()
        self._opening.begin_anew(now_ns)

    def _on_mark(self, sequence: int, kind: int, now_ns: int) -> None:
        """Records are missing, or a scan begins or ends."""
        if kind == records.SCAN_BEGIN:
            for node in self.scans.began():
                self._opening.begin_scan(self.subscribers[node], sequence)
        elif kind == records.SCAN_END:
            self.scan_ends.append(sequence)
            for subscriber in self.subscribers.values():
                self._opening.end_scan(subscriber, sequence)
        else:
            self.lost_sequence = sequence
            for node, subscriber in self.subscribers.items():
                if subscriber.joined or subscriber.synchronising:
                    self.scans.want(node, now_ns)

    # time

    def tick(self, now_ns: int) -> None:
        """Time goes on: grants end, scans are asked for, what had no room is sent."""
        over = {ended.token_id: str(ended.reason) for ended in self.access.ended(now_ns)}
        for subscriber in self.subscribers.values():
            for stream in list(subscriber.grants):
                grant = subscriber.grants.get(stream)  # one that is joined with another ends with it
                reason = "" if grant is None else over.get(grant.token_id) or subscriber.why_over(stream, now_ns)
                if reason:
                    self.end(subscriber, stream, reason, now_ns)
            if subscriber.asked:
                self._answer_all(subscriber, now_ns)
        self.scans.ask(now_ns)
        self.serve(now_ns)

    def end(self, subscriber: Subscriber, stream: str, reason: str, now_ns: int) -> None:
        """A stream ends without being asked to; the subscriber is told."""
        for one in JOINED if subscriber.joined and stream in JOINED else (stream,):
            if self.release(subscriber, one, now_ns):
                self.counters["ended"] += 1
                subscriber.answer(Ended(one, reason), now_ns)

    def release(self, subscriber: Subscriber, stream: str, now_ns: int) -> bool:
        """Gives a stream and its grant up; whether it was open."""
        grant = subscriber.grants.get(stream)
        if grant is None:
            return False
        self.access.close(grant.token_id, now_ns)
        subscriber.close(stream)
        if stream in JOINED:
            self.scans.forget(subscriber.node)
        return True

    def serve(self, now_ns: int) -> None:
        """Sends every subscriber what there is room for."""
        for subscriber in self.subscribers.values():
            self._serve(subscriber, now_ns)

    def _serve(self, subscriber: Subscriber, now_ns: int) -> None:
        subscriber.send_answers(now_ns)
        if subscriber.answers_waiting + len(subscriber.asked) >= limits.LINK_ANSWERS_WAITING_MAX:
            self.counters["answers_lost"] += 1
            self.forget(subscriber, now_ns)
        if not subscriber.send(self.retained, self.executions, now_ns):
            self.counters["behind"] += 1
            self._opening.fell_behind(subscriber, now_ns)
        self.quotes.send(subscriber, now_ns)
