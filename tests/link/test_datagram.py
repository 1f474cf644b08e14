"""UDP: late, twice, damaged, forged or over an hour's edge; a datagram is taken once or counted."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.link.frames import bodies
from gateway.link.frames.replay_window import ReplayWindow
from gateway.link.frames.wire import Damaged, Message, Refusal, Refused, Stale, Type
from gateway.link.peers.event import Alarm
from tests.link import wire_desk as desk
from tests.link.pair import MILLISECOND, Pair


def beat(number: int = 1) -> Message:
    body = bodies.pack_heartbeat(bodies.Heartbeat(number, 0, desk.NOW_NS))
    return desk.said(body, type=Type.HEARTBEAT)


def test_datagrams_in_any_order_are_taken_once():
    sealer, opener = desk.datagram_line()
    datagrams = [sealer.seal(beat(index)) for index in range(500)]
    draw = random.Random(9)
    order = draw.sample(datagrams * 3, 1500)
    found = [opener.open(data) for data in order]
    beats = [bodies.read_heartbeat(item.body).beat for item in found if isinstance(item, Message)]
    assert sorted(beats) == list(range(500))
    assert desk.counted(opener.counters) == {"record": 1000}


def test_what_is_further_behind_than_the_window_is_refused():
    sealer, opener = desk.datagram_line()
    datagrams = [sealer.seal(beat(index)) for index in range(1026)]
    assert isinstance(opener.open(datagrams[1025]), Message)
    assert isinstance(opener.open(datagrams[2]), Message)
    assert opener.open(datagrams[1]) == Refused(Refusal.RECORD)


def test_a_forged_record_number_does_not_move_the_window():
    sealer, opener = desk.datagram_line()
    data = sealer.seal(beat())
    for record in (5, 2**63, 2**64 - 1):
        forged = desk.outer_repaired(desk.header_changed(data, record=record))
        assert opener.open(forged) == Refused(Refusal.TAG)
    assert isinstance(opener.open(data), Message)
    assert opener.open(data) == Refused(Refusal.RECORD)


def test_each_refusal_of_a_datagram_is_counted_and_ends_nothing():
    sealer, opener = desk.datagram_line()
    data = sealer.seal(beat())
    wrong = {
        "length": data + b"!",
        "header_crc": desk.bit_flipped(data, 8 * 30),
        "source": desk.header_changed(data, source=9),
        "epoch": desk.header_changed(data, key_epoch=26),
        "tag": desk.outer_repaired(desk.bit_flipped(data, 8 * 50)),
    }
    for word, bad in wrong.items():
        assert opener.open(bad).reason.word == word
    assert isinstance(opener.open(desk.bit_flipped(data, 8 * 50)), Damaged)
    for size in (0, 1, 31, 79, 1473):
        assert opener.open(bytes(size)) == Refused(Refusal.LENGTH)
    opener.fence = desk.FENCE + 1
    assert isinstance(opener.open(data), Stale)
    assert desk.counted(opener.counters) == dict.fromkeys(wrong, 1) | {"length": 6, "outer_crc": 1, "fence": 1}


def test_every_bit_of_a_datagram_is_refused_with_repaired_crcs():
    sealer, _ = desk.datagram_line()
    data = sealer.seal(beat())
    for bit in [*range(28 * 8), *range(32 * 8, (len(data) - 4) * 8)]:
        _, opener = desk.datagram_line()
        assert isinstance(opener.open(desk.outer_repaired(desk.bit_flipped(data, bit))), Refused), bit


def test_an_hour_that_changes_is_followed_without_a_word_and_lost_datagrams_lose_no_key():
    sealer, opener = desk.datagram_line()
    late = sealer.seal(beat())
    assert isinstance(opener.open(sealer.seal(beat())), Message)
    sealer.rekey(desk.HOUR + 1, desk.secret_of(desk.HOUR + 1))
    sealer.seal(beat())
    sealer.rekey(desk.HOUR + 2, desk.secret_of(desk.HOUR + 2))
    assert isinstance(opener.open(sealer.seal(beat())), Message)
    assert opener.epoch == 3 and sealer.hour == desk.HOUR + 2
    assert opener.open(late) == Refused(Refusal.EPOCH)
    sealer.rekey(desk.HOUR, desk.secret_of(desk.HOUR))
    assert sealer.hour == desk.HOUR + 2
    assert isinstance(opener.open(sealer.seal(beat())), Message)


def test_an_hour_without_a_secret_is_refused_until_it_is_known():
    sealer, opener = desk.datagram_line()
    opener._secrets = lambda hour: None
    sealer.rekey(desk.HOUR + 1, desk.secret_of(desk.HOUR + 1))
    assert opener.open(sealer.seal(beat())) == Refused(Refusal.NO_SECRET)
    opener._secrets = desk.secret_of
    assert isinstance(opener.open(sealer.seal(beat())), Message)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 40), st.integers(0, 3000), st.integers(0, 2**64 - 1)), max_size=200))
def test_the_window_is_what_a_set_of_all_numbers_says(records: list[int]):
    window, seen = ReplayWindow(), set()
    for record in records:
        wanted = record not in seen and record > max(seen, default=-1) - 1024
        assert window.is_new(record) == wanted
        if wanted:
            window.see(record)
            seen.add(record)
    assert window._seen.bit_length() <= 1024


def test_a_worn_key_without_a_successor_silences_heartbeats_and_ends_nothing():
    pair = Pair().up()
    heartbeats = pair.peers[0]._heartbeats
    sealer = heartbeats._sealer
    assert sealer is not None
    sealer._sealer.frames_in_epoch = limits.LINK_REKEY_FRAMES_HARD
    pair.run(20 * MILLISECOND)
    assert heartbeats.sent > 0 and pair.peers[0].datagrams(pair.now_ns + 20 * MILLISECOND) == []
    assert pair.peers[0].state == "up"
    sealer.rekey(sealer.hour + 1, b"of the next hour" * 2)
    assert pair.peers[0].datagrams(pair.now_ns + 50 * MILLISECOND)


def test_a_peer_counts_why_a_datagram_was_not_valid():
    pair = Pair().up()
    peer, before = pair.peers[1], Counter(pair.peers[1].counters)

    def heartbeat(after_ms: int) -> bytes:
        pair.peers[0].tick(pair.now_ns + after_ms * MILLISECOND)
        (data,) = pair.peers[0].datagrams(pair.now_ns + after_ms * MILLISECOND)
        return data

    def counted() -> dict[str, int]:
        now = Counter(peer.counters)
        return {name: now[name] - before[name] for name in now if name.startswith("datagram") and now[name] - before[name]}

    data = heartbeat(20)
    for datagram in (data, data, desk.bit_flipped(data, 8 * 40), bytes(10)):
        peer.received_datagram(datagram, pair.now_ns)
    assert counted() == {"datagrams_unknown": 3, "datagram_record": 2, "datagram_length": 1}
    data = heartbeat(40)
    for datagram in (desk.outer_repaired(desk.bit_flipped(data, 8 * 40)), desk.bit_flipped(data, 8 * 40), data):
        peer.received_datagram(datagram, pair.now_ns)
    assert counted()["datagram_tag"] == counted()["datagram_outer_crc"] == 1 and counted()["datagrams_unknown"] == 5
    assert peer.state == "up" and not pair.of(1, Alarm)
