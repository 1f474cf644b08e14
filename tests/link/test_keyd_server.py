"""keyd's sockets in this process: who is heard, and that the hostile keep nobody who is listed from being served."""

import os
import random
import resource
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest

from gateway import limits
from gateway.errors import CapabilityError, ConfigurationError, UsageError
from gateway.link import keyd_access, keyd_tls, keyd_wire
from gateway.link.key_address import open_key_service
from gateway.link.key_service import DAILY, HOURLY, KeyRefusal, KeyRefused
from gateway.link.keyd_access import Access, Caller
from gateway.link.keyd_client import KeydClient, tls_connector, unix_connector
from gateway.link.keyd_desk import KeydDesk
from gateway.link.keyd_server import KeydServer
from gateway.link.keyring import Keyring
from tests.link import key_certificates
from tests.link.key_certificates import Pair
from tests.link.key_desk import DAY, HOUR, NOW_NS, Clock, vault_in

SHORT_NS = 300_000_000
Start = Callable[..., KeydServer]


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, Pair]:
    return {name: key_certificates.make(tmp_path, name) for name in ("keyd", "paris", "stranger")}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a test can wait for."""
    monkeypatch.setattr(limits, "KEY_DEADLINE_NS", SHORT_NS)


@pytest.fixture
def start(tmp_path: Path, pairs: dict[str, Pair]) -> Iterator[Start]:
    """Starts a server over a unix socket and TLS; `said` collects its lines."""
    servers: list[KeydServer] = []

    def start(users: dict[int, Caller] | None = None, nodes: tuple[int, ...] = (1,)) -> KeydServer:
        desk = KeydDesk(vault_in(tmp_path, Clock()))
        access = Access(users, {pairs["paris"].fingerprint: Caller("paris", frozenset(nodes))})
        context = keyd_tls.server_context(*pairs["keyd"], [pairs["paris"].certificate])
        said: list[str] = []
        server = KeydServer(desk, access, tmp_path / "keyd.sock", ("127.0.0.1", 0), context, said.append)
        server.said, server.desk = said, desk  # type: ignore[attr-defined]
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def local(tmp_path: Path) -> KeydClient:
    return KeydClient(unix_connector(tmp_path / "keyd.sock"))


def remote(server: KeydServer, own: Pair, keyd: Pair, pin: bytes = b"") -> KeydClient:
    context = keyd_tls.client_context(*own, keyd.certificate)
    return KeydClient(tls_connector(("127.0.0.1", server.port), context, pin or keyd.fingerprint))


def raw(tmp_path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(tmp_path / "keyd.sock"))  # waits where the queue is full
    connection.settimeout(5)
    return connection


def read_answer(connection: socket.socket) -> dict:
    head = connection.recv(4, socket.MSG_WAITALL)
    return msgpack.unpackb(connection.recv(struct.unpack("<I", head)[0], socket.MSG_WAITALL), strict_map_key=False)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)


def reason_of(call: Callable[[], object]) -> KeyRefusal:
    with pytest.raises(KeyRefused) as refused:
        call()
    assert "\n" not in str(refused.value)
    return refused.value.reason


def test_a_keyring_is_filled_over_the_unix_socket_and_over_tls(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
    server = start()
    here, there = Keyring(local(tmp_path), 2, (1,)), Keyring(remote(server, pairs["paris"], pairs["keyd"]), 1)
    for keyring in (here, there):
        keyring.refresh(NOW_NS)
        assert keyring.problem == "" and keyring.risk_allowed(NOW_NS)
    assert here.hourly(HOUR) == there.hourly(HOUR) is not None
    keys = there.day_keys(DAY)
    assert keys is not None and here.verified_key(keys.certificate, 1, DAY) == keys.public_key


def test_a_caller_may_certify_its_own_nodes_and_revoke_nothing(start: Start, pairs: dict[str, Pair]):
    paris = remote(start(), pairs["paris"], pairs["keyd"])
    assert len(paris.certify(1, bytes(32), DAY)) == 112
    assert reason_of(lambda: paris.certify(2, bytes(32), DAY)) is KeyRefusal.NOT_ALLOWED
    assert reason_of(lambda: paris.revoke(HOURLY, HOUR)) is KeyRefusal.NOT_ALLOWED
    assert paris.authority(2).keys() == {1}


def test_who_runs_keyd_may_revoke_and_every_reason_comes_through(tmp_path: Path, start: Start):
    start()
    client = local(tmp_path)
    old = client.wrapped(HOURLY, HOUR)
    assert client.revoke(HOURLY, HOUR) == 2
    assert reason_of(lambda: client.unwrap(old)) is KeyRefusal.REVOKED
    assert reason_of(lambda: client.wrapped(HOURLY, HOUR + 5)) is KeyRefusal.EARLY
    assert reason_of(lambda: client.wrapped(DAILY, DAY - 9)) is KeyRefusal.LATE
    assert reason_of(lambda: client.unwrap(old[:-1] + b"\0" + b"")) is KeyRefusal.DAMAGED
    assert reason_of(lambda: client.wrapped("weekly", 1)) is KeyRefusal.MALFORMED
    assert reason_of(lambda: client.certify(1, bytes(31), DAY)) is KeyRefusal.MALFORMED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("listed", [False, True])
def test_the_kernel_says_who_connects_and_who_is_not_listed_hears_nothing(tmp_path: Path, start: Start, listed: bool):
    server = start({65_534: Caller("nobody", frozenset((3,)))} if listed else {1: Caller("daemon", frozenset((1,)))})
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.chdir(tmp_path)  # the folders above are root's
        os.setresuid(65_534, 65_534, 65_534)
        try:
            connection = raw(Path())
            connection.sendall(keyd_wire.encode_request("authority", source=1))
            os._exit(2 if connection.recv(1) else 3)
        except OSError:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == (2 if listed else 3)
    assert server.counters["strangers"] == (0 if listed else 1)
    if not listed:
        assert "not listed" in server.said[0]  # type: ignore[attr-defined]


def test_only_its_own_user_may_connect_where_no_other_is_listed(tmp_path: Path, start: Start):
    start()
    assert (tmp_path / "keyd.sock").stat().st_mode & 0o777 == 0o600


def test_tls_without_the_pinned_certificate_gets_nothing(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
    server = start()
    child = key_certificates.make(tmp_path, "child", signer=pairs["paris"])  # paris vouches for a stranger
    for own in (pairs["stranger"], child):
        assert reason_of(lambda own=own: remote(server, own, pairs["keyd"]).wrapped(HOURLY, HOUR)) is KeyRefusal.UNREACHABLE
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    nameless = KeydClient(tls_connector(("127.0.0.1", server.port), context, pairs["keyd"].fingerprint))
    assert reason_of(lambda: nameless.wrapped(HOURLY, HOUR)) is KeyRefusal.UNREACHABLE
    wait_for(lambda: server.counters["strangers"] >= 3)
    assert server.counters["served"] == 0


def test_tls_of_an_older_version_is_refused(start: Start, pairs: dict[str, Pair]):
    server = start()
    context = keyd_tls.client_context(*pairs["paris"], pairs["keyd"].certificate)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = KeydClient(tls_connector(("127.0.0.1", server.port), context, pairs["keyd"].fingerprint))
    assert reason_of(lambda: client.wrapped(HOURLY, HOUR)) is KeyRefusal.UNREACHABLE


def test_a_client_believes_only_the_pinned_keyd(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
    server = start()
    assert reason_of(lambda: remote(server, pairs["paris"], pairs["stranger"]).authority(1)) is KeyRefusal.UNREACHABLE
    with pytest.raises(KeyRefused, match="another certificate than the pinned"):
        remote(server, pairs["paris"], pairs["keyd"], pin=bytes(32)).authority(1)


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


def test_hundreds_of_half_handshakes_keep_no_listed_client_out(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
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


def test_one_caller_takes_not_every_place(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
    server = start()
    held = [raw(tmp_path) for _ in range(3 * limits.KEY_CONNECTIONS_MAX)]
    wait_for(lambda: len(server._clients) <= limits.KEY_CALLER_CONNECTIONS_MAX and server.counters["crowded"] > 0)
    assert len(remote(server, pairs["paris"], pairs["keyd"]).wrapped(HOURLY, HOUR)) == 72
    for connection in held:
        connection.close()
    wait_for(lambda: len(server._clients) <= 1)
    assert len(local(tmp_path).wrapped(HOURLY, HOUR)) == 72


def test_a_caller_above_its_rate_is_refused_and_others_are_not(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
    server = start()
    greedy = local(tmp_path)
    reasons = []
    for _ in range(limits.KEY_REQUESTS_BURST + 60):
        try:
            greedy.authority(1)
        except KeyRefused as refused:
            reasons.append(refused.reason)
    assert reasons and set(reasons) == {KeyRefusal.RATE}
    assert server.desk.counters["RATE"] == len(reasons)  # type: ignore[attr-defined]
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
    wait_for(lambda: not server._clients)
    assert server.counters["strangers"] + server.counters["displaced"] + server.counters["broken"] >= 150
    assert len(server.said) < 20  # type: ignore[attr-defined]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # KiB


def test_a_client_connects_anew_after_keyd_was_started_anew(tmp_path: Path, start: Start):
    first = start()
    client = local(tmp_path)
    secret = client.unwrap(client.wrapped(HOURLY, HOUR))
    first.close()
    assert reason_of(lambda: client.wrapped(HOURLY, HOUR)) is KeyRefusal.UNREACHABLE
    second = start()
    assert client.unwrap(client.wrapped(HOURLY, HOUR)) == secret
    second.close()
    start()
    assert client.unwrap(client.wrapped(HOURLY, HOUR)) == secret, "the kept connection is replaced within the call"


def answering(path: Path, answer: bytes | None) -> socket.socket:
    """A false keyd: one answer to whatever comes, or none; listens until it is closed."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(8)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(4096)
            if answer is None:
                kept.append(connection)
                continue
            connection.sendall(answer)
            connection.close()

    kept: list[socket.socket] = []
    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, KeyRefusal.UNREACHABLE),
        (b"", KeyRefusal.UNREACHABLE),
        (b"\x05\0\0\0abc", KeyRefusal.UNREACHABLE),
        (b"\xff\xff\xff\xff", KeyRefusal.FAULT),
        (b"\x01\0\0\0\xc1", KeyRefusal.FAULT),
        (keyd_wire.encode_value({1: b"short"}), KeyRefusal.FAULT),
        (keyd_wire.encode_value({"1": bytes(32)}), KeyRefusal.FAULT),
        (keyd_wire.encode_value(7), KeyRefusal.FAULT),
        (keyd_wire.encode_refusal(KeyRefusal.RATE), KeyRefusal.RATE),
    ],
)
def test_whatever_a_false_keyd_answers_the_client_says_a_reason_in_time(
    tmp_path: Path, answer: bytes | None, reason: KeyRefusal
):
    listener = answering(tmp_path / "keyd.sock", answer)
    client = KeydClient(unix_connector(tmp_path / "keyd.sock"), SHORT_NS)
    began = time.monotonic()
    try:
        assert reason_of(lambda: client.authority(1)) is reason
        assert time.monotonic() - began < 1
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_socket_that_is_in_use_is_not_taken_and_a_dead_one_is(tmp_path: Path, start: Start):
    server = start()
    with pytest.raises(CapabilityError, match="listens at .* already"):
        start()
    server.close()
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(tmp_path / "keyd.sock"))
    dead.close()
    start()
    assert local(tmp_path).authority(1)
    desk = KeydDesk(vault_in(tmp_path, Clock()))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CapabilityError, match="no socket"):
        KeydServer(desk, Access(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_list_is_written_in_words_that_are_checked(pairs: dict[str, Pair], tmp_path: Path):
    assert keyd_access.parse_user("root=1,2") == (0, Caller("user root", frozenset((1, 2))))
    assert keyd_access.parse_user("1234=7")[0] == 1234
    path, fingerprint, caller = keyd_access.parse_certificate(f"{pairs['paris'].certificate}=1")
    assert (path, fingerprint) == (pairs["paris"].certificate, pairs["paris"].fingerprint)
    assert caller.nodes == frozenset((1,)) and not caller.may_revoke
    for text in ("root", "root=", "=1", "root=0", "root=65536", "root=a", "no_such_user_here=1"):
        with pytest.raises(UsageError):
            keyd_access.parse_user(text)
    for name, content in (
        ("none", b""),
        ("two", pairs["paris"].certificate.read_bytes() * 2),
        ("half", b"-----BEGIN CERTIFICATE"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError):
            keyd_access.read_certificate(tmp_path / name)
    with pytest.raises(ConfigurationError, match="No such file"):
        keyd_access.read_certificate(tmp_path / "absent")


def test_a_service_is_named_in_one_word(tmp_path: Path, start: Start, pairs: dict[str, Pair]):
    server = start()
    paris, keyd = pairs["paris"], pairs["keyd"]
    words = f"certificate={paris.certificate},key={paris.key},server={keyd.certificate}"
    for address in (f"unix:{tmp_path / 'keyd.sock'}", f"tls:127.0.0.1:{server.port},{words}"):
        assert open_key_service(address).authority(1).keys() == {1}
    for wrong in (
        "",
        "keyd",
        "unix:",
        "unix:/x,token=/y",
        "http://127.0.0.1",
        "tls:127.0.0.1:1",
        f"tls:nowhere,{words}",
        f"tls:127.0.0.1:1,{words},{words}",
        "vault:http://10.0.0.1:8200",
        "vault:https://10.0.0.1:8200,tokens=x",
    ):
        with pytest.raises(ConfigurationError) as raised:
            open_key_service(wrong)
        assert "\n" not in str(raised.value)
    paris.key.chmod(0o644)
    with pytest.raises(ConfigurationError, match="TLS key: others may read"):
        open_key_service(f"tls:127.0.0.1:{server.port},{words}")
