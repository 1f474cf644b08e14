"""What the guard counts: the memory of each work, how much one piece of it is, and what it has to compute.

Hard rule: a work with N pieces and the same with 2 N begin in equal states, so that their difference is N pieces. Where a
piece changes what the next one finds (books), each has memory of its own.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateway.core.book_store import OwnedStore
from gateway.core.link_tap import make_tap
from gateway.core.memory import address_of
from gateway.core.strategy_file import load_strategy
from gateway.layout import dtype, size, value
from gateway.limits import EVENTS_MAX, LINK_SLOT_BYTES
from gateway.native import address, ffi, lib
from gateway.ops.bench.gate_memory import NOW_NS, GateMemory, lines
from gateway.ops.bench.guard import kernels
from gateway.ops.bench.guard.library import address as function_address
from gateway.ops.bench.itch_day import batch_bytes_max, make_flow, write_batch
from gateway.ops.bench.itch_stream import make_stream
from gateway.ops.bench.sbe_kernel import TEMPLATES, arrays, kernel
from gateway.ops.bench.sbe_peers import reference_rows
from gateway.ops.bench.sbe_stream import synthetic
from gateway.protocols import udp
from gateway.protocols.itch50_decode import decode_packet, make_table
from gateway.protocols.sbe import modules

SEED = 20260
MESSAGES, PACKETS = 5000, 300  # of the streams that are decoded
SYMBOLS, LIVE_ORDERS, BATCHES = 200, 4000, 8
INSTRUMENTS = 64
RING_DEPTH, RING_SLOT_BYTES = 1024, 64
NODES, ORDERS = 4096, 1 << 14
CALL_WORDS = 8
ECHO = Path(__file__).parents[1] / "echo.py"
PAYLOAD_BYTES = 400  # of the datagram that is checked
C, NUMBA, CONTROL = "C", "numba", "control"  # sides; a control is a contender, which no change of ours touches
MORNING_BATCHES = 32  # before the counted ones: the live orders are there
SBE_TEXT = """
from gateway.core.memory import load_i64
from {module} import decode_stream


def work(state, times):
    total = 0
    for _ in range(times):
        total += decode_stream(
            load_i64(state), load_i64(state + 8), load_i64(state + 16), load_i64(state + 24), load_i64(state + 32), 0
        )
    return total
"""


@dataclass
class Work:
    """`times` pieces of work with `first`, twice as many with `second`; a piece is `units` units."""

    name: str
    side: str
    unit: str
    units: float
    function: int  # address of int64 (int64 state, int64 times)
    first: int  # addresses of the states
    second: int
    times: int
    expected: int | None  # what the run with `times` computes
    keep: Any = field(default=None, repr=False)  # what owns the memory


class Words:
    """The words of a state, and what they point to."""

    def __init__(self, *words: int, keep: Any = None):
        self.array, self.keep = np.array(words, np.int64), keep
        self.address = address_of(self.array)


def make_works(library: ctypes.CDLL, folder: Path) -> list[Work]:
    """Every work, ready to run. `folder` is where the recorder's files go."""
    contended = [*_decode(library, folder), *_sbe(library), *_gate(library)]
    return [*native_works(library, folder), *contended, *_books(folder), _ring(), _frame(), _strategy()]


def native_works(library: ctypes.CDLL, folder: Path) -> list[Work]:
    """native/, over states of its own."""
    frames = (library.frames_make(),) * 2
    files = [library.recorder_make(str(folder / f"{name}.pcapng").encode()) for name in ("first", "second")]
    rings, ios = ([make() for _ in range(4)] for make in (library.ring_make, library.io_make))
    rows: list[tuple[str, str, str, float, Sequence[int], int, int]] = [
        ("ring", "record", "ring_run", 1, rings[:2], 1000, sum(turn + 5 for turn in range(1000))),
        ("ring, observed", "record", "observe_run", 16, rings[2:], 60, 60 * 16),
        ("io, frames in", "frame", "io_receive_run", 32, ios[:2], 60, 60 * 32),
        ("io, orders out", "order", "io_send_run", 1, ios[2:], 1000, 1000),
        ("checksum of 1,400 bytes", "frame", "checksum_run", 1, frames, 50, 50),
        ("whose frame", "frame", "classify_run", 8, frames, 100, 100 * 3),
        ("recorder", "frame", "recorder_run", 32, files, 60, 60 * 32),
    ]
    return [
        Work(name, C, unit, units, function_address(library, function), states[0], states[1], times, expected)
        for name, unit, function, units, states, times, expected in rows
    ]


