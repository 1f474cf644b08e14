"""Signed evidence of kill drills: JSON files in the state folder, each under an HMAC-SHA256 (RFC 2104) of a key.

    state/drills/20260101T120000Z.json     { "drill": {…}, "hmac": "…" }          state/drill.key     mode 0600, made once

The key lies beside the files: a file that verifies is as a drill on this host wrote it, and edits by whoever cannot read the
key are found out. Against root of this host it proves nothing; who must prove it to others sends the files away.
Hard rule: what does not verify counts as none.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from gateway.errors import GatewayError

KEY_BYTES = 32
FILE_BYTES_MAX = 1 << 20
FILES_MAX = 10_000
DAY_SECONDS = 86_400
AHEAD_SECONDS = 300  # a drill from the future is none


def key_path(state: Path) -> Path:
    """The key of this instance's evidence."""
    return state / "drill.key"


def folder(state: Path) -> Path:
    """Where the files stand."""
    return state / "drills"


def _canonical(drill: dict[str, Any]) -> bytes:
    return json.dumps(drill, sort_keys=True, separators=(",", ":")).encode()


def _sign(key: bytes, drill: dict[str, Any]) -> str:
    return hmac.new(key, _canonical(drill), hashlib.sha256).hexdigest()


def _key(state: Path, make: bool = False) -> bytes | None:
    """The key; None where there is none, or one that others may read."""
    path = key_path(state)
    if make and not path.exists():
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, secrets.token_bytes(KEY_BYTES))
    try:
        if path.stat().st_mode & 0o077:
            return None
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def store(state: Path, drill: dict[str, Any]) -> Path:
    """Signs and writes one drill, synced. Raises GatewayError."""
    try:
        folder(state).mkdir(parents=True, exist_ok=True, mode=0o700)
        key = _key(state, make=True)
        if key is None:
            raise GatewayError(f"{key_path(state)} is no key of ours, or others may read it; remove it and drill again")
        path = folder(state) / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(drill['time']))}.json"
        _write(path, json.dumps({"drill": drill, "hmac": _sign(key, drill)}, indent=2).encode() + b"\n")
    except OSError as problem:
        raise GatewayError(f"{problem.filename or state}: {problem.strerror}; the drill has left no evidence") from None
    return path


def verified(state: Path, path: Path) -> dict[str, Any] | None:
    """The drill of a file; None where it is not as it was written."""
    key = _key(state)
    try:
        if key is None or path.stat().st_size > FILE_BYTES_MAX:
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        drill, given = document["drill"], document["hmac"]
        good = hmac.compare_digest(_sign(key, drill).encode(), str(given).encode())
        return drill if good and isinstance(drill["time"], int) and isinstance(drill["ok"], bool) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def newest(state: Path, now: float | None = None) -> tuple[dict[str, Any] | None, int]:
    """(the newest drill that verifies and passed, how many files do not verify)."""
    now = time.time() if now is None else now
    best: dict[str, Any] | None = None
    tampered = 0
    for path in sorted(folder(state).glob("*.json"))[-FILES_MAX:]:
        drill = verified(state, path)
        tampered += drill is None
        if drill is None or not drill["ok"] or drill["time"] > now + AHEAD_SECONDS:
            continue
        if best is None or drill["time"] > best["time"]:
            best = drill
    return best, tampered


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    fresh.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
