"""The file of the access journal: lines are appended, never changed; a full file gives way to a new one and is kept.

    access.jsonl ── 64 MiB ──► access-1.jsonl, access-2.jsonl, …          the chain goes on across files

A line is in the file before what it says is done, so a process that dies loses nothing; the disk is asked within a second
(fdatasync, in a thread: the loop waits for no disk), which a power cut may cost. A full file gives way at a moment when the
disk has all of it, so that a power cut never takes lines from the middle.
Hard rule: a line that the disk took in part is ended, counted as not written, and stays out of the chain.
"""

import errno
import json
import os
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path
from typing import NamedTuple

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.rights.journal import CHAIN_BEGIN, chain_of, next_chain
from gateway.ops import durable_file
from gateway.ops.kill_file import give_to_owner

NAME = "access.jsonl"
_TAIL_BYTES = 65536


class JournalFile:
    """The open file; one thread writes it."""

    def __init__(self, folder: Path, bytes_max: int = limits.ACCESS_JOURNAL_BYTES_MAX):
        """Opens it behind its last line. Raises GatewayError."""
        self.path, self._bytes_max = folder / NAME, bytes_max
        try:
            durable_file.make_folder(folder)
            self.chain = _last_chain(self.path) or self._chain_before()
            self._file, self._size = _opened(self.path)
        except OSError as problem:
            raise GatewayError(f"{self.path}: {problem.strerror}; nobody is let in without a journal") from None
        self._disk = ThreadPoolExecutor(1, "journal")
        self._syncing: Future[None] | None = None
        self._asked = self._synced = 0  # bytes that the disk was asked for, and that it has
        self._torn = False

    def append(self, line: bytes, chain: str) -> None:
        """Takes a whole line. Raises OSError, and the chain is what it was."""
        if self._size >= self._bytes_max and self._may_turn():
            self._turn()
        if self._torn:
            line = b"\n" + line
        written = os.write(self._file, line)
        self._size += written
        if written < len(line):
            self._torn = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn, self.chain = False, chain
        if self._size >= self._bytes_max and self._syncing is None:
            self._ask()  # by the next line the disk may have all of it

    def sync(self) -> bool:
        """Whether the disk has everything; if not, a thread asks it. Raises OSError of the last time."""
        settled = self._is_settled()
        if not settled and self._syncing is None:
            self._ask()
        return settled

    def _ask(self) -> None:
        self._asked = self._size
        self._syncing = self._disk.submit(os.fdatasync, self._file)

    def _is_settled(self) -> bool:
        """Whether the disk has everything. Raises OSError of the last time."""
        if self._syncing is not None and self._syncing.done():
            done, self._syncing = self._syncing, None
            done.result()
            self._synced = self._asked
        return self._syncing is None and self._synced == self._size

    def wait(self) -> None:
        """Waits for the sync that is under way."""
        if self._syncing is not None:
            wait([self._syncing])

    def _may_turn(self) -> bool:
        """Whether the disk has all of the file. One that grows faster than that ends at twice its size: then this waits."""
        if not self._is_settled():
            if self._size < 2 * self._bytes_max:
                return False
            self.wait()
            os.fdatasync(self._file)
            self._syncing = None
        return True

    def _turn(self) -> None:
        """Puts the full file aside under the next free number and begins a new one."""
        self.path.rename(_numbered(self.path, _aside(self.path) + 1))
        os.close(self._file)
        self._file, self._size = _opened(self.path)
        self._asked = self._synced = self._size
        self._disk.submit(durable_file.sync_folder, self.path.parent)

    def _chain_before(self) -> str:
        """The chain of the file that was put aside last: a crash may fall between it and the first line of the next."""
        newest = _aside(self.path)
        return (_last_chain(_numbered(self.path, newest)) if newest else "") or CHAIN_BEGIN

    def close(self) -> None:
        """Syncs and closes it; a second call does nothing. Raises OSError of the sync, and it is closed."""
        self._disk.shutdown()
        if self._file >= 0:
            try:
                os.fdatasync(self._file)
            finally:
                os.close(self._file)
                self._file = -1


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _aside(path: Path) -> int:
    """How many files were put aside: they are numbered from 1 without a hole."""
    return next(number for number in count(1) if not _numbered(path, number).exists()) - 1


def _opened(path: Path) -> tuple[int, int]:
    """(file behind its end, its size); a last line that a crash has torn is ended first. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        give_to_owner(file, path.parent)
        end = os.fstat(file).st_size
        if end and os.pread(file, 1, end - 1) != b"\n":
            end += os.write(file, b"\n")
    except OSError:
        os.close(file)
        raise
    return file, end


def _last_chain(path: Path) -> str:
    """The chain of the last whole line; '' where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _TAIL_BYTES, 0))
        lines = file.read().split(b"\n")
    return next((found[1] for line in reversed(lines) if (found := chain_of(line))), "")


class Checked(NamedTuple):
    """What an examination of files found."""

    lines: int
    torn: int  # that a crash cut short: outside the chain, and no JSON
    broken_at: str  # "file:line" of the first line whose chain is wrong or missing; '' when all hold
    chain: str


def _is_whole(line: bytes) -> bool:
    """Whether a line without a chain is one all the same: whoever put it there is no crash, which leaves a beginning."""
    try:
        return bool(line.strip()) and json.loads(line) is not None
    except (ValueError, RecursionError):
        return False


def check(paths: list[Path], begin: str = CHAIN_BEGIN) -> Checked:
    """Follows the chain through files, oldest first. Raises GatewayError for a file that cannot be read."""
    lines = torn = 0
    chain = begin
    for path in paths:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    found = chain_of(line)
                    if found is None and not _is_whole(line):
                        torn += 1
                        continue
                    if found is None or next_chain(chain, found[0]) != found[1]:
                        return Checked(lines, torn, f"{path}:{number}", chain)
                    lines, chain = lines + 1, found[1]
        except OSError as problem:
            raise GatewayError(f"{path}: {problem.strerror}") from None
    return Checked(lines, torn, "", chain)


def files_of(path: Path) -> list[Path]:
    """The journal that a file belongs to: what was put aside, oldest first, then the file itself."""
    return [*(_numbered(path, number) for number in range(1, _aside(path) + 1)), path]
