"""`gateway keyd`: serves the secrets of a sealed root to the gateways of this host, and over TLS to those of others."""

import argparse
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from gateway.cli.output import print_json, print_note
from gateway.errors import EXIT_DONE, UsageError
from gateway.sections import host_and_port

if TYPE_CHECKING:
    from gateway.link.keys.keyd_access import Access
    from gateway.link.keys.keyd_desk import KeydDesk
    from gateway.link.keys.keyd_server import KeydServer

ENDING = (signal.SIGTERM, signal.SIGINT)
HELP = "serve the regional link's hourly and daily secrets from a sealed root file"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "--root", required=True, type=Path, metavar="FILE", help="sealed root; gateway link-keys root makes it"
    )
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="else GATEWAY_KEYD_PASSPHRASE is read")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="unix socket for the gateways of this host")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="USER=NODE,…",
        help="a user of this host, and the nodes it may have certified; root and keyd's own user may everything",
    )
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="TLS 1.3 for gateways of other hosts")
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="keyd's own, PEM; with --listen")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its private key, PEM, mode 0600; with --listen")
    parser.add_argument(
        "--allow-certificate",
        action="append",
        default=[],
        metavar="FILE=NODE,…",
        help="the pinned certificate of a gateway elsewhere, PEM, and the nodes it may have certified",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object when it listens")


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGTERM or Ctrl-C; exit code 0."""
    from gateway.link.keys.keyd_desk import KeydDesk
    from gateway.link.keys.keyd_server import KeydServer
    from gateway.link.keys.keyd_vault import KeydVault
    from gateway.link.keys.sealed_root import held, passphrase_of
    from gateway.ops import privileges
    from gateway.ops.notification import Notification

    listen, notification = _checked(arguments), Notification()
    with _ending() as wait_for_the_end:
        privileges.hide()  # before there is anything to see
        access, context = _access(arguments)
        with held(arguments.root):
            vault = KeydVault.open(arguments.root, passphrase_of(arguments.passphrase_file))
            desk = KeydDesk(vault)
            server = KeydServer(desk, access, arguments.socket, listen, context, _say)
            try:
                _tell(arguments, server)
                notification.say("READY=1")
                wait_for_the_end()
            finally:
                notification.say("STOPPING=1")
                server.close()
                vault.close()
    _account(server, desk)
    return EXIT_DONE


@contextlib.contextmanager
def _ending() -> Iterator[Callable[[], object]]:
    """From here on SIGTERM and Ctrl-C are one byte in a pipe, whenever and to whichever thread they come; yields the wait.

    An Event that a handler sets would not do: a signal within its own `wait` finds its lock taken, and nothing ever ends.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _noticed) for number in ENDING}
    waking = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield lambda: os.read(reader, 1)
    finally:
        signal.set_wakeup_fd(waking)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _noticed(number: int, frame: FrameType | None) -> None:
    """The byte is written already."""


def _checked(arguments: argparse.Namespace) -> tuple[str, int] | None:
    """Where TLS listens. Raises UsageError for words that do not go together."""
    if arguments.socket is None and arguments.listen is None:
        raise UsageError("nobody could ask: add --socket PATH, --listen ADDRESS:PORT, or both")
    if arguments.allow and arguments.socket is None:
        raise UsageError("--allow belongs to --socket")
    tls = (arguments.certificate, arguments.key, arguments.allow_certificate)
    if arguments.listen is None:
        if any(tls):
            raise UsageError("--certificate, --key and --allow-certificate belong to --listen")
        return None
    if not all(tls):
        raise UsageError("--listen needs --certificate, --key and at least one --allow-certificate FILE=NODE")
    try:
        return host_and_port(arguments.listen)
    except ValueError as problem:
        raise UsageError(f"--listen: {problem}") from None


def _access(arguments: argparse.Namespace) -> "tuple[Access, ssl.SSLContext | None]":
    from gateway.link.keys import keyd_access, keyd_tls

    users = dict(keyd_access.parse_user(text) for text in arguments.allow)
    pinned = [keyd_access.parse_certificate(text) for text in arguments.allow_certificate]
    access = keyd_access.Access(users, {fingerprint: caller for _, fingerprint, caller in pinned})
    if not pinned:
        return access, None
    return access, keyd_tls.server_context(arguments.certificate, arguments.key, [path for path, _, _ in pinned])


def _tell(arguments: argparse.Namespace, server: "KeydServer") -> None:
    where = {"socket": str(arguments.socket) if arguments.socket else None, "port": server.port or None}
    if arguments.json:
        print_json({"listening": True, "process": os.getpid(), **where})
        sys.stdout.flush()
    else:
        told = [str(arguments.socket)] if arguments.socket else []
        told += [f"{arguments.listen.rpartition(':')[0]}:{server.port}"] if server.port else []
        print_note(f"gateway keyd: listens at {' and '.join(told)}; Ctrl-C or SIGTERM ends it")


def _say(text: str) -> None:
    print_note(f"gateway keyd: {text}")


def _account(server: "KeydServer", desk: "KeydDesk") -> None:
    counts = server.counters + desk.counters
    said = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "nobody asked"
    with contextlib.suppress(OSError):
        print_note(f"gateway keyd: ended; {said}")
