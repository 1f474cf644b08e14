"""Reads streams of one peer, sans I/O: events of the peer in, items of rows out; asks, renews and resumes by itself.

    peer ── Up, Delivered, Restarted … ──► on_event ──► items: rows in order, each once ──► application ──► taken
         ◄── requests, renewals ── tick ◄── time

What both the library of applications (client.py) and the mirror of another region stand on. Hard rule: the credit of a
message is given back (`taken`) when the application has its rows, not when they arrived.
"""

from typing import Any, NamedTuple

import numpy as np

from gateway.errors import GatewayError
from gateway.link.peers.event import Delivered, Event, Restarted, Up
from gateway.link.streams import records, stream_request
from gateway.link.streams.cursor import Cursor
from gateway.link.streams.execution_subscription import ExecutionSubscription
from gateway.link.streams.join import Phase, Reading
from gateway.link.streams.stream_asking import Asking, State, Tokens
from gateway.link.streams.stream_request import (
    ANSWERS,
    CHANNELS,
    EXECUTIONS,
    MARKET_DATA,
    QUOTES,
    SNAPSHOT,
    SNAPSHOTS,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Answer,
    Ended,
)
from gateway.link.streams.subscription import Subscription

STREAM_OF = {channel: stream for stream, channel in CHANNELS.items()}
NOBODY = (0, b"")


class Item(NamedTuple):
    """Rows of a stream in order, and the credit that goes back once the application has them."""

    stream: str
    rows: np.ndarray
    credits: tuple[tuple[int, int], ...] = ()  # channel, bytes
    era: int = 0  # of the peer's other process; credit of another one is none
    source: tuple[int, bytes] = (0, b"")  # node and boot id that the sequences are of


class Notice(NamedTuple):
    """Something about a stream that is no record: denied, ended, asked for again; `reason` is a word."""

    stream: str
    what: str
    reason: str


