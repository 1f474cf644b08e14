"""One cursor, three ways: a ring of this host, a capture file and the network give the same records and the same places."""

import contextlib
import random

import numpy as np
import pytest

from gateway import pipeline
from gateway.errors import UsageError
from gateway.instance import Instance
from gateway.link.client import LinkError
from gateway.link.streams import records
from gateway.link.streams.cursor import Cursor, Place, parse
from gateway.link.streams.record_file import RecordFileWriter
from gateway.link.streams.record_source import FileFollower, Following, RingFollower
from tests.link.stream_core import NaiveCore
from tests.link.stream_world import World

RINGS = tuple(ring for ring in pipeline.RINGS if ring.name == "core_link")
REGIONS = tuple(region for region in pipeline.REGIONS if region.name in ("control", "counters"))


@pytest.fixture
def ring(tmp_path):
    instance = Instance.create("cursor", tmp_path, RINGS, REGIONS)
    yield instance
    instance.close()


def network(seed):
    """A world that ran; the raw rows of its ring, and what its reader was given."""
    world = World(seed)
    given, raw = [], []
    take, apply = world.core.take, world.book.apply
    world.core.take = lambda: raw.append(take()) or raw[-1]
    world.book.apply = lambda rows: given.append(rows) or apply(rows)
    world.line.up(False)
    for turn in range(300):
        if turn == 150:
            world.core.request_scan()
        world.turn()
    world.settle()
    return world, np.concatenate(raw), np.concatenate(given)


def from_ring(ring, raw, source, cursor=None, step=50):
    """What a follower of core_link gives, fed while it reads."""
    follower = RingFollower(ring.reader("core_link", reliable=False), source, cursor)
    writer, found = records.RecordWriter(ring.writer("core_link")), []
    begin = int(raw[0]["sequence"])
    assert begin == 1, "a ring numbers its records from 1"
    for at in range(0, len(raw), step):
        rows = raw[at : at + step]
        assert writer.put(rows) == len(rows)
        reliable(ring)
        while items := follower.poll():
            found += [item.rows for item in items]
    return np.concatenate(found), follower.cursor


def reliable(ring):
    """The reader that core_link is for takes everything."""
    header = ring.rings["core_link"].view("ring_header")[0]
    header["cursor"] = header["claimed"]


def same(found, given):
    """Whether both are the same records; a ring of ours remembers where a row came from."""
    plain = [rows.copy() for rows in (found, given)]
    for rows in plain:
        rows["source_sequence"] = 0
    return plain[0].tobytes() == plain[1].tobytes()


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_a_ring_a_capture_and_the_network_give_the_same(seed, ring, tmp_path):
    world, raw, given = network(seed)
    source = (world.core.node, world.core.boot_id)
    with RecordFileWriter(tmp_path / "capture") as writer:
        for at in range(0, len(raw), 61):
            writer.write(raw[at : at + 61], source)
    capture = FileFollower(tmp_path / "capture")
    from_file = [item.rows for item in capture]
    local, place = from_ring(ring, raw, source)
    begin = int(np.flatnonzero(given["kind"] == records.SCAN_BEGIN)[0])
    assert same(np.concatenate(from_file), given[begin:]) and same(local, given[begin:])
    assert str(place) == str(capture.cursor) and place == world.reader.market.cursor
    middle = Cursor(*source, int(given[len(given) // 2]["sequence"]) + 1)
    later = np.concatenate([item.rows for item in FileFollower(tmp_path / "capture", middle)])
    assert same(later, given[len(given) // 2 + 1 :])


def test_a_capture_that_does_not_hold_a_cursor_says_so(tmp_path):
    core = NaiveCore(random.Random(1), 9)
    core.step(50, 0)
    rows = core.take()
    with RecordFileWriter(tmp_path / "a") as writer:
        writer.write(rows[20:], (7, bytes(16)))
    with pytest.raises(LinkError, match="does not hold record 5"):
        list(FileFollower(tmp_path / "a", Cursor(7, bytes(16), 5)))
    with pytest.raises(LinkError, match="ends before 0007-"):
        list(FileFollower(tmp_path / "a", Cursor(7, bytes(16), 500)))


def test_what_an_observer_missed_is_a_loss_and_the_next_scan_mends_it():
    core = NaiveCore(random.Random(1), 9)
    core.request_scan()
    core.step(20, 50)
    rows = core.take()
    following = Following()
    source = (7, core.boot_id)
    assert following.take(rows, source) and following.cursor is not None
    core.step(40, 0)
    core.take()
    core.step(5, 0)
    lost = following.take(core.take(), source)
    assert [int(item.rows[0]["kind"]) for item in lost] == [records.LOST] and following.cursor is None
    core.request_scan()
    core.step(3, 50)
    assert following.take(core.take(), source) and following.cursor.sequence == core.sequence + 1


def test_a_cursor_is_the_value_that_it_prints():
    chance = random.Random(3)
    for _ in range(300):
        cursor = Cursor(chance.randrange(1 << 16), chance.randbytes(16), chance.randrange(1 << 63), chance.random() < 0.5)
        assert parse(str(cursor)) == cursor
        broken = list(str(cursor))
        broken[chance.randrange(len(broken))] = chance.choice("xg-+ 9a")
        with contextlib.suppress(UsageError):
            assert parse("".join(broken)) == parse(str(parse("".join(broken))))
    for text in ("", "1-2-3", f"70000-{'a' * 32}-1", f"1-{'a' * 32}-{1 << 63}", f"1-{'a' * 32}-1+", "x" * 500):
        with pytest.raises(UsageError) as caught:
            parse(text)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_a_place_is_nowhere_until_a_scan_begins_and_after_a_loss():
    rows, source, place = records.rows(6), (7, bytes(16)), Place()
    rows["kind"] = [records.EVENT, records.SCAN_BEGIN, records.ORDER, records.SCAN_END, records.EVENT, records.LOST]
    rows["sequence"] = np.arange(1, 7)
    expected = [None, (3, False), (4, False), (5, True), (6, True), None]
    for index, words in enumerate(expected):
        place.take(rows[index : index + 1], source)
        assert place.cursor == (None if words is None else Cursor(*source, *words)), index
