"""Tokens: golden vectors, a slow twin, every reason, and that of two faults the earlier one is named."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway import limits
from gateway.errors import GatewayError, UsageError
from gateway.link.rights import roles as roles_file
from gateway.link.rights import token_keys, tokens
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_store import TokenStore
from tests.link import access_desk as desk
from tests.link import naive_tokens

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "link_tokens.json").read_text())
PAGE = (ROOT / "docs" / "protocols" / "link-tokens.md").read_text()
RIGHTS = {
    token_keys.principal_bytes("desk-7"): (0b01, {2}),
    token_keys.principal_bytes("risk-1"): (0b11, {2, 4}),
}
STREAMS = {0: tokens.Stream.SNAPSHOTS, 1: 15}


@dataclass
class Case:
    """One token on its way to a verifier, with what is wrong about it and about the verifier."""

    changes: dict[str, Any] = field(default_factory=dict)
    after: list[Callable[[bytes], bytes]] = field(default_factory=list)
    expected: dict[str, Any] = field(default_factory=dict)
    ring: desk.Ring = field(default_factory=desk.Ring)
    marks: desk.Marks = field(default_factory=desk.Marks)
    used_before: list[dict[str, Any]] = field(default_factory=list)
    failing: bool = False
    store: TokenStore | None = None

    def verify(self) -> tokens.Token | Reason:
        """What the verifier says."""
        self.store = TokenStore(self.marks)
        for changes in self.used_before:
            tokens.verify(desk.minted(**changes), desk.expected(), desk.keys(), self.store, desk.NOW)
        self.marks.failing = self.failing
        data = desk.minted(**self.changes)
        for change in self.after:
            data = change(data)
        return tokens.verify(data, desk.expected(**self.expected), desk.keys(self.ring), self.store, desk.NOW)


def flipped(data: bytes) -> bytes:
    """A MAC that is right in all but its last bit."""
    return data[:179] + bytes([data[179] ^ 1]) + data[180:]


def changed(**changes: Any) -> Callable[[Case], None]:
    return lambda case: case.changes.update(changes)


def lives(count: int) -> list[dict[str, Any]]:
    """Other lives of the same principal that are remembered."""
    later = desk.NOW - 10 * desk.SECOND_NS
    return [{"boot_id": bytes([9, number]) + bytes(14), "issued_ns": later} for number in range(count)]


# In the order of the checks. Each makes exactly one thing wrong.
FAULTS: dict[Reason, Callable[[Case], None]] = {
    Reason.LENGTH: lambda case: case.after.append(lambda data: data[:-1]),
    Reason.VERSION: changed(version=2),
    Reason.KEY: lambda case: case.ring.days.clear(),
    Reason.MAC: lambda case: case.after.append(flipped),
    Reason.TTL: changed(ttl_ms=300_001),
    Reason.DAY: changed(key_id=desk.DAY - 1),
    Reason.EARLY: changed(issued_ns=desk.NOW + limits.TOKEN_EARLY_NS + 1),
    Reason.EXPIRED: changed(issued_ns=desk.NOW - 100 * desk.SECOND_NS),
    Reason.AUDIENCE: changed(audience=desk.NODE + 1),
    Reason.BINDING: changed(binding=bytes(32)),
    Reason.PRINCIPAL: changed(principal=token_keys.principal_bytes("nobody")),
    Reason.NODE: lambda case: case.expected.update(peer=9),
    Reason.ROLE: changed(role_bits=0b11),
    Reason.SCOPE: changed(scope=tokens.Stream.EXECUTIONS),
    Reason.METHOD: changed(method=tokens.Method.RENEW),
    Reason.PAYLOAD: lambda case: case.expected.update(payload=b"another"),
    Reason.FORGOTTEN: lambda case: case.marks.floors.update({"desk-7": desk.NOW - 20 * desk.SECOND_NS}),
    Reason.OLD: changed(counter=0),
    Reason.REPLAYED: lambda case: case.used_before.append({}),
    Reason.FULL: lambda case: case.used_before.extend(lives(limits.TOKEN_BOOTS_MAX)),
    Reason.STORE: lambda case: setattr(case, "failing", True),
}
# No token is both too early and expired; no life is both remembered and one too many.
IMPOSSIBLE = {(Reason.EARLY, Reason.EXPIRED), (Reason.REPLAYED, Reason.FULL)}
PAIRS = [pair for pair in itertools.combinations(FAULTS, 2) if pair not in IMPOSSIBLE]


def test_every_reason_about_a_token_has_its_fault() -> None:
    outside = {
        "LATER",
        "ADDRESS_FORM",
        "ADDRESSES",
        "ADDRESS",
        "GEOFENCE",
        "STREAM",
        "GRANT",
        "ROLES",
        "BUSY",
        "JOURNAL",
        "FLOOR",
        "CLOSED",
    }
    assert list(FAULTS) == [reason for reason in Reason if reason.name not in outside]


def test_a_token_without_a_fault_is_accepted_once() -> None:
    case = Case()
    found = case.verify()
    assert isinstance(found, tokens.Token) and found == desk.token()
    again = tokens.verify(desk.minted(), desk.expected(), desk.keys(), case.store, desk.NOW)
    assert again is Reason.REPLAYED


@pytest.mark.parametrize("reason", FAULTS)
def test_a_single_fault_is_named(reason: Reason) -> None:
    case = Case()
    FAULTS[reason](case)
    assert case.verify() is reason


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_of_two_faults_the_earlier_is_named(first: Reason, second: Reason) -> None:
    case = Case()
    FAULTS[second](case)
    FAULTS[first](case)
    assert case.verify() is first


@pytest.mark.parametrize(
    "reason", [reason for reason in FAULTS if list(FAULTS).index(reason) < list(FAULTS).index(Reason.FORGOTTEN)]
)
def test_what_fails_before_the_window_never_touches_it(reason: Reason) -> None:
    case = Case()
    FAULTS[reason](case)
    case.verify()
    assert case.store is not None and case.store.accepted == 0 and case.marks.writes == 0
    right = tokens.verify(desk.minted(), desk.expected(), desk.keys(), case.store, desk.NOW)
    assert isinstance(right, tokens.Token), "the same counter is still new"


def test_a_bad_mac_asks_no_store_at_all() -> None:
    class Untouchable:
        def accept(self, token, now_ns):
            raise AssertionError("asked")

    for place in range(tokens.SIGNED_BYTES, tokens.SIZE_BYTES):
        data = bytearray(desk.minted())
        data[place] ^= 0x80
        assert tokens.verify(bytes(data), desk.expected(), desk.keys(), Untouchable(), desk.NOW) is Reason.MAC


def test_no_key_is_looked_for_of_a_day_that_is_not_now() -> None:
    ring = desk.Ring()
    for day in (0, desk.DAY - 2, desk.DAY + 1, 0xFFFFFFFF):
        assert tokens.authentic(desk.minted(key_id=day), desk.token(key_id=day), desk.keys(ring), desk.NOW) is Reason.KEY
    assert not ring.asked


@pytest.mark.parametrize("field_name", desk.token()._fields)
def test_no_field_changes_without_the_mac(field_name: str) -> None:
    offset, size = naive_tokens.OFFSETS[field_name]
    for bit in range(8 * size):
        data = bytearray(desk.minted())
        data[offset + bit // 8] ^= 1 << bit % 8
        refused = tokens.verify(bytes(data), desk.expected(), desk.keys(), TokenStore(desk.Marks()), desk.NOW)
        assert refused in (Reason.MAC, Reason.VERSION, Reason.KEY)


def test_one_principals_key_makes_no_token_of_another() -> None:
    stolen = tokens.mint(desk.token(principal=token_keys.principal_bytes("risk-1")), desk.key_of("desk-7"))
    assert tokens.verify(stolen, desk.expected(), desk.keys(), TokenStore(desk.Marks()), desk.NOW) is Reason.MAC


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ttl_ms": 0}, Reason.TTL),
        ({"ttl_ms": 300_000, "issued_ns": desk.NOW - 1}, None),
        ({"ttl_ms": 0xFFFFFFFF}, Reason.TTL),
        ({"issued_ns": desk.NOW + limits.TOKEN_EARLY_NS}, None),
        ({"issued_ns": desk.NOW - 100 * desk.SECOND_NS + 1}, None),
        ({"issued_ns": 0}, Reason.DAY),
        ({"issued_ns": (1 << 64) - 1}, Reason.DAY),
        ({"role_bits": 0}, Reason.ROLE),
        ({"role_bits": 1 << 31}, Reason.ROLE),
        ({"scope": 0}, Reason.SCOPE),
        ({"scope": 0xFFFFFFFF}, None),
        ({"counter": (1 << 64) - 1}, None),
        ({"method": 255}, Reason.METHOD),
        ({"principal": b"desk-7\0x".ljust(32, b"\0")}, Reason.PRINCIPAL),
        ({"principal": bytes(32)}, Reason.PRINCIPAL),
    ],
    ids=str,
)
def test_bounds_are_where_the_page_says(changes: dict[str, Any], reason: Reason | None) -> None:
    found = Case(changes=changes).verify()
    assert found is reason if reason else isinstance(found, tokens.Token)


@pytest.mark.parametrize("session", [b"", bytes(15), bytes(65)])
def test_no_token_counts_where_no_session_is(session: bytes) -> None:
    for bound in (bytes(32), tokens.binding_of(bytes(16))):
        assert Case(changes={"binding": bound}, expected={"binding": session}).verify() is Reason.BINDING
    with pytest.raises(UsageError, match="no session"):
        desk_source().token("snapshots", desk.NODE, session, desk.NOW)


def desk_source():
    from gateway.link.rights.counter_file import ProcessCounter
    from gateway.link.rights.token_source import Issuer, TokenSource

    return TokenSource(
        Issuer("desk-7", 1), token_keys.CarriedKeys("desk-7", {desk.DAY: desk.key_of("desk-7")}), ProcessCounter(desk.BOOT)
    )


def test_a_source_mints_what_the_verifier_accepts_each_once() -> None:
    source, store = desk_source(), TokenStore(desk.Marks())
    made = [source.token("snapshots", desk.NODE, desk.SESSION, desk.NOW) for _ in range(10)]
    found = [tokens.verify(data, desk.expected(), desk.keys(), store, desk.NOW) for data in made]
    assert [read.counter for read in found if isinstance(read, tokens.Token)] == list(range(1, 11))
    assert all(tokens.verify(data, desk.expected(), desk.keys(), store, desk.NOW) is Reason.REPLAYED for data in made)


def test_a_source_without_a_key_says_the_mend() -> None:
    source = desk_source()
    with pytest.raises(GatewayError, match="no token key of desk-7 for day"):
        source.token("snapshots", desk.NODE, desk.SESSION, desk.NOW + token_keys.DAY_NS)
    with pytest.raises(UsageError, match="no stream"):
        source.token("orders", desk.NODE, desk.SESSION, desk.NOW)


def test_what_is_no_bytes_is_no_token() -> None:
    for data in (None, "x" * 180, 7, ["a"], memoryview(bytes(179))):
        assert tokens.verify(data, desk.expected(), desk.keys(), TokenStore(desk.Marks()), desk.NOW) is Reason.LENGTH
    assert isinstance(
        tokens.verify(memoryview(desk.minted()), desk.expected(), desk.keys(), TokenStore(desk.Marks()), desk.NOW),
        tokens.Token,
    )


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["what"])
def test_the_vectors_hold_for_both_verifiers(vector: dict[str, Any]) -> None:
    data, key = bytes.fromhex(vector["token"]), bytes.fromhex(vector["token_key_of_day"])
    said = {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in vector["fields"].items()}
    derived = token_keys.derive(key, said["principal"])
    assert derived == naive_tokens.hkdf(key, b"gateway link token\0" + said["principal"]) == bytes.fromhex(vector["key"])
    assert tokens.mint(tokens.Token(**said), derived) == data
    read = naive_tokens.read(data)
    assert {name: read[name] for name in said} == said
    days = {said["key_id"]: key}
    session, payload = bytes.fromhex(vector["session"]), bytes.fromhex(vector["payload"])
    stream, method = tokens.STREAMS[vector["stream"]], tokens.Method(vector["method"])
    asked = desk.expected(
        roles_file.FORM.parse(desk.ROLES), vector["peer"], stream=stream, binding=session, method=method, payload=payload
    )._replace(audience=vector["node"])
    found = tokens.verify(data, asked, desk.keys(desk.Ring(days)), TokenStore(desk.Marks()), vector["now_ns"])
    twin = naive_tokens.NaiveVerifier(vector["node"], days, RIGHTS, STREAMS)
    reason = twin.verify(data, session, stream, method, payload, vector["peer"], vector["now_ns"])
    assert reason == vector["reason"]
    assert found == (Reason(reason) if reason else tokens.Token(**said))


def test_the_page_has_the_layout_and_every_reason() -> None:
    rows = {tuple(cell.strip(" `") for cell in line.split("|")[1:4]) for line in PAGE.splitlines() if line.startswith("|")}
    names = {"mac": "MAC"}
    for name, (offset, size) in naive_tokens.OFFSETS.items():
        assert (str(offset), str(size), names.get(name, name)) in rows
    checks = re.findall(r"^\| (\d+) \| `([A-Z_]+)`", PAGE, re.MULTILINE)
    endings = re.findall(r"^\| `([A-Z_]+)`", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in checks] == list(range(1, len(checks) + 1))
    ordered = [name for _, name in checks]
    answers = [reason.name for reason in Reason if reason is not Reason.LATER]  # which never leaves the node
    assert ordered == answers[: len(ordered)], "the page's order is the list's"
    assert {*ordered, *endings} == {*answers}
