"""The keyring: what it holds as hours pass, in an outage, behind a revocation; and that reading never asks the service."""

from pathlib import Path

from gateway import limits
from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefusal
from gateway.link.keys.keyring import Keyring
from tests.link.key_desk import DAY, HOUR, HOUR_NS, NOW_NS, SECOND_NS, Clock, Unsteady, held_hours, vault_in

MINUTE_NS = 60 * SECOND_NS


def test_the_hour_before_this_one_and_two_ahead_are_held(service: Unsteady):
    keyring = Keyring(service, 1)
    assert held_hours(keyring) == [] and not keyring.risk_allowed(NOW_NS)
    keyring.refresh(NOW_NS)
    assert held_hours(keyring) == [HOUR - 1, HOUR, HOUR + 1, HOUR + 2]
    secrets = {keyring.hourly(hour) for hour in held_hours(keyring)}
    assert len(secrets) == 4 and all(len(secret or b"") == 32 for secret in secrets)
    assert keyring.risk_allowed(NOW_NS) and keyring.problem == ""


def test_three_days_of_hours_pass_without_an_hour_that_is_missing(service: Unsteady, clock: Clock):
    paris, lyon = Keyring(service, 1), Keyring(service, 2)
    seen: dict[int, bytes] = {}
    for step in range(72 * 4):
        now_ns = clock.advance(15 * MINUTE_NS)
        paris.refresh(now_ns)
        if step % 3 == 0:
            lyon.refresh(now_ns)
        hour = now_ns // HOUR_NS
        for each in (hour - 1, hour, hour + 1):
            secret = paris.hourly(each)
            assert secret is not None and lyon.hourly(each) in (secret, None)
            assert seen.setdefault(each, secret) == secret
        assert lyon.hourly(hour) == paris.hourly(hour)
        assert paris.risk_allowed(now_ns) and lyon.risk_allowed(now_ns)
        assert len(held_hours(paris)) <= 4 + 1
    assert len(set(seen.values())) == len(seen) >= 72
    assert paris.counters["expired"] >= 72


def test_what_is_held_is_asked_for_again_but_not_unwrapped_again(service: Unsteady):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    unwrapped = service.calls["unwrap"]
    keyring.refresh(NOW_NS + SECOND_NS)
    assert service.calls["unwrap"] == unwrapped and service.calls["certify"] == 1
    assert keyring.counters["fetched"] == unwrapped


def test_the_next_refresh_is_soon_after_a_problem_and_never_behind_the_hour(service: Unsteady, clock: Clock):
    keyring = Keyring(service, 1)
    assert keyring.refresh(NOW_NS) == NOW_NS + limits.KEY_POLL_NS
    late_ns = (HOUR + 1) * HOUR_NS - SECOND_NS
    assert keyring.refresh(late_ns) == (HOUR + 1) * HOUR_NS
    service.down = True
    assert keyring.refresh(NOW_NS) == NOW_NS + limits.KEY_RETRY_NS


