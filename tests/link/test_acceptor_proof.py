"""What a connection must prove before it takes another's place, and what it cannot touch until then."""

from gateway.link.frames import wire
from gateway.link.peers import channel
from gateway.link.peers.acceptor import Acceptor
from gateway.link.peers.event import Delivered, Down, Up
from tests.link.door import BULK, CONTROL, Door, caller_first, make
from tests.link.pair import BEGIN_NS, MILLISECOND, Pair


def test_a_first_message_that_was_replayed_takes_nothing_from_the_session_that_stands():
    door = Door()
    first = caller_first(door)
    caller = make(1, 9, True)
    door.carry(caller)
    session_id = door.own[1].session_id
    for peer in (door.own[1], make(9, 1, False)):  # the same process, and one that has just begun
        door.acceptor.peers = {1: peer}
        pending = door.acceptor.connection("10.0.0.3", door.now_ns)
        pending.received(first, door.now_ns)
        pending.received(bytes(200), door.now_ns)
        assert pending.adopted is None and pending.refused in ("replayed", "length", "header_crc")
        door.wait(MILLISECOND)
    assert door.own[1].session_id == session_id and door.own[1].state == "up"
    assert not [event for event in door.own[1].events() if isinstance(event, Down) and event.reason != "closed"]


def test_a_newer_connection_of_the_same_node_takes_the_place_of_one_that_hangs():
    door = Door()
    caller = make(1, 9, True)
    door.carry(caller)
    caller.send(channel.EXECUTIONS, b"one", now_ns=door.now_ns)
    door.carry(caller)
    caller.closed(CONTROL, door.now_ns)  # it has heard of the loss; the door has not
    door.sockets.clear()
    caller.send(channel.EXECUTIONS, b"two", now_ns=door.now_ns)
    for _ in range(40):
        door.wait(10 * MILLISECOND)
        caller.tick(door.now_ns)
        door.carry(caller)
    events = list(door.own[1].events())
    assert [event.message.body for event in events if isinstance(event, Delivered)] == [b"one", b"two"]
    assert [event.resumed for event in events if isinstance(event, Up)] == [False, True]
    assert [event.reason for event in events if isinstance(event, Down)] == ["replaced"]


def test_a_node_that_we_call_is_not_answered_when_it_calls():
    caller, called = make(1, 9, True), make(9, 1, True)
    acceptor = Acceptor({1: called}, lambda address: None)
    pending = acceptor.connection("10.0.0.1", BEGIN_NS)
    caller.opened(CONTROL, BEGIN_NS)
    pending.received(caller.output(CONTROL, 1000, BEGIN_NS), BEGIN_NS)
    assert pending.refused == "node" and called.state == "idle"


def test_what_a_connection_says_before_it_has_proved_itself_touches_no_session():
    door = Door()
    caller = make(1, 9, True)
    door.carry(caller)
    double = make(1, 9, True)
    door.now_ns += MILLISECOND
    double.opened(CONTROL, door.now_ns)
    pending = door.acceptor.connection("10.0.0.2", door.now_ns)
    pending.received(double.output(CONTROL, 1000, door.now_ns), door.now_ns)
    double.received(CONTROL, pending.output(), door.now_ns)
    frame = bytearray(double.output(CONTROL, 1 << 20, door.now_ns))
    frame[40] ^= 1
    frame[-4:] = wire.crc32(bytes(frame[32:-4])).to_bytes(4, "little")
    pending.received(bytes(frame), door.now_ns)
    assert pending.refused == "tag" and pending.adopted is None
    assert door.own[1].state == "up" and door.own[1].counters["tag"] == 1
    caller.send(channel.CONTROL, b"still here", now_ns=door.now_ns)
    door.carry(caller)
    assert [event.message.body for event in door.own[1].events() if isinstance(event, Delivered)] == [b"still here"]


def test_who_lays_records_out_otherwise_and_goes_on_all_the_same_takes_no_place():
    door = Door()
    caller = make(1, 9, True)
    door.carry(caller)
    session_id = door.own[1].session_id
    double = make(1, 9, True, layouts=1)
    door.now_ns += MILLISECOND
    double.opened(CONTROL, door.now_ns)
    lane = double._session.arriving[CONTROL]
    lane.settings = caller.settings  # it has said what it is, and takes no notice of the answer
    pending = door.acceptor.connection("10.0.0.2", door.now_ns)
    pending.received(double.output(CONTROL, 1000, door.now_ns), door.now_ns)
    assert door.own[1].counters["layouts"] == 1 and pending.refused is None, "it is told why by the answer"
    double.received(CONTROL, pending.output(), door.now_ns)
    pending.received(double.output(CONTROL, 1 << 20, door.now_ns), door.now_ns)
    assert pending.adopted is None and pending.refused == "layouts"
    assert door.own[1].state == "up" and door.own[1].session_id == session_id


def test_a_bulk_connection_of_another_session_is_refused():
    pair = Pair().up()
    other = make(1, 2, True)
    other._session.session_id = bytes(range(16))
    other.opened(BULK, pair.now_ns)
    acceptor = Acceptor({1: pair.peers[1]}, lambda address: None)
    pending = acceptor.connection("10.0.0.1", pair.now_ns)
    pair.now_ns += MILLISECOND
    pending.received(other.output(BULK, 1000, pair.now_ns), pair.now_ns)
    assert pending.refused == "session"
