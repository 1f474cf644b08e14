"""Where compiled kernels are kept between runs: one folder for each state of the sources.

Numba looks only at the file of the function it loads, not at what that function calls, so a changed callee would leave
stale machine code in use. Here the folder's name is a hash over every kernel source, the shared layout and the
compiler: a change anywhere begins an empty folder, and old folders are removed.

    $NUMBA_CACHE_DIR or $XDG_CACHE_HOME/gateway or ~/.cache/gateway      /  kernels-<hash>
"""

import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import numba

from gateway.layout import LAYOUT_HASH

PACKAGE = Path(__file__).resolve().parent
SOURCES = ("layout.py", "limits.py", "core", "protocols", "venues", "link/compression/column_*.py")
FOLDERS_KEPT = 4


def processor() -> str:
    """What kernels are compiled for: this CPU, or the one that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES name.

    A machine may so be handed kernels that another one compiled: both give the same name and the same features.
    """
    return f"{numba.config.CPU_NAME or llvm.get_host_cpu_name()} {numba.config.CPU_FEATURES or ''}".strip()


@cache
def source_hash() -> str:
    """Hash over every file that kernels are made of, the shared layout, the compiler and the CPU."""
    digest = hashlib.sha256(f"{LAYOUT_HASH} {numba.__version__} {processor()}".encode())
    for name in SOURCES:
        for file in sorted(PACKAGE.glob(name if name.endswith(".py") else f"{name}/**/*.py")):
            digest.update(f"{file.relative_to(PACKAGE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _parent() -> Path:
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _remove_old(parent: Path, keep: Path) -> None:
    others = [path for path in parent.glob("kernels-*") if path != keep]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[FOLDERS_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


@cache
def prepare() -> Path:
    """Points numba at this state's folder; call it before a cached kernel is declared. Returns the folder."""
    parent = _parent()
    folder = parent / f"kernels-{source_hash()}"
    if not _writable(folder):
        folder = Path(tempfile.gettempdir()) / f"gateway-{os.getuid()}" / folder.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    numba.config.CACHE_DIR = str(folder)
    _remove_old(folder.parent, folder)
    return folder


def is_cold() -> bool:
    """True while the corridor of this state has not been compiled: the first start takes longer."""
    return not any(prepare().rglob("loop._step-*.nbi"))
