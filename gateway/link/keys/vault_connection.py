"""One connection to Vault or OpenBao through hvac: its token, its errors as reasons.

Hard rule: a token is read from a file of mode 0600 or from VAULT_TOKEN, never shown, sent over TLS or to this host only.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import CapabilityError, ConfigurationError
from gateway.link.keys import secret_file
from gateway.link.keys.key_service import KeyRefusal, KeyRefused

TOKEN_BYTES_MAX = 8192
VARIABLE = "VAULT_TOKEN"
DETAIL_MAX = 160  # characters of Vault's own words in an error


class VaultConnection:
    """Any number of threads, one call at a time; a call may block for its timeout twice, as the library counts it."""

    def __init__(self, url: str, token_file: Path | None, authority_file: Path | None, namespace: str, timeout_ns: int):
        """Raises ConfigurationError (address, token), CapabilityError (the extra `vault` is not installed)."""
        self._token_file, self._lock = token_file, threading.Lock()
        self._hvac, self._requests = _libraries()
        session = self._requests.Session()
        session.trust_env = False  # no proxy and no .netrc of the environment sees the token
        session.verify = str(authority_file) if authority_file else True
        self._client = self._hvac.Client(
            url=_checked(url),
            token=_token(token_file),
            timeout=timeout_ns / 1e9,
            session=session,
            namespace=namespace or None,
            allow_redirects=False,  # a redirect would take the token along
        )

    def close(self) -> None:
        """Hangs up and forgets the token."""
        self._client.token = None
        self._client.adapter.close()

    def ask(
        self,
        call: Callable[[Any], Any],
        invalid: KeyRefusal = KeyRefusal.FAULT,
        absent: str | None = None,
        bodiless: bool = False,
    ) -> dict[str, Any]:
        """The `data` of the answer. `invalid`: what a 400 means; `absent`: of a 404 with nothing said, "" gives {}."""
        problems = self._hvac.exceptions
        with self._lock:
            try:
                self._client.token = _token(self._token_file)  # an agent renews it in its file
                answer = call(self._client)
            except ConfigurationError as problem:
                raise KeyRefused(KeyRefusal.NOT_ALLOWED, str(problem)) from None
            except problems.InvalidPath as problem:
                answer = _not_there(problem, absent)
            except problems.VaultError as problem:
                raise KeyRefused(_reason(problems, problem, invalid), _words(problem)) from None
            except self._requests.exceptions.Timeout:
                raise KeyRefused(KeyRefusal.UNREACHABLE, "no answer in time") from None
            except (self._requests.exceptions.RequestException, OSError) as problem:
                raise KeyRefused(KeyRefusal.UNREACHABLE, type(problem).__name__) from None
        if bodiless:
            return {}
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise KeyRefused(KeyRefusal.FAULT, "its answer is none of Vault's")
        return data


def _libraries() -> tuple[Any, Any]:
    try:
        import hvac
        import requests
    except ImportError:
        raise CapabilityError(
            "key service: vault needs the extra `vault`; mend: pip install 'bypass-gateway[vault]'"
        ) from None
    return hvac, requests


def _checked(url: str) -> str:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme not in ("https", "http") or not parts.hostname or (parts.scheme == "http" and not local):
        raise ConfigurationError(f"key service: {url!r}: write https://HOST:PORT; http is for this host only")
    return url


def _token(path: Path | None) -> str:
    token = secret_file.read_line(path, "vault token", TOKEN_BYTES_MAX) if path else os.environ.get(VARIABLE, "")
    if not token:
        raise ConfigurationError(f"key service: vault needs a token: write token=FILE, or set {VARIABLE} in the environment")
    return token


def _not_there(problem: Any, absent: str | None) -> dict[str, Any]:
    """A 404 is an answer where it tells of a version that was deleted, or where nothing had to be there."""
    if isinstance(problem.json, dict) and problem.json.get("data"):
        return problem.json
    if absent is None or problem.errors:
        raise KeyRefused(KeyRefusal.FAULT, _words(problem))
    if absent:
        raise KeyRefused(KeyRefusal.FAULT, absent)
    return {"data": {}}


def _reason(problems: Any, problem: Exception, invalid: KeyRefusal) -> KeyRefusal:
    reasons = (
        (problems.InvalidRequest, invalid),
        ((problems.Forbidden, problems.Unauthorized), KeyRefusal.NOT_ALLOWED),
        (problems.RateLimitExceeded, KeyRefusal.RATE),
        ((problems.VaultDown, problems.VaultNotInitialized), KeyRefusal.SEALED),
    )
    return next((reason for kinds, reason in reasons if isinstance(problem, kinds)), KeyRefusal.FAULT)


def _words(problem: Any) -> str:
    """What Vault says, in one line; its errors name paths and policies, never tokens or secrets."""
    words = " ".join(", ".join(problem.errors or []).split()) or type(problem).__name__
    return words[:DETAIL_MAX]
