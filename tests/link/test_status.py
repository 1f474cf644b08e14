"""What the process link shows: every figure is one that something has counted, over real sockets."""

import json
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from gateway.instance import Instance
from gateway.link.keys.keyring import Keyring
from gateway.link.peers.acceptor import Acceptor
from gateway.link.peers.channel import CONTROL
from gateway.link.status import SHOWN, Status
from gateway.link.transport import Transport
from tests.link.door import make
from tests.stage_bench import unique_name

NEAR, FAR = 1, 9


@pytest.fixture
def parts(tmp_path):
    """Both ends of a session on loopback; what the status of the near one looks at."""
    instance = Instance.create(unique_name("status"))
    near, far = make(NEAR, FAR, True), make(FAR, NEAR, False)
    door = Transport({NEAR: far}, Acceptor({NEAR: far}, lambda host: None), {}, ("127.0.0.1", 0), time.time_ns)
    acceptor = Acceptor({}, lambda host: None)
    transport = Transport({FAR: near}, acceptor, {FAR: ("127.0.0.1", door.port())}, None, time.time_ns)
    keys = Keyring(None, NEAR)  # nothing was asked of a service yet
    access, server = SimpleNamespace(counters=Counter()), SimpleNamespace(subscribers={}, counters=Counter())
    shown = SimpleNamespace(
        peers={FAR: near}, names={FAR: "far"}, incoming={}, instance=instance, folder=tmp_path, keyring=keys
    )
    shown.transport, shown.acceptor, shown.access, shown.server = transport, acceptor, access, server
    shown.settings = SimpleNamespace(node=NEAR)
    until = time.monotonic() + 5
    while not (near.state == far.state == "up" and near.counters["frames_in"] > 5):
        assert time.monotonic() < until
        near.send(CONTROL, b"something", now_ns=time.time_ns())
        for one, peer in ((transport, near), (door, far)):
            one.wait(0.001, time.time_ns())
            list(peer.events())
    yield shown
    transport.close()
    door.close()
    instance.close(remove=True)


def test_the_region_shows_what_the_peer_has_counted(parts):
    Status(parts).show(time.time_ns())
    state = parts.instance.regions["link"].view("link_state")[0]
    counters = parts.peers[FAR].counters
    assert {name: int(state[name]) for name in SHOWN} == {name: counters[counter] for name, counter in SHOWN.items()}
    assert int(state["frames_sent"]) > 5 and int(state["frames_received"]) > 5 and int(state["bytes_sent"]) > 400
    assert 0 < int(state["round_trip_ns"]) < 1_000_000_000


def test_the_file_holds_the_same_and_how_far_the_peer_is(parts):
    Status(parts).show(time.time_ns())
    document = json.loads((parts.folder / "status.json").read_text())
    peer = document["peers"]["far"]
    assert peer["state"] == "up" and peer["round_trip_us"] > 0 and peer["counters"]["frames_out"] > 5
