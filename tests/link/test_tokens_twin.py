"""Tokens against their slow twin, and bytes of strangers: the same answer, no crash, bounded memory."""

import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.link.rights import token_keys, tokens
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_store import TokenStore
from tests.link import access_desk as desk
from tests.link import naive_tokens
from tests.link import test_tokens as tokens_test


def random_token(chance: random.Random) -> tokens.Token:
    """Mostly right, now and then wrong in a field."""
    changes: dict[str, Any] = {
        "counter": chance.choice([0, *range(1, 40), 1000, 1040, 2100]),
        "boot_id": bytes([chance.randrange(3)]) * 16,
    }
    odd = {
        "version": [2],
        "method": [2, 3],
        "audience": [9],
        "key_id": [desk.DAY - 1, desk.DAY + 1],
        "principal": [token_keys.principal_bytes(name) for name in ("risk-1", "nobody")],
        "role_bits": [0, 2, 3],
        "scope": [0, 1, 15],
        "issued_ns": [desk.NOW + chance.randrange(-400, 5) * desk.SECOND_NS],
        "ttl_ms": [0, 1, 300_000, 300_001],
        "payload_hash": [bytes(32)],
        "binding": [bytes(32)],
    }
    for name in chance.sample(list(odd), chance.choice([0, 0, 0, 1, 1, 2])):
        changes[name] = chance.choice(odd[name])
    return desk.token(**changes)


@pytest.mark.parametrize("seed", range(20))
def test_the_verifier_says_what_its_slow_twin_says(seed: int) -> None:
    chance, store = random.Random(seed), TokenStore(desk.Marks())
    twin = naive_tokens.NaiveVerifier(desk.NODE, desk.Ring().days, tokens_test.RIGHTS, tokens_test.STREAMS)
    accepted = 0
    for _ in range(300):
        read, peer, stream = random_token(chance), chance.choice([2, 2, 4]), chance.choice([2, 2, 2, 1])
        data = tokens_test.flipped(desk.minted(read)) if chance.random() < 0.05 else desk.minted(read)
        asked = desk.expected(None, peer, stream=tokens.Stream(stream))
        found = tokens.verify(data, asked, desk.keys(), store, desk.NOW)
        reason = twin.verify(data, desk.SESSION, stream, 1, b"", peer, desk.NOW)
        assert (found if isinstance(found, Reason) else "") == reason, f"seed {seed}: {read}"
        accepted += not reason
    assert accepted > 20, "most of it would have tested nothing"


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=0, max_size=400))
def test_bytes_of_a_stranger_are_refused_with_a_reason(data: bytes) -> None:
    assert isinstance(tokens.verify(data, desk.expected(), desk.keys(), TokenStore(desk.Marks()), desk.NOW), Reason)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_damaged_tokens_are_refused_and_cost_nothing(seed: int) -> None:
    chance, ring = random.Random(seed), desk.Ring()
    store = TokenStore(desk.Marks())
    right, sought = desk.minted(), desk.keys(ring)
    tracemalloc.start()
    for _ in range(2_000):
        data = bytearray(right)
        for _ in range(chance.randrange(1, 9)):
            data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        cut = bytes(data[: chance.choice([180, 180, 180, chance.randrange(180)])]) + bytes(chance.choice([0, 0, 0, 7]))
        if cut != right:
            assert isinstance(tokens.verify(cut, desk.expected(), sought, store, desk.NOW), Reason), f"seed {seed}"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert store.accepted == 0 and peak < 1 << 20, f"{peak} bytes"
