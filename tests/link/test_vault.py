"""The adapter for Vault and OpenBao, through hvac, against a Vault that answers as the real one does (fake_vault.py)."""

import base64
import ssl
import sys
import threading
from pathlib import Path

import pytest

from gateway.errors import CapabilityError, ConfigurationError
from gateway.link.keys import key_certificate
from gateway.link.keys.key_address import open_key_service
from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefusal, KeyRefused, Wrapped
from gateway.link.keys.keyring import Keyring
from gateway.link.keys.vault import VaultKeyService
from tests.link import key_certificates
from tests.link.fake_vault import TOKEN, FakeVault, TransitKey, Version
from tests.link.key_desk import DAY, HOUR, NOW_NS, SECOND_NS
from tests.link.vault_desk import HOUR_PATH, Connect, refusal

pytest.importorskip("hvac", reason="the extra `vault` is not installed")


def test_two_regions_get_the_same_secret_which_nobody_saw_in_the_clear(vault: FakeVault, connect: Connect):
    paris, lyon = connect(), connect()
    wrapped = paris.wrapped(HOURLY, HOUR)
    assert lyon.wrapped(HOURLY, HOUR) == wrapped and Wrapped.unpack(wrapped).generation == 1
    secret = paris.unwrap(wrapped)
    assert lyon.unwrap(wrapped) == secret and len(secret) == 32
    assert paris.unwrap(paris.wrapped(HOURLY, HOUR + 1)) != secret
    assert base64.b64encode(secret).decode() not in str(vault.values)
    asked = " ".join(vault.requests)
    assert "datakey/wrapped/gateway-link" in asked and "datakey/plaintext" not in asked
    assert asked.count("datakey") == 2, "a data key for each hour, whoever was first"


def test_a_keyring_lives_on_vault_and_its_certificates_check(connect: Connect):
    paris, lyon = Keyring(connect(), 1, (2,)), Keyring(connect(), 2, (1,))
    for keyring in (paris, lyon):
        keyring.refresh(NOW_NS)
        assert keyring.problem == "" and keyring.risk_allowed(NOW_NS)
    assert paris.hourly(HOUR + 2) == lyon.hourly(HOUR + 2) is not None
    keys = paris.day_keys(DAY)
    assert keys is not None and lyon.verified_key(keys.certificate, 1, DAY) == keys.public_key
    assert lyon.verified_key(keys.certificate, 2, DAY) is None


