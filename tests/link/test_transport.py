"""The link's sockets: what a listener that cannot be had says, what strangers cost, how bulk leaves a line to control."""

import socket
import time

import pytest

from gateway import limits
from gateway.link.peers.acceptor import Acceptor
from gateway.link.stream_socket import BULK_FLOOR_BYTES, StreamSocket
from gateway.link.transport import Transport
from tests.link.door import make


def transport(listen=("127.0.0.1", 0), allowed=lambda host: None):
    """A listener that knows nobody."""
    acceptor = Acceptor({}, allowed)
    return Transport({}, acceptor, {}, listen, time.time_ns), acceptor


def turns(one, until, seconds=5.0):
    """Turns until something holds."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        one.wait(0.01, time.time_ns())


def test_a_port_that_somebody_has_is_refused_and_leaves_nothing_open():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        transport(taken.getsockname())


def test_tcp_and_udp_have_the_same_number():
    one, _ = transport()
    with socket.create_connection(("127.0.0.1", one.port()), 5):
        turns(one, lambda: one.counters["accepted"] == 1)
    one.close()


@pytest.mark.slow
def test_a_stranger_who_says_nothing_is_hung_up_on_within_two_seconds():
    one, acceptor = transport()
    with socket.create_connection(("127.0.0.1", one.port()), 5) as stranger:
        stranger.setblocking(False)
        turns(one, lambda: acceptor.counters["deadline"] == 1, 3.0)
        stranger.settimeout(5)
        assert stranger.recv(1) == b""
    one.close()


def test_an_address_that_is_refused_is_closed_before_it_has_said_anything():
    one, acceptor = transport(allowed=lambda host: "ADDRESSES")
    with socket.create_connection(("127.0.0.1", one.port()), 5) as stranger:
        turns(one, lambda: acceptor.counters["address"] == 1)
        assert stranger.recv(1) == b""
    one.close()


def test_noise_on_the_udp_port_is_drained_a_bounded_number_at_a_time():
    one, _ = transport()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        noise.connect(("127.0.0.1", one.port()))
        for _ in range(100):
            noise.send(b"noise" * 20)
        turns(one, lambda: one.counters["datagrams_in"] == 100)
    one.close()


def silent_place():
    """A port whose kernel answers no SYN: its queue is full. (listener, what fills it)"""
    listener, waiting = socket.create_server(("127.0.0.1", 0), backlog=0), []
    while True:
        one = socket.socket()
        one.settimeout(0.2)
        try:
            one.connect(listener.getsockname())
        except TimeoutError:
            one.close()
            return listener, waiting
        waiting.append(one)


@pytest.mark.slow
def test_a_call_that_nobody_answers_is_made_anew_after_a_second_and_not_when_the_kernel_likes():
    listener, waiting = silent_place()
    peer = make(1, 9, True)
    one = Transport({9: peer}, Acceptor({}, lambda host: None), {9: listener.getsockname()}, None, time.time_ns)
    try:
        turns(one, lambda: one.counters["called"] == 2, 2.5)
        assert peer.state == "idle"
        for _ in waiting:
            listener.accept()[0].close()
        turns(one, lambda: one.is_connected(9, 0), 3.0)
    finally:
        one.close()
        for socket_ in (listener, *waiting):
            socket_.close()


def test_a_reader_that_does_not_read_makes_bulk_wait_and_not_grow():
    near, far = pair()
    stream = StreamSocket(near)
    sent = 0
    while room := stream.room(True, time.time_ns()):
        assert stream.write(bytes(min(room, 16_384)))
        sent += min(room, 16_384)
        if stream.waits:
            break
        assert sent <= limits.LINK_BULK_BYTES_MAX
    assert stream.waits or stream.room(True, time.time_ns()) == 0
    assert sent >= BULK_FLOOR_BYTES
    near.close()
    far.close()


def pair():
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far
