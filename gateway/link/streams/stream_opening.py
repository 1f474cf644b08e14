"""What is done about a request: asks who may, resumes at a cursor, or begins with the next scan.

    subscribe market_data ─┬─ cursor is retained ──► goes on there, resumed
                           ├─ join ───────────────► waits for SCAN_BEGIN; both channels begin there
                           └─ neither ────────────► goes on with what comes next
    subscribe snapshots ────► the right to snapshots; `snapshot` then asks for one
    subscribe executions ─── cursor, or what is retained          subscribe quotes ─── every quote as it stands

Part of stream_server.py. Hard rule: nothing is said to be resumed unless the very next record is still there.
"""

from typing import TYPE_CHECKING, Any

from gateway.errors import UsageError
from gateway.link.rights.tokens import Method
from gateway.link.streams import cursor as cursors
from gateway.link.streams.retained import Retained
from gateway.link.streams.stream_progress import Takes
from gateway.link.streams.stream_request import EXECUTIONS, MARKET_DATA, QUOTES, SNAPSHOTS, Answer, Request, bare
from gateway.link.streams.stream_subscriber import Subscriber

if TYPE_CHECKING:
    from gateway.link.streams.stream_server import StreamServer


LATER = "LATER"


class NotYet(Exception):
    """The desk cannot say yet: the request is looked at again, from its beginning. Nothing has been done."""


