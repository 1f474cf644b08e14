"""Grants end by themselves: with their token, floor, address, key and session; a renewal moves the end and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.link.rights.grants import Denied, Ended, Grant
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_keys import principal_bytes
from gateway.link.rights.tokens import Method, Stream, binding_of
from tests.link import access_desk as desk


@pytest.fixture
def house(tmp_path: Path) -> Iterator[desk.Gatehouse]:
    made = desk.Gatehouse(tmp_path)
    yield made
    made.close()


def test_a_grant_ends_when_its_token_expires(house: desk.Gatehouse) -> None:
    grant = house.ask(desk.minted())
    assert house.access.ended(grant.expires_ns - 1) == [] and house.access.holds(grant.token_id, grant.expires_ns - 1)
    assert not house.access.holds(grant.token_id, grant.expires_ns)
    assert house.access.ended(grant.expires_ns) == [Ended(grant.token_id, Reason.EXPIRED)]
    assert house.access.ended(grant.expires_ns) == [], "each once"


def test_a_risen_floor_ends_every_grant_and_only_new_roles_open_another(house: desk.Gatehouse) -> None:
    grant = house.ask(desk.minted())
    house.access.raise_roles_floor(8)
    assert not house.access.holds(grant.token_id, desk.NOW)
    assert house.access.ended(desk.NOW) == [Ended(grant.token_id, Reason.FLOOR)]
    assert house.ask(desk.minted(counter=6)) == Denied(Reason.ROLES)
    house.write("roles", desk.ROLES.replace(b"= 7", b"= 8"))
    assert house.poll(desk.NOW + desk.SECOND_NS) == []
    assert isinstance(house.ask(desk.minted(counter=6)), Grant)


def test_a_higher_version_without_a_principal_revokes_it_for_good(house: desk.Gatehouse) -> None:
    grant, now_ns = house.ask(desk.minted()), desk.NOW + desk.SECOND_NS
    risk = desk.token(principal=principal_bytes("risk-1"), role_bits=2, scope=Stream.EXECUTIONS)
    house.write("roles", desk.ROLES.replace(b"= 7", b"= 9").replace(b"principals.desk-7", b"principals.desk-8"))
    assert house.poll(now_ns) == []
    assert house.access.ended(now_ns) == [Ended(grant.token_id, Reason.FLOOR)]
    assert house.ask(desk.minted(counter=6), now_ns) == Denied(Reason.PRINCIPAL)
    assert isinstance(house.ask(desk.minted(risk), now_ns, stream="executions"), Grant)
    house.write("roles", desk.ROLES)  # somebody puts the old file back
    assert ["version 7 is below 9" in problem for problem in house.poll(now_ns + desk.SECOND_NS)] == [True]
    assert house.ask(desk.minted(counter=7), now_ns) == Denied(Reason.PRINCIPAL)
    assert len(house.open(now_ns)) == 1, "nor does a restart bring it back"
    assert house.ask(desk.minted(counter=8, issued_ns=now_ns), now_ns) == Denied(Reason.ROLES)


def test_a_grant_ends_with_its_address_and_with_its_key(house: desk.Gatehouse) -> None:
    first = house.ask(desk.minted())
    house.write("addresses", desk.ADDRESSES.replace(b"= 3", b"= 4").replace(b"192.0.2.16/28", b"192.0.2.64/28"))
    assert house.poll(desk.NOW + desk.SECOND_NS) == []
    assert house.access.ended(desk.NOW) == [Ended(first.token_id, Reason.ADDRESS)]
    second = house.ask(desk.minted(counter=6), address="192.0.2.70")
    house.ring.days.clear()
    assert house.access.ended(desk.NOW + desk.SECOND_NS // 2) == [Ended(second.token_id, Reason.KEY)]
    assert house.ask(desk.minted(counter=7), address="192.0.2.70") == Denied(Reason.KEY)


def test_a_session_takes_its_grants_with_it(house: desk.Gatehouse) -> None:
    other = bytes(32)
    kept = house.ask(desk.minted(counter=9, binding=binding_of(other)), session_binding=other)
    gone = [house.ask(desk.minted(counter=counter)).token_id for counter in (1, 2)]
    house.access.close_session(desk.SESSION, desk.NOW)
    assert [house.access.holds(token_id, desk.NOW) for token_id in (kept.token_id, *gone)] == [True, False, False]
    house.access.close(kept.token_id, desk.NOW)
    assert not house.access.holds(kept.token_id, desk.NOW) and house.access.ended(desk.NOW) == []
    assert house.access.counters[Reason.CLOSED] == 3


def renewal(**changes: Any) -> bytes:
    return desk.minted(**{"method": Method.RENEW, "counter": 20, "issued_ns": desk.NOW, **changes})


def test_a_renewal_moves_the_expiry_and_keeps_the_number(house: desk.Gatehouse) -> None:
    grant = house.ask(desk.minted())
    renewed = desk.decided(lambda: house.access.renew(grant, desk.ADDRESS, renewal(), desk.SESSION, desk.NOW))
    assert renewed == grant._replace(expires_ns=desk.NOW + 100 * desk.SECOND_NS)
    assert house.access.holds(grant.token_id, grant.expires_ns) and house.access.ended(grant.expires_ns) == []
    assert house.access.renew(grant, desk.ADDRESS, renewal(), desk.SESSION, desk.NOW) == Denied(Reason.REPLAYED)
    assert house.access.ended(renewed.expires_ns) == [Ended(grant.token_id, Reason.EXPIRED)]


@pytest.mark.parametrize(
    ("reason", "changes", "how"),
    [
        (Reason.GRANT, {}, {"session_binding": bytes(32)}),
        (Reason.GRANT, {}, {"token_id": 99}),
        (Reason.GRANT, {}, {"now_ns": desk.NOW + 90 * desk.SECOND_NS}),
        (Reason.METHOD, {"method": Method.SUBSCRIBE}, {}),
        (Reason.PRINCIPAL, {"principal": principal_bytes("risk-1")}, {}),
        (Reason.ADDRESS, {}, {"address": "203.0.113.1"}),
        (Reason.LENGTH, None, {}),
    ],
    ids=str,
)
def test_a_renewal_is_refused_for(
    house: desk.Gatehouse, reason: Reason, changes: dict[str, Any] | None, how: dict[str, Any]
) -> None:
    grant = house.ask(desk.minted())
    token_id = how.pop("token_id", grant.token_id)
    said = {"address": desk.ADDRESS, "session_binding": desk.SESSION, "now_ns": desk.NOW, **how}
    token = b"" if changes is None else renewal(**changes)
    assert house.access.renew(grant._replace(token_id=token_id), token=token, **said) == Denied(reason)
    assert house.access.holds(grant.token_id, desk.NOW), "the grant is what it was"
