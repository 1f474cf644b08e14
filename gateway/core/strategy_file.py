"""From a user's strategy file to the C function the corridor calls ⑥. Off the hot path.

The file is executed once; its plain functions are compiled, `on_event` and the helpers it calls. The machine code is kept
on disk under a name that carries a hash of the file, of the shared structs and of the contract, so a warm start loads it.
Hard rule: whatever is wrong with the file is one line that names the file, the line and the mend.
"""

import ast
import hashlib
import inspect
import math
import re
import sys
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core.errors import NumbaError

from gateway import layout
from gateway.core import memory, strategy
from gateway.core.memory import address_of, address_of_record, load_u32, store_u32
from gateway.core.strategy import INTENTS
from gateway.errors import ConfigurationError

ARGUMENTS = 4
LINE_BYTES = 64
SIGNATURE = types.void(types.voidptr, types.voidptr, types.voidptr, types.voidptr)

# The C function: records over the four addresses, and the halt of a strategy that raises.
ENTRY = """
def {name}(state, event, book, orders):
    intents = carray(orders, 1, ORDERS)[0]
    address = address_of_record(intents)
    if load_u32(address + INTENTS.halted) != 0:
        return
    try:
        on_event(carray(state, 1, STATE)[0], carray(event, 1, EVENT)[0], carray(book, 1, BOOK)[0], intents)
    except Exception:
        store_u32(address + INTENTS.halted, 1)
        store_u32(address + INTENTS.faults, load_u32(address + INTENTS.faults) + 1)
"""


@dataclass(frozen=True)
class Strategy:
    """A loaded strategy. Keep it alive as long as `address` or `state_address` may be used.

    `address`: C function void(void *state, struct event *, struct book *, struct intents *). `state`: array of one record.
    """

    name: str
    address: int
    state: np.ndarray
    function: Any  # numba's CFunc: owns the machine code

    @property
    def state_address(self) -> int:
        """Address of the state record."""
        return address_of(self.state)


def load_strategy(path: str | Path, parameters: dict[str, int | float] | None = None) -> Strategy:
    """Executes and compiles a strategy file; `parameters` override its PARAMETERS. Raises ConfigurationError, one line."""
    file = Path(path)
    source = _read(file)
    namespace = _execute(file, source)
    on_event = _entry_point(file, namespace)
    defaults = _defaults(file, namespace)
    state = _make_state(file, namespace, defaults, _known(file, defaults, parameters or {}))
    return Strategy(file.stem, *_compile(file, source, namespace, on_event, state))


def _complain(file: Path, line: int, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{file}:{line}: {' '.join(problem.split())}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ConfigurationError(
            f"{file}: the strategy file cannot be read ({problem.strerror}); name a Python file in [strategy] file"
        ) from problem


def _execute(file: Path, source: bytes) -> dict[str, Any]:
    """The namespace the file leaves behind."""
    module = ModuleType(f"gateway_strategy_{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # code loaded from the cache looks its module up by name
    try:
        code: CodeType = compile(source, str(file), "exec")
        exec(code, module.__dict__)
    except SyntaxError as problem:
        raise _complain(file, problem.lineno or 1, f"{problem.msg}; the file must be valid Python") from problem
    except Exception as problem:
        frames = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == str(file)]
        line = frames[-1] if frames and frames[-1] else 1
        raise _complain(file, line, f"{type(problem).__name__}: {problem}; the file must import by itself") from problem
    return module.__dict__


def _entry_point(file: Path, namespace: dict[str, Any]) -> FunctionType:
    on_event = namespace.get("on_event")
    if not isinstance(on_event, FunctionType):
        raise _complain(file, 1, "no function on_event; define on_event(state, event, book, orders)")
    signature = inspect.signature(on_event).parameters.values()
    plain = all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in signature)
    if len(signature) != ARGUMENTS or not plain:
        raise _complain(
            file,
            on_event.__code__.co_firstlineno,
            f"on_event takes {len(signature)} arguments; write on_event(state, event, book, orders)",
        )
    return on_event


def _defaults(file: Path, namespace: dict[str, Any]) -> dict[str, int | float]:
    defaults = namespace.get("PARAMETERS", {})
    if not isinstance(defaults, dict) or not all(isinstance(name, str) for name in defaults):
        raise _complain(file, 1, 'PARAMETERS is no dict of names; write PARAMETERS = {"lot": 100}')
    for name, default in defaults.items():
        if not isinstance(default, int | float):
            raise _complain(file, 1, f"PARAMETERS[{name!r}] is {type(default).__name__}; write an int or a float")
    return defaults


