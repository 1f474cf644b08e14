"""The file of the controls after the trade: halts, high-water marks and windows, over restarts and crashes.

    line 1   JSON        line 2   its SHA-256

Hard rule: a file that is there and is not whole counts as halted; it is kept aside.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from gateway.ops import durable_file

VERSION = 1
BYTES_MAX = 16 << 20


class DamagedRecord(Exception):
    """The file is there, and cannot be believed; the message says why."""


def path_in(state: Path) -> Path:
    """Where it stands."""
    return state / "post_trade"


def read(state: Path) -> dict[str, Any] | None:
    """What the last run wrote; None where there was none. Raises DamagedRecord."""
    path = path_in(state)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise DamagedRecord("larger than any that was written")
        body, _, digest = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise DamagedRecord(problem.strerror or "cannot be read") from None
    if hashlib.sha256(body).hexdigest().encode() != digest.strip():
        raise DamagedRecord("its digest is another one")
    try:
        record = json.loads(body)
    except ValueError:
        raise DamagedRecord("no JSON") from None
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise DamagedRecord("of another version")
    return record


def write(state: Path, record: dict[str, Any]) -> None:
    """Replaces the file, synced. Raises OSError."""
    body = json.dumps({"version": VERSION, **record}, separators=(",", ":")).encode()
    durable_file.replace(path_in(state), body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")


def keep_aside(state: Path) -> Path:
    """Gives a damaged file a second name, so that it outlives the next write; returns that. Raises OSError."""
    path = path_in(state)
    number = 1
    while (aside := path.with_name(f"post_trade.damaged.{number}")).exists():
        number += 1
    aside.hardlink_to(path)  # no moment without a file: a crash here finds the damaged one again
    durable_file.sync_folder(state)
    return aside
