"""`gateway link-token` and `gateway link-sign`: what they make is what the link accepts, and every mistake is one line."""

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main as command
from gateway.link.rights import addresses, roles, signed_file, token_keys, tokens
from gateway.link.rights.journal import Journal
from gateway.link.rights.journal_file import JournalFile
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_store import TokenStore
from tests.link import access_desk as desk
from tests.link.key_desk import Clock, vault_in
from tests.link.test_journal import GRANT

SESSION = desk.SESSION.hex()


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Keys of desk-7 for yesterday, today and tomorrow."""
    today = token_keys.day_of(time.time_ns())
    held = {today + offset: bytes([offset + 2]) * 32 for offset in (-1, 0, 1)}
    token_keys.write_keys(tmp_path / "desk-7.keys", token_keys.CarriedKeys("desk-7", held))
    return tmp_path / "desk-7.keys"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command; argparse's own refusals too."""
    try:
        code = command.main([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def words(keys_file: Path) -> list[object]:
    request = ["--stream", "snapshots", "--node", 3, "--binding", SESSION, "--role-bits", "0x1"]
    return ["link-token", "--keys", keys_file, *request]


def test_a_minted_token_is_one_that_the_link_accepts(keys_file: Path, capsys: Any) -> None:
    code, out, _ = run(capsys, *words(keys_file))
    data, held = base64.b64decode(out), token_keys.read_keys(keys_file)
    asked = desk.expected(payload=b"")
    found = tokens.verify(data, asked, held, TokenStore(desk.Marks()), time.time_ns())
    assert code == 0 and isinstance(found, tokens.Token) and found.name == "desk-7"


@pytest.mark.slow
def test_a_token_is_checked_by_mac_and_time(keys_file: Path, capsys: Any) -> None:
    code, out, _ = run(capsys, *words(keys_file), "--json", "--ttl", 1)
    made = json.loads(out)
    assert code == 0 and made["streams"] == ["snapshots"] and made["node"] == 3
    check = ["link-token", "--keys", keys_file, "--json", "--check"]
    code, out, _ = run(capsys, *check, made["token"])
    assert (code, json.loads(out)["ok"]) == (0, True)
    damaged = bytearray(base64.b64decode(made["token"]))
    damaged[44] ^= 4
    code, out, _ = run(capsys, *check, base64.b64encode(damaged).decode())
    assert (code, json.loads(out)["reason"]) == (1, Reason.MAC)
    time.sleep(max((made["expires_ns"] - time.time_ns()) / 1e9, 0) + 0.01)
    code, out, _ = run(capsys, *check[:3], "--check", made["token"])
    assert code == 1 and "EXPIRED" in out
    ended = datetime.fromtimestamp(made["expires_ns"] // 10**9, UTC).isoformat(" ")
    assert f"expires       {ended.removesuffix('+00:00')}." in out


def test_a_counter_file_gives_every_call_the_next_number(keys_file: Path, capsys: Any) -> None:
    made = [
        json.loads(run(capsys, *words(keys_file), "--json", "--counter", keys_file.parent / "counter")[1]) for _ in range(4)
    ]
    assert len({token["boot_id"] for token in made}) == 1
    numbers = [token["counter"] for token in made]
    assert numbers == sorted(set(numbers))
    apart = [json.loads(run(capsys, *words(keys_file), "--json")[1])["boot_id"] for _ in range(3)]
    assert len(set(apart)) == 3, "without one, each call is a life of its own"


def test_a_principals_keys_are_those_that_gateways_derive(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    from gateway.link.keys import key_address

    vault = vault_in(tmp_path, Clock(time.time_ns()))
    monkeypatch.setattr(key_address, "open_key_service", lambda address: vault)
    issue = ["link-token", "--service", "unix:/keyd", "--principal", "risk-1", "--issue", tmp_path / "keys", "--json"]
    code, out, _ = run(capsys, *issue)
    today = token_keys.day_of(time.time_ns())
    assert code == 0 and json.loads(out)["days"] in ([today, today + 1], [today - 1, today])
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    from gateway.link.keys.keyring import Keyring

    ring = Keyring(vault, 1)
    ring.refresh(time.time_ns())
    name = token_keys.principal_bytes("risk-1")
    derived, held = token_keys.DerivedKeys(ring), token_keys.read_keys(tmp_path / "keys")
    assert held.key(today, name) == derived.key(today, name) is not None
    assert held.key(today, token_keys.principal_bytes("desk-7")) is None
    ring.close()
    assert derived.key(today, name) is None, "what was dropped derives nothing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (["--stream", "orders"], 2, "'orders' is no stream"),
        (["--node", 0], 2, "--node 0"),
        (["--binding", "zz"], 2, "--binding: hex digits"),
        (["--binding", "00"], 2, "no session is known by 1 bytes"),
        (["--role-bits", 0], 2, "role bits 0x0"),
        (["--ttl", 301], 2, "a token lasts"),
        (["--ttl", 0], 2, "a token lasts"),
        (["--principal", "risk-1"], 2, "has the keys of desk-7"),
        (["--check", "!"], 2, "a token in base64"),
        (["--check", "AAAA"], 5, "3 bytes are no token"),
        (["--issue", "x"], 2, "--issue needs --service"),
        (["--service", "unix:/x"], 2, "not allowed with"),
    ],
    ids=str,
)
def test_wrong_words_to_link_token_are_one_line(keys_file: Path, capsys: Any, change: Any, code: int, said: str) -> None:
    found, out, err = run(capsys, *words(keys_file), *change)
    assert (found, out) == (code, "") and said in err and err.count("\n") == 1


def test_keys_that_others_may_read_or_that_are_damaged_are_refused(keys_file: Path, capsys: Any) -> None:
    keys_file.chmod(0o644)
    code, _, err = run(capsys, *words(keys_file))
    assert code == 3 and "chmod 600" in err
    keys_file.chmod(0o600)
    for text in ("", "[]", '{"principal": "desk-7", "keys": {"1": "00"}}', '{"principal": "a b", "keys": {}}', "[" * 50_000):
        keys_file.write_text(text)
        code, _, err = run(capsys, *words(keys_file))
        assert code == 5 and "holds no token keys" in err and err.count("\n") == 1


# link-sign


@pytest.fixture
def signer(tmp_path: Path, capsys: Any) -> Path:
    """A key, as --new-key makes it."""
    assert run(capsys, "link-sign", "--new-key", tmp_path / "signer")[0] == 0
    return tmp_path / "signer"


@pytest.mark.parametrize(("kind", "content"), [("roles", desk.ROLES), ("addresses", desk.ADDRESSES)])
def test_a_signed_file_is_one_that_the_link_takes(signer: Path, capsys: Any, kind: str, content: bytes) -> None:
    path, public = signer.parent / f"{kind}.toml", signer.with_name("signer.pub")
    path.write_bytes(content)
    path.chmod(0o640)
    check = ["link-sign", path, "--kind", kind, "--check", "--public", public]
    assert run(capsys, *check)[0] == 1, "not signed yet"
    for _ in range(2):
        code, _, err = run(capsys, "link-sign", path, "--kind", kind, "--key", signer)
        assert code == 0 and "signed" in err and path.stat().st_mode & 0o777 == 0o640
    assert run(capsys, *check)[0] == 0
    form = {"roles": roles.FORM, "addresses": addresses.FORM}[kind]
    assert desk.load(form, path.read_bytes(), signed_file.public_key_of(public.read_bytes()), desk.Marks()).version > 0
    path.write_bytes(path.read_bytes().replace(b"version = ", b"version = 1"))
    code, out, _ = run(capsys, *check, "--json")
    assert code == 1 and json.loads(out)["ok"] is False
    other = "addresses" if kind == "roles" else "roles"
    assert run(capsys, "link-sign", path, "--kind", other, "--key", signer)[0] == 5, "what it is not, it is not signed as"


def test_a_new_key_is_private_and_is_never_written_over(signer: Path, capsys: Any) -> None:
    assert signer.stat().st_mode & 0o777 == 0o600
    kept = signer.read_bytes()
    code, _, err = run(capsys, "link-sign", "--new-key", signer)
    assert code == 5 and "is there already" in err and signer.read_bytes() == kept


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ([], 2, "say which FILE"),
        (["roles.toml"], 2, "say which FILE"),
        (["roles.toml", "--kind", "roles"], 2, "signing needs --key"),
        (["roles.toml", "--kind", "roles", "--check"], 2, "needs --public"),
        (["roles.toml", "--kind", "journal", "--key", "signer"], 2, "a journal is not signed"),
        (["nothing.toml", "--kind", "roles", "--key", "signer"], 5, "No such file"),
        (["roles.toml", "--kind", "roles", "--key", "roles.toml"], 3, "roles.toml"),
        (["roles.toml", "--kind", "keys"], 2, "invalid choice"),
        (["empty.toml", "--kind", "roles", "--key", "signer"], 5, "version: Field required"),
    ],
    ids=str,
)
def test_wrong_words_to_link_sign_are_one_line(
    signer: Path, capsys: Any, monkeypatch: Any, line: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(signer.parent)
    Path("roles.toml").write_bytes(desk.ROLES)
    Path("empty.toml").touch()
    found, out, err = run(capsys, "link-sign", *line)
    assert (found, out) == (code, "") and said in err and err.count("\n") == 1
    assert Path("roles.toml").read_bytes() == desk.ROLES


def test_a_journal_is_followed_through_its_files(tmp_path: Path, capsys: Any) -> None:
    file = JournalFile(tmp_path, 3_000)
    journal = Journal(file)
    for number in range(40):
        journal.record(GRANT, desk.NOW + number)
        file.wait()
    journal.close()
    file.close()
    check = ["link-sign", tmp_path / "access.jsonl", "--kind", "journal", "--check", "--json"]
    code, out, _ = run(capsys, *check)
    assert code == 0 and json.loads(out)["lines"] == 40
    path = tmp_path / "access-2.jsonl"
    path.write_bytes(path.read_bytes().replace(b"desk-7", b"desk-8", 1))
    code, out, _ = run(capsys, *check)
    assert code == 1 and json.loads(out)["broken_at"] == f"{path}:1"
