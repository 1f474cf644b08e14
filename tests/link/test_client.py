"""The client library over real sockets: subscribe, snapshot, resume after a cut, after a restart, from a cursor; denials."""

import asyncio
import random
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from gateway.errors import GatewayError, UsageError
from gateway.link.client import AsyncClient, Client, LinkError, parse
from gateway.link.peers.channel import CHANNELS
from gateway.link.streams import records
from tests.link.stream_access import Desk
from tests.link.stream_core import Book, NaiveCore
from tests.link.stream_gateway import Gateway

SECONDS = 30.0


@pytest.fixture
def core():
    return NaiveCore(random.Random(5), 40)


@pytest.fixture
def gateways():
    """Makes sources, and ends what a test left."""
    made = []

    def make(core, **words):
        made.append(Gateway(core, **words))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


def read(client, book, until):
    """Applies what comes until it is enough."""
    end = time.monotonic() + SECONDS
    for item in client.batches(5.0):
        book.apply(item.rows)
        if until():
            return
        assert time.monotonic() < end, f"waited in vain: {client.notices}, book {book.last}, whole {book.whole}"
    raise AssertionError(f"nothing came: {client.notices}, book {book.last}, whole {book.whole}")


def live_sequences(gateway):
    """Sequences of everything that is retained and live, as the source has them."""
    return [
        number for entry in gateway.server.retained._entries if not entry.scan for number in range(entry.first, entry.end)
    ]


def test_a_client_that_joins_has_the_sources_books(core, gateways):
    gateway = gateways(core)
    book = Book(core)
    with Client(gateway.settings()) as client:
        client.subscribe()
        read(client, book, lambda: book.compared > 300)
        assert book.wholes == 1
        assert client.cursor().sequence == book.last + 1 and client.cursor().synchronised


@pytest.mark.slow
def test_nothing_is_lost_or_comes_twice_over_cuts_of_the_connections(core, gateways):
    gateway = gateways(core)
    book = Book(core)
    with Client(gateway.settings()) as client:
        client.subscribe()
        read(client, book, lambda: book.compared > 100)
        for connections in ((0, 1), (1,), (0,), (0, 1)):
            gateway.cut(connections)
            before = book.compared
            read(client, book, lambda before=before: book.compared > before + 400)
        assert client._session.sessions_lost >= 2, "the cuts did nothing"
        applied = list(book.applied)
    assert book.wholes == 1, "a session that resumes needs no second scan"
    live = [number for number in gateway.do(lambda: live_sequences(gateway)) if book.applied[-400] <= number <= applied[-1]]
    assert applied[-len(live) :] == live


def test_events_in_the_middle_of_a_batch_go_on_where_they_stopped(core, gateways):
    gateway = gateways(core, events=20)
    with Client(gateway.settings()) as client:
        client.subscribe()
        sequences = []
        for _ in range(20):
            for event in client.events(5.0):
                sequences.append(event.sequence)
                if len(sequences) % 7 == 0:
                    break
            assert client.cursor().sequence == sequences[-1] + 1
        again = [event.sequence for event, _ in zip(client.events(5.0), range(50), strict=False)]
    assert len(sequences) == 140 and sequences + again == sorted({*sequences, *again})


def test_another_process_of_the_client_resumes_from_the_cursor(core, gateways):
    gateway = gateways(core)
    book = Book(core)
    with Client(gateway.settings()) as client:
        client.subscribe()
        read(client, book, lambda: book.compared > 200)
        where = str(client.cursor())
    time.sleep(0.2)
    with Client(gateway.settings()) as client:
        client.subscribe(cursor=where)
        first = next(client.batches(5.0))
        assert int(first.rows[0]["sequence"]) > book.last, "what was had came again"
        book.apply(first.rows)
        read(client, book, lambda: book.compared > 500)
    assert book.wholes == 1, "it was resumed, so no scan was needed"
    assert gateway.server.counters["resumed"] == 1


