"""What the tests of the Vault adapter share: how to make one, and what a refusal must look like."""

from collections.abc import Callable

import pytest

from gateway.link.keys.key_service import KeyRefused
from gateway.link.keys.vault import VaultKeyService
from tests.link.fake_vault import TOKEN
from tests.link.key_desk import HOUR

TIMEOUT_NS = 400_000_000
HOUR_PATH = f"gateway-link/hourly/{HOUR}"

Connect = Callable[..., VaultKeyService]


def refusal(call: Callable[[], object]) -> KeyRefused:
    with pytest.raises(KeyRefused) as refused:
        call()
    assert "\n" not in str(refused.value) and TOKEN not in str(refused.value)
    return refused.value
