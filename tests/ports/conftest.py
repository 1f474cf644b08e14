"""A network namespace for tests that make interfaces. It dies with the process, whatever the test does.

    this test (in the namespace)
┌──────────────────────────────────┐
│  gwa<pid> ◄──── veth ────► gwb<pid>  │
└──────────────────────────────────┘
"""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000


def _checked(outcome: int) -> None:
    if outcome != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@pytest.fixture
def namespace(as_root):
    """Moves this thread into a network namespace without a name: nothing can be left behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        try:
            _checked(libc.unshare(CLONE_NEWNET))
        except OSError as problem:
            pytest.skip(f"this host makes no network namespaces: {problem}")
        try:
            ip("link", "set", "lo", "up")
            yield
        finally:
            _checked(libc.setns(home, CLONE_NEWNET))
    finally:
        os.close(home)


@pytest.fixture
def veth(namespace):
    """Two connected interfaces without addresses, so that the kernel itself stays quiet on them."""
    near, far = f"gwa{os.getpid()}", f"gwb{os.getpid()}"
    ip("link", "add", near, "type", "veth", "peer", "name", far)
    for name in (near, far):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        ip("link", "set", name, "up")
    return near, far