def _known(file: Path, defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in defaults:
            known = ", ".join(sorted(defaults)) or "none"
            raise ConfigurationError(f"{file}: the strategy has no parameter {name!r}; it knows: {known}")
    return given


def _make_state(file: Path, namespace: dict[str, Any], defaults: dict[str, Any], given: dict[str, Any]) -> np.ndarray:
    """One zeroed record of STATE, with a field for every parameter, filled in."""
    try:
        declared = np.dtype(namespace.get("STATE", []))
    except (TypeError, ValueError) as problem:
        raise _complain(file, 1, f"STATE is no dtype ({problem}); write a list of (name, type) pairs") from problem
    fields: dict[str, np.dtype] = {name: declared[name] for name in declared.names or ()}
    if any(field.base.hasobject for field in fields.values()) or (declared.names is None and declared.itemsize):
        raise _complain(file, 1, "STATE is no record of numbers; write a list of (name, type) pairs")
    for name, default in defaults.items():
        fields.setdefault(name, np.dtype("f8" if isinstance(default, float) else "i8"))
    fields = fields or {"unused": np.dtype("i8")}
    record = np.dtype(list(fields.items()), align=True)
    state = _aligned_zeros(record)
    for name, parameter in {**defaults, **given}.items():
        if not _fits(record[name], parameter):
            raise ConfigurationError(f"{file}: parameter {name} = {parameter} does not fit its field of type {record[name]}")
        state[name] = parameter
    return state


def _fits(kind: np.dtype, number: int | float) -> bool:
    """Whether a field of this type holds the number exactly (a float field: any finite one)."""
    if kind.kind not in "iuf" or kind.shape or not math.isfinite(number):
        return False
    if kind.kind == "f":
        return True
    bounds = np.iinfo(kind)
    return int(number) == number and int(bounds.min) <= int(number) <= int(bounds.max)


def _aligned_zeros(record: np.dtype) -> np.ndarray:
    """One zeroed record that begins on a cache line."""
    room = np.zeros(record.itemsize + LINE_BYTES, np.uint8)
    offset = -address_of(room) % LINE_BYTES
    return room[offset : offset + record.itemsize].view(record)


@cache
def view_of(struct: str) -> np.dtype:
    """How a strategy sees a shared struct: its plain fields; 64-bit words signed, because numba makes floats of a mix."""
    source = layout.dtype(struct)
    fields: Any = source.fields or {}
    plain = {name: field for name, field in fields.items() if field[0].subdtype is None and field[0].names is None}
    signed = [np.dtype("i8") if kind == np.dtype("u8") else kind for kind, _ in (f[:2] for f in plain.values())]
    offsets = [field[1] for field in plain.values()]
    return np.dtype({"names": list(plain), "formats": signed, "offsets": offsets, "itemsize": source.itemsize})


def _digest(source: bytes, state: np.ndarray) -> str:
    """What the machine code depends on: the file, the shared structs, the contract."""
    contract = [Path(str(module.__file__)).read_bytes() for module in (strategy, memory)]
    parts = [source, repr(state.dtype).encode(), str(layout.LAYOUT_HASH).encode(), ENTRY.encode(), *contract]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compile(
    file: Path, source: bytes, namespace: dict[str, Any], on_event: FunctionType, state: np.ndarray
) -> tuple[int, np.ndarray, Any]:
    for name, thing in list(namespace.items()):
        if isinstance(thing, FunctionType) and thing.__globals__ is namespace:
            namespace[name] = njit(boundscheck=True)(thing)
    name = f"on_event_{_digest(source, state)}"
    room = {
        "__name__": "gateway.core.strategy_file",
        "on_event": namespace["on_event"],
        "STATE": state.dtype,
        "EVENT": view_of("event"),
        "BOOK": view_of("book"),
        "ORDERS": view_of("intents"),
        "INTENTS": INTENTS,
        "carray": carray,
        "address_of_record": address_of_record,
        "load_u32": load_u32,
        "store_u32": store_u32,
    }
    exec(compile(ENTRY.format(name=name), __file__, "exec"), room)  # numba keys its cache by a file that exists
    mend = "use numbers, arrays and the functions of gateway.core.strategy only"
    try:
        function = cfunc(SIGNATURE, cache=True)(room[name])
    except KeyError as problem:  # what numba makes of a field that a record does not have
        line = _line_of_field(source, problem.args[0], on_event.__code__.co_firstlineno)
        raise _complain(file, line, f"no field {problem.args[0]!r}; declare it in STATE, or use what is there") from None
    except NumbaError as problem:
        line, reason = _explain(file, str(problem), on_event.__code__.co_firstlineno)
        raise _complain(file, line, f"numba cannot compile the strategy: {reason}; {mend}") from None
    return function.address, state, function


def _line_of_field(source: bytes, field: object, first_line: int) -> int:
    """Where a field is first named."""
    uses = [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr == field]
    return min(uses, default=first_line)


def _explain(file: Path, problem: str, first_line: int) -> tuple[int, str]:
    """Line and reason out of numba's many-line message, which names the innermost place first."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", problem)
    places = re.findall(rf'{re.escape(file.name)}(?:", line | \()(\d+)', plain)
    reasons = [line.strip() for line in plain.splitlines() if line.strip() and not line.startswith(("Failed in", "File"))]
    return int(places[0]) if places else first_line, reasons[0] if reasons else "unknown reason"
