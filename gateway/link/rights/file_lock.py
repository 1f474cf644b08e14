"""The lock beside a small file that one process keeps: durable_floors.py, counter_file.py.

    NAME.lock ─ flock ─► held until `close`, or until the process dies     NAME is replaced whole: it cannot be the lock

Hard rule: who could not open the file whole holds no lock either.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ops import durable_file


class FileLock:
    """A lock that this process holds."""

    def __init__(self, path: Path):
        """Takes the lock beside `path`. Raises OSError; BlockingIOError when another process has it."""
        durable_file.make_folder(path.parent)
        self._lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the file; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@contextmanager
def opening(path: Path, when_held: str, when_unusable: str) -> Iterator[FileLock]:
    """The lock, kept when the body opens the file, let go of when it cannot. Raises GatewayError with the mend."""
    lock = None
    try:
        lock = FileLock(path)
        yield lock
    except (OSError, GatewayError) as problem:
        if lock is not None:
            lock.close()
        if isinstance(problem, GatewayError):
            raise
        if isinstance(problem, BlockingIOError):
            raise GatewayError(f"{path} is used by another process; {when_held}") from None
        raise GatewayError(f"{path}: {problem.strerror}; {when_unusable}") from None
