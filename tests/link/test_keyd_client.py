"""keyd's client: whom it believes, when it gives up, and how a configuration names it."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ConfigurationError
from gateway.link.keys import keyd_wire
from gateway.link.keys.key_address import open_key_service
from gateway.link.keys.key_service import HOURLY, KeyRefusal, KeyRefused
from gateway.link.keys.keyd_client import KeydClient, unix_connector
from tests.link.key_desk import HOUR
from tests.link.keyd_desk import SHORT_NS, Pairs, Start, local, make_pairs, reason_of, remote, serving


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return make_pairs(tmp_path)


@pytest.fixture
def start(tmp_path: Path, pairs: Pairs) -> Iterator[Start]:
    with serving(tmp_path, pairs) as start:
        yield start


def test_a_client_believes_only_the_pinned_keyd(tmp_path: Path, start: Start, pairs: Pairs):
    server = start()
    assert reason_of(lambda: remote(server, pairs["paris"], pairs["stranger"]).authority(1)) is KeyRefusal.UNREACHABLE
    with pytest.raises(KeyRefused, match="another certificate than the pinned"):
        remote(server, pairs["paris"], pairs["keyd"], pin=bytes(32)).authority(1)


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


def test_a_service_is_named_in_one_word(tmp_path: Path, start: Start, pairs: Pairs):
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