def _control(
    library: ctypes.CDLL, name: str, unit: str, units: int, function: str, words: Sequence[int], expected: int, keep: Any
) -> Work:
    """A contender through call_run; one time is its whole stream."""
    state = Words(function_address(library, function), *words, *[0] * (CALL_WORDS - len(words)), keep=keep)
    runner = function_address(library, "call_run")
    return Work(name, CONTROL, unit, units, runner, state.address, state.address, 1, expected, state)


def _loop(name: str, unit: str, units: int, work: Any, states: Sequence[Words], times: int, expected: int | None) -> Work:
    function = kernels.compiled(work)
    keep = (function, states)
    return Work(name, NUMBA, unit, units, function.address, states[0].address, states[-1].address, times, expected, keep)


def _decode(library: ctypes.CDLL, folder: Path) -> list[Work]:
    stream = _kept(folder / "stream.npz", _stream)
    table, counters, events = make_table(), np.zeros(1, dtype("core_counters")), np.zeros(EVENTS_MAX, dtype("event"))
    own = (stream, table, counters, events)
    places = [*(address_of(stream[name]) for name in ("data", "offsets", "sizes")), len(stream["offsets"])]
    ours = Words(address_of(table), *places, address_of(events), address_of(counters), keep=own)
    theirs = [*places, 1, address_of(events), 0, address_of(counters)]
    return [
        _loop("ITCH decode", "message", MESSAGES, kernels.decode, [ours], 1, MESSAGES),
        _control(library, "ITCH decode, C switch", "message", MESSAGES, "switch_decode_stream", theirs, MESSAGES, own),
    ]


