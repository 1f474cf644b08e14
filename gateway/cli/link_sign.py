"""`gateway link-sign FILE`: signs or checks a roles or addresses file of the regional link, or checks an access journal."""

import argparse
import base64
from pathlib import Path
from typing import Any

from gateway.cli.output import print_json, print_note
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, GatewayError, UsageError

HELP = "sign or check a roles or addresses file of the regional link, make the key for it, check an access journal"
KEY_FILE_BYTES_MAX = 64
JOURNAL = "journal"
WHAT = "signing key"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="the file to sign or to check")
    parser.add_argument("--kind", choices=("roles", "addresses", JOURNAL), help="what FILE is; a journal is only checked")
    parser.add_argument("--key", metavar="FILE", help="private key to sign with; others must not be able to read it")
    parser.add_argument("--check", action="store_true", help="sign nothing: say whether FILE holds")
    parser.add_argument("--public", metavar="FILE", help="public key to check with")
    parser.add_argument("--new-key", metavar="FILE", help="make a key: FILE, and FILE.pub with what link.signer says")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 when it was signed, or holds; 1 when a check says no."""
    if arguments.new_key:
        said = _new_key(Path(arguments.new_key))
    elif not arguments.file or not arguments.kind:
        raise UsageError("say which FILE and its --kind roles, addresses or journal; or --new-key FILE")
    elif arguments.check:
        said = _check(Path(arguments.file), arguments.kind, arguments.public)
    else:
        said = _sign(Path(arguments.file), arguments.kind, arguments.key)
    if arguments.json:
        print_json(said)
    else:
        print_note(f"gateway link-sign: {said['text']}")
    return EXIT_DONE if said["ok"] else EXIT_CHECK_FAILED


def _new_key(path: Path) -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gateway.link.keys import secret_file

    key = Ed25519PrivateKey.generate()
    secret_file.create(path, base64.b64encode(key.private_bytes_raw()) + b"\n", WHAT)
    public, public_path = base64.b64encode(key.public_key().public_bytes_raw()).decode(), path.with_name(path.name + ".pub")
    try:
        public_path.write_text(public + "\n", encoding="ascii")
    except OSError as problem:
        raise GatewayError(f"{public_path}: {problem.strerror}; the public key is {public}") from None
    text = f"wrote {path}; keep it off the gateways. Public key {public}, in {public_path}: write it as link.signer"
    return {"ok": True, "file": str(path), "public_key": public, "public_file": str(public_path), "text": text}


def _sign(path: Path, kind: str, key_file: str | None) -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gateway.link.keys import secret_file
    from gateway.link.rights import signed_file
    from gateway.ops import durable_file

    if kind == JOURNAL:
        raise UsageError("a journal is not signed; add --check")
    if not key_file:
        raise UsageError("signing needs --key FILE; gateway link-sign --new-key FILE makes one")
    text = secret_file.read_line(Path(key_file), WHAT, KEY_FILE_BYTES_MAX)
    try:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except ValueError:
        raise GatewayError(f"{WHAT}: {key_file} holds no key; gateway link-sign --new-key FILE makes one") from None
    signed = signed_file.sign(kind, signed_file.read(path), key)
    version = _parse(path, kind, signed_file.content_of(kind, signed, key.public_key().public_bytes_raw()))
    mode = path.stat().st_mode & 0o777
    try:
        durable_file.replace(path, signed)
        path.chmod(mode)
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}; the old file stands") from None
    return {"ok": True, "file": str(path), "kind": kind, "version": version, "text": f"{path}: {kind} {version}, signed"}


def _parse(path: Path, kind: str, content: bytes) -> int:
    from gateway.link.rights import addresses, roles
    from gateway.link.rights.signed_file import FileRefused

    try:
        return (roles.FORM.parse(content) if kind == "roles" else addresses.FORM.parse(content)).version
    except FileRefused as problem:
        raise FileRefused(f"{path}: {problem}") from None


def _check(path: Path, kind: str, public_file: str | None) -> dict[str, Any]:
    from gateway.link.rights import signed_file

    if kind == JOURNAL:
        return _check_journal(path)
    if not public_file:
        raise UsageError("checking a signed file needs --public FILE")
    public_key = signed_file.public_key_of(signed_file.read(Path(public_file)))
    try:
        version = _parse(path, kind, signed_file.content_of(kind, signed_file.read(path), public_key))
    except signed_file.FileRefused as problem:
        return {"ok": False, "file": str(path), "kind": kind, "text": str(problem)}
    return {"ok": True, "file": str(path), "kind": kind, "version": version, "text": f"{path}: {kind} {version} holds"}


def _check_journal(path: Path) -> dict[str, Any]:
    from gateway.link.rights import journal_file

    files = journal_file.files_of(path)
    found = journal_file.check(files)
    text = f"{found.lines} lines in {len(files)} files hold, {found.torn} torn; chain {found.chain}"
    if found.broken_at:
        text = f"{found.broken_at} does not follow from the line before: lines were changed, added or taken out"
    return {"ok": not found.broken_at, "file": str(path), **found._asdict(), "text": text}
