"""Files of keys: the sealed root and its revocations, static keys, passphrases; who may read them, and what was changed."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from gateway import limits
from gateway.errors import ConfigurationError, GatewayError
from gateway.link.keys import keyd_revocations, sealed_root, secret_file, static_key
from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefusal, KeyRefused, Wrapped
from gateway.link.keys.keyd_vault import KeydVault
from tests.link.key_desk import DAY, FAST, HOUR, HOUR_NS, PASSPHRASE, Clock, vault_in

ROOT = bytes(range(32))


def one_line(problem: BaseException) -> str:
    """The message; an error that people meet is one line."""
    assert "\n" not in str(problem)
    return str(problem)


def test_a_sealed_root_opens_with_its_passphrase_and_is_nowhere_in_the_file(tmp_path: Path):
    path = tmp_path / "root"
    secret_file.create(path, sealed_root.seal(ROOT, PASSPHRASE, FAST), "root")
    assert sealed_root.open_sealed(path, PASSPHRASE) == ROOT
    assert len(path.read_bytes()) == 104 == sealed_root.BYTES and ROOT not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sealed_root.seal(ROOT, PASSPHRASE, FAST) != path.read_bytes(), "salt and nonce are fresh each time"


def test_a_wrong_passphrase_is_one_line(tmp_path: Path):
    path = tmp_path / "root"
    sealed_root.create(path, PASSPHRASE, FAST)
    with pytest.raises(GatewayError, match="wrong passphrase") as raised:
        sealed_root.open_sealed(path, PASSPHRASE + b"!")
    assert PASSPHRASE.decode() not in one_line(raised.value)


def test_every_changed_byte_of_a_sealed_root_is_refused(tmp_path: Path):
    path = tmp_path / "root"
    sealed_root.create(path, PASSPHRASE, FAST)
    whole = path.read_bytes()
    for place in [*range(12), 12, 43, 44, 55, 56, 87, 88, 103]:
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(GatewayError) as raised:
            sealed_root.open_sealed(path, PASSPHRASE)
        one_line(raised.value)
    for size in (0, 1, 56, 103):
        path.write_bytes(whole[:size])
        with pytest.raises(GatewayError, match="is none"):
            sealed_root.open_sealed(path, PASSPHRASE)
    path.write_bytes(whole + b"\0")
    with pytest.raises(GatewayError, match="longer than"):
        sealed_root.open_sealed(path, PASSPHRASE)


@pytest.mark.parametrize(("place", "value"), [(8, 63), (8, 21), (8, 13), (9, 255), (10, 255), (10, 0), (11, 1)])
def test_a_forged_head_asks_for_no_endless_work(tmp_path: Path, place: int, value: int):
    path = tmp_path / "root"
    sealed_root.create(path, PASSPHRASE, FAST)
    changed = bytearray(path.read_bytes())
    changed[place] = value
    path.write_bytes(changed)
    with pytest.raises(ConfigurationError, match="is none"):
        sealed_root.open_sealed(path, PASSPHRASE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o644, 0o777])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int):
    root, static, phrase = (tmp_path / name for name in ("root", "static", "phrase"))
    KeydVault.create(root, PASSPHRASE, FAST)
    static_key.create(static)
    secret_file.create(phrase, PASSPHRASE, "passphrase")
    for path in (root, static, phrase, keyd_revocations.path_of(root)):
        path.chmod(mode)
    for read in (
        lambda: sealed_root.open_sealed(root, PASSPHRASE),
        lambda: static_key.read_private(static),
        lambda: sealed_root.passphrase_of(phrase),
    ):
        with pytest.raises(ConfigurationError, match="others may read .* chmod 600") as raised:
            read()
        one_line(raised.value)
    root.chmod(0o600)
    with pytest.raises(ConfigurationError, match="revocations: others may read"):
        KeydVault.open(root, PASSPHRASE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_refused(tmp_path: Path):
    path = tmp_path / "static"
    static_key.create(path)
    os.chown(path, 65_534, 65_534)
    with pytest.raises(ConfigurationError, match="not ours"):
        static_key.read_private(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    done = threading.Event()

    def read() -> None:
        with pytest.raises(ConfigurationError, match="no regular file"):
            static_key.read_private(pipe)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert done.wait(5), "it waits for a writer that never comes"
    with pytest.raises(ConfigurationError):
        static_key.read_private(tmp_path)
    with pytest.raises(ConfigurationError, match="No such file"):
        static_key.read_private(tmp_path / "absent")


def test_no_key_is_written_over_another(tmp_path: Path):
    KeydVault.create(tmp_path / "root", PASSPHRASE, FAST)
    static_key.create(tmp_path / "static")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(GatewayError, match="there already"):
        KeydVault.create(tmp_path / "root", PASSPHRASE, FAST)
    with pytest.raises(GatewayError, match="there already"):
        static_key.create(tmp_path / "static")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(GatewayError, match="there already"):
        static_key.create(tmp_path / "link")
    (tmp_path / "link").unlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_new_file_is_private_whatever_the_umask_is(tmp_path: Path):
    before = os.umask(0o000)
    try:
        static_key.create(tmp_path / "folder" / "static")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder" / "static").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


def test_a_static_key_reads_back_and_shows_its_public_half(tmp_path: Path):
    public = static_key.create(tmp_path / "static")
    private = static_key.read_private(tmp_path / "static")
    assert len(private) == 32 and static_key.public_of(private) == public != private
    assert static_key.parse_public(static_key.format_public(public)) == public


def test_the_public_key_is_the_one_of_rfc_7748():
    private = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")  # section 6.1, Bob
    assert static_key.public_of(private).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 43 + "=", "not base64 at all, but as long as a key, 44.", "é" * 44])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigurationError):
        static_key.parse_public(text)
    path = tmp_path / "static"
    secret_file.create(path, text.encode() + b"\n", "static key")
    with pytest.raises(ConfigurationError) as raised:
        static_key.read_private(path)
    one_line(raised.value)


def test_a_passphrase_comes_from_a_file_or_the_environment_and_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    secret_file.create(tmp_path / "phrase", PASSPHRASE + b"\n", "passphrase")
    assert sealed_root.passphrase_of(tmp_path / "phrase") == PASSPHRASE
    monkeypatch.setenv(sealed_root.VARIABLE, PASSPHRASE.decode())
    assert sealed_root.passphrase_of(None) == PASSPHRASE
    assert sealed_root.VARIABLE not in os.environ
    with pytest.raises(ConfigurationError, match="--passphrase-file FILE, or GATEWAY_KEYD_PASSPHRASE"):
        sealed_root.passphrase_of(None)
    monkeypatch.setenv(sealed_root.VARIABLE, "short")
    with pytest.raises(ConfigurationError, match="12 to 1024"):
        sealed_root.passphrase_of(None)


def test_a_restart_gives_the_same_secrets_and_certificates_count_on(tmp_path: Path):
    clock = Clock()
    before, after = vault_in(tmp_path, clock), None
    wrapped = before.wrapped(HOURLY, HOUR)
    secrets = [before.unwrap(before.wrapped(HOURLY, HOUR + n)) for n in range(-1, 3)]
    certificate = before.certify(1, bytes(32), DAY)
    before.close()
    after = vault_in(tmp_path, clock)
    assert [after.unwrap(after.wrapped(HOURLY, HOUR + n)) for n in range(-1, 3)] == secrets
    assert after.unwrap(wrapped) == secrets[1]
    assert after.certify(1, bytes(32), DAY) == certificate
    (tmp_path / "other").mkdir()
    other = vault_in(tmp_path / "other", clock)
    assert other.unwrap(other.wrapped(HOURLY, HOUR)) != secrets[1]
    with pytest.raises(KeyRefused, match="did not wrap that"):
        other.unwrap(wrapped)


def test_a_revocation_outlives_a_restart(tmp_path: Path):
    clock = Clock()
    vault = vault_in(tmp_path, clock)
    old = vault.wrapped(HOURLY, HOUR)
    secret = vault.unwrap(old)
    assert vault.revoke(HOURLY, HOUR) == 2
    for each in (vault, vault_in(tmp_path, clock)):
        with pytest.raises(KeyRefused) as refused:
            each.unwrap(old)
        assert refused.value.reason is KeyRefusal.REVOKED
        fresh = each.wrapped(HOURLY, HOUR)
        assert Wrapped.unpack(fresh).generation == 2 and each.unwrap(fresh) != secret
    assert vault.revoke(HOURLY, HOUR) == 3
    assert Wrapped.unpack(vault.wrapped(HOURLY, HOUR + 1)).generation == 1
    assert Wrapped.unpack(vault.wrapped(DAILY, DAY)).generation == 1


def test_a_changed_or_absent_file_of_revocations_keeps_keyd_from_starting(tmp_path: Path):
    clock = Clock()
    vault_in(tmp_path, clock).revoke(HOURLY, HOUR)
    path = tmp_path / "root.revocations"
    whole = path.read_bytes()
    said = json.loads(whole.splitlines()[0])
    assert said == {f"hourly/{HOUR}": 2}
    for changed in (b"", b"{}\n", whole.replace(b": 2", b": 1"), whole[:-2], b"{}" + whole[whole.index(b"\n") :]):
        path.write_bytes(changed)
        with pytest.raises(GatewayError, match="was changed") as raised:
            vault_in(tmp_path, clock)
        one_line(raised.value)
    path.unlink()
    with pytest.raises(ConfigurationError, match="revocations: .*No such file"):
        vault_in(tmp_path, clock)


def test_revocations_of_periods_that_are_over_are_forgotten_and_their_number_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock()
    vault = vault_in(tmp_path, clock)
    for hour in range(50):
        vault.revoke(HOURLY, HOUR + hour)
        clock.advance(HOUR_NS)
    kept = json.loads((tmp_path / "root.revocations").read_bytes().splitlines()[0])
    assert len(kept) == limits.KEY_HOURS_BACK + 1
    monkeypatch.setattr(limits, "KEY_REVOCATIONS_MAX", len(kept) - 1)
    with pytest.raises(KeyRefused) as refused:
        vault.revoke(DAILY, DAY + 2)
    assert refused.value.reason is KeyRefusal.FULL


def test_a_revocation_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vault = vault_in(tmp_path, Clock())

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keyd_revocations.durable_file, "replace", full)
    with pytest.raises(KeyRefused, match="No space left"):
        vault.revoke(HOURLY, HOUR)
    assert Wrapped.unpack(vault.wrapped(HOURLY, HOUR)).generation == 1
