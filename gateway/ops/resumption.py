"""What a human has allowed again ⑦: requests that `gateway resume` leaves in the state folder for control.

    gateway resume CONFIG WHAT --code …  ─► resume/NUMBER (synced) ─► control, at its next turn or its next start ─► gone

Hard rule: control removes a request only after the file of halts was written without the halt.
"""

import time
from pathlib import Path

from gateway.errors import GatewayError, UsageError
from gateway.ops import durable_file
from gateway.ops.breach import ACCOUNT, INSTRUMENT, STRATEGY

REQUEST_BYTES_MAX = 256


def folder_in(state: Path) -> Path:
    """Where the requests lie."""
    return state / "resume"


def checked(what: str) -> str:
    """`what`, when it names something that can be halted. Raises UsageError."""
    scope, equals, name = what.partition("=")
    if what == ACCOUNT or (scope in (STRATEGY, INSTRUMENT) and equals and name and len(what) < REQUEST_BYTES_MAX):
        return what
    raise UsageError(f"{what!r} cannot be resumed: account, strategy=NAME or instrument=SYMBOL")


def ask(state: Path, what: str) -> Path:
    """Leaves a request; returns its file. The caller has seen the second factor."""
    path = folder_in(state) / f"{time.time_ns():020}"
    try:
        durable_file.replace(path, what.encode())
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}; nothing was resumed") from None
    return path


def waiting(state: Path) -> list[tuple[Path, str]]:
    """(file, what) of every request, oldest first."""
    try:
        paths = sorted(path for path in folder_in(state).iterdir() if path.name.isdecimal())
        return [(path, path.read_bytes()[:REQUEST_BYTES_MAX].decode("utf-8", "replace")) for path in paths]
    except OSError:
        return []
