"""Named checks of the streams: each raises AssertionError where what they promise is broken."""

import random

import numpy as np
import pytest

from gateway.link.frames.wire import Message
from gateway.link.streams import batch as batches
from gateway.link.streams import records, stream_request
from gateway.link.streams.cursor import Cursor
from gateway.link.streams.record_source import Following
from gateway.link.streams.stream_scans import Scans
from gateway.link.streams.subscription import Subscription
from tests.link.stream_core import Book, NaiveCore
from tests.link.stream_world import World
from tests.link.test_stream_simulation import act, live

SECOND_NS = 1_000_000_000


def lives() -> None:
    """Six seeded lives, the books compared record by record, nothing twice, every credit once."""
    for seed in (0, 1, 3, 4, 7, 9):
        world = live(seed)
        assert world.line.source.over_consumed == world.line.reader.over_consumed == 0, "credit was given twice"
        failed = [notice for notice in world.notices if notice.what == "failed"]
        assert not failed, f"seed {seed}: a sound source gave no reason to begin again: {failed}"


def steady() -> None:
    """Live and undisturbed: every live record comes, at once."""
    world = joined()
    for _ in range(30):
        world.lose_link()
        world.turn(10)
        act(world, random.Random(2))
    world.turn(20)
    assert world.book.whole and world.reader.market.next_sequence > world.core.sequence - 40
    assert world.reader.market.failed == "" and not [one for one in world.notices if one.what == "failed"]


def resumed() -> None:
    """Another process of the reader goes on at its cursor without a scan."""
    world = joined()
    cursor = world.reader.market.cursor
    world.line.restart()
    world.new_reader(cursor)
    world.line.up(False)
    world.turn(60)
    assert world.book.wholes == 1 and world.book.whole, "a cursor that is retained needs no scan"
    assert world.server.counters["resumed"] == 1
    world.settle()
    cursor = world.reader.market.cursor
    world.core.begin()
    world.server.restarted(world.now_ns)
    world.events = 8
    world.turn(300)
    assert world.core.sequence > cursor.sequence, "the new life has a record of that number, too"
    world.line.restart()
    world.new_reader(cursor)
    world.line.up(False)
    world.turn(100)
    assert world.server.counters["too_old"] == 1
    assert not [notice for notice in world.notices if notice.what == "failed"]
    world.settle()


def followed() -> None:
    """Raw rows of a ring, scans of others among them, give the source's books."""
    core = NaiveCore(random.Random(8), 20)
    book, following = Book(core), Following()
    for turn in range(400):
        if turn % 50 == 0:
            core.request_scan()
        core.step(3, 2)
        for item in following.take(core.take(), (core.node, core.boot_id)):
            book.apply(item.rows)
    assert core.scans > 3 and book.wholes == 1 and book.compared > 1000


def trimmed() -> None:
    """A cursor in the middle of a batch: what was had of it does not come again; what is of the past does not come."""
    rows = records.rows(10)
    rows["kind"], rows["sequence"] = records.EVENT, np.arange(10, 20)
    source = (7, bytes(16))
    subscription = Subscription(lambda channel, size: None, cursor=Cursor(*source, 15))
    subscription.expect(4)
    say(subscription, batches.encode(batches.Batch(9, rows)), 1)
    say(subscription, stream_request.encode(stream_request.Begin(3, 1, *source, 10, True)), 0)
    assert not say(subscription, batches.encode(batches.Batch(9, rows)), 1), "a batch of an older request came"
    say(subscription, stream_request.encode(stream_request.Begin(4, 2, *source, 15, True)), 0)
    found = say(subscription, batches.encode(batches.Batch(9, rows)), 1)
    assert [int(row["sequence"]) for part in found for row in part] == list(range(15, 20))
    begun = stream_request.encode(stream_request.Begin(4, 3, *source, 30, False))
    assert len(say(subscription, begun, 0, channel=3)) == 1, "LOST is said"
    assert not say(subscription, batches.encode(batches.Batch(19, shifted(rows, 20))), 1), "the channel's mark has not come"
    assert subscription.counters["abandoned"] >= 3


def say(subscription: Subscription, body: bytes, schema: int, channel: int = 2) -> list:
    """A message of a channel."""
    return subscription.on_delivered(Message(1, channel, 0, 0, 1, 0, schema, 0, len(body), body))


def shifted(rows: np.ndarray, first: int) -> np.ndarray:
    """The same rows under later numbers."""
    other = rows.copy()
    other["sequence"] = np.arange(first, first + len(rows))
    return other


def executed() -> None:
    """Executions come once each, over restarts of the reader."""
    world = World(3)
    world.reader.want("executions")
    world.line.up(False)
    for _ in range(10):
        world.executed(5)
        world.turn(10)
        cursor = world.reader.executions.cursor
        world.line.restart()
        world.new_reader()
        world.reader.want("executions", cursor)
        world.line.up(False)
        world.executed(3)
        world.turn(10)
    world.turn(100)
    world.line.restart()
    world.new_server()
    world.line.up(False)
    world.turn(20)  # asked before the new process has published what it found in its file
    world.execution_number = 0
    world.executed(85)
    world.turn(100)
    assert world.executions == list(range(1, 86))
    assert world.reader.executions.lost == 0


