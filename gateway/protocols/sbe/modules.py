"""Generated modules on the disk ④: source once per schema and generator, machine code once per kernel that is used.

    KERNEL_FOLDER/generated/NAME-DIGEST-VERSION.py      the text; numba keeps the machine code in KERNEL_FOLDER beside it

The folder is that of this state of the sources (kernel_cache.py), so a changed emitter never meets an old text. The first
line of a file is the hash of the rest: what is cut short or was changed is written again, in one step, by whoever finds it.
Hard rule: nothing is compiled here unasked; `compile_kernels` compiles what the caller names, and says how far it is.
"""

import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import types

from gateway import kernel_cache
from gateway.protocols.sbe import emit, generator, generator_encoders
from gateway.protocols.sbe.model import Schema

FOLDER = "generated"
MARK = "# sha256 "
Report = Callable[[int, int, str], None]  # kernels compiled, kernels in all, what is compiled now


def readers(schema: Schema) -> ModuleType:
    """The module with `read_NAME` of every message of a schema (generator.py)."""
    return load("read-" + schema.package, _digest(schema), lambda: _text(schema, generator.readers(schema)))


def writers(schema: Schema) -> ModuleType:
    """The module with `write_NAME` of every message of a schema (generator_encoders.py)."""
    return load("write-" + schema.package, _digest(schema), lambda: _text(schema, generator_encoders.writers(schema)))


def _digest(schema: Schema) -> str:
    return schema.digest or hashlib.sha256(repr(schema).encode()).hexdigest()


def _text(schema: Schema, kernels: dict[int, str]) -> str:
    package = re.sub(r"[^\w .:-]", "_", schema.package)
    title = f'"""Generated from schema {package}, id {schema.id}, version {schema.version}."""\n\n'
    imports = f"from gateway.core.kernel import cached_leaf\n{emit.IMPORTS}"
    return title + imports + "".join(f"\n\n@cached_leaf\n{kernel}" for kernel in kernels.values())


def load(name: str, digest: str, make: Callable[[], str]) -> ModuleType:
    """The generated module of this name and digest; `make` gives its text when the disk does not have it whole.

    Other generators may use it too: their digest has to change whenever what `make` gives would.
    """
    label = f"{re.sub(r'[^0-9A-Za-z_-]', '_', name)}-{digest[:16]}-{generator.VERSION}"
    module_name = f"gateway_generated_{label.replace('-', '_')}"
    path = kernel_cache.prepare() / FOLDER / f"{label}.py"
    known = sys.modules.get(module_name)
    if known is not None and known.__file__ == str(path):
        return known
    if not _whole(path):
        _write(path, make())
    return _import(module_name, path)


def _whole(path: Path) -> bool:
    """Whether the file is there and its text is what was written."""
    try:
        mark, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return False
    return mark == MARK + hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """The whole file or none: a scratch file beside it, then its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{MARK}{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _import(name: str, path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # numba finds a cached kernel's module by this name
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def compile_kernels(module: ModuleType, names: Iterable[str], report: Report | None = None) -> dict[str, Any]:
    """Compiles these kernels, or loads their machine code; returns them by name. All arguments are int64."""
    wanted = list(names)
    kernels: dict[str, Any] = {}
    for index, name in enumerate(wanted):
        if report is not None:
            report(index, len(wanted), name)
        kernels[name] = getattr(module, name)
        kernels[name].compile((types.int64,) * kernels[name].py_func.__code__.co_argcount)
    if report is not None:
        report(len(wanted), len(wanted), "")
    return kernels