def test_a_restarted_source_gives_a_scan_where_the_cursor_is_too_old(core, gateways):
    gateway = gateways(core)
    book = Book(core)
    with Client(gateway.settings()) as client:
        client.subscribe()
        read(client, book, lambda: book.compared > 200)
        gateway.stop()
        core.step(50, 0)
        core.take()
        other = gateways(core, port=gateway.port, desk=gateway.desk)
        read(client, book, lambda: book.wholes == 2 and book.compared > 500)
    assert other.server.counters["too_old"] == 1


@pytest.mark.slow
def test_a_slow_client_falls_behind_a_small_store_and_is_given_a_scan(core, gateways):
    small = tuple(replace(one, capacity_bytes=100_000) if one.number in (2, 3) else one for one in CHANNELS)
    gateway = gateways(core, bytes_max=20_000, events=40, channels=small)
    book = Book(core)
    with Client(gateway.settings()) as client:
        client.subscribe()
        read(client, book, lambda: book.whole)
        deadline = time.monotonic() + SECONDS
        while gateway.server.counters["behind"] == 0 and time.monotonic() < deadline:
            time.sleep(0.05)  # the application takes nothing; the session lives on
        assert gateway.server.counters["behind"] == 1
        assert client._session.peer.state == "up" and client._session.sessions_lost == 0
        held = sum(item.rows.nbytes for item in client._items)
        assert held < 150_000, "what waits for a slow application is bounded by the channel's credit"
        gateway.events = 2
        read(client, book, lambda: book.wholes == 2 and book.whole)


def test_one_snapshot_is_whole_and_is_the_sources_book_at_its_end(core, gateways):
    gateway = gateways(core)
    with Client(gateway.settings()) as client:
        for _ in range(3):
            rows = client.snapshot(10.0)
            assert rows[0]["kind"] == records.SCAN_BEGIN and rows[-1]["kind"] == records.SCAN_END
            book = Book(core)
            book.apply(rows)
            assert book.wholes == 1 and book.compared == 1, "the book behind SCAN_END was compared with the source's"
    assert gateway.server.counters["opened"] >= 1


def test_a_role_that_reads_snapshots_only_is_told_so_in_one_line(core, gateways):
    gateway = gateways(core, desk=Desk(allowed=("snapshots",)))
    with Client(gateway.settings()) as client:
        client.subscribe()
        with pytest.raises(LinkError, match=r"^market_data was denied: ROLE; ask for a role") as caught:
            list(client.batches(5.0))
        assert "\n" not in str(caught.value)
        assert len(client.snapshot(10.0)) > 2


def test_executions_and_quotes_come_beside_market_data(core, gateways):
    gateway = gateways(core)
    got, quotes = [], {}

    def publish(first, count):
        rows = np.zeros(count, records.EXECUTION)
        rows["sequence"] = np.arange(first, first + count)
        gateway.server.publish_executions(rows, gateway.now_ns())
        tops = np.zeros(3, records.QUOTE)
        tops["instrument"], tops["bid_price"] = [1, 2, 3], first
        gateway.server.publish_quotes(tops, gateway.now_ns())

    gateway.do(lambda: publish(1, 5))
    with Client(gateway.settings()) as client:
        for stream in ("market_data", "executions", "quotes"):
            client.subscribe(stream)
        for item in client.batches(2.0):
            if item.stream == "executions":
                got += item.rows["sequence"].tolist()
                if len(got) == 5:
                    gateway.cut()
                    gateway.do(lambda: publish(6, 5))
            elif item.stream == "quotes":
                quotes |= dict(zip(item.rows["instrument"].tolist(), item.rows["bid_price"].tolist(), strict=True))
            if len(got) >= 10 and quotes == {1: 6, 2: 6, 3: 6}:
                break
        assert client.cursor("executions").sequence == 11
    assert got == list(range(1, 11)) and quotes == {1: 6, 2: 6, 3: 6}


