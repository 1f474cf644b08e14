"""The keys of the process: which key service the configuration means, the keyring over it, and what tokens are made of.

    link.key_service = "unix:/run/gateway/keyd.sock"              gateway keyd on this host
                       "vault:https://vault.example:8200/transit"  Vault or OpenBao

Hard rule: the loop never asks the service; a thread does, and what it cannot have is said, not waited for.
"""

from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.link.key_service import KeyService
from gateway.link.keyd_client import KeydClient, unix_connector
from gateway.link.keyring import Keyring


def open_service(text: str) -> KeyService:
    """The key service that `link.key_service` names. Raises ConfigurationError."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        return KeydClient(unix_connector(Path(rest).expanduser()))
    raise ConfigurationError(f"link.key_service = {text!r}: write unix:PATH of gateway keyd's socket")


class DailyTokens:
    """What token keys are derived from: the keyring's own key of each day."""

    def __init__(self, keyring: Keyring):
        self._keyring = keyring

    def daily(self, day: int) -> bytes | None:
        """The key of tokens of a day since 1970, None where none is held."""
        keys = self._keyring.day_keys(day)
        return None if keys is None else keys.token_key()
