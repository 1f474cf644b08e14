"""Who may begin a session: address, deadline and rate before any key, and the real peer gets in whoever else knocks."""

from random import Random

import pytest

from gateway import limits
from gateway.link.peers import channel, greeting
from gateway.link.peers.event import Alarm, Delivered
from gateway.link.peers.peer import Peer
from tests.link.door import BULK, CONTROL, Door, caller_first, make
from tests.link.pair import MILLISECOND, SECOND


def test_several_nodes_come_through_one_door_each_to_its_own_peer():
    door = Door()
    callers = [make(node, 9, True) for node in (1, 2, 3)]
    for caller in callers:
        door.carry(caller)
        caller.send(channel.CONTROL, b"from %d" % caller.settings.node, now_ns=door.now_ns)
        door.carry(caller)
    for node, peer in door.own.items():
        bodies = [event.message.body for event in peer.events() if isinstance(event, Delivered)]
        assert bodies == [b"from %d" % node] and peer.state == "up"
    assert door.acceptor.counters["adopted"] == 6 and door.acceptor.pending == 0


def test_an_address_that_is_not_allowed_is_refused_before_a_byte_is_read(monkeypatch: pytest.MonkeyPatch):
    door = Door()
    door.allowed["10.0.0.66"] = "not in the list"
    monkeypatch.setattr(greeting, "Responder", None)
    pending = door.acceptor.connection("10.0.0.66", door.now_ns)
    assert pending.refused == "address" and door.acceptor.counters["address"] == 1
    pending.received(bytes(260), door.now_ns)
    assert pending.output() == b"" and door.acceptor.pending == 0
    assert door.acceptor.datagram(bytes(100), "10.0.0.66", door.now_ns) is None
    assert door.acceptor.counters["address"] == 2


def test_nothing_is_computed_before_a_first_message_is_whole_and_names_a_node_of_ours(monkeypatch: pytest.MonkeyPatch):
    door = Door()
    monkeypatch.setattr(greeting, "Responder", None)
    stranger = make(4, 9, True)
    stranger.opened(CONTROL, door.now_ns)
    first = stranger.output(CONTROL, 1000, door.now_ns)
    for change, reason in (
        (first, "node"),
        (b"XX" + first[2:], "handshake_magic"),
        (first[:2] + b"\x09" + first[3:], "handshake_version"),
        (first[:30] + b"\x00\x01" + first[32:], "handshake_crc"),
        (first[:3] + b"\x02" + first[4:], "handshake_crc"),
        (b"GET / HTTP/1.1\r\n\r\n" * 20, "handshake_magic"),
    ):
        pending = door.acceptor.connection("10.0.0.1", door.now_ns)
        for byte in change[:-1]:
            pending.received(bytes([byte]), door.now_ns)
            if pending.refused:
                break
        pending.received(change[-1:], door.now_ns)
        assert pending.refused == reason and pending.output() == b""
    assert door.acceptor.counters["handshake_magic"] == 2


def test_who_says_too_little_is_refused_after_a_second():
    door = Door()
    pending = door.acceptor.connection("10.0.0.1", door.now_ns)
    pending.received(b"GH\x01", door.now_ns)
    assert door.acceptor.deadline_ns == door.now_ns + limits.LINK_HANDSHAKE_NS
    door.wait(limits.LINK_HANDSHAKE_NS - 1)
    assert pending.refused is None
    door.wait(1)
    assert pending.refused == "deadline" and door.acceptor.pending == 0


def test_a_wrong_static_key_is_refused_with_an_alarm_and_the_session_that_stands_goes_on():
    door = Door()
    caller, liar = make(1, 9, True), make(1, 9, True, key=7)
    door.carry(caller)
    pending = door.acceptor.connection("10.0.0.2", door.now_ns)
    liar.opened(CONTROL, door.now_ns)
    pending.received(liar.output(CONTROL, 1000, door.now_ns), door.now_ns)
    assert pending.refused == "handshake_tag"
    events = list(door.own[1].events())
    assert [event.reason for event in events if isinstance(event, Alarm)] == ["HANDSHAKE_TAG"]
    assert door.own[1].state == "up" and door.own[1].counters["handshake_tag"] == 1


def test_the_fifty_first_message_of_an_address_within_a_second_costs_no_cryptography():
    door = Door()
    liar = make(1, 9, True, key=7)
    reasons = []
    for _ in range(120):
        liar.opened(CONTROL, door.now_ns)
        pending = door.acceptor.connection("10.0.0.2", door.now_ns)
        pending.received(liar.output(CONTROL, 1000, door.now_ns), door.now_ns)
        reasons.append(pending.refused)
        door.now_ns += MILLISECOND
    assert reasons[:50] == ["handshake_tag"] * 50
    assert reasons.count("rate") >= 60
    door.wait(SECOND)
    pending = door.acceptor.connection("10.0.0.2", door.now_ns)
    liar.opened(CONTROL, door.now_ns)
    pending.received(liar.output(CONTROL, 1000, door.now_ns), door.now_ns)
    assert pending.refused == "handshake_tag"


def test_ten_thousand_half_handshakes_do_not_keep_the_real_peer_out():
    door = Door()
    random = Random(4)
    caller = make(1, 9, True)
    recorded = caller_first(door)
    refused = 0
    for knock in range(10_000):
        address = f"10.1.{random.randrange(40)}.{random.randrange(250)}" if knock % 4 else "10.0.0.1"
        pending = door.acceptor.connection(address, door.now_ns)
        if address != "10.0.0.1":
            pending.received(random.choice((b"", recorded[:200], recorded, random.randbytes(300))), door.now_ns)
        refused += pending.refused is not None
        assert door.acceptor.pending <= limits.LINK_PENDING_MAX
        if knock % 500 == 50:
            door.carry(caller)
            assert door.own[1].state == "up", "the real one comes in the middle of it, from an address that knocks, too"
            caller = replaced(caller, door)
        door.wait(MILLISECOND // 10)
    assert refused > 3000
    counters = door.acceptor.counters
    assert counters["full"] > 100 and counters["replayed"] + door.own[1].counters["replayed"] > 1000
    door.wait(2 * SECOND)
    assert door.acceptor.pending == 0 and not door.acceptor._of_address


def replaced(caller: Peer, door: Door) -> Peer:
    """The caller goes and comes again as another process."""
    for connection in (CONTROL, BULK):
        door.own[1].closed(connection, door.now_ns)
        door.sockets.pop((1, connection), None)
    list(door.own[1].events())
    door.now_ns += MILLISECOND
    return make(1, 9, True)


def test_datagrams_go_to_the_peer_of_the_node_they_name():
    door = Door()
    caller = make(1, 9, True)
    door.carry(caller)
    caller.tick(door.now_ns)
    (data,) = caller.datagrams(door.now_ns)
    assert door.acceptor.datagram(data, "10.0.0.1", door.now_ns) is door.own[1]
    assert door.acceptor.datagram(data, "10.0.0.1", door.now_ns) is None, "played again"
    assert door.acceptor.datagram(data[:6] + b"\x63\x00" + data[8:], "10.0.0.1", door.now_ns) is None
    assert door.acceptor.datagram(b"short", "10.0.0.1", door.now_ns) is None
    assert door.acceptor.counters["node"] == 1 and door.acceptor.counters["length"] == 1