def test_a_token_provider_that_fails_at_first_delays_the_stream_and_no_more(core, gateways):
    gateway = gateways(core)
    failures = [2]
    right = gateway.settings().tokens

    def tokens(*words):
        if failures[0]:
            failures[0] -= 1
            raise RuntimeError("no token today")
        return right(*words)

    book = Book(core)
    with Client(gateway.settings(tokens=tokens)) as client:
        client.subscribe()
        read(client, book, lambda: book.compared > 10)
        assert any("no token today" in notice.reason for notice in client.notices)


@pytest.mark.slow
def test_grants_are_renewed_before_they_end(core, gateways):
    gateway = gateways(core, desk=Desk(life_ns=600_000_000))
    book = Book(core)
    with Client(gateway.settings()) as client:
        client.subscribe()
        read(client, book, lambda: book.whole)
        end = time.monotonic() + 2.0
        read(client, book, lambda: time.monotonic() > end)
    assert book.wholes == 1 and gateway.server.counters["ended"] == 0


def test_nobody_there_is_one_line_that_says_what_to_check():
    client = None
    gateway_settings = Gateway.settings
    core = NaiveCore(random.Random(1), 4)
    gateway = Gateway(core)
    settings = gateway_settings(gateway)
    gateway.stop()
    client = Client(settings)
    with pytest.raises(LinkError, match=r"no session with node 7 at 127\.0\.0\.1:\d+ within 0\.5 s") as caught:
        client.connect(0.5)
    assert "\n" not in str(caught.value) and not client._thread.is_alive()


def test_a_gateway_of_another_build_is_refused_by_both_with_the_mend(core, gateways):
    gateway = gateways(core, build=1)
    with pytest.raises(
        LinkError, match="no session with .*: layouts; it lays records out otherwise: install the same build"
    ):
        Client(gateway.settings()).connect(0.5)
    assert gateway.do(lambda: (gateway.peer.counters["layouts"] >= 1, gateway.ups)) == (True, 0)


def test_a_wrong_stream_or_cursor_is_an_error_of_the_caller(core, gateways):
    gateway = gateways(core)
    with Client(gateway.settings()) as client:
        with pytest.raises(GatewayError, match="is no stream; use one of market_data"):
            client.subscribe("weather")
        with pytest.raises(UsageError, match="is no cursor"):
            client.subscribe(cursor="yesterday")


def test_the_asynchronous_client_reads_and_resumes_the_same(core, gateways):
    gateway = gateways(core)
    book = Book(core)

    async def live():
        async with AsyncClient(gateway.settings()) as client:
            client.subscribe()
            cuts = 0
            async for item in client.batches(10.0):
                book.apply(item.rows)
                if book.compared > 200 * (cuts + 1) and cuts < 3:
                    cuts += 1
                    await asyncio.to_thread(gateway.cut)
                elif book.compared > 1000:
                    return client.cursor()
        return None

    where = asyncio.run(asyncio.wait_for(live(), SECONDS))
    assert where is not None and where.sequence == book.last + 1
    assert book.wholes == 1 and parse(str(where)) == where


def test_the_asynchronous_client_says_who_is_not_there_and_who_may_not(core, gateways):
    gateway = gateways(core, desk=Desk(allowed=("snapshots",)))

    async def denied():
        async with AsyncClient(gateway.settings()) as client:
            client.subscribe()
            async for _ in client.batches(5.0):
                pass

    with pytest.raises(LinkError, match="market_data was denied: ROLE"):
        asyncio.run(asyncio.wait_for(denied(), SECONDS))
    gateway.stop()

    async def nobody():
        await AsyncClient(gateway.settings()).connect(0.4)

    with pytest.raises(LinkError, match="no session with node 7"):
        asyncio.run(asyncio.wait_for(nobody(), SECONDS))


def test_threads_of_closed_clients_end(core, gateways):
    gateway = gateways(core)
    before = threading.active_count()
    for _ in range(3):
        with Client(gateway.settings()) as client:
            client.subscribe()
            next(client.batches(5.0))
    assert threading.active_count() == before
