"""Sessions of a peer: they begin, break, resume, restart, and die by deadline; every message comes once."""

import pytest

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.wire import Type
from gateway.link.peers import channel
from gateway.link.peers.event import Alarm, Delivered, Down, Fenced, Joined, Parted, Restarted, Suspect, Trusted, Up
from tests.link.pair import MILLISECOND, SECOND, Pair

CONTROL, BULK = wire.CONTROL, wire.BULK
HOUR_NS = 3600 * SECOND


def reasons(pair: Pair, side: int, kind: type = Down) -> list[str]:
    return [event.reason for event in pair.of(side, kind)]


def test_both_connections_make_one_session_with_the_same_id():
    pair = Pair().up()
    assert len({peer.session_id for peer in pair.peers} | {event.session_id for event in pair.of(0, Up)}) == 1
    assert pair.peers[0].binding == pair.peers[1].binding != b""
    for side in (0, 1):
        assert [event.connection for event in pair.of(side, Joined)] == [CONTROL, BULK]


def test_messages_of_every_channel_arrive_both_ways_once_and_in_order():
    pair = Pair().up()
    for number in range(6):
        for side in (0, 1):
            sequences = [pair.send(side, number, b"%d" % message, key=message) for message in range(50)]
            assert sequences == list(range(1, 51))
    pair.run(20 * MILLISECOND)
    for number in range(6):
        for side in (0, 1):
            assert pair.delivered(side, number) == [b"%d" % message for message in range(50)]
    assert all(peer.resting for peer in pair.peers)


def test_a_message_says_what_it_was_sent_with():
    pair = Pair().up()
    pair.send(0, channel.EXECUTIONS, b"body", type=Type.SNAPSHOT, schema=7, token_id=9, flags=wire.Flag.SNAPSHOT)
    sent_ns = pair.now_ns
    pair.run(5 * MILLISECOND)
    (event,) = pair.of(1, Delivered)
    message = event.message
    assert (message.type, message.schema, message.token_id, message.flags) == (Type.SNAPSHOT, 7, 9, wire.Flag.SNAPSHOT)
    assert (message.sequence, message.sent_ns, message.body) == (1, sent_ns, b"body")


def test_what_was_handed_over_before_there_was_a_session_is_sent_in_the_first():
    pair = Pair()
    assert pair.send(0, channel.CONTROL, b"early") == 1 and pair.send(1, channel.MARKET_DATA, b"early, too") == 1
    pair.up()
    assert pair.delivered(1, channel.CONTROL) == [b"early"] and pair.delivered(0, channel.MARKET_DATA) == [b"early, too"]


@pytest.mark.parametrize("connection", [CONTROL, BULK])
def test_channels_go_on_where_they_were_over_any_number_of_reconnects(connection: int):
    pair = Pair(retry_last_ns=20 * MILLISECOND).up()
    sent: dict[tuple[int, int], list[bytes]] = {}
    for turn in range(30):
        for number in (0, 1, 2, 3, 5):
            for side in (0, 1):
                body = b"%d %d" % (turn, number)
                if pair.send(side, number, body):
                    sent.setdefault((1 - side, number), []).append(body)
        if turn % 3 == 1:
            pair.step()
            pair.drop(connection)
        pair.run(7 * MILLISECOND)
    pair.run(3 * SECOND)
    for (side, number), bodies in sent.items():
        assert pair.delivered(side, number) == bodies
    assert not pair.of(0, Restarted) and not pair.of(1, Restarted)
    assert len(pair.of(0, Parted)) >= 10
    if connection == BULK:
        assert not pair.of(0, Down), "the loss of bulk is no loss of the session"
    else:
        assert [event.resumed for event in pair.of(1, Up)][1:] == [True] * 10


