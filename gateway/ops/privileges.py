"""What the stage processes give up, and when: the C half is native/privileges.c.

           control (root, or what its unit grants)
              ├─ io     opens ports and TAP ─► bind_for_good   no capability, no exec, no new code, no tracing
              └─ core   bind_early ─► loads strategy, compiles ─► bind_for_good      never a socket of its own

Hard rule: what was asked for and could not be given up keeps the process from starting.
"""

import grp
import os
import pwd
import re
from pathlib import Path

from gateway import pipeline
from gateway.config import Configuration
from gateway.errors import CapabilityError, ConfigurationError
from gateway.native import lib

SETGID, SETUID, DAC_READ_SEARCH = 1 << 6, 1 << 7, 1 << 2  # bits of linux/capability.h
SETS = re.compile(r"^Cap(?:Prm|Eff):\s*([0-9a-f]+)", re.MULTILINE)
PACKAGE = Path(__file__).resolve().parent.parent
SHARED_READ, SHARED_WRITE, SHARED_FOLDER = 0o640, 0o660, 0o750
TURN_OFF = "or write privileges.drop = false"


def user_of(configuration: Configuration) -> pwd.struct_passwd | None:
    """Whom the stages become: None unless a user is named and we are root. Raises ConfigurationError."""
    named = configuration.privileges.user
    if not named or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(named)
    except KeyError:
        raise ConfigurationError(
            f"privileges.user = {named!r}: no such user here; make it with: useradd --system {named}"
        ) from None


def bind_early(configuration: Configuration, stages: list[str]) -> None:
    """core, before it loads anything of the user's. As root it may still read what root may, until it is built."""
    if configuration.privileges.drop and stages == ["core"]:
        _keep(DAC_READ_SEARCH)
        _refuse(lib.PRIVILEGES_NO_NETWORK)


def bind_for_good(configuration: Configuration, stages: list[str]) -> None:
    """Behind the last privileged step, before the first frame. Raises CapabilityError."""
    if configuration.placement.lock_memory:
        _require(lib.privileges_lock_memory(), "memory cannot be locked", "raise it with: ulimit -l unlimited")
    if not configuration.privileges.drop:
        return
    user = user_of(configuration)
    if user is not None:
        _keep(SETGID | SETUID)
        _become(user)
    _keep(0)
    hide()
    if stages != ["core"]:  # core is bound already
        _refuse(lib.PRIVILEGES_NO_NEW_CODE if stages == ["io"] else 0)
    left = threads_with_capabilities()
    if left:
        raise CapabilityError(f"privileges.drop: threads {', '.join(left)} keep capabilities; {TURN_OFF}")


def _become(user: pwd.struct_passwd) -> None:
    """Every thread of this process becomes `user`: the C library sees to all of them."""
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.environ["HOME"] = user.pw_dir
    if not os.access(PACKAGE / "errors.py", os.R_OK):
        raise CapabilityError(f"privileges.user: {user.pw_name} cannot read {PACKAGE}; install the project below /opt")


def hand_over(folder: Path, user: pwd.struct_passwd) -> None:
    """The instance's folder and its files become the stages' user's; control is root and keeps its way in."""
    for path in [folder, *folder.iterdir()]:
        os.chown(path, user.pw_uid, user.pw_gid)


def share(folder: Path, group: str, readable: tuple[str, ...], writable: tuple[str, ...]) -> None:
    """Opens a folder that is whole to the processes of other users. Raises ConfigurationError.

    `group` reads its tables, rings and `readable`, and writes what pipeline.py gives to io and session, and `writable`.
    Nobody but its owner may make or replace a file there.
    """
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigurationError(
            f"privileges.group = {group!r}: no such group here; make it with: groupadd --system {group}"
        ) from None
    tables = tuple(table.name for table in (*pipeline.RINGS, *pipeline.REGIONS))
    modes = dict.fromkeys((*tables, *readable), SHARED_READ)
    modes |= dict.fromkeys((*pipeline.group_writable(), *writable), SHARED_WRITE)
    for path, mode in [*((folder / name, mode) for name, mode in modes.items()), (folder, SHARED_FOLDER)]:
        if path.stat().st_gid != number:
            try:
                os.chown(path, -1, number)
            except PermissionError:
                raise ConfigurationError(f"privileges.group = {group!r}: who runs this is no member of it") from None
        path.chmod(mode)


def hide() -> None:
    """Nobody but root reads this process's environment and memory, its own user's other processes neither."""
    _require(lib.privileges_hide(), "this process cannot be hidden", TURN_OFF)


def threads_with_capabilities() -> list[str]:
    """Numbers of this process's threads whose permitted or effective set is not empty."""
    threads = {path.name: (path / "status").read_text() for path in Path("/proc/self/task").iterdir()}
    return [name for name, text in threads.items() if any(int(word, 16) for word in SETS.findall(text))]


def _keep(mask: int) -> None:
    _require(lib.privileges_keep(mask), "capabilities cannot be given up", TURN_OFF)


def _refuse(refusals: int) -> None:
    _require(lib.privileges_refuse(refusals), "this kernel takes no filter of system calls", TURN_OFF)


def _require(outcome: int, what: str, mend: str) -> None:
    if outcome != 0:
        raise CapabilityError(f"privileges: {what} ({os.strerror(-outcome)}); {mend}")