def _kept(file: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `make` gives, made by the process outside of valgrind alone: its kernels are not kept on the disk."""
    if not file.exists():
        np.savez(file, **make())  # type: ignore[arg-type]
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def _stream() -> dict[str, np.ndarray]:
    """Packets of a synthetic day."""
    stream = make_stream(MESSAGES, SEED)
    return {"data": stream.data, "offsets": stream.offsets, "sizes": stream.sizes}


def _sbe(library: ctypes.CDLL) -> list[Work]:
    """The loop calls a generated module, and is one."""
    stream = synthetic(PACKETS, SEED)
    rows = reference_rows(stream)
    entries = sum(len(rows[template][1]) for template in TEMPLATES)
    table, kept = arrays({template: [array[:1] for array in rows[template]] for template in TEMPLATES})
    reader = kernel(stream)
    text = SBE_TEXT.format(module=reader.__name__)
    work = modules.load("guard-sbe", stream.schema.digest, lambda: text).work
    words = [*map(address_of, (stream.data, stream.offsets, stream.sizes)), len(stream.offsets), address_of(table)]
    own = (stream, table, kept, reader)
    return [
        _loop("SBE decode", "entry", entries, work, [Words(*words, keep=own)], 1, entries),
        _control(library, "SBE decode, C reader", "entry", entries, "sbe_decode_stream", words, entries, own),
    ]


def _gate(library: ctypes.CDLL) -> list[Work]:
    memory, order = GateMemory(INSTRUMENTS), np.arange(INSTRUMENTS)
    path, intents = memory.path.address, address_of(memory.intents)
    ours = Words(path, intents, INSTRUMENTS, NOW_NS, keep=memory)
    theirs = [path, intents, address_of(order), INSTRUMENTS, 1, NOW_NS]
    return [
        _loop("gate", "order", INSTRUMENTS, kernels.gate, [ours], 4, 0),
        _control(library, "gate, plain C", "order", INSTRUMENTS, "plain_decide_all", theirs, 0, (memory, order)),
    ]


def _books(folder: Path) -> list[Work]:
    """Events of a flow with its live orders; each run has books of its own, which have seen the morning."""
    rows = [("book", kernels.book, False), ("book, no link", kernels.told, False), ("book, told", kernels.told, True)]
    return [
        _loop(name, "event", kernels.BATCH, work, [_state(folder, linked) for _ in range(2)], BATCHES, None)
        for name, work, linked in rows
    ]


def _state(folder: Path, linked: bool) -> Words:
    """(store, events that come next, counters, tap)."""
    store, counters = OwnedStore(SYMBOLS + 1, NODES, ORDERS), np.zeros(1, dtype("core_counters"))
    events, morning = _kept(folder / "events.npz", _events)["events"], kernels.compiled(kernels.morning)
    begin = Words(store.address, address_of(events), address_of(counters))
    morning.ctypes(begin.address, MORNING_BATCHES)
    rest = address_of(events) + MORNING_BATCHES * kernels.BATCH * size("event")
    tap, keep = _tap(store) if linked else (0, None)
    return Words(store.address, rest, address_of(counters), tap, keep=(store, events, counters, keep))


def _tap(store: OwnedStore) -> tuple[int, Any]:
    """A struct link_tap whose ring nobody reads reliably: it is never full."""
    memory, words = lines(size("ring_header") + RING_DEPTH * LINK_SLOT_BYTES), np.zeros(2, np.int64)
    writer, base = ffi.new("struct ring_writer *"), ffi.cast("void *", address_of(memory))
    lib.ring_format(base, len(memory), RING_DEPTH, LINK_SLOT_BYTES, 0)
    lib.ring_attach_writer(base, len(memory), writer)
    places = {"wanted": address_of(words), "now": address_of(words) + 8}
    tap, keep = make_tap(address(writer), store=store.address, instruments=SYMBOLS + 1, **places)
    tap["used"] = store.handle["used"]
    return address_of(tap), (memory, words, writer, tap, keep)


def _events() -> dict[str, np.ndarray]:
    """Those of the flow, decoded."""
    flow, table, counters = make_flow(SEED, SYMBOLS, LIVE_ORDERS), make_table(), np.zeros(1, dtype("core_counters"))
    messages = (MORNING_BATCHES + 2 * BATCHES) * kernels.BATCH
    data, events = np.zeros(batch_bytes_max(messages), np.uint8), np.zeros(messages + EVENTS_MAX, dtype("event"))
    places, sizes = np.zeros(messages, np.int64), np.zeros(messages, np.int64)
    packets = write_batch(flow, messages, data, places, sizes)
    at = address_of(events)
    for begin, length in zip(places[:packets].tolist(), sizes[:packets].tolist(), strict=True):
        count = decode_packet(address_of(table), address_of(data) + begin, length, 0, 1, at, address_of(counters))
        at += count * size("event")
    return {"events": events[:messages]}


def _ring() -> Work:
    states = []
    for _ in range(2):
        size_bytes = size("ring_header") + RING_DEPTH * RING_SLOT_BYTES
        memory = lines(size_bytes)
        writer, reader = ffi.new("struct ring_writer *"), ffi.new("struct ring_reader *")
        base = ffi.cast("void *", address_of(memory))
        lib.ring_format(base, size_bytes, RING_DEPTH, RING_SLOT_BYTES, 1)
        lib.ring_attach_writer(base, size_bytes, writer)
        lib.ring_attach_reader(base, size_bytes, 1, reader)
        states.append(Words(address(writer), address(reader), keep=(memory, writer, reader)))
    return _loop("ring", "record", 1, kernels.ring, states, 1000, sum(turn + 5 for turn in range(1000)))


def _frame() -> Work:
    frame = udp.frame(bytes(range(256)) + bytes(PAYLOAD_BYTES - 256))
    data, datagram = np.frombuffer(frame, np.uint8).copy(), np.zeros(1, dtype("datagram"))
    state = Words(address_of(data), len(data), address_of(datagram), keep=(data, datagram))
    return _loop("frame to datagram", "frame", 1, kernels.frame, [state], 100, 0)


def _strategy() -> Work:
    """The echo of tick to order before a sound book: one intent a call."""
    own = load_strategy(ECHO)
    memory = GateMemory(1)
    event, intents = np.zeros(1, dtype("event")), np.zeros(1, dtype("intents"))
    event["kind"] = value("EVENT_ADD")
    intents["instruments"] = 1
    words = [own.address, own.state_address, address_of(event), address_of(memory.books), address_of(intents)]
    state = Words(*words, keep=(own, memory, event, intents))
    return _loop("strategy", "call", 1, kernels.strategy, [state], 100, 100)
