"""Damage, attacks, replays: what the line does by accident is mended in place, what it cannot do ends the session."""

from random import Random

import pytest

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.wire import Refusal
from gateway.link.peers import channel
from gateway.link.peers.event import Alarm, Down, Restarted, Up
from tests.link.pair import MILLISECOND, SECOND, Pair

CONTROL, BULK = wire.CONTROL, wire.BULK


def frames_of(data: bytes) -> list[bytes]:
    """The frames in some bytes that a peer has written."""
    found, begin = [], 0
    while begin < len(data):
        length = int.from_bytes(data[begin + 24 : begin + 28], "little")
        end = begin + wire.HEADER_BYTES + length + wire.CRC_BYTES
        found.append(data[begin:end])
        begin = end
    return found


def flipped(frame: bytes, offset: int = 40) -> bytes:
    """One bit of the ciphertext is another: the line did it."""
    changed = bytearray(frame)
    changed[offset] ^= 4
    return bytes(changed)


def forged(frame: bytes, offset: int = 40) -> bytes:
    """The same, and the CRC behind it repaired: somebody did it."""
    changed = bytearray(flipped(frame, offset))
    changed[-4:] = wire.crc32(bytes(changed[wire.HEADER_BYTES : -4])).to_bytes(4, "little")
    return bytes(changed)


class Damage:
    """Changes frames of one side and connection: by their index, counted from now, or one in so many."""

    def __init__(self, pair: Pair, side: int, connection: int, which, how=flipped):  # type: ignore[no-untyped-def]
        self.which, self.how, self.place = which, how, (side, connection)
        self.seen = self.done = 0
        pair.change = self.change

    def change(self, side: int, connection: int, data: bytes) -> bytes:
        if (side, connection) != self.place:
            return data
        out = []
        for frame in frames_of(data):
            hit = self.which(self.seen)
            self.seen += 1
            self.done += hit
            out.append(self.how(frame) if hit else frame)
        return b"".join(out)


@pytest.mark.parametrize("number", [channel.CONTROL, channel.MARKET_DATA])
@pytest.mark.parametrize("index", [0, 3, 9])
def test_a_damaged_frame_is_said_again_in_the_same_session(number: int, index: int):
    pair = Pair().up()
    connection = CONTROL if number == channel.CONTROL else BULK
    damage = Damage(pair, 0, connection, lambda seen: seen == index)
    bodies = [b"message %d" % message for message in range(10)]
    for body in bodies:
        pair.send(0, number, body)
    pair.run(20 * MILLISECOND)
    assert damage.done == 1
    assert pair.delivered(1, number) == bodies
    assert pair.peers[0].resting
    assert pair.peers[1].counters["crc_failures"] == 1 and pair.peers[0].counters["retransmitted"] == 1
    assert not pair.of(1, Down) and pair.peers[1].counters["sessions"] == 1


def test_a_retransmission_that_is_damaged_goes_again_and_the_fourth_time_the_session_ends():
    pair = Pair().up()
    Damage(pair, 0, BULK, lambda seen: seen < 3)
    pair.send(0, channel.MARKET_DATA, b"unlucky")
    pair.run(20 * MILLISECOND)
    assert pair.delivered(1, channel.MARKET_DATA) == [b"unlucky"]
    assert pair.peers[0].counters["retransmitted"] == 3 and not pair.of(0, Down)
    Damage(pair, 0, BULK, lambda seen: seen < 4)
    pair.send(0, channel.MARKET_DATA, b"doomed")
    pair.run(100 * MILLISECOND)
    assert [event.reason for event in pair.of(0, Down)] == ["retries"]
    assert pair.delivered(1, channel.MARKET_DATA) == [b"unlucky", b"doomed"]


@pytest.mark.parametrize("side", [0, 1])
def test_a_damaged_acknowledgement_or_nak_is_found_and_said_again(side: int):
    """Every frame of the control connection towards the sender is hit once in turn."""
    for index in range(6):
        pair = Pair(seed=index).up()
        forth = Damage(pair, 0, BULK, lambda seen: seen == 1)
        back = Damage(pair, side, CONTROL, lambda seen, index=index: seen == index)
        pair.change = lambda a, b, data, f=forth, g=back: g.change(a, b, f.change(a, b, data))
        for message in range(8):
            pair.send(0, channel.MARKET_DATA, b"%d" % message)
            pair.run(2 * MILLISECOND)
        pair.run(20 * MILLISECOND)
        assert forth.done == 1
        assert pair.delivered(1, channel.MARKET_DATA) == [b"%d" % message for message in range(8)]
        assert pair.peers[0].resting and not pair.of(0, Down)


