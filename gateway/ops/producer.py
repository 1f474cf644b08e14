"""One producer for each ring: a stage holds a lock on the file of the ring it fills for as long as it lives.

    a hung session is killed ─┬─► control starts another
                              └─► `gateway kill`, which took a slow control for dead, starts one too ─► the second waits

Two producers leave a hole in a ring, and its reader waits behind it for ever. Hard rule: the lock comes before anything of
the instance is written, the heartbeat included; only the kernel lets go of it, when the process is dead.
"""

import fcntl
import os
import time

from gateway.instance import Instance

FILLED = {"io": "io_core", "core": "core_journal", "session": "session_core", "link": "link_core"}
POLL_SECONDS = 0.01


def hold_rings(instance: Instance, stages: list[str]) -> bool:
    """Waits until no other process fills the rings of `stages`; False when control says stop before.

    The descriptors stay open on purpose: they are the lock.
    """
    for stage in sorted(stages):
        file = os.open(instance.folder / FILLED[stage], os.O_RDONLY | os.O_CLOEXEC)
        while not is_ours(file):
            if instance.control[0]["stop"]:
                return False
            time.sleep(POLL_SECONDS)
    return True


def is_ours(file: int) -> bool:
    """Takes the lock of an open ring, if nobody holds it; closing the file gives it back."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
