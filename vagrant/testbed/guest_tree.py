"""What the guest runs: the gateway, its Python packages and kernels compiled for the guest's processor, as one ext4 disk.

      clone ── gateway/ and its extension ──┐
      pip ──── wheels for this Python ──────┼──► CACHE/tree-ID/{source,packages,kernels} ──► CACHE/tree-ID.img
      gateway run ── numba, x86-64-v2 ──────┘

Hard rule: the tree stands at the same path here and in the guest, and both name the same processor: numba finds a compiled
kernel by the path of its source, by its text and by the processor's name. Under emulation compiling would take half an hour.
"""

import ast
import compileall
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.output import print_note
from gateway.errors import CapabilityError, GatewayError

ROOT = Path(__file__).resolve().parent.parent.parent
GUEST_PYTHON = (3, 11)  # Debian 12
PROCESSOR = {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": "+sse4.2,+popcnt,+cx16"}
STRATEGIES = ("imbalance", "quotes", "null")
PIP_SECONDS, KERNELS_SECONDS, DISK_SECONDS = 600.0, 900.0, 120.0
DISK_ROOM = 1.3  # of what the tree needs, for the file system itself and what the guest writes

WHICH_FOLDER = "from gateway import kernel_cache; print(kernel_cache.prepare())"


def cache_folder() -> Path:
    """Where images and trees are kept: the same folder as in vagrant/image/build."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway" / "testbed"


@dataclass(frozen=True)
class GuestTree:
    """A finished tree and the disk made of it."""

    folder: Path
    disk: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process in the guest needs to run the gateway out of the tree."""
        return {
            "PYTHONPATH": f"{self.folder}/source:{self.folder}/packages",
            "NUMBA_CACHE_DIR": f"{self.folder}/kernels",
            "PYTHONDONTWRITEBYTECODE": "1",
            **PROCESSOR,
        }


def requirements() -> list[str]:
    """The packages that the appliance needs, as setup.py lists them."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "install_requires":
            return list(ast.literal_eval(node.value))
    raise GatewayError("setup.py lists no install_requires")


def sources() -> list[Path]:
    """Files of the package and its compiled extension, below the clone."""
    kept = {".py", ".toml", ".pyi", ".typed", ".so"}
    return sorted(path for path in (ROOT / "gateway").rglob("*") if path.suffix in kept and path.is_file())


def digest(paths: list[Path], more: str = "") -> str:
    """One hash over names and contents."""
    found = hashlib.sha256(more.encode())
    for path in paths:
        found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


@contextlib.contextmanager
def stamped(path: Path, value: str) -> Iterator[bool]:
    """Yields whether work is due; writes the stamp once it is done."""
    due = not path.is_file() or path.read_text() != value
    yield due
    if due:
        path.write_text(value)


def place() -> GuestTree:
    """Where the tree of this clone stands, made or not."""
    folder = cache_folder() / f"tree-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    return GuestTree(folder, folder.with_suffix(".img"))


def make() -> GuestTree:
    """The tree of this clone, made or renewed as far as it is not current. Raises CapabilityError, GatewayError."""
    if sys.version_info[:2] != GUEST_PYTHON:
        wanted, here = (".".join(map(str, version)) for version in (GUEST_PYTHON, sys.version_info[:2]))
        raise CapabilityError(f"the guest's Python is {wanted}, this one is {here}; run it with PYTHON=python{wanted}")
    if os.environ.get("GATEWAY_NATIVE_CPU"):
        raise CapabilityError("the extension was compiled for this very processor; scripts/setup without GATEWAY_NATIVE_CPU")
    remove_orphans(cache_folder())
    tree = place()
    folder = tree.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "origin").write_text(str(ROOT))
    packages = f"{sys.version_info[:2]} {requirements()}"
    with stamped(folder / "packages.stamp", packages) as due:
        if due:
            install_packages(tree)
    source = digest([*sources(), Path(__file__)])
    with stamped(folder / "source.stamp", source) as due:
        if due:
            copy_source(tree)
            compile_kernels(tree)
    with stamped(folder / "disk.stamp", f"{packages} {source}") as due:
        if due or not tree.disk.is_file():
            make_disk(tree)
    return tree


def remove_orphans(cache: Path) -> None:
    """Trees of clones that are gone."""
    for origin in cache.glob("tree-*/origin"):
        if not Path(origin.read_text()).is_dir():
            shutil.rmtree(origin.parent, ignore_errors=True)
            origin.parent.with_suffix(".img").unlink(missing_ok=True)


def run(text: str, words: list[str], seconds: float, **options: object) -> str:
    """Runs a step of the build, quietly, and returns what it prints; its last line becomes the error."""
    print_note(f"testbed: {text} …")
    try:
        outcome = subprocess.run(words, capture_output=True, text=True, timeout=seconds, **options)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired:
        raise GatewayError(f"{text}: not done within {seconds:.0f} s") from None
    if outcome.returncode != 0:
        said = (outcome.stderr or outcome.stdout).strip().splitlines() or ["it said nothing"]
        raise GatewayError(f"{text}: {said[-1]}")
    return str(outcome.stdout)


def install_packages(tree: GuestTree) -> None:
    """Wheels only: nothing is compiled for a machine that is not this one."""
    target = tree.folder / "packages"
    shutil.rmtree(target, ignore_errors=True)
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    words += ["--only-binary=:all:", "--target", str(target), *requirements()]
    run("installing the guest's Python packages", words, PIP_SECONDS)


def copy_source(tree: GuestTree) -> None:
    """A fresh copy with whole seconds as file times, which every file system keeps, and compiled modules."""
    target = tree.folder / "source"
    shutil.rmtree(target, ignore_errors=True)
    for path in sources():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        seconds = int(path.stat().st_mtime)
        os.utime(copy, (seconds, seconds))
    compileall.compile_dir(target, quiet=2)


def compile_kernels(tree: GuestTree) -> None:
    """What `gateway run` of the demo compiles, for the guest's processor; kernels of older sources are removed."""
    environment = {**os.environ, **tree.environment}
    for strategy in STRATEGIES:
        with tempfile.TemporaryDirectory(prefix="gateway-testbed-") as state:
            name = f"testbed-warm-{os.getpid()}"
            chosen = {"INSTANCE__NAME": name, "INSTANCE__STATE": state, "PORT__NAME": f"pair:{name}"}
            chosen["STRATEGY__FILE"] = str(tree.folder / "source/gateway/strategies" / f"{strategy}.py")
            keys = {f"GATEWAY__{key}": value for key, value in chosen.items()}
            words = [sys.executable, "-m", "gateway.cli.main", "run", str(tree.folder / "source/gateway/ops/demo.toml")]
            text = f"compiling the guest's kernels, {strategy}"
            run(text, [*words, "--seconds", "0.1"], KERNELS_SECONDS, env={**environment, **keys}, cwd="/")
    folder = run("looking at them", [sys.executable, "-c", WHICH_FOLDER], KERNELS_SECONDS, env=environment, cwd="/").strip()
    for other in (tree.folder / "kernels").glob("kernels-*"):
        if str(other) != folder:
            shutil.rmtree(other, ignore_errors=True)


def make_disk(tree: GuestTree) -> None:
    """One ext4 file system of source, packages and kernels."""
    part = tree.disk.with_suffix(".part")
    part.unlink(missing_ok=True)
    used = sum(path.lstat().st_blocks * 512 for path in tree.folder.rglob("*"))
    words = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", str(tree.folder), str(part)]
    run("making the disk of it", [*words, f"{int(used * DISK_ROOM) // 1024 + 65536}k"], DISK_SECONDS)
    part.replace(tree.disk)