def test_bytes_that_were_on_their_way_when_the_connection_broke_are_sent_again_and_delivered_once():
    pair = Pair().up()
    for half in (True, False):
        for message in range(20):
            pair.send(0, channel.EXECUTIONS, b"%d %d" % (half, message))
        data = pair.peers[0].output(CONTROL, 1 << 20, pair.now_ns)
        pair.peers[1].received(CONTROL, data[: len(data) // 2] if half else data, pair.now_ns)
        pair.drop(CONTROL)
        pair.run(2 * SECOND)
    expected = [b"%d %d" % (half, message) for half in (True, False) for message in range(20)]
    assert pair.delivered(1, channel.EXECUTIONS) == expected


@pytest.mark.parametrize("side", [0, 1])
def test_a_restarted_process_is_met_as_another_one_and_sequences_begin_anew(side: int):
    pair = Pair().up()
    for message in range(5):
        pair.send(1 - side, channel.EXECUTIONS, b"%d" % message)
        pair.send(side, channel.EXECUTIONS, b"%d" % message)
    pair.run(20 * MILLISECOND)
    pair.restart(side)
    pair.send(1 - side, channel.EXECUTIONS, b"meant for the old one")
    pair.run(2 * SECOND)
    assert pair.of(1 - side, Restarted) == [Restarted(pair.peers[side].settings.boot_id)]
    assert not pair.of(side, Restarted)
    assert pair.send(1 - side, channel.EXECUTIONS, b"new") == 1 and pair.send(side, channel.EXECUTIONS, b"new") == 1
    pair.run(20 * MILLISECOND)
    assert pair.delivered(side, channel.EXECUTIONS)[5:] == [b"new"]
    assert pair.delivered(1 - side, channel.EXECUTIONS)[5:] == [b"new"]


def test_a_session_that_the_responder_never_saw_proved_costs_no_message():
    pair = Pair()
    pair.send(0, channel.EXECUTIONS, b"first")
    pair.connect()
    caller, called = pair.peers
    called.received(CONTROL, caller.output(CONTROL, 1 << 20, pair.now_ns), pair.now_ns)
    caller.received(CONTROL, called.output(CONTROL, 1 << 20, pair.now_ns), pair.now_ns)
    assert caller.state == "up" and called.state == "opening"
    assert caller.output(CONTROL, 1 << 20, pair.now_ns)  # lost with the connection
    pair.drop(CONTROL)
    pair.run(2 * SECOND)
    assert pair.delivered(1, channel.EXECUTIONS) == [b"first"]
    assert not pair.of(0, Restarted) and not pair.of(1, Restarted)


def test_a_connection_on_which_nothing_comes_any_more_dies_by_its_deadline_and_is_made_anew():
    pair = Pair().up()
    pair.change = lambda side, connection, data: b""  # half open: what is sent goes nowhere
    pair.send(0, channel.EXECUTIONS, b"late")
    pair.run(limits.LINK_SILENCE_NS - 100 * MILLISECOND, 10 * MILLISECOND)
    assert not pair.of(0, Down) and not pair.of(1, Down)
    pair.run(200 * MILLISECOND, 10 * MILLISECOND)
    assert reasons(pair, 0)[:1] == ["silence"] and reasons(pair, 1)[:1] == ["silence"]
    pair.change = lambda side, connection, data: data
    pair.run(2 * SECOND, 10 * MILLISECOND)
    assert pair.delivered(1, channel.EXECUTIONS) == [b"late"]


def test_an_idle_session_says_that_it_is_there_and_stays():
    pair = Pair().up()
    pair.run(60 * SECOND, 50 * MILLISECOND)
    assert not pair.of(0, Down) and not pair.of(1, Down) and not pair.of(0, Parted)
    assert 110 <= pair.peers[0].counters["frames_out"] <= 140


def test_a_handshake_that_is_not_done_in_a_second_is_given_up():
    pair = Pair()
    pair.change = lambda side, connection, data: b""
    pair.run(limits.LINK_HANDSHAKE_NS - 10 * MILLISECOND)
    assert len(pair.recorded) == 1
    pair.run(200 * MILLISECOND)
    assert len(pair.recorded) > 1, "and begun again"
    assert pair.peers[1].state != "up"


def test_attempts_to_connect_come_at_doubling_intervals_spread_over_their_upper_half():
    pair = Pair()
    pair.cut = True
    attempts = []
    for _ in range(8000):
        if pair.peers[0].wants(CONTROL, pair.now_ns):
            attempts.append(pair.now_ns)
            pair.peers[0].closed(CONTROL, pair.now_ns)
        pair.now_ns += MILLISECOND
        pair.peers[0].tick(pair.now_ns)
    waits = [later - earlier for earlier, later in zip(attempts, attempts[1:], strict=False)]
    expected = limits.LINK_RETRY_FIRST_NS
    for wait in waits:
        assert expected // 2 <= wait <= expected + 2 * MILLISECOND
        expected = min(2 * expected, limits.LINK_RETRY_LAST_NS)
    assert 10 <= len(waits) <= 25


def test_only_the_initiator_connects_and_bulk_only_behind_control():
    pair = Pair()
    assert pair.peers[0].wants(CONTROL, pair.now_ns) and not pair.peers[0].wants(BULK, pair.now_ns)
    assert not pair.peers[1].wants(CONTROL, pair.now_ns)
    pair.up()
    assert not any(peer.wants(one, pair.now_ns) for peer in pair.peers for one in (CONTROL, BULK))


def test_who_leaves_says_so_and_does_not_come_again():
    pair = Pair().up()
    pair.send(0, channel.EXECUTIONS, b"last")
    pair.peers[0].leave(pair.now_ns)
    pair.run(2 * SECOND, 5 * MILLISECOND)
    assert pair.delivered(1, channel.EXECUTIONS) == [b"last"]
    assert [event.message.type for event in pair.of(1, Delivered)][-1] == Type.GOAWAY or Type.GOAWAY in [
        event.message.type for event in pair.of(1, Delivered)
    ]
    assert reasons(pair, 0) == ["goaway"] and reasons(pair, 1) == ["closed"]
    assert pair.peers[0].state == "idle" and not pair.of(1, Alarm)


def test_who_heard_goaway_comes_again_after_the_pause_it_was_told():
    pair = Pair().up()
    pair.peers[1].leave(pair.now_ns)
    pair.run(limits.LINK_GOAWAY_NS - 20 * MILLISECOND, 5 * MILLISECOND)
    assert pair.peers[0].state == "idle"
    pair.restart(1)
    pair.run(SECOND, 5 * MILLISECOND)
    assert [peer.state for peer in pair.peers] == ["up", "up"]


def test_a_session_closed_by_the_application_is_closed_at_once_on_both_connections():
    pair = Pair().up()
    pair.peers[1].close("revoked", pair.now_ns)
    assert pair.peers[1].wants_close(CONTROL) and pair.peers[1].wants_close(BULK)
    assert pair.peers[1].output(CONTROL, 1 << 20, pair.now_ns) == b""
    pair.settle()
    assert reasons(pair, 1) == ["revoked"] and pair.peers[1].session_id == b""


def test_silence_over_udp_is_suspected_after_fifty_milliseconds_and_trust_comes_back():
    pair = Pair().up()
    pair.run(100 * MILLISECOND)
    assert not any(peer.suspected for peer in pair.peers)
    pair.udp[0] = False
    pair.run(49 * MILLISECOND)
    assert not pair.of(1, Suspect)
    pair.run(20 * MILLISECOND)
    (suspicion,) = pair.of(1, Suspect)
    assert limits.LINK_SUSPECT_NS <= suspicion.silence_ns <= limits.LINK_SUSPECT_NS + 11 * MILLISECOND
    assert not pair.of(0, Suspect) and not pair.of(1, Down)
    pair.udp[0] = True
    pair.run(20 * MILLISECOND)
    assert len(pair.of(1, Trusted)) == 2 and not pair.peers[1].suspected


def test_a_broken_tcp_connection_is_not_taken_for_a_dead_node():
    pair = Pair(retry_first_ns=SECOND, retry_last_ns=2 * SECOND).up()
    pair.drop(CONTROL)
    pair.run(400 * MILLISECOND)
    assert pair.peers[0].state == "idle"
    assert not pair.of(0, Suspect) and not pair.of(1, Suspect)
    pair.run(2 * SECOND)
    assert pair.peers[0].state == "up" and not pair.of(0, Suspect) and not pair.of(1, Suspect)


def test_a_session_that_is_lost_is_one_failure_and_bulk_that_ends_with_it_is_none():
    pair = Pair(retry_first_ns=100 * MILLISECOND).up()
    for lost in range(4):
        pair.drop(CONTROL)
        pair.run((100 << lost) * MILLISECOND + 30 * MILLISECOND)
        assert pair.connected == {CONTROL, BULK}, f"after {lost + 1} losses it waits longer than it says"
    waits_ns = []
    for _ in range(2):
        pair.drop(BULK)
        lost_ns = pair.now_ns
        while BULK not in pair.connected:
            pair.run(MILLISECOND)
        waits_ns.append(pair.now_ns - lost_ns)
    assert waits_ns[0] <= 101 * MILLISECOND < waits_ns[1] <= 201 * MILLISECOND, "its own losses, and only they, are bulk's"


def test_frames_below_the_fence_are_dropped_and_answered_and_go_again_once_it_is_raised():
    pair = Pair().up()
    pair.peers[1].fence = 7
    pair.send(0, channel.EXECUTIONS, b"of the old epoch")
    pair.run(50 * MILLISECOND)
    assert pair.delivered(1, channel.EXECUTIONS) == []
    assert pair.peers[1].counters["fence"] >= 1
    assert pair.of(0, Fenced) == [Fenced(7)]
    assert pair.peers[0].fence == 0, "whether to follow is the application's to say"
    pair.peers[0].fence = 7
    pair.run(50 * MILLISECOND)
    assert pair.delivered(1, channel.EXECUTIONS) == [b"of the old epoch"]
    assert not pair.of(0, Down) and not pair.of(1, Down) and pair.peers[0].resting
    assert not pair.of(1, Suspect), "who is fenced off lives all the same"


def test_the_fence_is_known_to_the_next_session():
    pair = Pair().up()
    pair.peers[0].fence = 3
    pair.drop(CONTROL)
    pair.run(2 * SECOND)
    assert Fenced(3) in pair.of(1, Fenced)


def test_without_the_hours_secret_there_is_no_session_and_with_it_there_is_one_within_a_second():
    pair = Pair()
    hour = pair.now_ns // HOUR_NS
    pair.secrets.gone = {hour - 1, hour, hour + 1}
    pair.run(3 * SECOND, 5 * MILLISECOND)
    assert not pair.of(0, Up) and pair.peers[0].counters["no_secret"] > 0
    pair.secrets.gone = set()
    pair.run(SECOND, 5 * MILLISECOND)
    assert [peer.state for peer in pair.peers] == ["up", "up"]


def test_clocks_an_unlucky_half_minute_apart_are_refused_with_the_reason():
    pair = Pair()
    caller, called = pair.peers
    caller.opened(CONTROL, pair.now_ns)
    called.opened(CONTROL, pair.now_ns + 31 * SECOND)
    called.received(CONTROL, caller.output(CONTROL, 1 << 20, pair.now_ns), pair.now_ns + 31 * SECOND)
    assert called.counters["clock"] == 1 and called.wants_close(CONTROL)
    assert [event.reason for event in called.events() if isinstance(event, Alarm)] == ["CLOCK"]


def test_two_builds_that_lay_records_out_otherwise_have_no_session_and_both_say_why():
    pair = Pair(layouts=7)
    pair.settings["layouts"] = 8
    pair.restart(1)
    pair.send(0, channel.MARKET_DATA, b"rows of another layout")
    pair.run(2 * SECOND)
    assert [peer.state for peer in pair.peers] != ["up", "up"]
    for side in (0, 1):
        assert pair.peers[side].counters["layouts"] >= 2 and not pair.of(side, Up)
        alarms = pair.of(side, Alarm)
        assert alarms and {alarm.reason for alarm in alarms} == {"LAYOUTS"}
        assert all("install the same build on both sides" in alarm.detail for alarm in alarms)
    assert pair.delivered(1, channel.MARKET_DATA) == []
    pair.settings["layouts"] = 7
    pair.restart(1)
    pair.run(2 * SECOND)
    assert pair.delivered(1, channel.MARKET_DATA) == [b"rows of another layout"]


def test_the_same_calls_give_the_same_bytes():
    runs = []
    for _ in range(2):
        pair = Pair(seed=5).up()
        for message in range(40):
            pair.send(message % 2, message % 6, b"%d" % message, key=message)
            if message % 13 == 5:
                pair.drop(message % 2)
            pair.run(3 * MILLISECOND)
        runs.append(pair.recorded)
    assert runs[0] == runs[1]
