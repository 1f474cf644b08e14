"""The bytes of keys: wrapped secrets, certificates, messages of keyd; vectors, and what is refused."""

import hashlib
import hmac
import random
import struct

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.link.keys import key_certificate, keyd_wire
from gateway.link.keys.day_keys import TOKEN, TRANSACTION, derive
from gateway.link.keys.held_secret import HeldSecret
from gateway.link.keys.key_certificate import Certificate
from gateway.link.keys.key_service import DAILY, HOURLY, KeyRefusal, KeyRefused, Wrapped, check_near, head_of
from gateway.link.keys.keyd_revocations import Revocations
from gateway.link.keys.keyd_vault import KeydVault
from tests.link.key_desk import DAY, HOUR, NOW_NS, Clock

ROOT = bytes(range(32))


def expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand to one block, by hand (RFC 5869, 2.3)."""
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def fixed_vault(clock: Clock) -> KeydVault:
    return KeydVault(bytearray(ROOT), Revocations(None, b"", {}), clock)  # type: ignore[arg-type]  # nothing is written


def test_the_secret_of_an_hour_is_what_the_document_says():
    vault = fixed_vault(Clock())
    head = struct.pack("<2sBBII", b"GW", 1, 1, HOUR, 1)
    expected = expand(ROOT, b"gateway keyd 1\0secret\0" + head)
    assert vault.unwrap(vault.wrapped(HOURLY, HOUR)) == expected
    assert expected.hex() == "d9e6c2d7efd1e6ced16624654f12926870d4f63f16bec555771d04843f58f171"


def test_the_keys_of_a_day_are_what_the_document_says():
    extracted = hmac.new(bytes(32), ROOT, hashlib.sha256).digest()  # HKDF-Extract without salt
    assert derive(ROOT, TRANSACTION, 7, DAY) == expand(extracted, b"gateway transaction 1\0" + struct.pack("<II", 7, DAY))
    assert derive(ROOT, TOKEN, DAY) == expand(extracted, b"gateway token 1\0" + struct.pack("<I", DAY))
    assert derive(ROOT, TOKEN, DAY).hex() == "9ecb0348f223894f695d80edb7e253b7eccca558fe778659721edd9162f0d70a"


def test_a_wrapped_secret_has_a_head_that_everybody_can_read():
    vault = fixed_vault(Clock())
    data = vault.wrapped(DAILY, DAY)
    assert len(data) == 12 + 12 + 32 + 16
    assert data[:12] == struct.pack("<2sBBII", b"GW", 1, 2, DAY, 1) == head_of(DAILY, DAY, 1)
    assert Wrapped.unpack(data) == Wrapped(DAILY, DAY, 1, data[12:]) and Wrapped.unpack(data).pack() == data
    assert vault.wrapped(DAILY, DAY) != data, "a nonce is not used twice"


def test_every_flipped_bit_of_a_wrapped_secret_is_refused():
    vault = fixed_vault(Clock())
    data = vault.wrapped(HOURLY, HOUR)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyRefused) as refused:
            vault.unwrap(bytes(changed))
        assert refused.value.reason is KeyRefusal.DAMAGED, bit


@pytest.mark.parametrize("size", [0, 1, 11, 12, 13, 71, 73, limits.KEY_WRAPPED_BYTES_MAX])
def test_a_wrapped_secret_of_another_length_is_refused(size: int):
    data = (head_of(HOURLY, HOUR, 1) + bytes(limits.KEY_WRAPPED_BYTES_MAX))[:size]
    with pytest.raises(KeyRefused) as refused:
        fixed_vault(Clock()).unwrap(data)
    assert refused.value.reason is KeyRefusal.DAMAGED
    with pytest.raises(KeyRefused, match="longer than any"):
        Wrapped.unpack(bytes(limits.KEY_WRAPPED_BYTES_MAX + 1))


def test_only_periods_near_now_are_given_out():
    for name, now, back, ahead in (
        (HOURLY, HOUR, limits.KEY_HOURS_BACK, limits.KEY_HOURS_AHEAD),
        (DAILY, DAY, limits.KEY_DAYS_BACK, limits.KEY_DAYS_AHEAD),
    ):
        for period in (now - back, now, now + ahead):
            check_near(name, period, NOW_NS)
        for period, reason in ((now - back - 1, KeyRefusal.LATE), (now + ahead + 1, KeyRefusal.EARLY)):
            with pytest.raises(KeyRefused) as refused:
                check_near(name, period, NOW_NS)
            assert refused.value.reason is reason
    for name, period in (("weekly", 1), (HOURLY, -1), (HOURLY, 1 << 32), (HOURLY, True), (HOURLY, 1.0)):
        with pytest.raises(KeyRefused) as refused:
            check_near(name, period, NOW_NS)  # type: ignore[arg-type]
        assert refused.value.reason is KeyRefusal.MALFORMED


def test_a_day_that_is_over_is_certified_for_nobody():
    clock = Clock()
    vault = fixed_vault(clock)
    vault.certify(1, bytes(32), DAY)
    vault.certify(1, bytes(32), DAY + 1)
    with pytest.raises(KeyRefused) as refused:
        vault.certify(1, bytes(32), DAY - 1)
    assert refused.value.reason is KeyRefusal.LATE


def certified() -> tuple[bytes, dict[int, bytes], bytes]:
    key = Ed25519PrivateKey.from_private_bytes(ROOT)
    said = Certificate(3, 1, DAY, 2, bytes(range(100, 132)))
    return said.body() + key.sign(said.signed_text()), {1: key.public_key().public_bytes_raw()}, said.public_key


def test_a_certificate_is_what_the_document_says():
    certificate, authority, public_key = certified()
    assert len(certificate) == 112
    assert certificate[:16] == struct.pack("<2sBBHHII", b"GC", 1, 0, 3, 1, DAY, 2)
    assert certificate[16:48] == public_key
    assert key_certificate.check(certificate, authority, 3, DAY, 2) == public_key
    assert certificate.hex().endswith("34026ab352bc4e0a9ce3262a2c72870f"), "Ed25519 signs without chance"


def test_every_flipped_bit_of_a_certificate_is_refused():
    certificate, authority, _ = certified()
    for bit in range(8 * len(certificate)):
        changed = bytearray(certificate)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyRefused) as refused:
            key_certificate.check(bytes(changed), authority, 3, DAY, 2)
        assert refused.value.reason is KeyRefusal.CERTIFICATE, bit


def test_a_certificate_counts_for_its_source_day_and_generation_only():
    certificate, authority, _ = certified()
    stranger = {1: Ed25519PrivateKey.generate().public_key().public_bytes_raw()}
    for keys, source, day, generation in (
        (authority, 4, DAY, 2),
        (authority, 3, DAY + 1, 2),
        (authority, 3, DAY, 1),
        (stranger, 3, DAY, 2),
        ({2: authority[1]}, 3, DAY, 2),
        ({}, 3, DAY, 2),
        ({1: bytes(5)}, 3, DAY, 2),
    ):
        with pytest.raises(KeyRefused):
            key_certificate.check(certificate, keys, source, day, generation)
    for size in (0, 48, 111, 113):
        with pytest.raises(KeyRefused):
            key_certificate.read((certificate + b"\0")[:size])


def test_a_certificate_of_what_no_field_holds_is_refused_in_words():
    for said in (
        Certificate(70_000, 1, DAY, 1, bytes(32)),
        Certificate(1, 1, DAY, 1, bytes(31)),
        Certificate(1, 1, -1, 1, bytes(32)),
    ):
        with pytest.raises(KeyRefused) as refused:
            said.body()
        assert refused.value.reason is KeyRefusal.MALFORMED


REQUESTS = (
    ("wrapped", {"name": HOURLY, "period": HOUR}),
    ("unwrap", {"wrapped": bytes(72)}),
    ("certify", {"source": 1, "public_key": bytes(32), "day": DAY}),
    ("authority", {"source": 65_535}),
    ("revoke", {"name": DAILY, "period": DAY}),
)


@pytest.mark.parametrize(("request_name", "fields"), REQUESTS)
def test_a_request_comes_back_as_it_was(request_name: str, fields: dict):
    data = keyd_wire.encode_request(request_name, **fields)
    assert keyd_wire.length_of(data[:4]) == len(data) - 4
    assert keyd_wire.decode_request(data[4:]) == (request_name, fields)


WRONG = (
    b"",
    b"\xc1",
    b"{}",
    msgpack.packb([]),
    msgpack.packb(7),
    msgpack.packb({}),
    msgpack.packb({"version": 1, "request": "wrapped", "name": HOURLY, "period": HOUR}) + b"\0",
    msgpack.packb({"version": 2, "request": "authority", "source": 1}),
    msgpack.packb({"version": 1, "request": "close"}),
    msgpack.packb({"version": 1, "request": "__init__"}),
    msgpack.packb({"version": 1, "request": ["wrapped"]}),
    msgpack.packb({"version": 1, "request": b"authority", "source": 1}),
    msgpack.packb({"version": 1, "request": "authority"}),
    msgpack.packb({"version": 1, "request": "authority", "source": 1, "more": 1}),
    msgpack.packb({"version": 1, "request": "authority", "source": True}),
    msgpack.packb({"version": 1, "request": "authority", "source": 1.0}),
    msgpack.packb({"version": 1, "request": "authority", "source": -1}),
    msgpack.packb({"version": 1, "request": "authority", "source": 65_536}),
    msgpack.packb({"version": 1, "request": "wrapped", "name": b"hourly", "period": 1}),
    msgpack.packb({"version": 1, "request": "unwrap", "wrapped": bytes(limits.KEY_WRAPPED_BYTES_MAX + 1)}),
    msgpack.packb({"version": 1, "request": "wrapped", "name": "x" * (limits.KEY_TEXT_BYTES_MAX + 1), "period": 1}),
    msgpack.packb({1: {2: {3: 4}}}),
    b"\x81" * 1000,
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    msgpack.packb(msgpack.ExtType(5, b"x")),
    b"\x81\x80\x01",
)


@pytest.mark.parametrize("data", WRONG)
def test_what_is_no_request_is_refused_as_malformed(data: bytes):
    with pytest.raises(KeyRefused) as refused:
        keyd_wire.decode_request(data)
    assert refused.value.reason is KeyRefusal.MALFORMED


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoders_fail_in_another_way(data: bytes):
    for decode in (
        keyd_wire.decode_request,
        lambda data: keyd_wire.decode_answer("wrapped", data),
        Wrapped.unpack,
        key_certificate.read,
        fixed_vault(Clock()).unwrap,
    ):
        try:
            decode(data)
        except KeyRefused:
            continue


def test_mutated_requests_are_answered_or_refused_and_nothing_else():
    chance = random.Random(36)
    for seed in range(4000):
        name, fields = REQUESTS[seed % len(REQUESTS)]
        data = bytearray(keyd_wire.encode_request(name, **fields)[4:])
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            keyd_wire.decode_request(bytes(data))
        except KeyRefused as refused:
            assert refused.reason is KeyRefusal.MALFORMED, seed


def test_a_length_beyond_the_bound_is_refused_before_a_byte_is_read():
    assert keyd_wire.length_of(struct.pack("<I", limits.KEY_MESSAGE_BYTES_MAX)) == limits.KEY_MESSAGE_BYTES_MAX
    for length, reason in (
        (limits.KEY_MESSAGE_BYTES_MAX + 1, KeyRefusal.TOO_LARGE),
        (0xFFFFFFFF, KeyRefusal.TOO_LARGE),
        (0, KeyRefusal.MALFORMED),
    ):
        with pytest.raises(KeyRefused) as refused:
            keyd_wire.length_of(struct.pack("<I", length))
        assert refused.value.reason is reason


def test_an_answer_is_a_value_of_its_kind_or_a_reason():
    assert keyd_wire.decode_answer("wrapped", keyd_wire.encode_value(b"x")[4:]) == b"x"
    assert keyd_wire.decode_answer("authority", keyd_wire.encode_value({1: b"k"})[4:]) == {1: b"k"}
    for data, reason in (
        (keyd_wire.encode_refusal(KeyRefusal.REVOKED)[4:], KeyRefusal.REVOKED),
        (keyd_wire.encode_value(7)[4:], KeyRefusal.FAULT),
        (msgpack.packb({"ok": False, "reason": "NO_SUCH"}), KeyRefusal.FAULT),
        (msgpack.packb({"ok": False, "reason": []}), KeyRefusal.FAULT),
        (msgpack.packb({"ok": 1, "value": b"x"}), KeyRefusal.FAULT),
        (b"\xc1", KeyRefusal.FAULT),
    ):
        with pytest.raises(KeyRefused) as refused:
            keyd_wire.decode_answer("wrapped", data)
        assert refused.value.reason is reason


def test_no_refusal_shows_more_than_its_reason():
    for reason in KeyRefusal:
        words = str(KeyRefused(reason, "detail"))
        assert words.startswith("key service: ") and "\n" not in words and words.endswith("(detail)")
    assert "01020304" not in repr(HeldSecret(bytearray(b"\x01\x02\x03\x04"), 1))
