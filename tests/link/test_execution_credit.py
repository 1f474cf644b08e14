"""Executions in quantity: what nobody takes waits at its source, and what a restart publishes at once fits frames."""

from itertools import pairwise

import numpy as np
import pytest

from gateway import limits
from gateway.link.compression import codec
from gateway.link.peers import channel
from gateway.link.peers.event import Delivered, Up
from gateway.link.streams import records, stream_request
from gateway.link.streams.stream_reader import StreamReader
from gateway.link.streams.stream_request import EXECUTIONS, Answer, Begin
from gateway.link.streams.stream_server import StreamServer
from tests.link.pair import MILLISECOND, Pair

ROWS = 100
SOURCE = (1, bytes(16))
CAPACITY = channel.CHANNELS[channel.EXECUTIONS].capacity_bytes


def rows_from(first):
    rows = np.zeros(ROWS, records.EXECUTION)
    rows["sequence"] = np.arange(first, first + ROWS)
    return rows


class Application:
    """Reads what the peer tells at once, and takes items only when it is told to."""

    def __init__(self, pair):
        self.pair, self.peer = pair, pair.peers[1]
        self.reader = StreamReader(self.peer, lambda *words: bytes(180))
        self.reader.want(EXECUTIONS)
        self.reader.on_event(Up(bytes(16), False), pair.now_ns)
        self.items, self.controls = [], 0

    def granted(self):
        """The source opens the stream that was asked for."""
        request = self.reader.asking.stream(EXECUTIONS).request
        self.pair.send(0, stream_request.ANSWERS, stream_request.encode(Answer(request.id, True, "", 1, 1 << 62)))
        self.pair.send(0, channel.EXECUTIONS, stream_request.encode(Begin(request.id, 1, *SOURCE, 1, False)))

    def look(self):
        for event in self.peer.events():
            self.items += self.reader.on_event(event, self.pair.now_ns)
            self.controls += isinstance(event, Delivered) and event.channel == channel.CONTROL

    @property
    def held_bytes(self):
        return sum(item.rows.nbytes for item in self.items)


def run(pair, application):
    """Everything moves until it rests; the application looks all the time."""
    for _ in range(40):
        pair.step()
        application.look()
        pair.now_ns += MILLISECOND
        for peer in pair.peers:
            peer.tick(pair.now_ns)


def test_an_application_that_takes_no_executions_holds_one_window_of_them_and_loses_none():
    pair = Pair().up()
    pair.reads[1] = False
    application = Application(pair)
    application.granted()
    next_sequence, quiet = 1, 0
    while quiet < 3:
        sent = 0
        while pair.send(0, channel.EXECUTIONS, rows_from(next_sequence).tobytes(), schema=records.SCHEMA_EXECUTIONS):
            next_sequence, sent = next_sequence + ROWS, sent + 1
            assert next_sequence * records.EXECUTION.itemsize < 3 * CAPACITY, "nothing told the source to wait"
        run(pair, application)
        quiet = 0 if sent else quiet + 1
        assert application.held_bytes <= CAPACITY, "the source was told to wait"
    assert application.held_bytes > CAPACITY // 2
    pair.send(0, channel.CONTROL, b"stop")
    run(pair, application)
    assert application.controls == 1
    had = []
    for _ in range(40):
        for item in application.items:
            had += item.rows["sequence"].tolist()
            application.reader.taken(item)
        application.items.clear()
        run(pair, application)
    assert had == list(range(1, next_sequence)), "each once, in order"


def test_executions_that_nobody_wants_cost_no_window():
    pair = Pair().up()
    pair.reads[1] = False
    application = Application(pair)
    application.reader.drop(EXECUTIONS, pair.now_ns)
    body = bytes(limits.LINK_BODY_BYTES_MAX)
    for _ in range(3 * CAPACITY // len(body)):
        while not pair.send(0, channel.EXECUTIONS, body):
            run(pair, application)
    for _ in range(10):
        run(pair, application)
    assert pair.peers[0].resting and not application.items


class Home:
    """Whose executions these are; nobody reads them yet."""

    node, boot_id = SOURCE

    def request_scan(self):
        raise AssertionError("executions need no scan")


@pytest.mark.parametrize("count", [1, 8_192, 8_193, 20_000])
def test_a_day_of_executions_is_published_at_once_after_a_restart_each_entry_fit_for_a_frame(count):
    rows = np.zeros(count, records.EXECUTION)
    rows["sequence"] = np.arange(1, count + 1)
    for name in ("reference", "match", "price", "time_ns"):
        rows[name] = np.random.default_rng(count).integers(0, 1 << 62, count)
    server = StreamServer(Home(), None)
    server.publish_executions(rows, 0)
    entries = [server.executions.entry(number) for number in range(server.executions.end)]
    assert max(len(entry.body) for entry in entries) <= limits.LINK_BATCH_BODY_BYTES
    raw = b"".join(codec.unpack(entry.schema, entry.body, entry.raw_bytes) for entry in entries)
    assert raw == rows.tobytes() and entries[0].first == 1 and entries[-1].end == count + 1
    assert all(before.end == after.first for before, after in pairwise(entries))