def test_one_frame_in_a_hundred_is_damaged_for_ever_and_the_session_stands():
    pair = Pair().up()
    random = Random(7)
    damage = [Damage(pair, side, one, lambda seen: random.random() < 0.01) for side in (0, 1) for one in (CONTROL, BULK)]

    def change(side: int, connection: int, data: bytes) -> bytes:
        for one in damage:
            data = one.change(side, connection, data)
        return data

    pair.change = change
    sent: dict[int, list[bytes]] = {0: [], 2: []}
    for message in range(3000):
        for number in sent:
            body = b"%d of %d" % (message, number)
            assert pair.send(0, number, body)
            sent[number].append(body)
        pair.run(MILLISECOND)
    pair.change = lambda side, connection, data: data
    pair.run(50 * MILLISECOND)
    assert sum(one.done for one in damage) > 40
    assert {number: pair.delivered(1, number) for number in sent} == sent
    assert pair.peers[1].counters["sessions"] == 1
    assert pair.peers[1].counters["crc_failures"] > 20


def test_a_line_that_damages_one_frame_in_ten_is_left_and_nothing_is_lost():
    pair = Pair().up()
    Damage(pair, 0, BULK, lambda seen: seen % 10 == 5 and seen < 400)
    bodies = [b"%d" % message for message in range(300)]
    for body in bodies:
        pair.send(0, channel.MARKET_DATA, body)
        pair.run(MILLISECOND)
    pair.run(3 * SECOND)
    assert "damage" in [event.reason for event in pair.of(1, Down)]
    assert pair.delivered(1, channel.MARKET_DATA) == bodies


@pytest.mark.parametrize("connection", [CONTROL, BULK])
@pytest.mark.parametrize("offset", [32, 40, 60, -5, -20])
def test_a_good_crc_with_a_bad_tag_closes_the_session_with_an_alarm_at_once(connection: int, offset: int):
    pair = Pair().up()
    damage = Damage(pair, 0, connection, lambda seen: seen == 0, lambda frame: forged(frame, offset))
    number = channel.CONTROL if connection == CONTROL else channel.MARKET_DATA
    pair.send(0, number, b"an order of the attacker's liking")
    begin_ns = pair.now_ns
    pair.settle()
    assert damage.done == 1 and pair.now_ns == begin_ns
    assert [(event.reason) for event in pair.of(1, Alarm)] == ["TAG"]
    assert [event.reason for event in pair.of(1, Down)] == ["tag"]
    pair.run(100 * MILLISECOND)
    assert pair.delivered(1, number) == [b"an order of the attacker's liking"]
    assert pair.peers[1].counters["tag"] == 1


@pytest.mark.parametrize("offset", range(32))
def test_a_header_that_was_changed_ends_the_connection_and_the_channels_go_on(offset: int):
    pair = Pair().up()
    Damage(pair, 0, BULK, lambda seen: seen == 1, lambda frame: flipped(frame, offset))
    bodies = [b"%d" % message for message in range(5)]
    for body in bodies:
        pair.send(0, channel.MARKET_DATA, body)
    pair.run(200 * MILLISECOND)
    assert pair.delivered(1, channel.MARKET_DATA) == bodies
    counters = pair.peers[1].counters
    assert counters["header_crc"] + counters["length"] == 1 and not pair.of(1, Down)


def test_a_frame_that_is_played_again_ends_the_session_and_is_not_delivered():
    pair = Pair().up()
    Damage(pair, 0, CONTROL, lambda seen: seen == 0, lambda frame: frame + frame)
    pair.send(0, channel.EXECUTIONS, b"filled")
    pair.run(100 * MILLISECOND)
    assert pair.delivered(1, channel.EXECUTIONS) == [b"filled"]
    assert pair.peers[1].counters["record"] == 1
    assert [event.reason for event in pair.of(1, Alarm)] == ["RECORD"]


