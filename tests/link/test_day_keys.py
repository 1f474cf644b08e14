"""The keys of a day: shared ones, the own signing key and its certificate, across midnight and a revocation."""

from gateway.link.keys.key_service import DAILY, KeyRefusal
from gateway.link.keys.keyring import Keyring
from tests.link.key_desk import DAY, DAY_NS, HOUR, HOUR_NS, NOW_NS, SECOND_NS, Clock, Unsteady, flipped


def test_the_keys_of_tomorrow_are_there_before_midnight(service: Unsteady, clock: Clock):
    keyring = Keyring(service, 1)
    evening_ns = DAY * DAY_NS + 20 * HOUR_NS
    keyring.refresh(evening_ns)
    assert keyring.day_keys(DAY + 1) is None
    clock.now_ns = evening_ns + 2 * HOUR_NS
    keyring.refresh(clock.now_ns)
    tomorrow = keyring.day_keys(DAY + 1)
    assert tomorrow is not None and tomorrow.certified
    service.down = True
    clock.now_ns = (DAY + 1) * DAY_NS
    keyring.refresh(clock.now_ns)
    assert keyring.risk_allowed(clock.now_ns)
    yesterday = keyring.day_keys(DAY)
    assert yesterday is not None and yesterday.token_key() is not None, "what was signed before midnight can be checked"


def test_keys_that_nobody_certified_allow_no_risk(service: Unsteady):
    service.refusals["certify"] = KeyRefusal.NOT_ALLOWED
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    assert keyring.hourly(HOUR) is not None and not keyring.risk_allowed(NOW_NS)
    del service.refusals["certify"]
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.risk_allowed(NOW_NS)


def test_regions_share_transaction_and_token_keys_and_no_signing_key(service: Unsteady):
    paris, lyon = Keyring(service, 1, (2,)), Keyring(service, 2, (1,))
    for keyring in (paris, lyon):
        keyring.refresh(NOW_NS)
    of_paris, of_lyon = paris.day_keys(DAY), lyon.day_keys(DAY)
    assert of_paris is not None and of_lyon is not None
    assert of_paris.transaction_key(2) == of_lyon.transaction_key(2) != of_paris.transaction_key(1)
    assert of_paris.token_key() == of_lyon.token_key()
    assert len({of_paris.token_key(), of_paris.transaction_key(1), of_paris.transaction_key(2)}) == 3
    assert of_paris.public_key != of_lyon.public_key
    assert paris.verified_key(of_lyon.certificate, 2, DAY) == of_lyon.public_key
    assert paris.verified_key(of_lyon.certificate, 1, DAY) is None, "lyon signs as paris"
    assert paris.verified_key(of_lyon.certificate, 2, DAY + 1) is None
    assert paris.verified_key(flipped(of_lyon.certificate), 2, DAY) is None
    assert paris.counters["CERTIFICATE"] == 3


def test_a_revoked_day_makes_its_certificates_worthless(service: Unsteady):
    paris, lyon = Keyring(service, 1), Keyring(service, 2, (1,))
    for keyring in (paris, lyon):
        keyring.refresh(NOW_NS)
    old = paris.day_keys(DAY)
    assert old is not None
    before, transaction = old.certificate, old.transaction_key(1)
    service.revoke(DAILY, DAY)
    for keyring in (paris, lyon):
        keyring.refresh(NOW_NS + SECOND_NS)
    fresh = paris.day_keys(DAY)
    assert fresh is not None and fresh is not old
    assert old.transaction_key(1) is None and old.token_key() is None, "who still holds the object holds nothing"
    assert fresh.transaction_key(1) not in (transaction, None) and fresh.public_key != old.public_key
    assert lyon.verified_key(before, 1, DAY) is None
    assert lyon.verified_key(fresh.certificate, 1, DAY) == fresh.public_key
    assert paris.risk_allowed(NOW_NS)