class Opening:
    """The actions of one server. Each of them raises NotYet before it has done anything."""

    def __init__(self, server: "StreamServer"):
        self._server = server

    # requests

    def subscribe(self, subscriber: Subscriber, request: Request, now_ns: int) -> Answer:
        """Opens a stream, or says why not."""
        if request.join and (request.stream != MARKET_DATA or SNAPSHOTS not in subscriber.grants):
            return self._deny(request, "SNAPSHOTS")
        grant = self._grant(subscriber, request, Method.SUBSCRIBE, now_ns)
        if isinstance(grant, str):
            return self._deny(request, grant)
        self._server.release(subscriber, request.stream, now_ns)
        subscriber.granted(request.stream, grant, request.id)
        self._server.counters["opened"] += 1
        resumed = self._begin(subscriber, request, now_ns)
        return Answer(request.id, True, "", grant.token_id, grant.expires_ns, resumed)

    def snapshot(self, subscriber: Subscriber, request: Request, now_ns: int) -> Answer:
        """One whole scan, by the grant of snapshots and a token for it; who is joined gets its own anyway."""
        held = subscriber.grants.get(SNAPSHOTS)
        if held is None or request.stream != SNAPSHOTS:
            return self._deny(request, "SNAPSHOTS")
        if subscriber.joined:
            return self._deny(request, "JOINED")
        grant = self._grant(subscriber, request, Method.SNAPSHOT, now_ns)
        if isinstance(grant, str):
            return self._deny(request, grant)
        self._server.release(subscriber, SNAPSHOTS, now_ns)
        subscriber.granted(SNAPSHOTS, grant, request.id)
        subscriber.open(SNAPSHOTS, Takes.ALL)
        self._server.scans.want(subscriber.node, now_ns)
        return Answer(request.id, True, "", grant.token_id, grant.expires_ns)

    def renew(self, subscriber: Subscriber, request: Request, now_ns: int) -> Answer:
        """The grant goes on under a new token; the stream is not touched."""
        grant = subscriber.grants.get(request.stream)
        if grant is None:
            return self._deny(request, "CLOSED")
        renewed = self._renewed(subscriber, grant, request, now_ns)
        if isinstance(renewed, str):
            return self._deny(request, renewed)
        subscriber.granted(request.stream, renewed, subscriber.requests[request.stream])
        progress = subscriber.progress.get(request.stream)
        if progress is not None:
            progress.token_id = renewed.token_id
        return Answer(request.id, True, "", renewed.token_id, renewed.expires_ns)

    def unsubscribe(self, subscriber: Subscriber, request: Request, now_ns: int) -> Answer:
        """Nothing more of the stream."""
        if not self._server.release(subscriber, request.stream, now_ns):
            return self._deny(request, "CLOSED")
        if request.stream in (MARKET_DATA, SNAPSHOTS):
            self._server.scans.forget(subscriber.node)
        return Answer(request.id, True)

    def _grant(self, subscriber: Subscriber, request: Request, method: Method, now_ns: int) -> Any:
        """A grant for this request in this session, or why not. The token covers the request as it stands without it."""
        found = self._server.access.open_stream(
            subscriber.node,
            subscriber.address,
            request.stream,
            request.token,
            subscriber.binding,
            now_ns,
            method=method,
            payload=bare(request),
        )
        return _decided(found)

    def _renewed(self, subscriber: Subscriber, grant: Any, request: Request, now_ns: int) -> Any:
        """The grant that follows; in a new session it is a grant of its own, and the one before is given up."""
        binding = subscriber.binding
        if subscriber.bindings[request.stream] != binding:
            found = self._grant(subscriber, request, Method.RENEW, now_ns)
            if not isinstance(found, str):
                self._server.access.close(grant.token_id, now_ns)
            return found
        found = self._server.access.renew(grant, subscriber.address, request.token, binding, now_ns, bare(request))
        return _decided(found)

    def _deny(self, request: Request, reason: str) -> Answer:
        self._server.counters["denied"] += 1
        return Answer(request.id, False, reason)

    # where a stream begins

    def _begin(self, subscriber: Subscriber, request: Request, now_ns: int) -> bool:
        """Whether it goes on at the cursor."""
        server = self._server
        if request.stream == MARKET_DATA:
            return self._begin_market(subscriber, request, now_ns)
        if request.stream == EXECUTIONS:
            return self._begin_executions(subscriber, request)
        if request.stream == QUOTES:
            server.quotes.owe_all(subscriber)
        return False

    def _begin_market(self, subscriber: Subscriber, request: Request, now_ns: int) -> bool:
        """Live records, with scans when joined."""
        server = self._server
        where, number = self._where(request, server.retained)
        subscriber.joined, subscriber.synchronising = request.join, False
        live = subscriber.open(MARKET_DATA, Takes.LIVE)
        subscriber.generation += 1
        whole = where is not None and (where.sequence > server.lost_sequence or not request.join)
        if where is not None and number is not None and whole and (where.synchronised or request.join):
            server.counters["resumed"] += 1
            subscriber.synchronising = not where.synchronised
            self._mark(subscriber, MARKET_DATA, number, where.sequence, True)
            if subscriber.synchronising:
                subscriber.open(SNAPSHOTS, Takes.SCAN)
                self._mark(subscriber, SNAPSHOTS, number, where.sequence, True, request.id)
                self._stop_at_end(subscriber, number)
            return True
        server.counters["too_old"] += where is not None
        if request.join:
            server.scans.want(subscriber.node, now_ns)
        else:
            sequence = server.retained.next_sequence
            live.begin(server.retained.end, subscriber.mark(MARKET_DATA, self._identity, sequence, False))
        return False

    def _begin_executions(self, subscriber: Subscriber, request: Request) -> bool:
        """From the cursor on, else everything that is retained."""
        server = self._server
        where, number = self._where(request, server.executions)
        resumed = number is not None
        server.counters["resumed" if resumed else "too_old"] += where is not None
        if where is None or number is None:
            number = server.executions.evicted
            oldest = server.executions.entry(number)
            sequence = oldest.first if oldest else server.executions.next_sequence
        else:
            sequence = where.sequence
        progress = subscriber.open(EXECUTIONS, Takes.ALL)
        subscriber.generation += 1
        progress.begin(number, subscriber.mark(EXECUTIONS, self._identity, sequence, resumed))
        return resumed

    def _where(self, request: Request, retained: Retained) -> tuple[cursors.Cursor | None, int | None]:
        """The cursor of a request and the entry where it goes on; None where there is none."""
        try:
            where = cursors.parse(request.cursor) if request.cursor else None
        except UsageError:
            where = None
        if where is None or where[:2] != self._identity:
            return where, None
        return where, retained.number_of(where.sequence)

    # scans

    def begin_scan(self, subscriber: Subscriber, sequence: int) -> None:
        """A scan begins at `sequence`, and this subscriber has waited for it."""
        number = self._server.retained.number_of(sequence)
        assert number is not None, "the newest entry is retained"
        subscriber.synchronising = True
        subscriber.generation += 1
        if subscriber.joined:
            self._mark(subscriber, MARKET_DATA, number, sequence, False)
            subscriber.open(SNAPSHOTS, Takes.SCAN)
            self._mark(subscriber, SNAPSHOTS, number, sequence, False, subscriber.requests[MARKET_DATA])
        elif SNAPSHOTS in subscriber.progress:
            self._mark(subscriber, SNAPSHOTS, number, sequence, False)

    def end_scan(self, subscriber: Subscriber, sequence: int) -> None:
        """The scan ends at `sequence`: who was in it needs nothing of the next one."""
        progress = subscriber.progress.get(SNAPSHOTS)
        if not subscriber.synchronising or progress is None or progress.stop is not None:
            return
        if subscriber.node in self._server.scans.waiting:
            return  # records of it are missing; it waits for the next one
        number = self._server.retained.number_of(sequence)
        if number is not None:
            self._finish(subscriber, number)

    def _stop_at_end(self, subscriber: Subscriber, number: int) -> None:
        """A scan that is resumed may have ended already, somewhere in what is retained."""
        ended = self._server.scan_ends
        first = self._server.retained.entry(number)
        sequence = next((at for at in ended if first is not None and at >= first.first), None)
        found = None if sequence is None else self._server.retained.number_of(sequence)
        if found is not None:
            self._finish(subscriber, found)

    def _finish(self, subscriber: Subscriber, number: int) -> None:
        """The entry of this number is the last one of the scan that it gets."""
        subscriber.progress[SNAPSHOTS].stop = number + 1
        subscriber.synchronising = False
        self._server.scans.succeeded(subscriber.node)

    def fell_behind(self, subscriber: Subscriber, now_ns: int) -> None:
        """What comes next for it is gone: books begin anew with a scan, live records and executions with what is left."""
        server = self._server
        for stream, progress in subscriber.progress.items():
            retained = server.executions if stream == EXECUTIONS else server.retained
            if progress.number is None or progress.number >= retained.evicted:
                continue
            if stream == EXECUTIONS or not (subscriber.joined or stream == SNAPSHOTS):
                oldest = retained.entry(retained.evicted)
                sequence = oldest.first if oldest else retained.next_sequence
                subscriber.generation += 1
                progress.begin(retained.evicted, subscriber.mark(stream, self._identity, sequence, False))
            else:
                subscriber.synchronising = False
                for one in (MARKET_DATA, SNAPSHOTS) if subscriber.joined else (SNAPSHOTS,):
                    if one in subscriber.progress:
                        subscriber.progress[one].number = None
                server.scans.want(subscriber.node, now_ns)

    def begin_anew(self, now_ns: int) -> None:
        """The source has a new life."""
        for subscriber in self._server.subscribers.values():
            for stream in (MARKET_DATA, SNAPSHOTS):
                if stream in subscriber.progress:
                    subscriber.progress[stream].number = None
            subscriber.synchronising = False
            if subscriber.joined or SNAPSHOTS in subscriber.progress:
                self._server.scans.want(subscriber.node, now_ns)
            elif MARKET_DATA in subscriber.progress:
                subscriber.generation += 1
                retained = self._server.retained
                mark = subscriber.mark(MARKET_DATA, self._identity, 1, False)
                subscriber.progress[MARKET_DATA].begin(retained.end, mark)

    def _mark(
        self, subscriber: Subscriber, stream: str, number: Any, sequence: int, resumed: bool, request_id: int | None = None
    ) -> None:
        if request_id is not None:
            subscriber.requests[stream] = request_id
        subscriber.progress[stream].begin(number, subscriber.mark(stream, self._identity, sequence, resumed))

    @property
    def _identity(self) -> tuple[int, bytes]:
        return self._server.source.node, self._server.source.boot_id


def _decided(found: Any) -> Any:
    """The grant, or the reason of a denial. Raises NotYet."""
    if hasattr(found, "token_id"):
        return found
    if str(found.reason) == LATER:
        raise NotYet
    return str(found.reason)
