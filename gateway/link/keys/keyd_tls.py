"""TLS between keyd and clients on other hosts: version 1.3 only, both sides show a certificate that the other has pinned.

A pinned certificate is its own trust anchor, so no authority is needed and none can vouch for a stranger: what is shown must
be the pinned one, byte for byte, whoever signed it. Hard rule: no pin, no connection.
"""

import ssl
from collections.abc import Iterable
from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.link.keys import secret_file

KEY_FILE_BYTES_MAX = 16_384


def server_context(certificate: Path, key: Path, clients: Iterable[Path]) -> ssl.SSLContext:
    """keyd's. Raises ConfigurationError."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, certificate, key, clients)
    context.num_tickets = 0  # every connection shows its certificate
    return context


def client_context(certificate: Path, key: Path, server: Path) -> ssl.SSLContext:
    """A client's. Raises ConfigurationError."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, [server])


def _context(side: int, certificate: Path, key: Path, pinned: Iterable[Path]) -> ssl.SSLContext:
    secret_file.read(key, "TLS key", KEY_FILE_BYTES_MAX)  # nobody else may read it
    context = ssl.SSLContext(side)
    context.check_hostname = False  # the pin says more than a name
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
        for path in pinned:
            context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as problem:
        raise ConfigurationError(f"TLS: {certificate} and {key}: {problem.strerror or problem}") from None
    return context


def _no_password() -> str:
    raise ConfigurationError("TLS: the key is encrypted; keep it in the clear with mode 0600, there is nobody to ask")
