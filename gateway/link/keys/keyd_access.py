"""Who may ask keyd: users of this host by the number their kernel vouches for, other hosts by their pinned certificate.

    unix socket ─ SO_PEERCRED ─► user id ──────────────┐
    TCP ─ TLS 1.3, certificate asked for ─► SHA-256 ───┴─► Caller: name, nodes it may have certified, whether it may revoke

Hard rule: who is not listed gets no answer at all.
"""

import hashlib
import os
import pwd
import socket
import ssl
import struct
from pathlib import Path
from typing import NamedTuple

from gateway.errors import ConfigurationError, UsageError

CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group
NODE_LAST = 65_535


class Caller(NamedTuple):
    """Somebody who is listed."""

    name: str
    nodes: frozenset[int] | None  # whose signing keys it may have certified; None: every node's
    may_revoke: bool = False

    def may_certify(self, source: int) -> bool:
        """Whether node `source` is its own."""
        return self.nodes is None or source in self.nodes


class Access:
    """The list. keyd's own user and root are always on it: they can read the root file anyway."""

    def __init__(self, users: dict[int, Caller] | None = None, certificates: dict[bytes, Caller] | None = None):
        """`users` by user id, `certificates` by the SHA-256 of the certificate (DER)."""
        own = {number: Caller(f"user {number}", None, may_revoke=True) for number in (0, os.geteuid())}
        self._users = (users or {}) | own
        self._certificates = certificates or {}

    @property
    def open_to_others(self) -> bool:
        """Whether users other than keyd's own and root are listed: the socket must let them in."""
        return any(number not in (0, os.geteuid()) for number in self._users)

    def caller(self, connection: socket.socket) -> Caller | None:
        """Who is at the other end; None: nobody listed.

        A unix socket tells who they were when they connected; TLS, whose certificate was shown, once hands are shaken.
        """
        if isinstance(connection, ssl.SSLSocket):
            shown = connection.getpeercert(binary_form=True)
            return self._certificates.get(hashlib.sha256(shown).digest()) if shown else None
        words = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        return self._users.get(CREDENTIALS.unpack(words)[1])


def parse_user(text: str) -> tuple[int, Caller]:
    """`USER=NODE[,NODE…]`, the user by name or number. Raises UsageError."""
    who, nodes = _split(text)
    try:
        number = int(who) if who.isdecimal() else pwd.getpwnam(who).pw_uid
    except KeyError:
        raise UsageError(f"{text!r}: no such user here: {who}") from None
    return number, Caller(f"user {who}", nodes)


def parse_certificate(text: str) -> tuple[Path, bytes, Caller]:
    """`FILE=NODE[,NODE…]`, the file a PEM certificate: (file, its SHA-256, who). Raises UsageError, ConfigurationError."""
    who, nodes = _split(text)
    path = Path(who).expanduser()
    fingerprint = hashlib.sha256(read_certificate(path)).digest()
    return path, fingerprint, Caller(f"certificate {path.name}", nodes)


def read_certificate(path: Path) -> bytes:
    """The one certificate (DER) of a PEM file. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="ascii")
        if text.count("BEGIN CERTIFICATE") != 1:
            raise ValueError
        return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") :].strip())
    except OSError as problem:
        raise ConfigurationError(f"certificate: {path}: {problem.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"certificate: {path} does not hold exactly one certificate in PEM") from None


def _split(text: str) -> tuple[str, frozenset[int]]:
    who, _, numbers = text.rpartition("=")
    try:
        nodes = frozenset(int(number) for number in numbers.split(","))
    except ValueError:
        nodes = frozenset()
    if not who or not nodes or not all(1 <= node <= NODE_LAST for node in nodes):
        raise UsageError(f"{text!r}: write WHO=NODE, or WHO=NODE,NODE; a node is 1 to {NODE_LAST}")
    return who, nodes
