"""The kill latch on disk: it outlives the process, and a gateway does not start while it is set.

The file is made at its full size before it is needed, so that setting it needs no free space, and it is synced before
`set_latch` returns. Hard rule: an unreadable or unparsable file counts as set.
"""

import os
import time
from pathlib import Path

SIZE_BYTES = 4096
CLEAR = b"clear"


def path_in(state: Path) -> Path:
    """Where the latch of an instance stands."""
    return state / "kill"


def prepare(state: Path) -> None:
    """Makes the file, clear, when there is none."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = path_in(state)
    if not path.exists():
        _write(path, CLEAR)


def reason(state: Path) -> str | None:
    """Why the latch is set, or None while it is clear."""
    path = path_in(state)
    try:
        text = path.read_bytes().rstrip(b"\0 \n")
    except FileNotFoundError:
        return None
    except OSError as problem:
        return f"{path} cannot be read ({problem.strerror})"
    return None if text == CLEAR else text.decode("utf-8", "replace") or f"{path} is empty"


def set_latch(state: Path, why: str) -> None:
    """Sets the latch, unless it is set already: the first reason stays."""
    if reason(state) is None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _write(path_in(state), f"{why} {stamp}".encode())


def clear(state: Path) -> None:
    """Clears it: a human's decision."""
    _write(path_in(state), CLEAR)


def give_to_owner(file: int, folder: Path) -> None:
    """What root writes into the folder of another user stays that user's: a kill by root must not lock control out."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def _write(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner(file, path.parent)
        os.pwrite(file, text[: SIZE_BYTES - 1].ljust(SIZE_BYTES, b"\0"), 0)
        os.fsync(file)
    finally:
        os.close(file)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