def test_a_recorded_session_played_again_is_accepted_nowhere():
    pair = Pair()
    pair.up()
    for message in range(20):
        pair.send(0, channel.EXECUTIONS, b"fill %d" % message)
        pair.run(5 * MILLISECOND)
    pair.run(3 * SECOND)
    recorded = [(connection, data) for side, connection, data in pair.recorded if side == 0]
    had = pair.delivered(1, channel.EXECUTIONS)
    for restarted in (False, True):
        if restarted:
            pair.restart(1)
        pair.cut = True
        pair.drop(BULK)
        pair.drop(CONTROL)
        for connection in (CONTROL, BULK):
            pair.peers[1].opened(connection, pair.now_ns)
            for where, data in recorded:
                if where == connection:
                    pair.peers[1].received(connection, data, pair.now_ns)
        pair.take(1)
        assert pair.peers[1].state != "up"
        assert pair.delivered(1, channel.EXECUTIONS) == had
        for connection in (CONTROL, BULK):
            pair.peers[1].closed(connection, pair.now_ns)
    assert pair.peers[1].counters["delivered"] == 0
    pair.cut = False
    pair.run(2 * SECOND)
    assert pair.peers[1].state == "up"


def test_recorded_heartbeats_are_taken_for_no_sign_of_life():
    pair = Pair().up()
    recorded = []
    for _ in range(30):
        pair.now_ns += 10 * MILLISECOND
        for peer in pair.peers:
            peer.tick(pair.now_ns)
        for data in pair.peers[0].datagrams(pair.now_ns):
            recorded.append(data)
            assert pair.peers[1].received_datagram(data, pair.now_ns)
    assert len(recorded) >= 29
    before = pair.peers[1].counters
    assert not any(pair.peers[1].received_datagram(data, pair.now_ns) for data in recorded)
    after = pair.peers[1].counters
    assert after["heartbeats_in"] == before["heartbeats_in"]
    assert after["datagrams_unknown"] == before["datagrams_unknown"] + len(recorded)


def test_a_peer_that_sends_more_than_it_was_allowed_is_closed_with_an_alarm():
    pair = Pair().up()
    sender = pair.peers[0]._exchange.sender(channel.SNAPSHOTS)
    sender.limit = 1 << 40
    pair.reads[1] = False
    room = limits.LINK_BODY_BYTES_MAX
    while not pair.of(1, Alarm) and pair.now_ns < pair.now_ns + SECOND:
        while pair.send(0, channel.SNAPSHOTS, bytes(room)):
            pass
        sender.held_bytes = 0
        pair.run(MILLISECOND)
        if pair.peers[1].state != "up":
            break
    pair.take(1)
    assert [event.reason for event in pair.of(1, Alarm)] == ["CREDIT"]
    assert sum(map(len, pair.delivered(1, channel.SNAPSHOTS))) <= channel.CHANNELS[channel.SNAPSHOTS].capacity_bytes


def test_alarms_of_one_reason_are_told_once_a_second_and_the_rest_is_counted():
    pair = Pair(retry_first_ns=MILLISECOND, retry_last_ns=2 * MILLISECOND).up()
    Damage(pair, 0, CONTROL, lambda seen: True, lambda frame: forged(frame) if frame[:2] == b"GL" else frame)
    pair.run(1500 * MILLISECOND, 2 * MILLISECOND)
    told = [event for event in pair.of(1, Alarm) if event.reason == "TAG"]
    counters = pair.peers[1].counters
    assert 1 <= len(told) <= 2
    assert counters["tag"] == len(told) + counters["alarms_suppressed"] and counters["alarms_suppressed"] > 0


def test_refusals_are_counted_once_each_under_their_own_word():
    pair = Pair().up()
    Damage(pair, 0, CONTROL, lambda seen: seen == 0, forged)
    pair.send(0, channel.CONTROL, b"x")
    pair.run(MILLISECOND)
    counters = pair.peers[1].counters
    assert {reason.word: counters[reason.word] for reason in Refusal if counters[reason.word]} == {"tag": 1}
    assert not pair.of(1, Restarted) and len(pair.of(1, Up)) == 1
