"""What running stage processes have left of their privileges, read from /proc; and what the filter refuses."""

import os
import pwd
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.config import Configuration
from gateway.errors import ConfigurationError
from gateway.native import lib
from gateway.ops import privileges
from tests.integration.appliance import Appliance

NOTHING = "0000000000000000"
NET_ADMIN, SETPCAP = 1 << 12, 1 << 8


def state_of(pid: int | str) -> dict[str, str]:
    """The rows of /proc/PID/status that say what a thread may do."""
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(Uid|Gid|Groups|Cap\w+|NoNewPrivs|Seccomp):\s*(.*?)\s*$", text, re.MULTILINE))


def threads_of(pid: int) -> list[dict[str, str]]:
    return [state_of(f"{pid}/task/{path.name}") for path in Path(f"/proc/{pid}/task").iterdir()]


def assert_bound(pid: int) -> None:
    """Nothing permitted, effective, inheritable or ambient in any thread, and nothing to be had any more."""
    for row in threads_of(pid):
        kinds = ("CapPrm", "CapEff", "CapInh", "CapAmb") + (("CapBnd",) if os.geteuid() == 0 else ())
        assert {kind: row[kind] for kind in kinds} == dict.fromkeys(kinds, NOTHING)
        assert (row["NoNewPrivs"], row["Seccomp"]) == ("1", "2")


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own: what is given up does not come back."""
    opening = "import os, sys, threading, time, socket, mmap, ctypes\nfrom gateway.native import lib\n"
    return subprocess.run([sys.executable, "-c", opening + code, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_io_and_core_of_a_running_appliance_hold_nothing_and_trading_survives_a_killed_io(tmp_path):
    appliance = Appliance(tmp_path)
    try:
        io, core = appliance.pid("PROCESS_IO"), appliance.pid("PROCESS_CORE")
        assert_bound(io)
        assert_bound(core)
        assert state_of(appliance.process.pid)["CapEff"] == state_of(os.getpid())["CapEff"]  # control starts io again
        os.kill(io, signal.SIGKILL)
        appliance.wait_for(lambda: appliance.pid("PROCESS_IO") != io)
        assert_bound(appliance.pid("PROCESS_IO"))
        assert_bound(core)
        assert appliance.stop()["exit_code"] == 0, appliance.log
    finally:
        appliance.close()


@pytest.mark.slow
def test_with_drop_off_the_stages_keep_what_control_has(tmp_path):
    appliance = Appliance(tmp_path, together=True, more="\n[privileges]\ndrop = false\n")
    try:
        found = state_of(appliance.pid("PROCESS_IO"))
        assert found["CapEff"] == state_of(os.getpid())["CapEff"]
        assert (found["NoNewPrivs"], found["Seccomp"]) == tuple(
            state_of(os.getpid())[name] for name in ("NoNewPrivs", "Seccomp")
        )
    finally:
        appliance.close()


def test_every_thread_is_bound_not_only_the_one_that_asks(as_root):
    done = python(
        "gate = threading.Event()\n"
        "many = [threading.Thread(target=gate.wait, daemon=True) for _ in range(40)]\n"
        "[thread.start() for thread in many]\n"
        f"assert lib.privileges_keep({NET_ADMIN}) == 0\n"
        "import pathlib\n"
        "for path in pathlib.Path('/proc/self/task').iterdir():\n"
        "    rows = dict(line.split(':') for line in (path / 'status').read_text().splitlines() if line.startswith('Cap'))\n"
        "    print(*(rows[name].strip() for name in ('CapPrm', 'CapEff', 'CapBnd', 'CapInh', 'CapAmb')))\n"
        "gate.set()\n"
    )
    kept = f"{NET_ADMIN:016x}"
    rows = done.stdout.splitlines()
    assert len(rows) > 40 and set(rows) == {f"{kept} {kept} {NOTHING} {NOTHING} {NOTHING}"}, done.stderr


@pytest.mark.slow
def test_a_thread_that_does_not_answer_is_an_error_not_a_gap(as_root):
    done = python(
        "import signal\n"
        "def deaf():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "    started.set()\n"
        "    time.sleep(30)\n"
        "started = threading.Event()\n"
        "threading.Thread(target=deaf, daemon=True).start()\n"
        "started.wait()\n"
        "print(os.strerror(-lib.privileges_keep(0)))\n"
        "from gateway.ops.privileges import threads_with_capabilities\n"
        "print(len(threads_with_capabilities()))\n"
    )
    assert done.stdout.splitlines() == ["Connection timed out", "1"], done.stderr


TRIED = {
    "exec": "os.execv('/bin/true', ['true'])",
    "ptrace": "assert ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())",
    "mount": "assert ctypes.CDLL(None).mount(b'none', b'/mnt', b'tmpfs', 0, None) == 0",
    "unshare": "assert ctypes.CDLL(None).unshare(0) == 0",
    "socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "writable code": "mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "code made later": "c = ctypes.CDLL(None); p = mmap.mmap(-1, 4096); a = ctypes.addressof(ctypes.c_char.from_buffer(p)); "
    "assert c.mprotect(ctypes.c_void_p(a), 4096, 5) == 0",
    "file": "open(os.devnull).close()",
    "thread": "t = threading.Thread(target=int); t.start(); t.join()",
}


@pytest.mark.parametrize(
    ("refusals", "refused"),
    [
        (0, {"exec", "ptrace", "mount", "unshare"}),
        (lib.PRIVILEGES_NO_NETWORK, {"exec", "ptrace", "mount", "unshare", "socket"}),
        (lib.PRIVILEGES_NO_NEW_CODE, {"exec", "ptrace", "mount", "unshare", "writable code", "code made later"}),
    ],
)
def test_the_filter_refuses_what_it_names_with_an_error_and_nothing_else(refusals, refused):
    attempts = "".join(
        f"try:\n    {code}\nexcept BaseException: print({name!r})\n"
        for name, code in sorted(TRIED.items(), key=lambda row: row[0] == "exec")  # exec last: allowed, it ends the script
    )
    done = python(f"assert lib.privileges_refuse({refusals}) == 0\n{attempts}")
    assert set(done.stdout.splitlines()) == refused and done.returncode == 0, done.stderr


def test_without_a_filter_all_of_it_works(as_root):
    quiet = {name: code for name, code in TRIED.items() if name not in ("ptrace", "mount", "exec")}
    done = python("".join(f"{code}\n" for code in quiet.values()))
    assert done.returncode == 0, done.stderr


def test_a_named_user_becomes_everything_of_the_process_its_threads_too(as_root):
    nobody = pwd.getpwnam("nobody")
    done = python(
        "gate = threading.Event()\n"
        "threading.Thread(target=gate.wait, daemon=True).start()\n"
        "from gateway.config import Configuration\n"
        "from gateway.ops import privileges\n"
        "privileges.PACKAGE = __import__('pathlib').Path('/etc/hostname').parent\n"
        "os.access = lambda *words: True\n"
        "privileges.bind_for_good(Configuration(privileges={'user': 'nobody'}), ['io'])\n"
        "for number in os.listdir('/proc/self/task'):\n"
        "    lines = open(f'/proc/self/task/{number}/status').read().splitlines()\n"
        "    print(*[line.split()[1] for line in lines if line.startswith(('Uid', 'Gid', 'CapEff', 'CapBnd'))])\n"
        "gate.set()\n"
    )
    rows = done.stdout.splitlines()
    assert len(rows) > 1 and set(rows) == {f"{nobody.pw_uid} {nobody.pw_gid} {NOTHING} {NOTHING}"}, done.stderr


def test_a_user_that_does_not_exist_is_one_line_with_the_mend(as_root):
    with pytest.raises(ConfigurationError, match="useradd --system nosuchuser"):
        privileges.user_of(Configuration(privileges={"user": "nosuchuser"}))


def test_memory_stays_locked_once_touched_and_a_limit_is_named(tmp_path):
    locked = python(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))\n"
        "lib.privileges_keep(0)\n"
        "from gateway.config import Configuration\n"
        "from gateway.errors import CapabilityError\n"
        "from gateway.ops import privileges\n"
        "try: privileges.bind_for_good(Configuration(placement={'lock_memory': True}), ['io'])\n"
        "except CapabilityError as problem: print(problem)\n"
    )
    assert "memory cannot be locked" in locked.stdout and "ulimit -l" in locked.stdout, locked.stderr
    began = time.monotonic()
    done = python("print(lib.privileges_lock_memory()); print(open('/proc/self/status').read())")
    kib = int(re.findall(r"^VmLck:\s*(\d+)", done.stdout, re.MULTILINE)[0])
    assert done.stdout.startswith("0\n") and kib > 1000 and time.monotonic() - began < 30