def test_an_outage_of_two_hours_is_harmless_and_a_longer_one_allows_no_new_risk(service: Unsteady, clock: Clock):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    service.down = True
    for minutes in range(1, 160):  # twenty past ten to the end of the hour after the next
        now_ns = clock.advance(MINUTE_NS)
        keyring.refresh(now_ns)
        assert keyring.risk_allowed(now_ns), minutes
        assert keyring.hourly(now_ns // HOUR_NS) is not None
    assert "does not answer" in keyring.problem and keyring.counters["UNREACHABLE"] > 100
    over_ns = clock.advance(MINUTE_NS)
    keyring.refresh(over_ns)
    assert over_ns == (HOUR + 3) * HOUR_NS
    assert not keyring.risk_allowed(over_ns)
    assert keyring.hourly(HOUR + 2) is not None, "sessions that are there may still be read"
    service.down = False
    keyring.refresh(over_ns)
    assert keyring.risk_allowed(over_ns) and keyring.problem == ""
    assert held_hours(keyring) == [HOUR + 2, HOUR + 3, HOUR + 4, HOUR + 5]


def test_the_end_of_new_risk_is_the_first_hour_or_day_that_nothing_is_held_for(service: Unsteady):
    keyring = Keyring(service, 1)
    assert keyring.risk_until_ns(NOW_NS) <= NOW_NS
    keyring.refresh(NOW_NS)
    until_ns = (HOUR + 3) * HOUR_NS
    assert keyring.risk_until_ns(NOW_NS) == until_ns == keyring.risk_until_ns(until_ns - 1)
    assert keyring.risk_allowed(until_ns - 1) and not keyring.risk_allowed(until_ns)
    keyring.drop(HOURLY, HOUR + 1)
    assert keyring.risk_until_ns(NOW_NS) == (HOUR + 1) * HOUR_NS, "an hour in between is missing"
    keyring.drop(DAILY, DAY)
    assert keyring.risk_until_ns(NOW_NS) == DAY * 24 * HOUR_NS <= NOW_NS


def test_keys_of_tomorrow_that_nobody_certified_end_new_risk_at_midnight(service: Unsteady, clock: Clock):
    late_ns = clock.advance((DAY * 24 + 23) * HOUR_NS - NOW_NS)
    keyring = Keyring(service, 1)
    keyring.refresh(late_ns)
    assert keyring.risk_until_ns(late_ns) == late_ns + 3 * HOUR_NS
    tomorrow = keyring.day_keys(DAY + 1)
    assert tomorrow is not None
    tomorrow.certificate = b""
    assert keyring.risk_until_ns(late_ns) == late_ns + HOUR_NS


def test_an_outage_costs_one_call_for_each_refresh(service: Unsteady):
    keyring = Keyring(service, 1)
    service.down = True
    keyring.refresh(NOW_NS)
    assert sum(service.calls.values()) == 1, "the others would wait for the same timeout"


def test_reading_asks_nobody(service: Unsteady):
    keyring = Keyring(service, 1, (2,))
    keyring.refresh(NOW_NS)
    before = service.calls.copy()
    for hour in range(HOUR - 5, HOUR + 5):
        keyring.hourly(hour)
    keyring.risk_allowed(NOW_NS)
    keyring.verified_key(bytes(112), 2, DAY)
    assert service.calls == before


def test_a_revoked_secret_is_dropped_and_replaced_at_the_next_refresh(service: Unsteady):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    old, next_one, changes = keyring.hourly(HOUR), keyring.hourly(HOUR + 1), keyring.changes
    service.revoke(HOURLY, HOUR)
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.hourly(HOUR) not in (old, None) and keyring.hourly(HOUR + 1) == next_one
    assert keyring.counters["revoked"] == 1 and keyring.changes == changes + 1


def test_a_revoked_secret_is_gone_although_its_successor_cannot_be_had(service: Unsteady):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    service.revoke(HOURLY, HOUR)
    service.refusals["unwrap"] = KeyRefusal.FAULT
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.hourly(HOUR) is None and not keyring.risk_allowed(NOW_NS)
    del service.refusals["unwrap"]
    keyring.refresh(NOW_NS + 2 * SECOND_NS)
    assert keyring.hourly(HOUR) is not None and keyring.risk_allowed(NOW_NS)


def test_what_a_peer_says_is_revoked_is_dropped_without_the_service(service: Unsteady):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    service.down = True
    keyring.drop(HOURLY, HOUR)
    keyring.drop(HOURLY, HOUR)  # told twice
    assert keyring.hourly(HOUR) is None and not keyring.risk_allowed(NOW_NS)
    assert keyring.counters["revoked"] == 1 == keyring.changes
    assert keyring.risk_allowed(NOW_NS + HOUR_NS), "the next hour's secret is another"


def test_a_service_that_goes_back_to_a_revoked_generation_is_not_believed(tmp_path: Path, service: Unsteady, clock: Clock):
    before = (tmp_path / "root.revocations").read_bytes()
    service.revoke(HOURLY, HOUR)
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    good = keyring.hourly(HOUR)
    (tmp_path / "root.revocations").write_bytes(before)  # an old copy, put back
    service.service = vault_in(tmp_path, clock)
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.hourly(HOUR) == good and keyring.counters["rolled_back"] == 1
    assert "a generation that was revoked" in keyring.problem


def test_an_answer_for_another_hour_or_of_another_length_is_not_kept(service: Unsteady):
    class Confused(Unsteady):
        def wrapped(self, name: str, period: int) -> bytes:
            return super().wrapped(name, period - 1 if period == HOUR else period)

        def unwrap(self, wrapped: bytes) -> bytearray:
            secret = super().unwrap(wrapped)
            return secret[:31] if wrapped[4:8] == (HOUR + 1).to_bytes(4, "little") else secret

    keyring = Keyring(Confused(service.service), 1)
    keyring.refresh(NOW_NS)
    assert keyring.hourly(HOUR) is None and keyring.hourly(HOUR + 1) is None
    assert keyring.counters["FAULT"] >= 1 and keyring.problem


def test_a_new_root_takes_over_when_what_is_held_is_revoked(tmp_path: Path, service: Unsteady, clock: Clock):
    paris, lyon = Keyring(service, 1), Keyring(service, 2, (1,))
    for keyring in (paris, lyon):
        keyring.refresh(NOW_NS)
    old = [paris.hourly(HOUR + n) for n in range(-1, 3)]
    (tmp_path / "new").mkdir()
    service.service = vault_in(tmp_path / "new", clock)
    for n in range(-1, 3):
        service.revoke(HOURLY, HOUR + n)
    for n in range(-1, 1):
        service.revoke(DAILY, DAY + n)
    for keyring in (paris, lyon, late := Keyring(service, 3)):
        keyring.refresh(NOW_NS + SECOND_NS)
    for n in range(-1, 3):
        assert paris.hourly(HOUR + n) == lyon.hourly(HOUR + n) == late.hourly(HOUR + n) not in (old[n + 1], None)
    keys = paris.day_keys(DAY)
    assert keys is not None and lyon.verified_key(keys.certificate, 1, DAY) == keys.public_key


def test_a_new_key_of_the_service_is_learnt_after_the_first_certificate_that_needs_it(service: Unsteady):
    lyon = Keyring(service, 2, (1,))
    lyon.refresh(NOW_NS)
    lyon.refresh(NOW_NS + SECOND_NS)
    assert service.calls["authority"] == 2, "once for each source, not at each refresh"
    assert lyon.verified_key(bytes(112), 1, DAY) is None
    lyon.refresh(NOW_NS + SECOND_NS)
    assert service.calls["authority"] == 4


def test_a_clock_that_is_set_back_leaves_a_keyring_that_works(service: Unsteady, clock: Clock):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    clock.now_ns = NOW_NS - 2 * HOUR_NS
    keyring.refresh(clock.now_ns)
    assert keyring.risk_allowed(clock.now_ns) and keyring.hourly(HOUR - 3) is not None
