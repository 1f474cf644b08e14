"""Replaces a small file whole, so that after a crash the old content stands there or the new one, never a part.

    beside it, synced ─► rename ─► folder synced

Hard rule: `replace` returns only when a loss of power no longer loses what was written.
"""

import os
from pathlib import Path

from gateway.ops.kill_file import give_to_owner

PRIVATE = 0o600


def replace(path: Path, content: bytes) -> None:
    """Writes `content` as the whole file, mode 0600, the folder with it. Raises OSError; the old file then stands."""
    make_folder(path.parent)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
    try:
        _fill(file, content, path.parent)
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """The folder, mode 0700; one that root makes belongs to whom the folder around it belongs."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        around = folder.parent.stat()
        os.chown(folder, around.st_uid, around.st_gid)


def _fill(file: int, content: bytes, folder: Path) -> None:
    try:
        give_to_owner(file, folder)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Makes names in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
