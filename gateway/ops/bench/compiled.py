"""Contenders in plain C: compiled with gcc when a benchmark needs them, kept in a cache folder, called through ctypes.

Hard rule: for this machine and fully optimised (-O3 -march=native), so that what we are compared with is at its best.
"""

import ctypes
import hashlib
import os
import subprocess
from pathlib import Path

from gateway.errors import CapabilityError
from gateway.layout import LAYOUT_HASH

CONTENDERS = Path(__file__).resolve().parent / "contenders"
NATIVE = Path(__file__).resolve().parents[3] / "native"
FLAGS = ["-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
COMPILE_SECONDS_MAX = 120


def _folder() -> Path:
    parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return parent / "gateway" / "contenders"


def _key(sources: list[Path]) -> str:
    """Hash over everything that the machine code depends on, the headers by their layout hash and text."""
    headers = sorted(NATIVE.glob("*.h")) + sorted((NATIVE / "layout").glob("*.h"))
    parts = [path.read_bytes() for path in [*sources, *headers]]
    return hashlib.sha256(b"\0".join([*parts, " ".join(FLAGS).encode()])).hexdigest()[:16]


def load(name: str) -> ctypes.CDLL:
    """The library made from contenders/NAME.c and native/ring.c. Raises CapabilityError where it cannot be made."""
    if not NATIVE.is_dir():
        raise CapabilityError("the C contenders need the source checkout (native/ is not installed): run from a clone")
    sources = [CONTENDERS / f"{name}.c", NATIVE / "ring.c"]
    folder = _folder()
    target = folder / f"{name}-{_key(sources)}.so"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = target.with_suffix(f".{os.getpid()}")
        command = ["gcc", *FLAGS, f"-I{NATIVE}", f"-DGATEWAY_LAYOUT_HASH={LAYOUT_HASH:#x}ULL"]
        try:
            subprocess.run(
                [*command, *map(str, sources), "-o", str(scratch)],
                check=True,
                capture_output=True,
                text=True,
                timeout=COMPILE_SECONDS_MAX,
            )
        except FileNotFoundError as problem:
            raise CapabilityError("the C contenders need a compiler: install gcc") from problem
        except subprocess.CalledProcessError as problem:
            raise CapabilityError(f"gcc refuses {name}.c: {problem.stderr.strip().splitlines()[0]}") from problem
        scratch.rename(target)
    return ctypes.CDLL(str(target))
