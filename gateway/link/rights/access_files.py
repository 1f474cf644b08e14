"""What access stands on, on disk: opens it, and takes a signed file again when it has changed.

    STATE/link/  token_marks.json    what was issued up to when may have been used (token_store.py)
                 file_floors.json    lowest versions of the signed files that count (roles.py, addresses.py)
                 access.jsonl        the journal (journal_file.py)

Hard rule: a signed file that is refused, or gone, leaves the one in force; revocation is a higher version, never an absence.
"""

import threading
from pathlib import Path
from typing import Any, NamedTuple

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.rights import addresses, roles, signed_file
from gateway.link.rights.access import Access, Means
from gateway.link.rights.addresses import Addresses
from gateway.link.rights.durable_floors import DurableFloors
from gateway.link.rights.journal import Journal
from gateway.link.rights.journal_file import JournalFile
from gateway.link.rights.mark_writer import MarkWriter
from gateway.link.rights.roles import Roles
from gateway.link.rights.signed_file import FileRefused, Form
from gateway.link.rights.token_keys import TokenKeys
from gateway.link.rights.token_store import TokenStore

FOLDER = "link"
KINDS_MAX = 16
FORMS: dict[str, Form[Any, Any]] = {"roles": roles.FORM, "addresses": addresses.FORM}


class AccessPaths(NamedTuple):
    """Where things are."""

    state: Path  # the instance's state folder
    roles: Path
    addresses: Path


class Reading(threading.Thread):
    """Reads, verifies and parses files, and has the disk keep their versions; nothing is in force by that."""

    def __init__(self, paths: AccessPaths, kinds: list[str], signer: bytes, floors: DurableFloors):
        super().__init__(name="access files", daemon=True)
        self._paths, self._kinds, self._signer, self._floors = paths, kinds, signer, floors
        self.found: dict[str, Roles | Addresses | GatewayError] = {}

    def run(self) -> None:
        """The work of the thread."""
        for kind in self._kinds:
            try:
                found: Roles | Addresses = FORMS[kind].verified(signed_file.read(_path_of(self._paths, kind)), self._signer)
                signed_file.keep_floor(self._floors, kind, found.version)
                self.found[kind] = found
            except GatewayError as problem:
                self.found[kind] = problem


class AccessFiles:
    """The open files of one process's access."""

    def __init__(self, node: int, paths: AccessPaths, keys: TokenKeys, signer: bytes, now_ns: int):
        """Raises GatewayError: a file is damaged, not writable or held by another process. Signed files come with `poll`."""
        folder = paths.state / FOLDER
        self._paths = paths
        self._opened: list[DurableFloors | MarkWriter | JournalFile] = []
        self._reading: Reading | None = None
        self._stamps: dict[str, tuple[int, int, int, int]] = {}
        self._said: dict[str, str] = {}  # about a file as it stands
        self._again: set[str] = set()
        self._signer, self._next_ns = signer, 0
        try:
            marks = MarkWriter(DurableFloors(folder / "token_marks.json", limits.PRINCIPALS_MAX, least=now_ns))
            self._opened.append(marks)
            self._floors = DurableFloors(folder / "file_floors.json", KINDS_MAX)
            self._opened.append(self._floors)
            file = JournalFile(folder)
            self._opened.append(file)
        except GatewayError:
            self._release()
            raise
        self.journal = Journal(file)
        self.access = Access(node, Means(keys, TokenStore(marks), self._floors, self.journal, signer))

    def poll(self, now_ns: int, wait: bool = False) -> list[str]:
        """Takes signed files that are new or changed; returns a line for each that is refused, once while it is the same.

        Signature, parsing and the disk are a thread's work: they would hold the sessions up. A later call takes what
        it found; with `wait`, and the first time, this one does.
        """
        due = not now_ns < self._next_ns <= now_ns + limits.ACCESS_FILES_NS
        if due and self._reading is None:
            first = self._next_ns == 0
            self._next_ns = now_ns + limits.ACCESS_FILES_NS
            changed = [kind for kind in FORMS if self._changed(kind)]
            if changed:
                self._reading = Reading(self._paths, changed, self._signer, self._floors)
                self._reading.start()
            wait = wait or first
        if self._reading is None or (self._reading.is_alive() and not wait):
            return []
        self._reading.join()
        found, self._reading = self._reading.found, None
        return [line for kind, one in found.items() if (line := self._take(kind, one))]

    def _take(self, kind: str, found: Roles | Addresses | GatewayError) -> str:
        """Puts a file in force; why not, unless that was said before."""
        try:
            if isinstance(found, Roles):
                self.access.take_roles(found)
            elif isinstance(found, Addresses):
                self.access.take_addresses(found)
            else:
                raise found
        except GatewayError as problem:
            if not isinstance(problem, FileRefused):
                self._again.add(kind)  # not the file's fault: once more at the next look
            path = f"{_path_of(self._paths, kind)}: "
            text = path + str(problem).removeprefix(path)
            new = text != self._said.get(kind)
            self._said[kind] = text
            return text if new else ""
        self._said.pop(kind, None)
        return ""

    def _changed(self, kind: str) -> bool:
        try:
            status = _path_of(self._paths, kind).stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except OSError as problem:
            stamp = (0, 0, 0, problem.errno or 0)
        again = kind in self._again
        self._again.discard(kind)
        if stamp == self._stamps.get(kind):
            return again
        self._stamps[kind] = stamp
        self._said.pop(kind, None)
        return True

    def close(self) -> None:
        """Writes and syncs what is left; a second call does nothing."""
        if self._reading is not None:
            self._reading.join()
        if self._opened:
            self.journal.close()
        self._release()

    def _release(self) -> None:
        while self._opened:
            self._opened.pop().close()


def _path_of(paths: AccessPaths, kind: str) -> Path:
    return paths.roles if kind == "roles" else paths.addresses
