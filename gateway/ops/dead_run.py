"""What a run whose control died has left: its latch, its processes, and in the ring of its journal what nobody wrote down.

    kill -9 of control ─► /dev/shm/gateway-NAME stays ─► the next start, or gateway kill --clear ─► here ─► removed

The caller holds the instance's lock, or knows that nobody does. Hard rule: records that cannot be written are not removed:
the start is refused instead.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from itertools import count
from pathlib import Path

from gateway import clock, layout
from gateway.config import Configuration
from gateway.errors import AttachError, GatewayError
from gateway.instance import PREFIX, Instance, is_held
from gateway.ops.journal import Journal
from gateway.ops.log import tell

CONFIGURATION_FILE = "configuration.json"
RING = "core_journal"
END_SECONDS = 5.0
POLL_SECONDS = 0.01


def latch_left_behind(configuration: Configuration) -> str:
    """The latch in the memory of a run that died without writing it down; '' where there is none."""
    name, parent = configuration.instance.name, Path(configuration.instance.folder)
    if is_held(name, parent):
        return ""  # it runs, and will be refused as such
    try:
        latch = int(Instance.attach(name, parent).control[0]["kill_latch"])
    except AttachError:
        return ""
    return layout.names("kill_reason", "KILL_")[latch] if latch else ""


def end_left_over(folder: Path) -> None:
    """Ends stage processes of this instance whose control is gone, and waits for it: two cores must never share a port.

    The caller holds the instance's lock, so whatever runs on this folder now has no control any more.
    """
    ended = stages_on(folder)
    for process in ended:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)
            tell(f"gateway run: ended left-over process {process}")
    deadline = time.monotonic() + END_SECONDS
    while stages_on(folder) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def stages_on(folder: Path) -> list[int]:
    """Process ids of the stages that run on an instance's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"gateway.ops.process" in words and str(folder).encode() in words:
                found.append(int(process.name))
    return found


def rescue_journal(folder: Path, otherwise: Path) -> int:
    """Writes what waits in the instance's `folder`; returns the records. Nothing there: 0.

    It goes where the dead run's own configuration says, or to `otherwise` where that cannot be read. Memory of another
    build cannot be read: its ring is copied beside the journal. Raises GatewayError when a disk takes neither.
    """
    if not (folder / RING).is_file():
        return 0
    try:
        instance = Instance.attach(folder.name.removeprefix(PREFIX), folder.parent, writable=(RING,))
    except AttachError:
        return _copy_ring(folder / RING, _journal_folder(folder, otherwise))
    header = instance.rings[RING].view("ring_header")[0]
    if header["claimed"] == header["cursor"]:
        return 0
    journal = Journal(instance, _journal_folder(folder, otherwise))
    try:
        return journal.drain(clock.now_ns(instance.clock_address))
    finally:
        journal.close()


def _journal_folder(folder: Path, otherwise: Path) -> Path:
    try:
        return Configuration(**json.loads((folder / CONFIGURATION_FILE).read_text())).journal_folder
    except (OSError, ValueError, TypeError, GatewayError):
        return otherwise


def _copy_ring(ring: Path, folder: Path) -> int:
    """The ring as it is, for the build that made it; a ring that never held a record is nothing to keep."""
    if not any(ring.read_bytes()[layout.size("ring_header") :]):
        return 0
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = next(path for path in (folder / f"core_journal-{number}.ring" for number in count(1)) if not path.exists())
        shutil.copyfile(ring, target)
        target.chmod(0o600)
    except OSError as problem:
        raise GatewayError(f"{ring} holds records of a dead run, and {folder}: {problem.strerror}; make room") from problem
    return 0
