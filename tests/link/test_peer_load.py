"""Rekeys, slow readers and floods under load: nothing lost, nothing said twice, nothing without a bound, control first."""

from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import limits
from gateway.link.frames import key_schedule, wire
from gateway.link.peers import channel
from gateway.link.peers.channel import ChannelPolicy, ChannelSettings
from gateway.link.peers.event import Delivered, Down, Restarted, Up, Writable
from gateway.link.peers.peer_settings import RekeySettings
from tests.link.pair import MILLISECOND, SECOND, Pair

CONTROL, BULK = wire.CONTROL, wire.BULK
HOUR_NS = 3600 * SECOND


@pytest.fixture
def nonces(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Every (key, nonce) that anything is sealed under."""
    used: list[tuple[bytes, bytes]] = []

    class Watched:
        def __init__(self, key: bytes):
            self._key, self._cipher = key, AESGCM(key)
            self.decrypt = self._cipher.decrypt

        def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
            used.append((self._key, nonce))
            return self._cipher.encrypt(nonce, data, associated)

    monkeypatch.setattr(key_schedule, "AESGCM", Watched)
    return used


def test_a_thousand_rekeys_under_load_lose_nothing_and_repeat_no_nonce(nonces: list[tuple[bytes, bytes]]):
    pair = Pair(rekey=RekeySettings(frames=10)).up()
    sent: dict[tuple[int, int], list[bytes]] = {(1, 0): [], (0, 0): [], (1, 2): [], (0, 2): []}
    for turn in range(350):
        for (side, number), bodies in sent.items():
            for message in range(8):
                body = b"%d %d" % (turn, message)
                assert pair.send(1 - side, number, body)
                bodies.append(body)
        pair.run(MILLISECOND)
    pair.run(10 * MILLISECOND)
    rekeys = [peer.counters["rekeys"] for peer in pair.peers]
    assert min(rekeys) >= 500 and sum(rekeys) >= 1000
    for (side, number), bodies in sent.items():
        assert pair.delivered(side, number) == bodies
    assert len(nonces) > 10_000 and len(set(nonces)) == len(nonces)
    assert not pair.of(0, Down) and pair.peers[0].counters["retransmitted"] == 0


def test_reconnects_and_restarts_under_load_repeat_no_nonce(nonces: list[tuple[bytes, bytes]]):
    pair = Pair(rekey=RekeySettings(frames=7), retry_last_ns=10 * MILLISECOND).up()
    for turn in range(60):
        for side in (0, 1):
            for number in range(6):
                pair.send(side, number, b"%d" % turn, key=turn)
        pair.step()
        if turn % 5 == 2:
            pair.drop(turn % 2)
        if turn % 20 == 19:
            pair.restart(turn // 20 % 2)
        pair.run(5 * MILLISECOND)
    assert len(pair.of(0, Up)) > 5 and len(pair.of(0, Restarted)) + len(pair.of(1, Restarted)) == 3
    assert len(nonces) > 500 and len(set(nonces)) == len(nonces)


def test_a_direction_takes_its_next_key_by_bytes_by_age_and_with_the_hour():
    by_bytes = Pair(rekey=RekeySettings(bytes=100_000)).up()
    for _ in range(100):
        assert by_bytes.send(0, channel.MARKET_DATA, bytes(10_000))
        by_bytes.run(MILLISECOND)
    assert 8 <= by_bytes.peers[0].counters["rekeys"] <= 11
    by_age = Pair(rekey=RekeySettings(age_ns=10 * SECOND)).up()
    by_age.run(61 * SECOND, 100 * MILLISECOND)
    assert by_age.peers[0].counters["rekeys"] in (10, 11, 12), "both connections, every ten seconds, idle as they are"
    by_hour = Pair().up()
    left_ns = HOUR_NS - by_hour.now_ns % HOUR_NS
    by_hour.run(left_ns - SECOND, SECOND)
    assert by_hour.peers[0].counters["rekeys"] == 0
    by_hour.run(3 * SECOND, SECOND)
    assert by_hour.peers[0].counters["rekeys"] == 2
    by_hour.run(100 * MILLISECOND)
    assert not by_hour.peers[0].suspected and not by_hour.of(0, Down)


def test_a_key_service_that_is_down_when_the_hour_changes_ends_no_session():
    pair = Pair(rekey=RekeySettings(frames=20)).up()
    hour = pair.now_ns // HOUR_NS
    pair.secrets.gone = set(range(hour + 1, hour + 10))
    pair.run(HOUR_NS - pair.now_ns % HOUR_NS + SECOND, SECOND)
    for message in range(100):
        assert pair.send(0, channel.EXECUTIONS, b"%d" % message)
    pair.run(20 * MILLISECOND)
    assert len(pair.delivered(1, channel.EXECUTIONS)) == 100
    assert not pair.of(0, Down) and pair.peers[0].counters["rekeys_without"] > 0


def test_a_damaged_epoch_frame_is_survived():
    pair = Pair(rekey=RekeySettings(frames=5)).up()
    hit = []

    def change(side: int, connection: int, data: bytes) -> bytes:
        place = data.find(b"GL\x01\x00\x05")
        if side == 0 and connection == BULK and place >= 0 and len(hit) < 3:
            hit.append(place)
            return data[: place + 50] + bytes([data[place + 50] ^ 1]) + data[place + 51 :]
        return data

    pair.change = change
    bodies = [b"%d" % message for message in range(60)]
    for body in bodies:
        pair.send(0, channel.MARKET_DATA, body)
        pair.run(MILLISECOND)
    assert len(hit) == 3 and pair.peers[1].counters["crc_failures"] == 3
    assert pair.delivered(1, channel.MARKET_DATA) == bodies and not pair.of(1, Down)


def test_a_slow_reader_makes_bulk_wait_and_quotes_conflate_and_never_control():
    pair = Pair().up()
    reader = pair.peers[1]
    held: list[tuple[int, int]] = []
    pair.reads[1] = False
    body = bytes(8000)
    controls, quotes = 0, 0
    for turn in range(3000):
        pair.send(0, channel.SNAPSHOTS, body)
        pair.send(0, channel.MARKET_DATA, body + body)
        for key in range(4):
            quotes += pair.send(0, channel.QUOTES, b"%d of %d" % (turn, key) + bytes(900), key=key) > 0
        if turn % 10 == 0:
            assert pair.send(0, channel.CONTROL, b"%d" % turn)
        pair.run(MILLISECOND)
        for event in reader.events():  # reads, and does not consume
            if isinstance(event, Delivered):
                pair.events[1].append(event)
                held.append((event.channel, len(event.message.body)))
                controls += event.channel == channel.CONTROL
    assert controls == 300
    counters = pair.peers[0].counters
    assert counters["conflated"] > 1000 and counters["refused_sends"] > 500 and quotes == 12000
    for number in (channel.MARKET_DATA, channel.SNAPSHOTS, channel.QUOTES):
        assert sum(size for one, size in held if one == number) <= channel.CHANNELS[number].capacity_bytes
    pair.reads[1] = True
    for number, size in held:
        reader.consumed(number, size)
    pair.run(SECOND, 5 * MILLISECOND)
    last = [pair.delivered(1, channel.QUOTES)[-4:][key][:9] for key in range(4)]
    assert sorted(last) == sorted(b"%d of %d" % (2999, key) for key in range(4)), "the latest of every key"
    assert {event.channel for event in pair.of(0, Writable)} == {channel.MARKET_DATA, channel.SNAPSHOTS}
    assert pair.peers[0].resting


def test_a_message_longer_than_a_frame_is_delivered_whole_and_one_longer_than_its_channel_is_refused():
    pair = Pair().up()
    long = Random(3).randbytes(300_000)
    pair.send(0, channel.ANSWERS, b"before")
    assert pair.send(0, channel.ANSWERS, long, schema=4) == 1 + -(-300_000 // limits.LINK_BODY_BYTES_MAX)
    pair.send(0, channel.ANSWERS, b"behind")
    pair.step()
    pair.drop(CONTROL)
    pair.run(2 * SECOND)
    assert pair.delivered(1, channel.ANSWERS) == [b"before", long, b"behind"]
    assert [event.message.schema for event in pair.of(1, Delivered)] == [0, 4, 0]
    for body in (bytes(limits.LINK_MESSAGE_BYTES_MAX + 1), bytes(3 << 20)):
        with pytest.raises(ValueError, match="more than channel"):
            pair.send(0, channel.ANSWERS, body)
    with pytest.raises(ValueError, match="no channel"):
        pair.send(0, 9, b"")


def test_control_never_waits_for_more_than_the_frame_that_is_on_its_way():
    """10 Mbit/s, a snapshot of several megabytes on bulk, a control message now and then: each takes its own connection."""
    pair = Pair().up()
    bytes_per_ms = 1250
    waits = []
    pending: dict[bytes, int] = {}
    backlog = [0, 0]
    for turn in range(2000):
        while pair.send(0, channel.SNAPSHOTS, bytes(limits.LINK_BODY_BYTES_MAX)):
            pass
        if turn % 7 == 0:
            pending[b"%d" % turn] = turn
            assert pair.send(0, channel.CONTROL, b"%d" % turn)
        room = bytes_per_ms
        for connection in (CONTROL, BULK):  # one line, control first; a frame that does not fit is sent in pieces
            while room > 0:
                if backlog[connection]:
                    sent = min(room, backlog[connection])
                    backlog[connection] -= sent
                    room -= sent
                    continue
                size = pair.carry(0, connection, 1)
                if not size:
                    break
                backlog[connection] = size
        for connection in (CONTROL, BULK):
            pair.carry(1, connection)
        pair.take(1)
        for body in pair.delivered(1, channel.CONTROL)[len(waits) :]:
            waits.append(turn - pending.pop(body))
        pair.now_ns += MILLISECOND
        for peer in pair.peers:
            peer.tick(pair.now_ns)
    assert len(waits) > 250 and max(waits) <= 2
    assert sum(map(len, pair.delivered(1, channel.SNAPSHOTS))) > 2_000_000


def test_a_sender_that_is_never_answered_holds_no_more_than_its_channels():
    small = tuple(
        ChannelSettings(number, f"c{number}", number % 2, ChannelPolicy.ORDERED, number, 100_000, 50) for number in range(4)
    )
    pair = Pair(channels=small)
    pair.cut = True
    for _ in range(500):
        for number in range(4):
            pair.send(0, number, bytes(1500))
        pair.run(MILLISECOND)
    for number in range(4):
        assert pair.peers[0]._exchange.sender(number).held_frames == 50
        assert pair.peers[0].room(number) == 0
    pair.cut = False
    pair.run(3 * SECOND)
    assert [len(pair.delivered(1, number)) for number in range(4)] == [50] * 4
    assert {event.channel for event in pair.of(0, Writable)} == {0, 1, 2, 3}


def test_an_application_that_never_looks_gets_a_bounded_number_of_notices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "LINK_NOTICES_MAX", 100)
    pair = Pair(retry_first_ns=MILLISECOND, retry_last_ns=MILLISECOND)
    pair.reads = [False, False]
    for _ in range(60):
        pair.run(3 * MILLISECOND)
        pair.drop(CONTROL)
    assert len(list(pair.peers[0].events())) == 100
    assert pair.peers[0].counters["notices_dropped"] > 0


@pytest.mark.parametrize("seed", range(6))
def test_nobody_is_woken_for_a_time_that_is_over(seed: int):
    """Behind a tick, with everything written, the next deadline lies ahead: a transport that waits for it never spins."""
    pair = Pair(seed=seed).up()
    random = Random(seed)
    for _ in range(1500):
        match random.randrange(12):
            case 0:
                pair.send(random.randrange(2), random.randrange(6), random.randbytes(100), key=random.randrange(3))
            case 1 if random.random() < 0.2:
                pair.drop(random.randrange(2))
            case 2 if random.random() < 0.1:
                pair.cut = not pair.cut
            case 3 if random.random() < 0.02:
                pair.peers[random.randrange(2)].leave(pair.now_ns)
        pair.now_ns += random.choice((1, 3, 10, 200)) * MILLISECOND
        for peer in pair.peers:
            peer.tick(pair.now_ns)
        pair.settle()
        for peer in pair.peers:
            peer.tick(pair.now_ns)
            blocked = any(peer.has_output(connection) for connection in pair.connected)
            assert blocked or peer.deadline_ns > pair.now_ns, (peer.state, pair.now_ns - peer.deadline_ns)


@pytest.mark.parametrize("seed", range(12))
def test_exactly_once_in_order_across_drops_reconnects_and_damage(seed: int):
    pair = Pair(seed=seed, retry_last_ns=10 * MILLISECOND, rekey=RekeySettings(frames=40)).up()
    random = Random(seed)

    def change(side: int, connection: int, data: bytes) -> bytes:
        if data[:2] == b"GL" and random.random() < 0.02:
            place = 32 + random.randrange(len(data) - 32)
            return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
        return data

    pair.change = change
    sent: dict[tuple[int, int], list[bytes]] = {}
    for _ in range(150):
        for _ in range(random.randrange(6)):
            side, number = random.randrange(2), random.choice((0, 1, 2, 3, 5))
            body = random.randbytes(random.choice((10, 1000, 16384, 40000)))
            if pair.send(side, number, body):
                sent.setdefault((1 - side, number), []).append(body)
        if random.random() < 0.05:
            connection = random.randrange(2)
            for peer in pair.peers:
                peer.output(connection, random.randrange(1, 50_000), pair.now_ns)  # lost with the connection
            pair.drop(connection)
        pair.run(random.randrange(1, 4) * MILLISECOND)
    pair.change = lambda side, connection, data: data
    pair.run(3 * SECOND, 2 * MILLISECOND)
    for (side, number), bodies in sent.items():
        assert pair.delivered(side, number) == bodies, f"seed {seed}, side {side}, channel {number}"
    assert all(peer.resting for peer in pair.peers)
