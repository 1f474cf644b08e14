"""Access: what nothing allows is refused; grants end by themselves; every answer is in the journal, in the right order."""

import errno
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.frames import wire
from gateway.link.peers.acceptor import Acceptor, Pending
from gateway.link.rights import durable_floors, journal_file
from gateway.link.rights.access import Access, Means
from gateway.link.rights.access_files import AccessFiles, AccessPaths
from gateway.link.rights.grants import Denied, Grant
from gateway.link.rights.journal import REFUSED, Attempt, Journal
from gateway.link.rights.reasons import Reason
from gateway.link.rights.signed_file import FileRefused
from gateway.link.rights.token_keys import principal_bytes
from gateway.link.rights.token_store import TokenStore
from gateway.link.rights.tokens import Method
from tests.link import access_desk as desk


@pytest.fixture
def house(tmp_path: Path) -> Iterator[desk.Gatehouse]:
    made = desk.Gatehouse(tmp_path)
    yield made
    made.close()


def bare(**changes: Any) -> Access:
    """Access in memory, without any signed file."""
    means = Means(desk.keys(), TokenStore(desk.Marks()), desk.Marks(), Journal(desk.Lines()), desk.SIGNER_PUBLIC)
    return Access(desk.NODE, means._replace(**changes))


def ask(access: Access, data: bytes, **changes: Any) -> Grant | Denied:
    said = {
        "peer_node": desk.PEER,
        "address": desk.ADDRESS,
        "stream": "snapshots",
        "session_binding": desk.SESSION,
        **changes,
    }
    return access.open_stream(token=data, now_ns=desk.NOW, **said)


def test_a_token_opens_its_stream_once(house: desk.Gatehouse) -> None:
    assert house.ask(desk.minted()) == Grant(1, "desk-7", 1, desk.token().expires_ns, "snapshots")
    assert house.ask(desk.minted()) == Denied(Reason.REPLAYED)
    assert house.access.holds(1, desk.NOW)


def test_without_files_nobody_is_let_in() -> None:
    access = bare()
    assert access.admit(desk.ADDRESS, desk.NOW) == Reason.ADDRESSES == access.admit_peer(desk.PEER, desk.ADDRESS, desk.NOW)
    assert ask(access, desk.minted()) == Denied(Reason.ADDRESSES)
    access.load_addresses(desk.signed("addresses", desk.ADDRESSES))
    assert access.admit(desk.ADDRESS, desk.NOW) is None
    assert ask(access, desk.minted()) == Denied(Reason.ROLES)
    access.load_roles(desk.signed("roles", desk.ROLES))
    assert isinstance(ask(access, desk.minted()), Grant)


def test_a_connection_is_answered_by_its_address_and_then_by_its_peers_own(house: desk.Gatehouse) -> None:
    access = house.access
    assert access.admit("192.0.2.20", desk.NOW) is None
    assert access.admit("203.0.113.1", desk.NOW) == "ADDRESS"
    assert access.admit("192.0.2.30", desk.NOW) == "GEOFENCE"
    assert access.admit("198.51.100.9", desk.NOW) is None and access.admit_peer(2, "198.51.100.9", desk.NOW) == "ADDRESS"
    assert access.admit_peer(4, "198.51.100.9", desk.NOW) is None


# Each makes one thing wrong, in the order of the checks; a token without principal's rights is the last before the store.
FAULTS: dict[Reason, dict[str, Any]] = {
    Reason.ADDRESS_FORM: {"ask": {"address": "here"}},
    Reason.ADDRESS: {"ask": {"address": "203.0.113.1"}},
    Reason.STREAM: {"ask": {"stream": "orders"}},
    Reason.LENGTH: {"data": lambda data: data[1:]},
    Reason.MAC: {"data": lambda data: data[:-1] + bytes([data[-1] ^ 1])},
    Reason.AUDIENCE: {"token": {"audience": 9}},
    Reason.BINDING: {"ask": {"session_binding": bytes(32)}},
    Reason.ROLES: {"floor": 8},
    Reason.PRINCIPAL: {"token": {"principal": principal_bytes("nobody")}},
    Reason.ROLE: {"token": {"role_bits": 2}},
    Reason.METHOD: {"ask": {"method": Method.SNAPSHOT}},
    Reason.PAYLOAD: {"ask": {"payload": b"x"}},
    Reason.OLD: {"token": {"counter": 0}},
}
PAIRS = [(first, second) for place, first in enumerate(FAULTS) for second in list(FAULTS)[place:]]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_of_two_faults_the_earlier_is_answered_and_journalled(first: Reason, second: Reason) -> None:
    sink = desk.Lines()
    access = bare(journal=Journal(sink))
    access.load_addresses(desk.signed("addresses", desk.ADDRESSES))
    access.load_roles(desk.signed("roles", desk.ROLES))
    fields: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    alter = []
    for fault in (FAULTS[second], FAULTS[first]):
        fields |= fault.get("token", {})
        changes |= fault.get("ask", {})
        alter += [fault["data"]] if "data" in fault else []
        if "floor" in fault:
            access.raise_roles_floor(fault["floor"])
    data = desk.minted(**fields)
    for change in dict.fromkeys(alter):
        data = change(data)
    assert ask(access, data, **changes) == Denied(first)
    assert json.loads(sink.lines[-1])["reason"] == first and access.counters[first] == 1


