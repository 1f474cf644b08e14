"""Who is heard by keyd, over its unix socket and over TLS, and what they may ask."""

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import CapabilityError, ConfigurationError, UsageError
from gateway.link.keys import keyd_access, keyd_tls, keyd_wire
from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefusal
from gateway.link.keys.keyd_access import Access, Caller
from gateway.link.keys.keyd_client import KeydClient, tls_connector
from gateway.link.keys.keyd_desk import KeydDesk
from gateway.link.keys.keyd_server import KeydServer
from gateway.link.keys.keyring import Keyring
from tests.link import key_certificates
from tests.link.key_desk import DAY, HOUR, NOW_NS, Clock, flipped, vault_in
from tests.link.keyd_desk import (
    Pairs,
    Start,
    local,
    make_pairs,
    raw,
    reason_of,
    remote,
    serving,
    wait_for,
)


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return make_pairs(tmp_path)


@pytest.fixture
def start(tmp_path: Path, pairs: Pairs) -> Iterator[Start]:
    with serving(tmp_path, pairs) as start:
        yield start


def test_a_keyring_is_filled_over_the_unix_socket_and_over_tls(tmp_path: Path, start: Start, pairs: Pairs):
    server = start()
    here, there = Keyring(local(tmp_path), 2, (1,)), Keyring(remote(server, pairs["paris"], pairs["keyd"]), 1)
    for keyring in (here, there):
        keyring.refresh(NOW_NS)
        assert keyring.problem == "" and keyring.risk_allowed(NOW_NS)
    assert here.hourly(HOUR) == there.hourly(HOUR) is not None
    keys = there.day_keys(DAY)
    assert keys is not None and here.verified_key(keys.certificate, 1, DAY) == keys.public_key


def test_a_caller_may_certify_its_own_nodes_and_revoke_nothing(start: Start, pairs: Pairs):
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
    assert reason_of(lambda: client.unwrap(flipped(old))) is KeyRefusal.DAMAGED
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
        assert "not listed" in server.said[0]


def test_only_its_own_user_may_connect_where_no_other_is_listed(tmp_path: Path, start: Start):
    start()
    assert (tmp_path / "keyd.sock").stat().st_mode & 0o777 == 0o600


def test_tls_without_the_pinned_certificate_gets_nothing(tmp_path: Path, start: Start, pairs: Pairs):
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


def test_tls_of_an_older_version_is_refused(start: Start, pairs: Pairs):
    server = start()
    context = keyd_tls.client_context(*pairs["paris"], pairs["keyd"].certificate)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = KeydClient(tls_connector(("127.0.0.1", server.port), context, pairs["keyd"].fingerprint))
    assert reason_of(lambda: client.wrapped(HOURLY, HOUR)) is KeyRefusal.UNREACHABLE


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


def test_the_list_is_written_in_words_that_are_checked(pairs: Pairs, tmp_path: Path):
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
