"""What the hostile achieve at keyd's sockets: nothing, and the listed are served meanwhile."""

import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from gateway import limits
from gateway.link.keys import keyd_wire
from gateway.link.keys.key_service import HOURLY, KeyRefusal, KeyRefused
from gateway.link.keys.keyd_access import Caller
from gateway.link.keys.keyd_desk import KeydDesk
from tests.link.key_desk import HOUR, Clock, vault_in
from tests.link.keyd_desk import SHORT_NS, Pairs, Start, local, make_pairs, raw, read_answer, remote, serving, wait_for


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return make_pairs(tmp_path)


@pytest.fixture
def start(tmp_path: Path, pairs: Pairs) -> Iterator[Start]:
    with serving(tmp_path, pairs) as start:
        yield start


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    monkeypatch.setattr(limits, "KEY_DEADLINE_NS", SHORT_NS)


GARBAGE = (
    b"GET / HTTP/1.1\r\nHost: keyd\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    bytes(1000),
    b"\xff" * 5000,
    struct.pack("<I", 5) + b"\xc1\xc1\xc1\xc1\xc1",
    struct.pack("<I", limits.KEY_MESSAGE_BYTES_MAX) + b"\x81" * limits.KEY_MESSAGE_BYTES_MAX,
    struct.pack("<I", 0),
    struct.pack("<I", 0xFFFFFFFF) + b"x" * 100,
)


@pytest.mark.slow
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_gets_a_reason_or_silence_and_others_are_served(tmp_path: Path, start: Start, garbage: bytes):
    server = start()
    with raw(tmp_path) as connection:
        connection.sendall(garbage)
        assert read_answer(connection)["ok"] is False
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(garbage)
        connection.settimeout(5)
        while True:
            try:
                if not connection.recv(4096):
                    break
            except ConnectionError:
                break
    assert len(local(tmp_path).wrapped(HOURLY, HOUR)) == 72
    assert server.counters["faults"] == 0


def test_a_connection_goes_on_after_a_refused_message_but_not_after_a_refused_length(tmp_path: Path, start: Start):
    start()
    with raw(tmp_path) as connection:
        connection.sendall(struct.pack("<I", 1) + b"\xc1" + keyd_wire.encode_request("authority", source=1))
        assert read_answer(connection) == {"ok": False, "reason": "MALFORMED"}
        assert read_answer(connection)["ok"] is True
        connection.sendall(struct.pack("<I", 1 << 20))
        assert read_answer(connection) == {"ok": False, "reason": "TOO_LARGE"}
        assert connection.recv(1) == b""


def test_who_drips_or_stalls_is_hung_up_on_at_the_deadline(tmp_path: Path, short: None, start: Start):
    server = start()
    request = keyd_wire.encode_request("authority", source=1)
    with raw(tmp_path) as stalled, raw(tmp_path) as dripping:
        stalled.sendall(request[:10])
        began = time.monotonic()
        with pytest.raises(OSError):
            for byte in request * 10:
                dripping.sendall(bytes([byte]))
                time.sleep(0.02)
        assert 0.2 < time.monotonic() - began < 3
        assert stalled.recv(1) == b""
    wait_for(lambda: server.counters["overdue"] == 2)
    assert len(local(tmp_path).wrapped(HOURLY, HOUR)) == 72


def test_who_reads_no_answers_is_hung_up_on(tmp_path: Path, short: None, start: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "KEY_IDLE_NS", SHORT_NS)
    server = start()
    with raw(tmp_path) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with pytest.raises(OSError):
            while True:
                connection.sendall(keyd_wire.encode_request("authority", source=1) * 100)
    wait_for(lambda: not server._clients)


def test_hundreds_of_half_handshakes_keep_no_listed_client_out(tmp_path: Path, start: Start, pairs: Pairs):
    server = start()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    halves: list[socket.socket] = []
    most_threads = 0
    try:
        for number in range(400):
            half = socket.create_connection(("127.0.0.1", server.port), 5)
            half.sendall(hello[: number % len(hello)])
            halves.append(half)
            if number % 100 == 50:
                began = time.monotonic()
                client = remote(server, pairs["paris"], pairs["keyd"])
                assert len(client.wrapped(HOURLY, HOUR)) == 72
                assert len(local(tmp_path).wrapped(HOURLY, HOUR)) == 72
                assert time.monotonic() - began < 1
                client.close()
            most_threads = max(most_threads, threading.active_count())
            if len(halves) > 150:
                halves.pop(0).close()
        assert server.counters["displaced"] > 100
        assert most_threads < 2 * limits.KEY_CONNECTIONS_MAX
    finally:
        for half in halves:
            half.close()


def test_one_caller_takes_not_every_place(tmp_path: Path, start: Start, pairs: Pairs):
    server = start()
    held = [raw(tmp_path) for _ in range(3 * limits.KEY_CONNECTIONS_MAX)]
    wait_for(lambda: len(server._clients) <= limits.KEY_CALLER_CONNECTIONS_MAX and server.counters["crowded"] > 0)
    assert len(remote(server, pairs["paris"], pairs["keyd"]).wrapped(HOURLY, HOUR)) == 72
    for connection in held:
        connection.close()
    wait_for(lambda: len(server._clients) <= 1)
    assert len(local(tmp_path).wrapped(HOURLY, HOUR)) == 72


def test_a_caller_above_its_rate_is_refused_and_others_are_not(tmp_path: Path, start: Start, pairs: Pairs):
    server = start()
    greedy = local(tmp_path)
    reasons = []
    for _ in range(limits.KEY_REQUESTS_BURST + 60):
        try:
            greedy.authority(1)
        except KeyRefused as refused:
            reasons.append(refused.reason)
    assert reasons and set(reasons) == {KeyRefusal.RATE}
    assert server.desk.counters["RATE"] == len(reasons)
    assert len(remote(server, pairs["paris"], pairs["keyd"]).wrapped(HOURLY, HOUR)) == 72
    time.sleep(0.1)
    assert greedy.authority(1)


def test_the_desk_has_an_answer_to_every_message(tmp_path: Path):
    now_ns = 0
    desk = KeydDesk(vault_in(tmp_path, Clock()), lambda: now_ns)
    chance = random.Random(7)
    good = keyd_wire.encode_request("unwrap", wrapped=bytes(72))[4:]
    seen = set()
    for seed in range(3000):
        now_ns += 10**9
        data = bytearray(good) if seed % 2 else bytearray(chance.randbytes(chance.randint(0, 300)))
        for _ in range(chance.randint(0, 3)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        answer = msgpack.unpackb(desk.answer(Caller("fuzzer", None), bytes(data))[4:])
        assert answer["ok"] is False, seed
        seen.add(answer["reason"])
    assert seen == {"MALFORMED", "DAMAGED"}


def test_a_flood_of_strangers_is_a_line_a_second_and_takes_no_memory(start: Start):
    server = start()
    for number in range(200):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.sendall(b"\xff" * 50)
        if number == 50:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wait_for(lambda: sum(server.counters[name] for name in ("strangers", "displaced", "broken")) >= 200)
    assert len(server.said) < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # KiB
