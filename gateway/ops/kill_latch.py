"""The kill latch in shared memory: attach, set, done; the first thing of every kill, before anything is even imported.

Hard rule: this file imports neither numba nor pydantic. A second of start-up is a second of new orders.
"""

import time
from pathlib import Path

from gateway import layout
from gateway.errors import AttachError
from gateway.instance import FOLDER, Instance, is_held
from gateway.native import ffi, lib

ATTACH_SECONDS = 2.0  # of a start that is under way
KEEP_FILE = "keep_positions"
POLL_SECONDS = 0.005
WRITABLE = ("control", "gate", "control_io", "control_session")


def attach(name: str, folder: Path = FOLDER) -> Instance:
    """The instance with what a kill writes; one that is just being made is waited for. Raises AttachError."""
    deadline = time.monotonic() + ATTACH_SECONDS
    while True:
        try:
            return Instance.attach(name, folder, writable=WRITABLE)
        except AttachError:
            if not is_held(name, folder) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def latch(instance: Instance, reason: str) -> int:
    """Sets the latch in shared memory; returns the reason now in force (the first one stays)."""
    control = ffi.cast("struct control_block *", instance.address("control"))
    return int(lib.control_kill(control, layout.value(reason)))


def ask_to_keep_positions(instance: Instance, keep: bool) -> bool:
    """Says, before the latch, whether positions stay: control may be at work before the command has read a line. False: it
    could not be said."""
    mark = instance.folder / KEEP_FILE
    try:
        if keep:
            mark.touch(mode=0o600)
        else:
            mark.unlink(missing_ok=True)
    except OSError:
        return not keep
    return True


def keeps_positions(instance: Instance) -> bool:
    """Whether the command that set the latch wants positions kept."""
    return (instance.folder / KEEP_FILE).exists()


def latched_ns(instance: Instance) -> int:
    """When the latch was set; 0 while it is clear. The word follows the latch by an instruction."""
    for _ in range(100):
        stamp = int(instance.control[0]["kill_time_ns"])
        if stamp or not instance.control[0]["kill_latch"]:
            return stamp
        time.sleep(0.0001)
    return 0
