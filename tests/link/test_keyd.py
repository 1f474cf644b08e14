"""`gateway keyd` and `gateway link-keys` as processes: start, signals, restart, wrong words, one line for every mistake."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import clock
from gateway.cli import main
from gateway.link.keys import sealed_root, secret_file
from gateway.link.keys.key_address import open_key_service
from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefused, Wrapped, period_of
from gateway.link.keys.keyd_vault import KeydVault
from gateway.link.keys.keyring import Keyring
from gateway.link.keys.keyring_refresher import KeyringRefresher
from gateway.ops import privileges
from tests.link import key_certificates
from tests.link.key_desk import FAST, PASSPHRASE

ROOT = Path(__file__).resolve().parent.parent.parent
GATEWAY = (sys.executable, "-m", "gateway.cli.main")
START_SECONDS = 20
Here = Callable[..., tuple[int, str, str]]  # exit code, stdout, stderr


def environment(passphrase: bytes = PASSPHRASE) -> dict[str, str]:
    return {**os.environ, sealed_root.VARIABLE: passphrase.decode()}


def gateway(*words: object, passphrase: bytes = PASSPHRASE) -> subprocess.CompletedProcess[str]:
    command = [*GATEWAY, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=environment(passphrase), capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def keyd(*words: object, clean: bool = True) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """A running keyd and the line it said."""
    command = [*GATEWAY, "keyd", "--json", *map(str, words)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)
        if clean:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=START_SECONDS)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    KeydVault.create(path, PASSPHRASE, FAST)
    return path


def test_keyd_says_one_line_when_it_listens_and_ends_in_order(root: Path, tmp_path: Path):
    path = tmp_path / "keyd.sock"
    with keyd("--root", root, "--socket", path) as (process, line):
        assert line == {"listening": True, "process": process.pid, "socket": str(path), "port": None}
        hour = period_of(HOURLY, clock.utc_ns())
        service = open_key_service(f"unix:{path}")
        assert len(service.unwrap(service.wrapped(HOURLY, hour))) == 32
    assert not path.exists()


REFUSE_NEW_CODE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0 or sys.exit(77); "
REFUSE_NEW_CODE += "os.execv(sys.argv[1], sys.argv[1:])"


def test_keyd_tells_its_service_manager_when_it_listens_and_needs_no_new_code_for_it(root: Path, tmp_path: Path):
    """As under MemoryDenyWriteExecute= of its unit; here prctl(2), PR_SET_MDWE, and a child inherits it."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(START_SECONDS)
    words = ["keyd", "--root", str(root), "--socket", str(tmp_path / "keyd.sock"), "--allow", f"{os.geteuid()}=1"]
    process = subprocess.Popen(
        [sys.executable, "-c", REFUSE_NEW_CODE, *GATEWAY, *words],
        cwd=ROOT,
        env={**environment(), "NOTIFY_SOCKET": str(tmp_path / "notify")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with contextlib.closing(manager):
            with contextlib.suppress(subprocess.TimeoutExpired):
                if process.wait(0.5) == 77:
                    pytest.skip("this kernel has no PR_SET_MDWE (6.3)")
            assert manager.recv(64) == b"READY=1"
            service = open_key_service(f"unix:{tmp_path}/keyd.sock")
            assert len(service.unwrap(service.wrapped(HOURLY, period_of(HOURLY, clock.utc_ns())))) == 32
            process.send_signal(signal.SIGTERM)
            assert manager.recv(64) == b"STOPPING=1" and process.wait(START_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_at_once_ends_keyd_too(root: Path, tmp_path: Path, number: signal.Signals):
    for _ in range(3):
        with keyd("--root", root, "--socket", tmp_path / "keyd.sock", clean=False) as (process, _):
            process.send_signal(number)
            process.communicate(timeout=START_SECONDS)
            assert process.returncode == 0


def test_a_restart_even_after_a_kill_gives_equal_secrets_and_keeps_revocations(root: Path, tmp_path: Path):
    path = tmp_path / "keyd.sock"
    service = open_key_service(f"unix:{path}")
    hour = period_of(HOURLY, clock.utc_ns()) + 1
    with keyd("--root", root, "--socket", path, clean=False) as (process, _):
        kept = bytes(service.unwrap(service.wrapped(HOURLY, hour)))
        revoked = service.wrapped(HOURLY, hour + 1)
        assert service.revoke(HOURLY, hour + 1) == 2
        process.kill()
        process.wait()
        with pytest.raises(KeyRefused):
            service.wrapped(HOURLY, hour)
    assert path.exists(), "what is killed leaves its socket behind"
    with keyd("--root", root, "--socket", path):
        assert service.unwrap(service.wrapped(HOURLY, hour)) == kept
        assert Wrapped.unpack(service.wrapped(HOURLY, hour + 1)).generation == 2
        with pytest.raises(KeyRefused, match="revoked"):
            service.unwrap(revoked)


@pytest.mark.slow
def test_a_running_keyring_sees_a_revocation_and_an_outage_and_the_return(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.limits.KEY_POLL_NS", 250_000_000)  # below keyd's rate
    monkeypatch.setattr("gateway.limits.KEY_RETRY_NS", 250_000_000)
    path = tmp_path / "keyd.sock"
    keyring = Keyring(open_key_service(f"unix:{path}"), 1)
    refresher = KeyringRefresher(keyring)
    refresher.start()
    try:
        assert not keyring.risk_allowed(clock.utc_ns()) and "No such file" in keyring.problem
        with keyd("--root", root, "--socket", path):
            wait_until(lambda: keyring.risk_allowed(clock.utc_ns()))
            hour = period_of(HOURLY, clock.utc_ns()) + 1
            before = keyring.hourly(hour)
            done = gateway("link-keys", "revoke", f"unix:{path}", "--hour", hour, "--json")
            assert json.loads(done.stdout) == {"name": HOURLY, "period": hour, "generation": 2}
            wait_until(lambda: keyring.hourly(hour) not in (before, None))
            after = keyring.hourly(hour)
        wait_until(lambda: keyring.problem != "")
        assert keyring.risk_allowed(clock.utc_ns()) and keyring.hourly(hour) == after, "an outage takes nothing away"
        with keyd("--root", root, "--socket", path):
            wait_until(lambda: keyring.problem == "")
    finally:
        refresher.close()
    assert refresher.faults == 0


def wait_until(condition) -> None:
    until = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.02)


def test_a_refresher_survives_what_a_service_should_never_do():
    class Broken:
        def wrapped(self, name: str, period: int) -> bytes:
            raise ZeroDivisionError

    keyring = Keyring(Broken(), 1)  # type: ignore[arg-type]
    refresher = KeyringRefresher(keyring, lambda: 10**18)
    refresher.start()
    refresher.refresh_now()
    wait_until(lambda: refresher.faults >= 2)
    assert keyring.problem == "refresh failed: ZeroDivisionError"
    refresher.close()


@pytest.mark.slow
def test_gateways_of_other_hosts_are_served_over_tls_and_strangers_by_thousands_hinder_nobody(root: Path, tmp_path: Path):
    own, paris = (key_certificates.make(tmp_path, name) for name in ("keyd", "paris"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ("--listen", f"127.0.0.1:{port}", "--certificate", own.certificate, "--key", own.key)
    with keyd("--root", root, *words, "--allow-certificate", f"{paris.certificate}=1") as (process, line):
        assert line["port"] == port
        address = f"tls:127.0.0.1:{port},certificate={paris.certificate},key={paris.key},server={own.certificate}"
        day = period_of(DAILY, clock.utc_ns())
        held: list[socket.socket] = []
        slowest = 0.0
        for number in range(2000):
            held.append(socket.create_connection(("127.0.0.1", port), 10))
            held[-1].sendall(b"\x16\x03\x01"[: number % 4])
            if len(held) > 100:
                held.pop(0).close()
            if number % 250 == 0:
                began = time.monotonic()
                assert len(open_key_service(address).certify(1, bytes(32), day)) == 112
                slowest = max(slowest, time.monotonic() - began)
        for connection in held:
            connection.close()
        assert slowest < 1
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        assert int(resident.split()[1]) < 300_000, resident
        with pytest.raises(KeyRefused, match="may not ask"):
            open_key_service(address).certify(2, bytes(32), day)


def test_nobody_looks_into_keyd_from_before_it_has_its_passphrase(root: Path, tmp_path: Path):
    watched = (
        "import ctypes, sys; from gateway.cli import main; from gateway.link.keys import sealed_root\n"
        "dumpable = lambda: ctypes.CDLL(None).prctl(3)\n"  # PR_GET_DUMPABLE
        "print(dumpable())\n"
        "sealed_root.passphrase_of = lambda path: print(dumpable()) or sys.exit(0)\n"
        f"main.main(['keyd', '--root', {str(root)!r}, '--socket', {str(tmp_path / 'keyd.sock')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", watched], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1", "0"], done.stderr


def test_one_keyd_serves_a_root(root: Path, tmp_path: Path):
    with keyd("--root", root, "--socket", tmp_path / "one.sock"):
        second = gateway("keyd", "--root", root, "--socket", tmp_path / "two.sock")
        assert second.returncode == 5 and "another keyd serves" in second.stderr and second.stderr.count("\n") == 1


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """A command line in this process: (exit code, stdout, stderr). The process stays as it was."""
    monkeypatch.setattr(privileges, "hide", lambda: None)

    def here(*words: object, passphrase: bytes = PASSPHRASE) -> tuple[int, str, str]:
        monkeypatch.setenv(sealed_root.VARIABLE, passphrase.decode())
        code = main.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return here


def test_every_mistake_is_one_line_and_its_exit_code(root: Path, tmp_path: Path, here: Here):
    sock = tmp_path / "keyd.sock"
    loose = tmp_path / "loose"
    loose.write_bytes(root.read_bytes())
    (tmp_path / "loose.revocations").write_bytes((tmp_path / "root.revocations").read_bytes())
    loose.chmod(0o644)
    tls = ("--certificate", "a", "--key", "b", "--allow-certificate", "c=1")
    mistakes = (
        (("keyd", "--root", root), 2, "nobody could ask"),
        (("keyd", "--root", root, "--socket", sock, "--key", root), 2, "belong to --listen"),
        (("keyd", "--root", root, "--listen", "127.0.0.1:0"), 2, "--listen needs"),
        (("keyd", "--root", root, "--listen", "here", *tls), 2, "--listen: write ADDRESS:PORT"),
        (("keyd", "--root", root, "--allow", "root=1", "--listen", "127.0.0.1:0"), 2, "belongs to --socket"),
        (("keyd", "--root", root, "--socket", sock, "--allow", "root"), 2, "WHO=NODE"),
        (("keyd", "--root", tmp_path / "absent", "--socket", sock), 3, "No such file"),
        (("keyd", "--root", loose, "--socket", sock), 3, "chmod 600"),
        (("keyd", "--root", root, "--socket", sock, "--passphrase-file", loose), 3, "others may read"),
        (("keyd", "--root", root, "--socket", root), 4, "no socket"),
        (("link-keys", "show", tmp_path / "absent"), 3, "No such file"),
        (("link-keys", "root", root), 5, "there already"),
        (("link-keys", "try", f"unix:{sock}"), 5, "does not answer"),
        (("link-keys", "try", "carrier:pigeon"), 3, "unix:PATH"),
        (("link-keys", "revoke", f"unix:{sock}"), 2, "needs --hour N or --day N"),
        (("link-keys", "revoke", f"unix:{sock}", "--hour", "soon"), 2, "a number since 1970"),
        (("link-keys", "static", tmp_path / "x", "--day", "1"), 2, "belong to revoke"),
    )
    for words, code, text in mistakes:
        got, out, errors = here(*words)
        assert (got, out) == (code, ""), (words, errors)
        assert text in errors and errors.count("\n") == 1, (words, errors)
    got, _, errors = here("keyd", "--root", root, "--socket", sock, passphrase=b"not this passphrase")
    assert got == 5 and "wrong passphrase" in errors and errors.count("\n") == 1
    assert "not this passphrase" not in errors


@pytest.mark.slow
def test_link_keys_makes_what_keyd_and_the_peers_need(tmp_path: Path):
    root, static, phrase, sock = (tmp_path / name for name in ("root", "static", "phrase", "keyd.sock"))
    secret_file.create(phrase, PASSPHRASE, "passphrase")
    made = gateway("link-keys", "root", root, "--passphrase-file", phrase, "--json")
    assert json.loads(made.stdout) == {"files": [str(root), f"{root}.revocations"]}
    public = gateway("link-keys", "static", static).stdout
    assert gateway("link-keys", "show", static).stdout == public and len(public) == 45
    with keyd("--root", root, "--socket", sock, "--passphrase-file", phrase):
        tried = json.loads(gateway("link-keys", "try", f"unix:{sock}", "--json").stdout)
        assert tried["generation"] == 1 and tried["milliseconds"] < 2000
        revoked = gateway("link-keys", "revoke", f"unix:{sock}", "--day", "now")
        assert "generation 2 holds" in revoked.stderr
