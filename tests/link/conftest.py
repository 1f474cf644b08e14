"""Key services for the tests of the link: keyd's own in memory on a clock of its own, and a Vault that stands in for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.link.keys import secret_file
from gateway.link.keys.vault import VaultKeyService
from tests.link.fake_vault import TOKEN, FakeVault, TransitKey
from tests.link.key_desk import Clock, Unsteady, vault_in
from tests.link.vault_desk import TIMEOUT_NS, Connect


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(tmp_path: Path, clock: Clock) -> Unsteady:
    return Unsteady(vault_in(tmp_path, clock))


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    fake = FakeVault()
    fake.keys = {
        "gateway-link": TransitKey("aes256-gcm96", derived=True),
        "gateway-link-node-1": TransitKey("ed25519"),
        "gateway-link-node-2": TransitKey("ed25519"),
    }
    yield fake
    fake.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    secret_file.create(tmp_path / "token", TOKEN.encode() + b"\n", "token")
    return tmp_path / "token"


@pytest.fixture
def connect(vault: FakeVault, token_file: Path) -> Iterator[Connect]:
    made: list[VaultKeyService] = []

    def connect(**words: object) -> VaultKeyService:
        settings = {"token_file": token_file, "timeout_ns": TIMEOUT_NS, "now_ns": Clock()} | words
        made.append(VaultKeyService(vault.url, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield connect
    for each in made:
        each.close()
