"""What killed demos and benchmarks left behind: shared memory and network namespaces with the number of a dead process.

Hard rule: only names this program gives, and only where their process is gone and nobody holds the instance.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from gateway.instance import FOLDER, is_held

SHARED = re.compile(r"gateway-(?:pair-)?(demo|bench)-(\d+)(?:-venue|-[a-z]+-\w+(?:-\d)?)?(?:\.[ab])?")
SPACE = re.compile(r"gw(\d+)")


def remove_left_overs(parent: Path = FOLDER) -> list[str]:
    """Removes them; returns their names. What cannot be removed (another user's) stays and is not named."""
    return [*_remove_shared(parent), *_remove_spaces()]


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _runs(stem: str, parent: Path) -> bool:
    """Whether the appliance or the venue of that demo (or benchmark) outlived it."""
    return is_held(stem, parent) or is_held(f"{stem}-venue", parent)


def _remove_shared(parent: Path) -> list[str]:
    removed = []
    for path in sorted(parent.glob("gateway-*")):
        name = SHARED.fullmatch(path.name)
        if name is None or not _is_gone(int(name[2])) or _runs(f"{name[1]}-{name[2]}", parent):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif os.access(path, os.W_OK):
            path.unlink(missing_ok=True)
        if not path.exists():
            removed.append(path.name)
    return removed


def _remove_spaces() -> list[str]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return []
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=20).stdout
    removed = []
    for line in listed.splitlines():
        name = SPACE.fullmatch(line.split()[0]) if line.split() else None
        if name is not None and _is_gone(int(name[1])):
            subprocess.run(["ip", "netns", "delete", name[0]], capture_output=True, timeout=20)
            removed.append(name[0])
    return removed
