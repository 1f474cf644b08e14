"""`gateway link-token`: mints a token of the regional link, looks at one, or issues a principal its keys."""

import argparse
import base64
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.output import print_json, print_note
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, GatewayError, UsageError

if TYPE_CHECKING:
    from gateway.link.rights.counter_file import Counter
    from gateway.link.rights.token_keys import CarriedKeys
    from gateway.link.rights.tokens import Token

HELP = "mint a token of the regional link for a principal and stream, look at one, or issue a principal its keys"
SECOND_NS = 1_000_000_000
DAYS_MAX = 3  # what a key service gives ahead


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", metavar="TOKEN", help="say what a token (base64) holds, and whether its MAC and time do")
    what.add_argument("--issue", metavar="FILE", help="write the principal's keys of the next days to FILE, mode 0600")
    whence = parser.add_mutually_exclusive_group(required=True)
    whence.add_argument("--keys", metavar="FILE", help="keys of one principal, as --issue wrote them")
    whence.add_argument("--service", metavar="ADDRESS", help="key service to ask for them, written as link.key_service is")
    parser.add_argument("--principal", metavar="NAME", help="in whose name; --keys already says")
    parser.add_argument("--stream", metavar="NAME", help="market_data, snapshots, executions or quotes")
    parser.add_argument("--node", type=_number, metavar="N", help="node of the gateway that is asked")
    parser.add_argument("--binding", metavar="HEX", help="what the session is known by, 16 to 64 bytes")
    parser.add_argument("--role-bits", type=_number, default=0, metavar="BITS", help="roles it claims, such as 1 or 0x3")
    parser.add_argument("--method", choices=("subscribe", "snapshot", "renew"), default="subscribe", help="what it is for")
    parser.add_argument("--ttl", type=int, default=300, metavar="SECONDS", help="1 to 300 (default 300)")
    parser.add_argument(
        "--counter", metavar="FILE", help="counter that outlives this command; without it: a life of its own"
    )
    parser.add_argument("--days", type=int, default=2, metavar="N", help=f"days to issue, today first: 1 to {DAYS_MAX}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _number(text: str) -> int:
    return int(text, 0)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: minted, issued, or the token holds; 1: it does not."""
    if arguments.issue:
        return _issue(arguments)
    if arguments.check:
        return _check(arguments)
    return _mint(arguments)


def _issue(arguments: argparse.Namespace) -> int:
    from gateway.link.rights import token_keys

    if not arguments.principal or not arguments.service:
        raise UsageError("--issue needs --service and --principal")
    if not 1 <= arguments.days <= DAYS_MAX:
        raise UsageError(f"--days {arguments.days}: a key service gives 1 to {DAYS_MAX}")
    keys = _asked(arguments, arguments.principal, token_keys.day_of(time.time_ns()), arguments.days)
    token_keys.write_keys(Path(arguments.issue), keys)
    if arguments.json:
        print_json({"file": arguments.issue, "principal": keys.principal, "days": keys.days})
    else:
        print_note(f"gateway link-token: wrote {arguments.issue}: keys of {keys.principal} for days {keys.days}")
    return EXIT_DONE


def _asked(arguments: argparse.Namespace, principal: str, first_day: int, days: int) -> "CarriedKeys":
    """A principal's keys from the key service."""
    from gateway.link.keys.key_address import open_key_service
    from gateway.link.rights.token_keys import issued_by

    return issued_by(open_key_service(arguments.service), principal, range(first_day, first_day + days))


def _mint(arguments: argparse.Namespace) -> int:
    from gateway.link.rights import token_keys, tokens
    from gateway.link.rights.token_source import Issuer, TokenSource

    missing = [name for name in ("stream", "node", "binding") if getattr(arguments, name) is None]
    if missing:
        raise UsageError(f"a token needs --{' and --'.join(missing)}")
    if not 1 <= arguments.node <= 0xFFFF:
        raise UsageError(f"--node {arguments.node}: 1 to 65535")
    now_ns = time.time_ns()
    keys = _keys(arguments, arguments.principal, token_keys.day_of(now_ns))
    issuer, method = Issuer(keys.principal, arguments.role_bits, arguments.ttl * SECOND_NS), arguments.method.upper()
    with _counter(arguments.counter) as counter:
        source = TokenSource(issuer, keys, counter)
        binding = _binding(arguments.binding)
        data = source.token(arguments.stream, arguments.node, binding, now_ns, tokens.Method[method])
    text = base64.b64encode(data).decode()
    if arguments.json:
        print_json({"token": text, **_shown(tokens.parse(data))})
    else:
        print(text)
    return EXIT_DONE


@contextmanager
def _counter(path: str | None) -> "Iterator[Counter]":
    """The counter of a file, or one of this process's own."""
    from gateway.link.rights.counter_file import BOOT_BYTES, CounterFile, ProcessCounter

    fresh = os.urandom(BOOT_BYTES)
    if not path:
        yield ProcessCounter(fresh)
        return
    with closing(CounterFile(Path(path), fresh)) as counter:
        yield counter


def _keys(arguments: argparse.Namespace, principal: str | None, day: int) -> "CarriedKeys":
    from gateway.link.rights import token_keys

    if arguments.keys:
        keys = token_keys.read_keys(Path(arguments.keys))
        if principal and principal != keys.principal:
            raise UsageError(f"{arguments.keys} has the keys of {keys.principal}, not of {principal}")
        return keys
    if not principal:
        raise UsageError("--service needs --principal")
    return _asked(arguments, principal, day, 1)


def _binding(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError("--binding: hex digits of what the session is known by") from None


def _check(arguments: argparse.Namespace) -> int:
    from gateway.link.rights import tokens

    try:
        data = base64.b64decode(arguments.check, validate=True)
    except ValueError:
        raise UsageError("--check: a token in base64, as this command prints it") from None
    if len(data) != tokens.SIZE_BYTES:
        raise GatewayError(f"{len(data)} bytes are no token: it has {tokens.SIZE_BYTES}")
    token = tokens.parse(data)
    now_ns = time.time_ns()
    keys = _keys(arguments, arguments.principal or (token.name if arguments.service else None), token.key_id)
    refused = tokens.authentic(data, token, keys, now_ns)
    said = {"ok": refused is None, "reason": refused, **_shown(token)}
    if arguments.json:
        print_json(said)
    else:
        print("\n".join(_line(name, value) for name, value in said.items()))
    return EXIT_CHECK_FAILED if refused else EXIT_DONE


def _line(name: str, value: Any) -> str:
    """For a reader: times in UTC, what is none as a dash."""
    if name.endswith("_ns"):
        moment = datetime.fromtimestamp(value / SECOND_NS, UTC).isoformat(" ", "milliseconds")
        name, value = name.removesuffix("_ns"), moment
    return f"{name:<13} {'-' if value is None else value}"


def _shown(token: "Token") -> dict[str, Any]:
    from gateway.link.rights.tokens import STREAMS, Method

    methods = {method.value: method.name.lower() for method in Method}
    return {
        "principal": token.name,
        "role_bits": token.role_bits,
        "streams": [name for name, stream in STREAMS.items() if token.scope & stream],
        "node": token.audience,
        "method": methods.get(token.method, token.method),
        "day": token.key_id,
        "issued_ns": token.issued_ns,
        "expires_ns": token.expires_ns,
        "boot_id": token.boot_id.hex(),
        "counter": token.counter,
        "payload_hash": token.payload_hash.hex(),
        "binding": token.binding.hex(),
    }