def test_grants_are_bounded_per_peer_and_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRANTS_PER_PEER_MAX", 5)
    monkeypatch.setattr(limits, "GRANTS_MAX", 7)
    access = bare()
    access.load_addresses(desk.signed("addresses", desk.ADDRESSES.replace(b"198.51.100.0/24", b"192.0.2.16/28", 1)))
    access.load_roles(desk.signed("roles", desk.ROLES))
    risk = desk.token(principal=principal_bytes("risk-1"), role_bits=2)
    found = [ask(access, desk.minted(risk, counter=number), peer_node=2) for number in range(1, 8)]
    assert [isinstance(grant, Grant) for grant in found] == [True] * 5 + [False] * 2 and found[5] == Denied(Reason.BUSY)
    found = [ask(access, desk.minted(risk, counter=number), peer_node=4) for number in range(8, 12)]
    assert [isinstance(grant, Grant) for grant in found] == [True] * 2 + [False] * 2
    access.close(1, desk.NOW)
    another = ask(access, desk.minted(risk, counter=12), peer_node=2)
    assert isinstance(another, Grant) and another.token_id == 8, "a number is not used again for long"


def test_what_cannot_be_journalled_is_not_granted() -> None:
    access = bare(journal=Journal(sink := desk.Lines()))
    access.load_addresses(desk.signed("addresses", desk.ADDRESSES))
    access.load_roles(desk.signed("roles", desk.ROLES))
    sink.failing = True
    assert ask(access, desk.minted()) == Denied(Reason.JOURNAL) and not access.holds(1, desk.NOW)
    assert access.admit_peer(desk.PEER, desk.ADDRESS, desk.NOW) == Reason.JOURNAL
    sink.failing = False
    assert ask(access, desk.minted()) == Denied(Reason.REPLAYED), "it is used up all the same"


def test_a_connection_that_never_proves_itself_is_an_attempt_that_is_told(house: desk.Gatehouse) -> None:
    access = house.access

    def tell(pending: Pending) -> None:
        attempt = Attempt("handshake", REFUSED, pending.refused or "", pending.node, pending.address)
        access.attempted(attempt, desk.NOW)

    door = Acceptor({}, lambda address: access.admit(address, desk.NOW), tell)
    door.connection("203.0.113.1", desk.NOW)
    door.connection(desk.ADDRESS, desk.NOW).received(bytes(wire.HANDSHAKE_BYTES), desk.NOW)
    door.connection(desk.ADDRESS, desk.NOW)
    door.tick(desk.NOW + limits.LINK_HANDSHAKE_NS)
    told = [(line["event"], line["reason"], line["address"]) for line in map(json.loads, house.journal())]
    assert told == [
        ("connect", "ADDRESS", "203.0.113.1"),
        ("handshake", "handshake_magic", desk.ADDRESS),
        ("handshake", "deadline", desk.ADDRESS),
    ]


def test_the_journal_tells_the_whole_story(house: desk.Gatehouse) -> None:
    access = house.access
    access.admit("203.0.113.1", desk.NOW)
    access.attempted(Attempt("handshake", REFUSED, "TAG", 2, desk.ADDRESS), desk.NOW)
    access.admit_peer(desk.PEER, desk.ADDRESS, desk.NOW)
    grant = house.ask(desk.minted())
    house.ask(desk.minted(counter=8, role_bits=2), stream="quotes")
    renewal = desk.minted(method=Method.RENEW, counter=20, issued_ns=desk.NOW)
    desk.decided(lambda: access.renew(grant, desk.ADDRESS, renewal, desk.SESSION, desk.NOW))
    access.close(grant.token_id, desk.NOW)
    lines = [json.loads(line) for line in house.journal()]
    told = [
        (line["event"], line["outcome"], line.get("reason", ""), line.get("principal", ""), line["proven"]) for line in lines
    ]
    assert told == [
        ("connect", "refused", "ADDRESS", "", False),
        ("handshake", "refused", "TAG", "", False),
        ("handshake", "granted", "", "", True),
        ("open", "granted", "", "desk-7", True),
        ("open", "refused", "ROLE", "desk-7", False),
        ("renew", "granted", "", "desk-7", True),
        ("end", "ended", "CLOSED", "desk-7", True),
    ]
    assert journal_file.check([house.folder / "state" / "link" / "access.jsonl"])[:3] == (7, 0, "")


