"""What access stands on, on disk: opens it, and takes a signed file again when it has changed.

    STATE/link/  token_marks.json    what was issued up to when may have been used (token_store.py)
                 file_floors.json    lowest versions of the signed files that count (roles.py, addresses.py)
                 access.jsonl        the journal (journal_file.py)

Hard rule: a signed file that is refused, or gone, leaves the one in force; revocation is a higher version, never an absence.
"""

from pathlib import Path
from typing import NamedTuple

from gateway import limits
from gateway.errors import GatewayError
from gateway.link import signed_file
from gateway.link.access import Access, Means
from gateway.link.durable_floors import DurableFloors
from gateway.link.journal import Journal
from gateway.link.journal_file import JournalFile
from gateway.link.token_keys import TokenKeys
from gateway.link.token_store import TokenStore

FOLDER = "link"
KINDS_MAX = 16


class AccessPaths(NamedTuple):
    """Where things are."""

    state: Path  # the instance's state folder
    roles: Path
    addresses: Path


class AccessFiles:
    """The open files of one process's access."""

    def __init__(self, node: int, paths: AccessPaths, keys: TokenKeys, signer: bytes, now_ns: int):
        """Raises GatewayError: a file is damaged, not writable or held by another process. Signed files come with `poll`."""
        folder = paths.state / FOLDER
        self._paths = paths
        self._opened: list[DurableFloors | JournalFile] = []
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._next_ns = now_ns
        try:
            marks = DurableFloors(folder / "token_marks.json", limits.PRINCIPALS_MAX, least=now_ns)
            self._opened.append(marks)
            floors = DurableFloors(folder / "file_floors.json", KINDS_MAX)
            self._opened.append(floors)
            file = JournalFile(folder)
            self._opened.append(file)
        except GatewayError:
            self._release()
            raise
        self.journal = Journal(file)
        self.access = Access(node, Means(keys, TokenStore(marks), floors, self.journal, signer))

    def poll(self, now_ns: int) -> list[str]:
        """Takes signed files that are new or changed; returns a line for each that was refused, once per change."""
        if not now_ns >= self._next_ns and self._next_ns - now_ns <= limits.ACCESS_FILES_NS:
            return []
        self._next_ns = now_ns + limits.ACCESS_FILES_NS
        takers = {"roles": self.access.load_roles, "addresses": self.access.load_addresses}
        problems = []
        for kind, take in takers.items():
            path: Path = getattr(self._paths, kind)
            try:
                if self._changed(kind, path):
                    take(signed_file.read(path))
            except GatewayError as problem:
                problems.append(f"{path}: {problem}" if str(path) not in str(problem) else str(problem))
        return problems

    def _changed(self, kind: str, path: Path) -> bool:
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError as problem:
            stamp = (0, 0, problem.errno or 0)
        changed = stamp != self._stamps.get(kind)
        self._stamps[kind] = stamp
        return changed

    def close(self) -> None:
        """Writes and syncs what is left; a second call does nothing."""
        if self._opened:
            self.journal.close()
        self._release()

    def _release(self) -> None:
        while self._opened:
            self._opened.pop().close()
