"""What the adapter for Vault says to each refusal, outage and nonsense: one line, one reason, in time."""

import time
from collections.abc import Callable

import pytest

from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefusal
from gateway.link.keys.keyring import Keyring
from tests.link.fake_vault import FakeVault, TransitKey
from tests.link.key_desk import DAY, HOUR, NOW_NS, SECOND_NS
from tests.link.vault_desk import Connect, refusal

pytest.importorskip("hvac", reason="the extra `vault` is not installed")


@pytest.mark.parametrize(
    ("status", "body", "reason", "words"),
    [
        (400, b'{"errors":["bad things"]}', KeyRefusal.FAULT, "bad things"),
        (403, b'{"errors":["permission denied"]}', KeyRefusal.NOT_ALLOWED, "permission denied"),
        (
            403,
            b'{"errors":["2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n"]}',
            KeyRefusal.NOT_ALLOWED,
            "invalid token",
        ),
        (404, b'{"errors":["no handler for route \\"secret/\\". route entry not found."]}', KeyRefusal.FAULT, "no handler"),
        (405, b'{"errors":["unsupported operation"]}', KeyRefusal.FAULT, "unsupported"),
        (412, b'{"errors":["required index state not present"]}', KeyRefusal.FAULT, "index state"),
        (429, b'{"errors":["request path: rate limit quota exceeded"]}', KeyRefusal.RATE, "quota"),
        (500, b'{"errors":["1 error occurred:\\n\\t* internal error\\n\\n"]}', KeyRefusal.FAULT, "internal error"),
        (500, b"<html>a proxy speaks</html>", KeyRefusal.FAULT, "InternalServerError"),
        (502, b'{"errors":["upstream"]}', KeyRefusal.FAULT, "upstream"),
        (503, b'{"errors":["Vault is sealed"]}', KeyRefusal.SEALED, "Vault is sealed"),
        (501, b'{"errors":["not initialized"]}', KeyRefusal.SEALED, "not initialized"),
        (307, b"", KeyRefusal.FAULT, "none of Vault's"),
        (200, b"not json", KeyRefusal.FAULT, "none of Vault's"),
        (200, b"[]", KeyRefusal.FAULT, "none of Vault's"),
        (200, b'{"data": []}', KeyRefusal.FAULT, "none of Vault's"),
        (200, b'{"data": {"data": {}}}', KeyRefusal.FAULT, "no version"),
        (200, b'{"data": {"data": {}, "metadata": {"version": 0}}}', KeyRefusal.FAULT, "no version"),
        (200, b'{"data": {"data": {"ciphertext": 7}, "metadata": {"version": 1}}}', KeyRefusal.FAULT, "no wrapped secret"),
        (204, b"", KeyRefusal.FAULT, "none of Vault's"),
    ],
)
def test_whatever_vault_answers_there_is_one_line_with_its_reason(
    vault: FakeVault, connect: Connect, status: int, body: bytes, reason: KeyRefusal, words: str
):
    service = connect()
    kind = "text/html" if body.startswith(b"<") else "application/json"
    vault.fail_next = [(status, body, kind)]
    refused = refusal(lambda: service.wrapped(HOURLY, HOUR))
    assert (refused.reason, vault.fail_next) == (reason, []) and words in str(refused)
    assert len(vault.requests) == 1, "a redirect is not followed, a failure not repeated"
    assert len(service.wrapped(HOURLY, HOUR)) > 12, "the next call is served"


def test_a_sealed_vault_is_an_outage_that_takes_nothing_away(vault: FakeVault, connect: Connect):
    keyring = Keyring(connect(), 1)
    keyring.refresh(NOW_NS)
    vault.sealed = True
    before = len(vault.requests)
    keyring.refresh(NOW_NS + SECOND_NS)
    assert len(vault.requests) == before + 1 and keyring.counters["SEALED"] == 1
    assert keyring.risk_allowed(NOW_NS) and "sealed" in keyring.problem
    vault.sealed = False
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.problem == ""


@pytest.mark.parametrize("stalled", [r"GET secret/data/.*", r"POST transit/decrypt/.*"])
def test_a_vault_that_does_not_answer_is_left_in_time(vault: FakeVault, connect: Connect, stalled: str):
    service = connect()
    wrapped = service.wrapped(HOURLY, HOUR)
    vault.stalled = stalled
    began = time.monotonic()
    refused = refusal(lambda: service.unwrap(wrapped))
    assert refused.reason is KeyRefusal.UNREACHABLE and "no answer in time" in str(refused)
    assert time.monotonic() - began < 2
    vault.stalled = ""
    assert len(service.unwrap(wrapped)) == 32


def test_a_vault_that_is_not_there_is_unreachable(vault: FakeVault, connect: Connect):
    service = connect()
    vault.close()
    assert refusal(lambda: service.wrapped(HOURLY, HOUR)).reason is KeyRefusal.UNREACHABLE


@pytest.mark.parametrize(
    ("forbidden", "call"),
    [
        (r"GET secret/data/.*", "wrapped"),
        (r"POST transit/datakey/wrapped/gateway-link", "wrapped"),
        (r"POST secret/data/.*", "wrapped"),
        (r"POST transit/decrypt/gateway-link", "unwrap"),
        (r"POST transit/sign/gateway-link-node-1", "certify"),
        (r"GET transit/keys/gateway-link-node-1", "authority"),
    ],
)
def test_what_a_policy_forbids_is_not_allowed(vault: FakeVault, connect: Connect, forbidden: str, call: str):
    service = connect()
    wrapped = service.wrapped(DAILY, DAY)
    vault.forbidden.append(forbidden)
    calls: dict[str, Callable[[], object]] = {
        "wrapped": lambda: service.wrapped(HOURLY, HOUR),
        "unwrap": lambda: service.unwrap(wrapped),
        "certify": lambda: service.certify(1, bytes(32), DAY),
        "authority": lambda: service.authority(1),
    }
    assert refusal(calls[call]).reason is KeyRefusal.NOT_ALLOWED


def test_keys_that_are_absent_or_of_another_kind_are_named(vault: FakeVault, connect: Connect):
    service = connect()
    assert "gateway-link-node-7" in str(refusal(lambda: service.authority(7)))
    vault.keys["gateway-link-node-7"] = TransitKey("aes256-gcm96")
    assert "gateway-link-node-7 is no Ed25519 key" in str(refusal(lambda: service.certify(7, bytes(32), DAY)))
    del vault.keys["gateway-link"]
    assert "encryption key not found" in str(refusal(lambda: service.wrapped(HOURLY, HOUR)))