class StreamReader:
    """The streams that are read of one peer. `notices` is what happened to them; whoever reads it empties it."""

    def __init__(self, peer: Any, tokens: Tokens):
        self.peer = peer
        self.asking = Asking(peer, tokens)
        self.market: Subscription | None = None
        self.snapshot: Subscription | None = None
        self.executions: ExecutionSubscription | None = None
        self.notices: list[Notice] = []
        self._streams: dict[str, bool] = {}  # wanted; whether joined
        self._snapshot_due = False
        self._credits: list[tuple[int, int]] = []
        self._up = False
        self._era = 0

    # what the application wants

    def want(self, stream: str, cursor: Cursor | None = None, join: bool = True) -> None:
        """Reads a stream from now on; market data with snapshots in one order, unless `join` is false."""
        if stream == MARKET_DATA:
            self.market = Subscription(self._give, Reading.JOINED if join else Reading.LIVE, cursor)
            if join:
                self._streams[SNAPSHOTS] = False
        elif stream == EXECUTIONS:
            self.executions = ExecutionSubscription(cursor)
        self._streams[stream] = join and stream == MARKET_DATA

    def want_snapshot(self) -> None:
        """One whole scan, as rows from SCAN_BEGIN to SCAN_END; not beside joined market data, which has its own."""
        self.snapshot = Subscription(self._give, Reading.SCAN)
        self._streams.setdefault(SNAPSHOTS, False)
        self._snapshot_due = True

    def begin_anew(self, now_ns: int) -> list[Item]:
        """Joined market data begins at another scan: what was built of it is wrong. Items to apply; [] unless it is live."""
        market = self.market
        if market is None or market.join.phase is not Phase.LIVE or not (self._up and self._is_open(MARKET_DATA)):
            return []
        rows, source = market.lose(), market.source or NOBODY
        self.asking.closed(MARKET_DATA, now_ns)
        self.tick(now_ns)
        return [Item(MARKET_DATA, part, (), self._era, source) for part in rows]

    def drop(self, stream: str, now_ns: int) -> None:
        """Reads a stream no more."""
        if self._streams.pop(stream, None) is None:
            return
        if self.asking.stream(stream).state is not State.CLOSED and self._up:
            self.asking.ask(stream, UNSUBSCRIBE, now_ns)
        self.asking.streams.pop(stream, None)
        if stream == MARKET_DATA:
            self.market = None
        elif stream == EXECUTIONS:
            self.executions = None

    # what happens

    def on_event(self, event: Event, now_ns: int) -> list[Item]:
        """What the peer tells; items that are to be applied now."""
        if isinstance(event, Delivered):
            return self._on_delivered(event.channel, event.message, now_ns)
        if isinstance(event, Up):
            self._up = True
            if not event.resumed:
                self.asking.forget_all(now_ns)
        elif isinstance(event, Restarted):
            self._forget(now_ns)
        elif type(event).__name__ == "Down":
            self._up = False
        self.tick(now_ns)
        return []

    def tick(self, now_ns: int) -> None:
        """Time goes on: asks for what is wanted and not open, renews what runs out."""
        if not self._up or not self.peer.binding:
            return
        self.asking.bind(self.peer.binding, now_ns)
        for stream, join in self._streams.items():
            if self.asking.is_due(stream, now_ns) and not (join and not self._is_open(SNAPSHOTS)):
                self._subscribe(stream, join, now_ns)
        if self._snapshot_due and self._is_open(SNAPSHOTS) and self.snapshot is not None:
            request_id = self._ask(SNAPSHOTS, SNAPSHOT, now_ns)
            if request_id:
                self._snapshot_due = False
                self.snapshot.expect(request_id)
        self.asking.tick(now_ns)

    def taken(self, item: Item) -> None:
        """The application has the rows of an item."""
        if item.era == self._era:
            for channel, size_bytes in item.credits:
                self.peer.consumed(channel, size_bytes)

    def _forget(self, now_ns: int) -> None:
        """The other process is another one: what the one before it is owed, nobody is owed."""
        for subscription in (self.market, self.snapshot):
            if subscription is not None:
                subscription.abandon()
        self._credits.clear()
        self._era += 1
        self.asking.forget_all(now_ns)
        self._snapshot_due = self.snapshot is not None

    # requests

    def _subscribe(self, stream: str, join: bool, now_ns: int) -> None:
        subscription = self.market if stream == MARKET_DATA else self.executions if stream == EXECUTIONS else None
        where = "" if subscription is None or subscription.cursor is None else str(subscription.cursor)
        request_id = self._ask(stream, SUBSCRIBE, now_ns, where, join)
        if request_id and subscription is not None:
            subscription.expect(request_id)
            self._give_back()

    def _ask(self, stream: str, request: str, now_ns: int, cursor: str = "", join: bool = False) -> int:
        """The id of the request; 0: later."""
        try:
            return self.asking.ask(stream, request, now_ns, cursor, join)
        except GatewayError as problem:
            self.asking.closed(stream, now_ns)
            self.notices.append(Notice(stream, "token", str(problem)))
            return 0

    def _is_open(self, stream: str) -> bool:
        return self.asking.stream(stream).state is State.OPEN

    # messages

    def _on_delivered(self, channel: int, message: Any, now_ns: int) -> list[Item]:
        if channel == ANSWERS:
            self._on_answer(message.body, now_ns)
            return []
        stream = STREAM_OF.get(channel)
        if stream == EXECUTIONS and self.executions is not None:
            rows = self.executions.on_delivered(message)
            self._retry(stream, self.executions.failed, now_ns)
            source, size_bytes = self.executions.source or NOBODY, len(message.body)
            if len(rows):
                return [Item(stream, rows, ((channel, size_bytes),), self._era, source)]
            self.peer.consumed(channel, size_bytes)
            return []
        if stream == QUOTES:
            return self._quotes(channel, message)
        subscription = self._subscription_of(stream)
        if subscription is None:
            self.peer.consumed(channel, len(message.body))
            return []
        found = subscription.on_delivered(message)
        if subscription is self.market:
            self._retry(MARKET_DATA, subscription.failed, now_ns)
        elif subscription.failed:
            self._again(subscription.failed, now_ns)
        return self._items(stream or "", subscription, found)

    def _subscription_of(self, stream: str | None) -> Subscription | None:
        """Whose rows a channel brings: snapshots are joined with market data, or stand for themselves."""
        if stream == SNAPSHOTS and self.snapshot is not None:
            return self.snapshot
        if stream == SNAPSHOTS and self.market is not None and self.market.reading is not Reading.JOINED:
            return None
        return self.market if stream in (MARKET_DATA, SNAPSHOTS) else None

    def _items(self, stream: str, subscription: Subscription, found: list[np.ndarray]) -> list[Item]:
        """Items of rows; the credit of everything they bring stands behind the last one."""
        if subscription is self.snapshot and subscription.join.phase is Phase.COMPLETE:
            self.snapshot = None
        if not found:
            self._give_back()
            return []
        credits, self._credits = tuple(self._credits), []
        source = subscription.source or NOBODY
        items = [Item(stream, rows, (), self._era, source) for rows in found]
        return [*items[:-1], items[-1]._replace(credits=credits)]

    def _quotes(self, channel: int, message: Any) -> list[Item]:
        body = message.body
        if message.schema != records.SCHEMA_QUOTES or len(body) % records.QUOTE.itemsize:
            self.peer.consumed(channel, len(body))
            return []
        return [Item(QUOTES, np.frombuffer(body, records.QUOTE), ((channel, len(body)),), self._era)]

    def _on_answer(self, body: bytes, now_ns: int) -> None:
        try:
            message = stream_request.decode(body)
        except ValueError as problem:
            self.notices.append(Notice("", "malformed", str(problem)))
            return
        if isinstance(message, Ended):
            self.asking.closed(message.ended, now_ns)
            self.notices.append(Notice(message.ended, "ended", message.reason))
        elif isinstance(message, Answer):
            found = self.asking.on_answer(message, now_ns)
            if found is not None and not message.ok:
                self.notices.append(Notice(found[0].stream, "denied", message.reason))
        self.tick(now_ns)

    def _retry(self, stream: str, failed: str, now_ns: int) -> None:
        """A subscription that cannot go on asks again from its cursor."""
        if failed and self._is_open(stream):
            self.notices.append(Notice(stream, "failed", failed))
            self.asking.closed(stream, now_ns)
            self.tick(now_ns)

    def _again(self, failed: str, now_ns: int) -> None:
        """A snapshot that cannot go on is asked for anew."""
        self.notices.append(Notice(SNAPSHOTS, "failed", failed))
        self.want_snapshot()
        self.tick(now_ns)

    # credit

    def _give(self, channel: int, size_bytes: int) -> None:
        self._credits.append((channel, size_bytes))

    def _give_back(self) -> None:
        """Credit that brings no rows goes back at once."""
        for channel, size_bytes in self._credits:
            self.peer.consumed(channel, size_bytes)
        self._credits.clear()
