"""Who may begin a session: address, deadline and rate before any key, and the real peer gets in whoever else knocks."""

from random import Random

import pytest

from gateway import limits
from gateway.link import channel, greeting, wire
from gateway.link.acceptor import Acceptor, Pending
from gateway.link.event import Alarm, Delivered, Down, Up
from gateway.link.peer import Peer
from gateway.link.peer_settings import PeerSettings
from tests.link.pair import BEGIN_NS, MILLISECOND, SECOND, Hours, Pair, private_key, public_key

CONTROL, BULK = wire.CONTROL, wire.BULK


def make(node: int, remote: int, initiator: bool, key: int | None = None) -> Peer:
    random = Random(node * 1000 + remote)
    settings = PeerSettings(
        node=node,
        remote_node=remote,
        initiator=initiator,
        boot_id=random.randbytes(16),
        private_key=private_key(key or node),
        remote_public_key=public_key(remote),
    )
    return Peer(settings, Hours(), random.randbytes)


class Door:
    """An acceptor at node 9 for nodes 1 to 3, and one caller's sockets by connection."""

    def __init__(self) -> None:
        self.now_ns = BEGIN_NS
        self.own = {node: make(9, node, False) for node in (1, 2, 3)}
        self.allowed: dict[str, str] = {}
        self.acceptor = Acceptor(self.own, self.allowed.get)
        self.sockets: dict[tuple[int, int], Pending] = {}

    def call(self, caller: Peer, connection: int, address: str = "10.0.0.1") -> Pending:
        pending = self.acceptor.connection(address, self.now_ns)
        self.sockets[caller.settings.node, connection] = pending
        caller.opened(connection, self.now_ns)
        return pending

    def carry(self, caller: Peer) -> None:
        """Everything between this caller and the door moves until it rests."""
        own = self.own.get(caller.settings.node)
        for _ in range(50):
            for connection in (CONTROL, BULK):
                if caller.wants(connection, self.now_ns):
                    self.call(caller, connection)
                pending = self.sockets.get((caller.settings.node, connection))
                if pending is None:
                    continue
                data = caller.output(connection, 1 << 20, self.now_ns)
                back = b""
                if pending.adopted:
                    assert own is not None
                    own.received(connection, data, self.now_ns)
                    back = own.output(connection, 1 << 20, self.now_ns)
                else:
                    if data:
                        pending.received(data, self.now_ns)
                    back = pending.output()
                if pending.refused:
                    caller.closed(connection, self.now_ns)
                    del self.sockets[caller.settings.node, connection]
                elif back:
                    caller.received(connection, back, self.now_ns)

    def wait(self, duration_ns: int) -> None:
        self.now_ns += duration_ns
        self.acceptor.tick(self.now_ns)
        for peer in self.own.values():
            peer.tick(self.now_ns)


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


def caller_first(door: Door) -> bytes:
    """A genuine first message that somebody has recorded; its session came and went."""
    caller = make(1, 9, True)
    caller.opened(CONTROL, door.now_ns)
    first = caller.output(CONTROL, 1000, door.now_ns)
    pending = door.acceptor.connection("10.0.0.1", door.now_ns)
    pending.received(first, door.now_ns)
    caller.received(CONTROL, pending.output(), door.now_ns)
    pending.received(caller.output(CONTROL, 1 << 20, door.now_ns), door.now_ns)
    assert pending.adopted
    door.own[1].closed(CONTROL, door.now_ns)
    door.now_ns += MILLISECOND
    return first


def replaced(caller: Peer, door: Door) -> Peer:
    """The caller goes and comes again as another process."""
    for connection in (CONTROL, BULK):
        door.own[1].closed(connection, door.now_ns)
        door.sockets.pop((1, connection), None)
    list(door.own[1].events())
    door.now_ns += MILLISECOND
    return make(1, 9, True)


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
