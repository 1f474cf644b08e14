"""The client library of the link for asyncio: the same session, driven by the application's own loop.

    loop ── transport readable, or its time has come ──► turn ──► queue ──► async for item in client.batches()

Beside client.py. Hard rule: no thread, and nothing here blocks the loop longer than one turn.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from gateway.errors import LinkError
from gateway.link.client_session import ClientSession, ClientSettings, denial
from gateway.link.streams.cursor import Cursor, Place, parse
from gateway.link.streams.stream_reader import Item, Notice
from gateway.link.streams.stream_request import MARKET_DATA, SNAPSHOTS

REST_SECONDS = 0.005


class AsyncClient:
    """Reads streams of one gateway. An async context manager."""

    def __init__(self, settings: ClientSettings):
        self.settings = settings
        self.notices: deque[Notice] = deque(maxlen=1024)
        self._session = ClientSession(settings)
        self._items: deque[Item] = deque()
        self._places: dict[str, Place] = {}
        self._news = asyncio.Event()
        self._problem: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def __aenter__(self) -> "AsyncClient":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, timeout_seconds: float = 10.0) -> None:
        """Waits until a session stands. Raises LinkError with why there is none."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="link client")
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds
        while not self._session.is_up:
            if not await self._wait(end - loop.time()):
                problem = self._session.unreachable(timeout_seconds)
                await self.close()
                raise problem
            self._raise()

    def subscribe(self, stream: str = MARKET_DATA, cursor: Cursor | str | None = None, join: bool = True) -> None:
        """Reads a stream from now on, or from a cursor. Raises LinkError, UsageError."""
        where = parse(cursor) if isinstance(cursor, str) else cursor
        self._session.want(stream, where, join)
        self._places[stream] = Place(where, join and stream == MARKET_DATA)

    def unsubscribe(self, stream: str) -> None:
        """Reads a stream no more; what has arrived is still handed out."""
        self._session.reader.drop(stream, self._session.now_ns())

    def want_snapshot(self) -> None:
        """Asks for one whole scan; its rows come among the items, of stream snapshots, SCAN_END the last of them."""
        self._session.reader.want_snapshot()

    async def batches(self, timeout_seconds: float | None = None) -> AsyncIterator[Item]:
        """Items of all streams as they come; ends when nothing came for `timeout_seconds`. Raises LinkError on a denial."""
        while True:
            while not self._items:
                self._raise()
                if self._closing or not await self._wait(timeout_seconds):
                    return
            item = self._items.popleft()
            place = self._places.get(MARKET_DATA if item.stream == SNAPSHOTS else item.stream)
            if place is not None:
                place.take(item.rows, item.source)
            try:
                yield item
            finally:
                self._session.reader.taken(item)

    def cursor(self, stream: str = MARKET_DATA) -> Cursor | None:
        """Where to go on behind everything handed out; None while there is nothing to go on from."""
        place = self._places.get(stream)
        return None if place is None else place.cursor

    async def close(self) -> None:
        """Says goodbye and ends the task. A second call does nothing."""
        self._closing = True
        self._news.set()
        task, self._task = self._task, None
        if task is not None:
            await task

    async def _wait(self, seconds: float | None) -> bool:
        """Until there is news; False when none came in time."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _raise(self) -> None:
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    async def _run(self) -> None:
        """Turns whenever a socket has something or a deadline comes."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._session.transport.fileno(), ready.set)
        try:
            while not self._closing:
                self._turn()
                ready.clear()
                await _first(ready, REST_SECONDS)
            await self._leave()
        except Exception as problem:
            self._problem = problem
            self._news.set()
        finally:
            loop.remove_reader(self._session.transport.fileno())
            self._session.transport.close()

    async def _leave(self, seconds: float = 1.0) -> None:
        session = self._session
        end_ns = session.now_ns() + int(seconds * 1e9)
        session.peer.leave(session.now_ns())
        while session.is_up and session.now_ns() < end_ns:
            session.transport.turn()
            await asyncio.sleep(REST_SECONDS)

    def _turn(self) -> None:
        was_up = self._session.is_up
        items, notices = self._session.turn()
        self._items.extend(items)
        for notice in notices:
            self.notices.append(notice)
            problem = denial(notice)
            if problem is not None:
                self._session.reader.drop(notice.stream, self._session.now_ns())
                self._problem = problem
        if items or notices or self._session.is_up != was_up:
            self._news.set()


async def _first(ready: asyncio.Event, seconds: float) -> Any:
    """Waits for the event, at most so long."""
    try:
        return await asyncio.wait_for(ready.wait(), seconds)
    except TimeoutError:
        return None


__all__ = ["AsyncClient", "LinkError"]