def granted() -> None:
    """A stream lasts as long as its grant: it ends when that is revoked or over, and never before it was given."""
    world = joined()
    world.desk.revoke("market_data")
    world.turn(60)
    sent, rows = world.line.source.sent_bytes, len(world.book.applied)
    world.turn(100)
    assert world.line.source.sent_bytes - sent < 4_000 and len(world.book.applied) == rows, "a revoked stream goes on"
    world = joined()
    world.desk.allowed.clear()  # nothing is renewed either
    world.now_ns += 2 * world.desk.life_ns
    world.turn(40)
    rows = len(world.book.applied)
    world.turn(60)
    assert len(world.book.applied) == rows, "a stream outlives its grant"


def rebound() -> None:
    """In another session the grants are made anew, so that the old session's tokens are worth nothing."""
    world = joined()
    world.lose_link()
    world.turn(50)
    binding = world.line.source.binding
    assert {grant.binding for grant in world.desk.held.values()} == {binding}
    assert world.book.wholes == 1


def shared() -> None:
    """However many wait, a scan that has not begun is asked for once."""
    asked = []
    scans = Scans(lambda: asked.append(1))
    for node in range(20):
        scans.want(node, SECOND_NS + node)
    assert len(asked) == 1
    assert sorted(scans.began()) == list(range(20))
    scans.want(3, 3 * SECOND_NS)
    assert len(asked) == 2


def credited() -> None:
    """Credit goes back when the application has its rows, so that a slow one is sent no more than the channel holds."""
    world = World(4, capacities={2: 4_000, 3: 4_000})
    world.line.up(False)
    world.turn(200)
    world.slow = 1.0
    world.turn(300)
    held = sum(len(item.rows) for item in world.waiting) * 120
    assert held <= 9_000, f"{held} bytes wait for a slow application, the channels hold 8000"
    world.settle()
    assert world.line.source.owed[2] < 4_000


def quoted() -> None:
    """Who comes late has every quote as it stands, and a newer one replaces what has not left."""
    world = World(5)
    publish(world, [1, 2, 3], 10)
    world.reader.want("quotes")
    world.line.up(False)
    world.turn(30)
    assert world.quotes == {1: 10, 2: 10, 3: 10}
    world.line.down()
    for price in range(11, 40):
        publish(world, [2, 3], price)
    assert sum(map(len, world.line.source.unsent.values())) < 10, "old quotes wait in the channel"
    world.line.up(True)
    world.turn(30)
    assert world.quotes == {1: 10, 2: 39, 3: 39}


def captured() -> None:
    """A batch with one byte changed is refused, or is the batch it was."""
    rows = records.rows(9)
    rows["kind"], rows["sequence"] = records.EVENT, np.arange(40, 49)
    body = bytes(batches.encode(batches.Batch(30, rows)))
    found = batches.decode(body, False)
    assert found.previous == 30 and found.rows.tobytes() == rows.tobytes()
    rows["kind"][3:6] = records.ORDER
    pieces, last = batches.cut(rows, 30)
    assert [(one.previous, one.first, one.end) for one in pieces] == [(30, 40, 43), (42, 43, 46), (42, 46, 49)]
    assert last == 48
    for wrong in (body[:-1], body + body[:7], b""):
        with pytest.raises(ValueError, match="LENGTH"):
            batches.decode(wrong, False)
    with pytest.raises(ValueError, match="STREAM"):
        batches.decode(body, True)


def asked_well() -> None:
    """A request is read by its fields' types and bounds, and a token is for the whole of it."""
    whole = stream_request.encode(stream_request.Request("subscribe", 1, "quotes", "", False, b"t"))
    assert stream_request.decode(whole).token == b"t"
    import msgpack

    for change in ({"id": -1}, {"id": "1"}, {"stream": "x" * 99}, {"join": 1}, {"surprise": 1}, {"token": "text"}):
        with pytest.raises(ValueError):
            stream_request.decode(msgpack.packb({**msgpack.unpackb(whole), **change}))


def joined() -> World:
    """A reader whose books are whole."""
    world = World(2)
    world.line.up(False)
    world.turn(150)
    assert world.book.wholes == 1 and world.book.whole, world.state()
    return world


def publish(world: World, instruments: list[int], price: int) -> None:
    rows = np.zeros(len(instruments), records.QUOTE)
    rows["instrument"], rows["bid_price"] = instruments, price
    world.server.publish_quotes(rows, world.now_ns)


CHECKS = (
    *(lives, steady, resumed, followed, trimmed, executed),
    *(granted, rebound, shared, credited, quoted, captured, asked_well),
)
