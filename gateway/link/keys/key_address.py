"""Where a key service is, in one word of the configuration, and the service behind it.

    unix:PATH                                                            gateway keyd on this host
    tls:HOST:PORT,certificate=FILE,key=FILE,server=FILE                  gateway keyd on another; `server` is its certificate
    vault:https://HOST:PORT/TRANSIT,store=KV,token=FILE,authority=FILE,namespace=NAME

Hard rule: nothing is guessed; an unknown kind or option is one line that lists the known ones.
"""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from gateway.errors import ConfigurationError
from gateway.link.keys.key_service import KeyService
from gateway.sections import host_and_port

OPTIONS: dict[str, tuple[str, ...]] = {
    "unix": (),
    "tls": ("certificate", "key", "server"),
    "vault": ("store", "token", "authority", "namespace"),
}
NEEDED = {"unix": (), "tls": OPTIONS["tls"], "vault": ()}
FORMS = "unix:PATH, tls:HOST:PORT,certificate=FILE,key=FILE,server=FILE or vault:https://HOST:PORT/TRANSIT"


def open_key_service(address: str) -> KeyService:
    """The service; nothing is asked of it yet. Raises ConfigurationError, CapabilityError."""
    kind, argument, options = parse(address)
    if kind == "unix":
        from gateway.link.keys.keyd_client import KeydClient, unix_connector

        return KeydClient(unix_connector(Path(argument).expanduser()))
    return _open_tls(argument, options) if kind == "tls" else _open_vault(argument, options)


def parse(address: str) -> tuple[str, str, dict[str, str]]:
    """(kind, argument, options). Raises ConfigurationError."""
    kind, _, rest = address.partition(":")
    argument, *words = rest.split(",")
    pairs = [word.partition("=") for word in words]
    options = {name: value for name, _, value in pairs}
    known = OPTIONS.get(kind)
    if known is None or not argument:
        raise ConfigurationError(f"key service {address!r}: write {FORMS}")
    wrong = [name for name, equals, value in pairs if name not in known or not equals or not value]
    missing = [name for name in NEEDED[kind] if name not in options]
    if wrong or missing or len(options) < len(pairs):
        what = f"{wrong[0]!r} is no option" if wrong else f"{missing[0]} is missing" if missing else "an option twice"
        raise ConfigurationError(f"key service {address!r}: {what}; options of {kind}: {', '.join(known) or 'none'}")
    return kind, argument, options


def _open_tls(argument: str, options: dict[str, str]) -> KeyService:
    from gateway.link.keys import keyd_tls
    from gateway.link.keys.keyd_access import read_certificate
    from gateway.link.keys.keyd_client import KeydClient, tls_connector

    certificate, key, server = (Path(options[name]).expanduser() for name in OPTIONS["tls"])
    try:
        where = host_and_port(argument)
    except ValueError as problem:
        raise ConfigurationError(f"key service tls:{argument}: {problem}") from None
    pin = hashlib.sha256(read_certificate(server)).digest()
    return KeydClient(tls_connector(where, keyd_tls.client_context(certificate, key, server), pin))


def _open_vault(argument: str, options: dict[str, str]) -> KeyService:
    from gateway.link.keys.vault import VaultKeyService

    parts = urlsplit(argument)
    token, authority = (Path(options[name]).expanduser() if name in options else None for name in ("token", "authority"))
    return VaultKeyService(
        f"{parts.scheme}://{parts.netloc}",
        parts.path.strip("/") or "transit",
        options.get("store", "secret"),
        token,
        authority,
        options.get("namespace", ""),
    )