def test_two_regions_that_are_first_at_once_agree(vault: FakeVault, connect: Connect):
    services = [connect() for _ in range(4)]
    gate, got = threading.Barrier(4), []

    def fetch(service: VaultKeyService) -> None:
        gate.wait()
        got.append(service.wrapped(HOURLY, HOUR))

    threads = [threading.Thread(target=fetch, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4 and len(set(got)) == 1 and len(vault.values[HOUR_PATH]) == 1


def test_who_loses_the_race_reads_what_the_winner_wrote(vault: FakeVault, connect: Connect):
    service = connect()
    real = vault.answer

    def overtaken(method: str, path: str, token: str | None, body: dict) -> dict | None:
        if path.startswith("transit/datakey") and HOUR_PATH not in vault.values:
            other = real("POST", path, token, body)
            assert other is not None
            vault.values[HOUR_PATH] = [Version({"ciphertext": other["ciphertext"]})]
        return real(method, path, token, body)

    vault.answer = overtaken  # type: ignore[method-assign]
    wrapped = service.wrapped(HOURLY, HOUR)
    assert Wrapped.unpack(wrapped).sealed.decode() == vault.values[HOUR_PATH][0].data["ciphertext"]  # type: ignore[index]
    assert len(vault.values[HOUR_PATH]) == 1 and len(service.unwrap(wrapped)) == 32


def test_a_wrapped_secret_opens_as_nothing_else(vault: FakeVault, connect: Connect):
    service = connect()
    wrapped = service.wrapped(HOURLY, HOUR)
    service.wrapped(HOURLY, HOUR + 1)
    moved = Wrapped(HOURLY, HOUR + 1, 1, Wrapped.unpack(wrapped).sealed).pack()
    refused = refusal(lambda: service.unwrap(moved))
    assert refused.reason is KeyRefusal.DAMAGED and "message authentication failed" in str(refused)
    for sealed in (b"plain", b"vault:v9:AAAA", b"vault:v1:AAAA", b"vault:v1:!!", b"\xff\xfe"):
        changed = Wrapped(HOURLY, HOUR, 1, sealed).pack()
        assert refusal(lambda changed=changed: service.unwrap(changed)).reason is KeyRefusal.DAMAGED


def test_a_revoked_secret_is_replaced_and_its_old_version_destroyed(vault: FakeVault, connect: Connect):
    service = connect()
    keyring = Keyring(connect(), 1)
    keyring.refresh(NOW_NS)
    old, wrapped = keyring.hourly(HOUR), service.wrapped(HOURLY, HOUR)
    assert service.revoke(HOURLY, HOUR) == 2
    assert vault.values[HOUR_PATH][0].destroyed and vault.values[HOUR_PATH][0].data is None
    assert refusal(lambda: service.unwrap(wrapped)).reason is KeyRefusal.REVOKED
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.hourly(HOUR) not in (old, None) and keyring.counters["revoked"] == 1
    assert service.revoke(HOURLY, HOUR + 1) == 2, "what is held was generation 1"
    assert service.revoke(DAILY, DAY + 2) == 1, "a period that nobody asked for yet"


def test_what_is_deleted_or_destroyed_in_the_store_is_revoked(vault: FakeVault, connect: Connect):
    service, keyring = connect(), Keyring(connect(), 1)
    keyring.refresh(NOW_NS)
    version = vault.values[HOUR_PATH][0]
    for version.deleted, version.destroyed in (("2026-01-05T10:21:00Z", False), ("", True)):
        assert refusal(lambda: service.wrapped(HOURLY, HOUR)).reason is KeyRefusal.REVOKED
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.hourly(HOUR) is None and keyring.hourly(HOUR + 1) is not None
    assert service.revoke(HOURLY, HOUR) == 2
    keyring.refresh(NOW_NS + SECOND_NS)
    assert keyring.hourly(HOUR) is not None


def test_a_revocation_whose_old_version_stays_says_so(vault: FakeVault, connect: Connect):
    service = connect()
    service.wrapped(HOURLY, HOUR)
    vault.forbidden.append(r"POST secret/destroy/.*")
    refused = refusal(lambda: service.revoke(HOURLY, HOUR))
    assert refused.reason is KeyRefusal.NOT_ALLOWED and "old version still stands" in str(refused)
    assert len(vault.values[HOUR_PATH]) == 2


def test_a_rotated_key_of_the_service_opens_and_checks_what_the_old_one_made(vault: FakeVault, connect: Connect):
    service = connect()
    wrapped, certificate = service.wrapped(HOURLY, HOUR), service.certify(1, bytes(32), DAY)
    secret = service.unwrap(wrapped)
    for key in vault.keys.values():
        key.versions.append(bytes(range(32)))
    assert service.unwrap(wrapped) == secret
    assert len(service.unwrap(service.wrapped(HOURLY, HOUR + 1))) == 32
    fresh, authority = service.certify(1, bytes(32), DAY), service.authority(1)
    assert [key_certificate.read(each).key_version for each in (certificate, fresh)] == [1, 2]
    for each in (certificate, fresh):
        assert key_certificate.check(each, authority, 1, DAY, 1) == bytes(32)
    vault.keys["gateway-link-node-1"].decryption_min = vault.keys["gateway-link"].decryption_min = 2
    with pytest.raises(KeyRefused):
        key_certificate.check(certificate, service.authority(1), 1, DAY, 1)
    refused = refusal(lambda: service.unwrap(wrapped))
    assert refused.reason is KeyRefusal.DAMAGED and "too old" in str(refused)


def test_periods_that_are_far_from_now_are_not_even_asked_for(vault: FakeVault, connect: Connect):
    service = connect()
    assert refusal(lambda: service.wrapped(HOURLY, HOUR + 5)).reason is KeyRefusal.EARLY
    assert refusal(lambda: service.revoke(DAILY, DAY - 9)).reason is KeyRefusal.LATE
    assert refusal(lambda: service.certify(1, bytes(32), DAY + 3)).reason is KeyRefusal.EARLY
    assert refusal(lambda: service.unwrap(b"garbage")).reason is KeyRefusal.DAMAGED
    assert vault.requests == [] and vault.values == {}


def test_the_token_is_read_again_at_each_call_so_that_an_agent_may_renew_it(
    vault: FakeVault, connect: Connect, token_file: Path
):
    service = connect()
    service.wrapped(HOURLY, HOUR)
    vault.tokens = {"hvs.renewed"}
    assert refusal(lambda: service.wrapped(HOURLY, HOUR)).reason is KeyRefusal.NOT_ALLOWED
    token_file.write_text("hvs.renewed\n")
    service.wrapped(HOURLY, HOUR)
    token_file.chmod(0o644)
    refused = refusal(lambda: service.wrapped(HOURLY, HOUR))
    assert refused.reason is KeyRefusal.NOT_ALLOWED and "others may read" in str(refused)


def test_the_token_may_come_from_the_environment_and_must_come_from_somewhere(
    vault: FakeVault, connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="VAULT_TOKEN"):
        connect(token_file=None)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    assert connect(token_file=None).wrapped(HOURLY, HOUR)


def test_a_proxy_that_the_environment_names_never_sees_the_token(connect: Connect, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert connect().wrapped(HOURLY, HOUR)


def test_vaults_certificate_is_checked_whatever_the_environment_says(
    tmp_path: Path, token_file: Path, monkeypatch: pytest.MonkeyPatch
):
    own = key_certificates.make(tmp_path, "vault")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    fake = FakeVault(context=context)
    fake.keys["gateway-link-node-1"] = TransitKey("ed25519")
    for name in ("VAULT_SKIP_VERIFY", "VAULT_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "true" if name.endswith("VERIFY") else str(own.certificate))
    try:
        stranger = open_key_service(f"vault:{fake.url},token={token_file}")
        assert refusal(lambda: stranger.authority(1)).reason is KeyRefusal.UNREACHABLE
        pinned = open_key_service(f"vault:{fake.url},token={token_file},authority={own.certificate}")
        assert pinned.authority(1).keys() == {1}
        assert fake.requests == ["GET transit/keys/gateway-link-node-1"]
    finally:
        fake.close()


def test_a_token_leaves_this_host_over_tls_only(token_file: Path):
    for url in ("http://10.0.0.1:8200", "http://vault.example", "ftp://127.0.0.1", "127.0.0.1:8200", "https://"):
        with pytest.raises(ConfigurationError, match="write https"):
            VaultKeyService(url, token_file=token_file)


def test_one_word_of_the_configuration_names_mounts_namespace_and_token(token_file: Path):
    fake = FakeVault(transit="link-transit", store="link-kv")
    fake.namespace = "desk"
    fake.keys["gateway-link-node-1"] = TransitKey("ed25519")
    try:
        service = open_key_service(f"vault:{fake.url}/link-transit,store=link-kv,token={token_file},namespace=desk")
        assert service.authority(1).keys() == {1}
        assert TOKEN not in repr(service)
    finally:
        fake.close()


def test_without_hvac_there_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch, token_file: Path):
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(CapabilityError, match=r"extra `vault`; mend: pip install 'bypass-gateway\[vault\]'"):
        VaultKeyService("https://127.0.0.1:8200", token_file=token_file)
