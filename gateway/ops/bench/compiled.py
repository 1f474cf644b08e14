"""Contenders in C, C++ and Java: compiled when a benchmark needs them, kept in a cache folder, called through ctypes.

Hard rule: for this machine and fully optimised (-O3 -march=native), so that what we are compared with is at its best.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import CapabilityError
from gateway.layout import LAYOUT_HASH

CONTENDERS = Path(__file__).resolve().parent / "contenders"
NATIVE = Path(__file__).resolve().parents[3] / "native"
FLAGS = ["-O3", "-march=native", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
LANGUAGES = {".c": ["gcc", "-std=gnu11"], ".cpp": ["g++", "-std=gnu++17"]}
JARS = Path("/usr/share/java")
COMPILE_SECONDS_MAX = 120


@dataclass(frozen=True)
class Peer:
    """What a contender is made with that belongs to somebody else: its Debian package, and how it is found there."""

    debian: str
    header: str
    pkg_config: str = ""
    links: tuple[str, ...] = ()


PEERS = {
    "ring_rte": Peer("libdpdk-dev pkg-config", "rte_ring.h", "libdpdk", ("-lrte_ring",)),
    "ring_boost": Peer("libboost-dev g++", "boost/lockfree/spsc_queue.hpp"),
    "ring_moodycamel": Peer("libreaderwriterqueue-dev g++", "readerwriterqueue/readerwriterqueue.h"),
}


def _folder() -> Path:
    parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return parent / "gateway" / "contenders"


def _key(sources: list[Path], words: list[str]) -> str:
    """Hash over everything that the machine code depends on, the headers by their layout hash and text."""
    headers = [path for folder in (NATIVE, NATIVE / "layout", CONTENDERS) for path in sorted(folder.glob("*.h"))]
    parts = [path.read_bytes() for path in [*sources, *headers]]
    return hashlib.sha256(b"\0".join([*parts, " ".join(words).encode()])).hexdigest()[:16]


def _compile(command: list[str], what: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX)
    except FileNotFoundError as problem:
        raise CapabilityError(f"{what} needs a compiler; as root: apt-get install {command[0]}") from problem
    except subprocess.CalledProcessError as problem:
        errors = [line for line in problem.stderr.splitlines() if "error" in line] or problem.stderr.strip().splitlines()
        raise CapabilityError(f"{command[0]} refuses {what}: {(errors or ['no reason given'])[0]}") from problem


def _peer_words(name: str) -> list[str]:
    """Flags of the library that a contender is made with; somebody else's headers are not ours to warn about."""
    peer = PEERS.get(name)
    if peer is None or not peer.pkg_config:
        return []
    try:
        asked = ["pkg-config", "--cflags", peer.pkg_config]
        found = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX)
    except (FileNotFoundError, subprocess.CalledProcessError) as problem:
        raise CapabilityError(f"its library is not installed; as root: apt-get install {peer.debian}") from problem
    words = [word.replace("-I", "-isystem", 1) for word in found.stdout.split() if not word.startswith("-march")]
    return [*words, *peer.links]


def _missing(name: str, problem: CapabilityError) -> CapabilityError:
    peer = PEERS.get(name)
    if peer is None or not (peer.header in str(problem) or "compiler" in str(problem)):
        return problem
    return CapabilityError(f"its library is not installed; as root: apt-get install {peer.debian}")


def source_of(name: str) -> Path:
    """The contender's source, C or C++."""
    return next(path for suffix in LANGUAGES if (path := CONTENDERS / f"{name}{suffix}").exists())


def load(name: str) -> ctypes.CDLL:
    """The library made from contenders/NAME.c and native/ring.c, or NAME.cpp. Raises CapabilityError where it cannot be."""
    if not NATIVE.is_dir():
        raise CapabilityError("the C contenders need the source checkout (native/ is not installed): run from a clone")
    source = source_of(name)
    sources = [source, *([NATIVE / "ring.c"] if source.suffix == ".c" else [])]
    compiler, *standard = LANGUAGES[source.suffix]
    words = [*standard, *FLAGS, *_peer_words(name)]
    folder = _folder()
    target = folder / f"{name}-{_key(sources, words)}.so"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = target.with_suffix(f".{os.getpid()}")
        own = [f"-I{NATIVE}", f"-DGATEWAY_LAYOUT_HASH={LAYOUT_HASH:#x}ULL", "-o", str(scratch)]
        try:
            _compile([compiler, *map(str, sources), *words, *own], source.name)
        except CapabilityError as problem:
            raise _missing(name, problem) from problem
        scratch.rename(target)
    return ctypes.CDLL(str(target))


def java_classes(name: str, jar: str, debian: str) -> str:
    """The class path of contenders/NAME.java compiled against a Debian jar. Raises CapabilityError where it cannot be."""
    library, source = JARS / jar, CONTENDERS / f"{name}.java"
    if not library.exists() or shutil.which("java") is None or shutil.which("javac") is None:
        raise CapabilityError(f"its library or a JDK is not installed; as root: apt-get install {debian}")
    words = ["-Xlint:all", "-Werror", "-cp", str(library)]
    target = _folder() / f"{name}-{_key([source], [str(library.resolve()), *words])}"
    if not target.exists():
        scratch = target.with_suffix(f".{os.getpid()}")
        _compile(["javac", *words, "-d", str(scratch), str(source)], source.name)
        scratch.rename(target)
    return f"{target}:{library}"
