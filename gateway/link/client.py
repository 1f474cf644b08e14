"""The client library of the link: subscribe to streams of a gateway, iterate over them, ask for a snapshot.

    with Client(settings) as client:                         async with AsyncClient(settings) as client:
        client.subscribe("market_data")                          client.subscribe("market_data")
        for item in client.batches():                            async for item in client.batches():
            …item.rows…                                              …

A thread keeps the session alive, resumes it and renews grants while the application works; a slow application slows the
source's sending to it, nothing else. docs/operating/link-client.md. Hard rule: a row is handed out once, in order; `cursor`
stands behind the last row that was handed out, so that nothing is lost where an application begins again from it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from gateway.errors import LinkError
from gateway.link.async_client import AsyncClient
from gateway.link.client_session import ClientSession, ClientSettings, denial
from gateway.link.streams import records
from gateway.link.streams.cursor import Cursor, Place, parse
from gateway.link.streams.stream_reader import Item, Notice
from gateway.link.streams.stream_request import MARKET_DATA, SNAPSHOTS

__all__ = ["AsyncClient", "Client", "ClientSettings", "Cursor", "Event", "Item", "LinkError", "Notice", "parse"]

REST_SECONDS = 0.005


class Event(NamedTuple):
    """One record: its stream, its sequence, and the row itself (struct link_slot, link_execution or link_quote)."""

    stream: str
    sequence: int
    row: Any


class Client:
    """Reads streams of one gateway. A context manager; `connect` and `close` do the same."""

    def __init__(self, settings: ClientSettings):
        self.settings = settings
        self.notices: deque[Notice] = deque(maxlen=1024)  # what happened to streams, newest last
        self._session = ClientSession(settings)
        self._items: deque[Item] = deque()
        self._snapshots: deque[Item] = deque()
        self._taken: deque[Item] = deque()
        self._orders: deque[Callable[[], None]] = deque()  # for the thread
        self._places: dict[str, Place] = {}
        self._news = threading.Condition()
        self._problem: BaseException | None = None
        self._asks_snapshot = self._closing = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Client":
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self, timeout_seconds: float = 10.0) -> None:
        """Waits until a session stands. Raises LinkError with why there is none."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="link client", daemon=True)
            self._thread.start()
        with self._news:
            self._news.wait_for(lambda: self._session.is_up or self._problem, timeout_seconds)
        self._raise()
        if not self._session.is_up:
            problem = self._session.unreachable(timeout_seconds)
            self.close()
            raise problem

    def subscribe(self, stream: str = MARKET_DATA, cursor: Cursor | str | None = None, join: bool = True) -> None:
        """Reads a stream from now on, or from a cursor; market_data brings snapshots with it unless `join` is false.

        Raises LinkError for a stream there is not, UsageError for a cursor that is none.
        """
        where = parse(cursor) if isinstance(cursor, str) else cursor
        self._places[stream] = Place(where, join and stream == MARKET_DATA)
        self._do(lambda: self._session.want(stream, where, join))

    def unsubscribe(self, stream: str) -> None:
        """Reads a stream no more; what has arrived is still handed out."""
        self._do(lambda: self._session.reader.drop(stream, self._session.now_ns()))

    def batches(self, timeout_seconds: float | None = None) -> Iterator[Item]:
        """Items of all streams as they come; ends when nothing came for `timeout_seconds`. Raises LinkError on a denial."""
        while (item := self._next(timeout_seconds)) is not None:
            self._place(item.stream).take(item.rows, item.source)
            try:
                yield item
            finally:
                self._taken.append(item)

    def events(self, timeout_seconds: float | None = None) -> Iterator[Event]:
        """The same, one record at a time. `cursor` stands behind the last record, in the middle of a batch as well."""
        while (item := self._next(timeout_seconds)) is not None:
            rows, index, place = item.rows, 0, self._place(item.stream)
            try:
                while index < len(rows):
                    index += 1
                    place.take(rows[index - 1 : index], item.source)
                    yield Event(item.stream, int(rows[index - 1]["sequence"]), rows[index - 1])
            finally:
                if index < len(rows):  # whoever iterates next goes on here
                    self._items.appendleft(item._replace(rows=rows[index:]))
                else:
                    self._taken.append(item)

    def snapshot(self, timeout_seconds: float = 60.0) -> np.ndarray:
        """One whole scan: rows from SCAN_BEGIN to SCAN_END in their order. Not beside joined market data."""
        self._asks_snapshot = True
        self._snapshots.clear()
        self._do(self._session.reader.want_snapshot)
        found: list[np.ndarray] = []
        try:
            while True:
                item = self._next_of_snapshot(timeout_seconds)
                if np.any(item.rows["kind"] == records.LOST):  # it begins anew
                    found.clear()
                rows = item.rows[item.rows["kind"] != records.LOST]
                found.append(rows)
                self._taken.append(item)
                if len(rows) and rows[-1]["kind"] == records.SCAN_END:
                    return np.concatenate(found)
        finally:
            self._asks_snapshot = False

    def cursor(self, stream: str = MARKET_DATA) -> Cursor | None:
        """Where to go on behind everything handed out; None while there is nothing to go on from."""
        return self._place(stream).cursor

    def close(self) -> None:
        """Says goodbye and ends the thread. A second call does nothing."""
        self._closing = True
        with self._news:
            self._news.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # the application's side

    def _next(self, timeout_seconds: float | None) -> Item | None:
        """The next item; None when none came in time. Raises what has gone wrong once everything is handed out."""
        with self._news:
            self._news.wait_for(lambda: self._items or self._problem or self._closing, timeout_seconds)
            if self._items:
                return self._items.popleft()
        self._raise()
        return None

    def _next_of_snapshot(self, timeout_seconds: float) -> Item:
        with self._news:
            self._news.wait_for(lambda: self._snapshots or self._problem or self._closing, timeout_seconds)
            if self._snapshots:
                return self._snapshots.popleft()
        self._raise()
        raise LinkError(f"no snapshot within {timeout_seconds:g} s; look at the source, or wait longer")

    def _place(self, stream: str) -> Place:
        return self._places.setdefault(MARKET_DATA if stream == SNAPSHOTS else stream, Place())

    def _do(self, order: Callable[[], None]) -> None:
        """Has the thread do it, and waits; what it raises is raised here."""
        if self._thread is None:
            order()
            return
        done, problems = threading.Event(), []

        def run() -> None:
            try:
                order()
            except Exception as problem:
                problems.append(problem)
            done.set()

        self._orders.append(run)
        while not done.wait(0.1):
            self._raise()
            if not self._thread.is_alive():
                raise LinkError("the client is closed; make another one")
        if problems:
            raise problems[0]

    def _raise(self) -> None:
        """What ended the thread, or a stream; once."""
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    # the thread's side

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
            self._session.leave()
        except Exception as problem:
            self._tell(problem)

    def _turn(self) -> None:
        items, notices = self._session.turn(REST_SECONDS)
        while self._taken:
            self._session.reader.taken(self._taken.popleft())
        while self._orders:
            self._orders.popleft()()
        with self._news:
            for item in items:
                (self._snapshots if item.stream == SNAPSHOTS and self._asks_snapshot else self._items).append(item)
            self._news.notify_all()
        for notice in notices:
            self.notices.append(notice)
            problem = denial(notice)
            if problem is not None:
                self._session.reader.drop(notice.stream, self._session.now_ns())
                self._tell(problem)

    def _tell(self, problem: BaseException) -> None:
        with self._news:
            self._problem = problem
            self._news.notify_all()
