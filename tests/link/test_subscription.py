"""The subscriber's order in every interleaving, its bounds and its reasons; requests under a fuzzer."""

import itertools
import random

import msgpack
import numpy as np
import pytest

from gateway import limits
from gateway.link.frames.wire import Message
from gateway.link.streams import batch as batches
from gateway.link.streams import records, stream_request
from gateway.link.streams.cursor import Cursor
from gateway.link.streams.stream_request import Answer, Begin, Ended, Request
from gateway.link.streams.subscription import Subscription
from tests.link.stream_core import NaiveCore

SOURCE = (7, bytes(16))


def message(channel, body, schema=records.SCHEMA_LINK):
    return Message(1, channel, 0, 0, 1, 0, schema, 0, len(body), body)


def mark(begin, generation, sequence, resumed=False, source=SOURCE):
    return stream_request.encode(Begin(begin, generation, *source, sequence, resumed))


def batch(first, count, previous=None, kind=records.EVENT):
    rows = records.rows(count)
    rows["kind"], rows["sequence"] = kind, np.arange(first, first + count)
    return batches.encode(batches.Batch(first - 1 if previous is None else previous, rows))


def live(sequence=10):
    """A subscription that is live and wants this record next."""
    credit = []
    subscription = Subscription(lambda *words: credit.append(words), cursor=Cursor(*SOURCE, sequence))
    subscription.expect(1)
    subscription.on_delivered(message(2, mark(1, 1, sequence, True), 0))
    return subscription, credit


@pytest.mark.parametrize("seed", range(12))
def test_every_interleaving_of_both_channels_gives_the_same_rows(seed):
    chance = random.Random(seed)
    core = NaiveCore(chance, 12)
    core.request_scan()
    for _ in range(14):
        core.step(2, 2)
    rows = core.take()
    begin = int(rows[rows["kind"] == records.SCAN_BEGIN][0]["sequence"])
    pieces, _ = batches.cut(rows[rows["sequence"] >= begin], begin - 1)
    channels = {2: [mark(1, 1, begin)], 3: [mark(1, 1, begin)]}
    for piece in pieces:
        channels[3 if records.is_scan(piece.rows)[0] else 2].append(batches.encode(piece))
    outcomes = set()
    for _ in range(8):
        credit = []
        subscription = Subscription(lambda *words, credit=credit: credit.append(words))
        subscription.expect(1)
        waiting, found = {channel: list(bodies) for channel, bodies in channels.items()}, []
        while any(waiting.values()):
            channel = chance.choice([one for one, bodies in waiting.items() if bodies])
            body = waiting[channel].pop(0)
            schema = 0 if len(waiting[channel]) + 1 == len(channels[channel]) else records.SCHEMA_LINK
            found += subscription.on_delivered(message(channel, body, schema))
        assert subscription.failed == "" and subscription.held_bytes == 0
        assert sum(size for _, size in credit) == sum(map(len, itertools.chain(*channels.values())))
        outcomes.add(np.concatenate(found).tobytes())
    assert len(outcomes) == 1


def test_a_live_batch_that_is_missing_is_a_gap():
    subscription, _ = live()
    assert len(subscription.on_delivered(message(2, batch(10, 5)))) == 1
    assert len(subscription.on_delivered(message(2, batch(30, 2, previous=14)))) == 1, "15 to 29 are scans of others"
    assert subscription.on_delivered(message(2, batch(40, 2, previous=35))) == []
    assert subscription.failed == "GAP" and subscription.cursor == Cursor(*SOURCE, 32)


def test_a_batch_that_comes_twice_gives_its_rows_once():
    subscription, credit = live()
    found = [len(subscription.on_delivered(message(2, batch(10, 5)))) for _ in range(3)]
    assert found == [1, 0, 0] and subscription.counters["duplicates"] == 10 and len(credit) == 4


def test_what_is_held_is_bounded_with_a_reason(monkeypatch):
    monkeypatch.setattr(limits, "LINK_HELD_BYTES_MAX", 5_000)
    subscription = Subscription(lambda channel, size: None)
    subscription.expect(1)
    subscription.on_delivered(message(2, mark(1, 1, 1), 0))
    for at in range(10):
        subscription.on_delivered(message(2, batch(100 + 10 * at, 10)))
    assert subscription.failed == "HELD" and subscription.held_bytes == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "LENGTH"),
        (bytes(120), "SEQUENCE"),
        (batch(10, 2, kind=records.ORDER), "STREAM"),
        (batch(10, 1, kind=99), "KIND"),
    ],
)
def test_a_batch_that_is_none_is_refused_with_its_reason(body, reason):
    subscription, credit = live()
    assert subscription.on_delivered(message(2, body)) == [] and subscription.failed == reason
    assert credit[-1] == (2, len(body))


def test_a_mark_of_a_request_that_this_process_never_made_moves_nothing():
    """What the source sent before it heard that the reading process is another one; that one counts from 1 again."""
    subscription, _ = live()
    for channel in (2, 3):
        subscription.on_delivered(message(channel, mark(14, 6, 500), 0))
    assert subscription.on_delivered(message(2, batch(500, 3))) == [] and subscription.failed == ""
    for channel in (2, 3):
        subscription.on_delivered(message(channel, mark(1, 7, 600), 0))
    assert len(subscription.on_delivered(message(2, batch(600, 3)))) == 0, "it waits for SCAN_BEGIN"
    assert (subscription.next_sequence, subscription.failed) == (603, "")


def test_a_mark_that_resumes_elsewhere_is_refused():
    for wrong in (mark(1, 2, 11, True), mark(1, 2, 10, True, (8, bytes(16)))):
        subscription, _ = live()
        subscription.on_delivered(message(2, wrong, 0))
        assert subscription.failed == "CURSOR"


def test_requests_and_answers_come_back_as_they_were():
    for whole in (
        Request("subscribe", 3, "market_data", f"0007-{'a' * 32}-5", True, b"token"),
        Answer(3, True, "", 9, 10**18, True),
        Answer(4, False, "ROLE"),
        Ended("quotes", "EXPIRED"),
        Begin(3, 1, 7, bytes(16), 5, False),
    ):
        assert stream_request.decode(stream_request.encode(whole)) == whole


def test_no_bytes_crash_the_reader_of_requests():
    chance = random.Random(5)
    seeds = [stream_request.encode(Request("subscribe", 3, "quotes", "", False, b"t" * 180)), mark(1, 2, 3)]
    accepted = refused = 0
    for _ in range(4_000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.2:
            data = data[: chance.randrange(len(data))]
        try:
            found = stream_request.decode(bytes(data))
            accepted += 1
            assert isinstance(found, Request | Answer | Ended | Begin)
        except ValueError as problem:
            refused += 1
            assert str(problem) in ("SIZE", "MALFORMED", "FIELD", "MISSING")
    assert accepted > 100 and refused > 1_000
    for deep in (b"\x91" * 2_000, b"\xdf\xff\xff\xff\xff", msgpack.packb({"request": ["x"] * 300}), bytes(5_000)):
        with pytest.raises(ValueError):
            stream_request.decode(deep)
