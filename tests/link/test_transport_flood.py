"""Strangers at the door without end: the peer gets in within a second beside them, and a missing descriptor ends nobody."""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import time

import pytest

from gateway import limits
from gateway.errors import CapabilityError
from gateway.link import descriptors
from gateway.link.frames import wire
from gateway.link.peers.acceptor import Acceptor
from gateway.link.transport import Transport
from tests.link.door import make

SECOND_NS = 1_000_000_000
CALLER, OWN, NOBODY = 1, 9, 12
ADDRESSES = 60  # times 32 pending ones of each: more than there may be in all


@contextlib.contextmanager
def at_most(soft):
    """So many open files of this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Meeting:
    """A door on loopback, a caller of it, and strangers who open connections, say half a message and stay."""

    def __init__(self):
        self.own, self.elsewhere = make(OWN, CALLER, False), make(OWN, NOBODY, True)
        self.acceptor = Acceptor({CALLER: self.own}, lambda host: None)
        peers, called = {CALLER: self.own, NOBODY: self.elsewhere}, {NOBODY: ("127.0.0.1", 9)}
        self.door = Transport(peers, self.acceptor, called, ("127.0.0.1", 0), time.time_ns)
        self.strangers, self.knocks = [], 0
        self.caller = make(CALLER, OWN, True)
        self.calling = None

    def call(self):
        where = {OWN: ("127.0.0.1", self.door.port())}
        self.calling = Transport({OWN: self.caller}, Acceptor({}, lambda host: None), where, None, time.time_ns)

    def knock(self, count):
        half = wire.PREFIX.pack(wire.HANDSHAKE_MAGIC, wire.VERSION, 1, 0, CALLER, OWN, 1) + b"half"
        for _ in range(count):
            stranger = socket.socket()
            stranger.bind((f"127.0.{1 + self.knocks % ADDRESSES}.1", 0))
            stranger.setblocking(False)
            stranger.connect_ex(("127.0.0.1", self.door.port()))
            with contextlib.suppress(OSError):
                stranger.send(half)
            self.strangers.append(stranger)
            self.knocks += 1

    def turn(self):
        self.door.wait(0.001, time.time_ns())
        list(self.own.events()), list(self.elsewhere.events())
        if self.calling is not None:
            self.calling.wait(0.001, time.time_ns())
            list(self.caller.events())

    def close(self):
        for one in self.strangers:
            one.close()
        self.door.close()
        if self.calling is not None:
            self.calling.close()


@pytest.fixture
def meeting():
    made = Meeting()
    yield made
    made.close()


def both_up(meeting):
    sides = (meeting.caller, meeting.own)
    return all(peer.state == "up" for peer in sides) and all(meeting.calling.is_connected(OWN, one) for one in (0, 1))


def test_the_peer_is_in_within_a_second_while_a_full_door_is_knocked_at_without_end(meeting):
    with at_most(min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 16_384)):
        while meeting.acceptor.pending < limits.LINK_PENDING_MAX:
            meeting.knock(50)
            meeting.turn()
        assert meeting.acceptor.counters["full"] > 0
        meeting.call()
        began, knocked = time.monotonic(), meeting.knocks
        while not both_up(meeting):
            assert time.monotonic() - began < 1.0, meeting.acceptor.counters
            meeting.knock(10)
            meeting.turn()
        assert meeting.knocks > knocked, "they went on knocking"


@pytest.mark.slow
def test_without_a_free_descriptor_strangers_give_way_to_each_other_and_we_go_on(meeting):
    free = os.dup(0)
    os.close(free)
    with at_most(free + 64):
        script = "import sys; from tests.link.test_transport_flood import knock_for; knock_for(*map(float, sys.argv[1:]))"
        words = [sys.executable, "-c", script, str(meeting.door.port()), "4"]
        with subprocess.Popen(words) as flood:
            while not meeting.acceptor.counters["full"]:
                assert flood.poll() is None, "the door was never full"
                meeting.turn()
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                meeting.turn()
            assert meeting.door.counters["called"] > 1 and meeting.elsewhere.state == "idle"
            flood.terminate()


def knock_for(port, seconds):
    """A flood of its own process: opens connections to a port and keeps them."""
    held, until, number = [], time.monotonic() + seconds, 0
    while time.monotonic() < until:
        one = socket.socket()
        one.bind((f"127.0.{1 + number % ADDRESSES}.1", 0))
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", int(port)))
        held.append(one)
        number += 1
        if len(held) > 500:
            held.pop(0).close()
        time.sleep(0.0005)


def test_a_call_that_finds_no_descriptor_has_failed_and_is_made_again(meeting):
    free = os.dup(0)
    os.close(free)
    with at_most(free):
        for _ in range(20):
            meeting.turn()
        assert meeting.door.counters["called"] >= 1 and meeting.elsewhere.state == "idle"
    before = meeting.door.counters["called"]
    until = time.monotonic() + 5
    while meeting.door.counters["called"] == before:
        assert time.monotonic() < until
        meeting.turn()


def test_the_link_takes_the_descriptors_that_a_full_door_needs_or_says_what_is_missing(monkeypatch):
    given = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: given.append(pair))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 4096))
    descriptors.provide(2048)
    assert given == [(2048, 4096)]
    descriptors.provide(512)
    assert len(given) == 1
    with pytest.raises(CapabilityError, match="LimitNOFILE=8192"):
        descriptors.provide(8192)
