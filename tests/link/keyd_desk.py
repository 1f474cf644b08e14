"""keyd within a test: its server over a unix socket and TLS, its clients, and sockets for who is no client."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest

from gateway.link.keys import keyd_tls
from gateway.link.keys.key_service import KeyRefusal, KeyRefused
from gateway.link.keys.keyd_access import Access, Caller
from gateway.link.keys.keyd_client import KeydClient, tls_connector, unix_connector
from gateway.link.keys.keyd_desk import KeydDesk
from gateway.link.keys.keyd_server import KeydServer
from tests.link import key_certificates
from tests.link.key_certificates import Pair
from tests.link.key_desk import Clock, vault_in

SHORT_NS = 300_000_000
Pairs = dict[str, Pair]


class Serving(KeydServer):
    """A keyd of this process; `said` are its lines."""

    def __init__(self, folder: Path, pairs: Pairs, users: dict[int, Caller] | None, nodes: tuple[int, ...]):
        self.desk, self.said = KeydDesk(vault_in(folder, Clock())), list[str]()
        access = Access(users, {pairs["paris"].fingerprint: Caller("paris", frozenset(nodes))})
        context = keyd_tls.server_context(*pairs["keyd"], [pairs["paris"].certificate])
        super().__init__(self.desk, access, folder / "keyd.sock", ("127.0.0.1", 0), context, self.said.append)


Start = Callable[..., Serving]


def make_pairs(folder: Path) -> Pairs:
    """Certificates: keyd's own, one that it has pinned, one that nobody has."""
    return {name: key_certificates.make(folder, name) for name in ("keyd", "paris", "stranger")}


@contextlib.contextmanager
def serving(folder: Path, pairs: Pairs) -> Iterator[Start]:
    """Starts any number of them; closes them behind the test."""
    servers: list[Serving] = []

    def start(users: dict[int, Caller] | None = None, nodes: tuple[int, ...] = (1,)) -> Serving:
        servers.append(Serving(folder, pairs, users, nodes))
        return servers[-1]

    try:
        yield start
    finally:
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
