"""The C side of the guard: counting, works over native/, and the contenders, in one library with flags of no machine.

Hard rule: the same text and the same compiler give the same instructions everywhere: -O2 for x86-64-v2, never -march=native.
"""

import ctypes
import re
import subprocess
from pathlib import Path

from gateway.errors import CapabilityError
from gateway.layout import LAYOUT_HASH
from gateway.ops.bench.compiled import COMPILE_SECONDS_MAX, CONTENDERS, NATIVE

FLAGS = ["-std=gnu11", "-O2", "-march=x86-64-v2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-fno-strict-aliasing"]
SOURCES = [
    Path(__file__).with_name("counts.c"),
    *(CONTENDERS / f"{name}.c" for name in ("decode_switch", "gate_plain", "sbe_reader")),
    *(NATIVE / f"{name}.c" for name in ("ring", "io", "checksum", "exception", "note", "histogram", "recorder", "clock")),
    NATIVE / "ports" / "capture_writer.c",
]


def compiler_version() -> str:
    """gcc's number. Raises CapabilityError where there is none."""
    try:
        return subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise CapabilityError("the guard needs a compiler: install gcc") from None


def build(folder: Path) -> Path:
    """The library in `folder`, made anew. Raises CapabilityError where it cannot be made."""
    if not NATIVE.is_dir():
        raise CapabilityError("the guard needs the source checkout (native/ is not installed): run it from a clone")
    target = folder / "guard.so"
    command = ["gcc", *FLAGS, f"-I{NATIVE}", f"-DGATEWAY_LAYOUT_HASH={LAYOUT_HASH:#x}ULL", *map(str, SOURCES)]
    try:
        subprocess.run(
            [*command, "-o", str(target)], check=True, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX
        )
    except FileNotFoundError:
        raise CapabilityError("the guard needs a compiler: install gcc") from None
    except subprocess.CalledProcessError as problem:
        if "valgrind/callgrind.h" in problem.stderr:
            raise CapabilityError("the guard needs valgrind's headers: apt-get install valgrind") from None
        lines = [line for line in problem.stderr.splitlines() if re.search(r"error", line)]
        raise CapabilityError(f"gcc refuses the guard's library: {(lines or ['?'])[0]}") from None
    return target


def load(path: Path) -> ctypes.CDLL:
    """The library with the types of what returns an address."""
    library = ctypes.CDLL(str(path))
    for name in ("ring_make", "io_make", "frames_make", "recorder_make"):
        getattr(library, name).restype = ctypes.c_int64
    library.recorder_make.argtypes = [ctypes.c_char_p]
    library.count_all.argtypes, library.count_all.restype = [ctypes.c_void_p, ctypes.c_int64], None
    return library


def address(library: ctypes.CDLL, name: str) -> int:
    """Where a function of the library lies."""
    return int(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)
