"""What the process does about what a peer tells: who may stand after the handshake, on either connection, what is said."""

import io
from types import SimpleNamespace

import pytest

from gateway.link.frames.wire import BULK, CONTROL
from gateway.link.peers.event import Fenced, Joined, Up
from gateway.link.process import LinkStage
from gateway.ops.log import Log
from tests.link.access_desk import NOW, PEER, Gatehouse
from tests.link.pair import Pair

HOME, ELSEWHERE, OTHERS = "192.0.2.20", "192.0.2.21", "198.51.100.7"  # the last one is peer 4's


class Place:
    """The process's own methods over real access files and a peer that is up; addresses are said here."""

    def __init__(self, folder):
        self.gatehouse, self.pair = Gatehouse(folder), Pair().up()
        self.gatehouse.open(NOW)
        self.addresses = {CONTROL: HOME, BULK: HOME}
        self.attached, self.heard = [], io.StringIO()
        transport = SimpleNamespace(address_of=lambda node, connection=CONTROL: self.addresses[connection])
        server = SimpleNamespace(subscribers={}, attach=lambda peer, node, address: self.attached.append((node, address)))
        parts = SimpleNamespace(transport=transport, server=server, incoming={}, names={PEER: "paris"})
        parts.peers, parts.access = {PEER: self.pair.peers[1]}, self.gatehouse.access
        self.stage = LinkStage.__new__(LinkStage)
        self.stage.parts, self.stage.log = parts, Log("link", out=self.heard)
        self.stage.status = SimpleNamespace(sessions=0, losses=0, alarms=0, last_alarm="")

    def tell(self, event):
        self.stage._on_event(PEER, event, NOW)
        return self.pair.peers[1].state


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.gatehouse.close()


UP, BULK_JOINED = Up(bytes(16), False), Joined(BULK)


def test_a_session_from_its_own_networks_stands_and_may_ask_for_streams(place):
    assert place.tell(UP) == "up" and place.tell(BULK_JOINED) == "up"
    assert place.attached == [(PEER, HOME)] and not place.stage.status.alarms
    assert sum(b'"handshake"' in line for line in place.gatehouse.journal()) == 1


@pytest.mark.parametrize("connection", [CONTROL, BULK])
def test_a_connection_from_the_networks_of_another_peer_ends_the_session_with_an_alarm(place, connection):
    place.addresses[connection] = OTHERS
    assert place.gatehouse.access.admit(OTHERS, NOW) is None, "before the handshake it could be peer 4"
    assert (place.tell(UP) if connection == CONTROL else place.tell(UP) and place.tell(BULK_JOINED)) == "idle"
    assert place.stage.status.last_alarm.startswith("paris: ADDRESS") and OTHERS in place.stage.status.last_alarm
    assert place.attached == ([] if connection == CONTROL else [(PEER, HOME)])
    assert b'"reason": "ADDRESS"' in place.gatehouse.journal()[-1]


def test_bulk_may_come_from_another_address_of_the_same_peer_and_that_is_journalled(place):
    place.addresses[BULK] = ELSEWHERE
    assert place.tell(UP) == "up" and place.tell(BULK_JOINED) == "up"
    assert ELSEWHERE.encode() in place.gatehouse.journal()[-1] and not place.stage.status.alarms


def test_a_connection_that_is_gone_already_raises_no_alarm_and_opens_nothing(place):
    place.addresses = {CONTROL: "", BULK: ""}
    assert place.tell(UP) == "idle" and not place.attached and not place.stage.status.alarms


def test_a_bulk_connection_that_is_gone_already_ends_no_session(place):
    place.addresses[BULK] = ""
    assert place.tell(UP) == "up" and place.tell(BULK_JOINED) == "up"


def test_a_peer_that_is_ahead_of_our_fence_is_an_alarm_that_says_what_waits(place):
    place.tell(Fenced(7))
    assert place.stage.status.alarms == 1 and "fence 7" in place.heard.getvalue()