def test_a_signed_file_that_is_refused_or_gone_leaves_the_one_in_force(house: desk.Gatehouse) -> None:
    now_ns = desk.NOW
    for content in (
        b"",
        desk.ROLES,
        desk.signed("roles", desk.ROLES.replace(b"bit = 1", b"bit = 0").replace(b"= 7", b"= 9")),
    ):
        house.roles.write_bytes(content)
        now_ns += desk.SECOND_NS
        assert len(house.poll(now_ns)) == 1 and house.poll(now_ns + desk.SECOND_NS // 4) == []
    house.roles.unlink()
    now_ns += desk.SECOND_NS
    assert len(house.poll(now_ns)) == 1 and house.poll(now_ns + desk.SECOND_NS) == [], "said once"
    assert isinstance(house.ask(desk.minted()), Grant)
    with pytest.raises(FileRefused):
        house.access.load_roles(b"")


def test_a_large_file_is_read_beside_the_loop_and_taken_at_a_later_look(tmp_path: Path) -> None:
    networks = ", ".join(f'"10.{number >> 8}.{number & 255}.0/24"' for number in range(8_000))
    house = desk.Gatehouse(tmp_path)
    assert house.files is not None
    house.write("addresses", f"version = 4\n[peers.2]\nallow = [{networks}]\n".encode())
    now_ns, looks, longest = desk.NOW, 0, 0.0
    while house.access.admit("10.1.2.3", now_ns) is not None:
        now_ns, looks = now_ns + desk.SECOND_NS, looks + 1
        began = time.perf_counter()
        assert house.files.poll(now_ns) == []
        longest = max(longest, time.perf_counter() - began)
        time.sleep(0.01)
    assert 1 < looks < 1_000 and longest < 0.1
    house.close()


def test_a_disk_that_cannot_keep_a_floor_is_asked_again(house: desk.Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    house.write("roles", desk.ROLES.replace(b"= 7", b"= 8"))
    with monkeypatch.context() as patch:
        patch.setattr(durable_floors.durable_file, "replace", full)
        problems = [house.poll(desk.NOW + number * desk.SECOND_NS) for number in (1, 2, 3)]
        assert [len(lines) for lines in problems] == [1, 0, 0] and "cannot be kept" in problems[0][0], "said once"
        assert house.access.roles is not None and house.access.roles.version == 7
    assert house.poll(desk.NOW + 4 * desk.SECOND_NS) == [] and house.access.roles.version == 8


def test_files_that_are_damaged_or_held_open_nothing(tmp_path: Path) -> None:
    house = desk.Gatehouse(tmp_path)
    paths = AccessPaths(tmp_path / "state", house.roles, house.addresses)
    with pytest.raises(GatewayError, match="used by another process"):
        AccessFiles(desk.NODE, paths, desk.keys(), desk.SIGNER_PUBLIC, desk.NOW)
    house.close()
    marks = tmp_path / "state" / "link" / "token_marks.json"
    marks.write_bytes(marks.read_bytes()[:-3])
    with pytest.raises(GatewayError, match="is damaged, so nothing is let in"):
        AccessFiles(desk.NODE, paths, desk.keys(), desk.SIGNER_PUBLIC, desk.NOW)
    marks.unlink()
    AccessFiles(desk.NODE, paths, desk.keys(), desk.SIGNER_PUBLIC, desk.NOW).close()


def test_a_hundred_thousand_strangers_do_not_keep_a_peer_out(house: desk.Gatehouse) -> None:
    for number in range(100_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        assert house.access.admit(address, desk.NOW + number * 20_000) == "ADDRESS"
    now_ns = desk.NOW + 2 * desk.SECOND_NS
    assert house.access.admit(desk.ADDRESS, now_ns) is None and isinstance(house.ask(desk.minted(), now_ns), Grant)
    lines = [json.loads(line) for line in house.journal()]
    assert sum(line.get("count", 1) for line in lines if line["outcome"] == "refused") == 100_000
    assert len(lines) < 3 * (limits.ACCESS_LINES_PER_SECOND + 2)
