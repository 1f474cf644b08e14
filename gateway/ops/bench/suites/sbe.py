"""CME MDP 3.0 packets to rows with every entry field: thread-CPU nanoseconds per entry.

ours              generated readers of gateway/protocols/sbe, every template from the schema alone
own C reader      contenders/sbe_reader.c: four templates by hand, the same rows, the same checks
sbedecoder        PyPI, where it is installed: the same capture through its Python objects

An entry is an element of the first group of a message; order entries of trades are read, and not counted.
"""

import ctypes
import time
from collections.abc import Callable

import numpy as np

from gateway.errors import CapabilityError
from gateway.ops.bench.compiled import load
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.sbe_kernel import TEMPLATES, arrays, kernel
from gateway.ops.bench.sbe_peers import Sbedecoder, digest, reference_rows
from gateway.ops.bench.sbe_stream import CAPTURE, Stream, recorded, synthetic
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target

TITLE = "SBE decode: CME MDP 3.0 packets to rows, every field of every entry"
METRIC, UNIT = "decode", "ns/entry"
SEED = 20260
PACKETS = 10_000  # of the seeded stream: as many as the capture has
PASSES = 40  # over the stream, per sample
TARGET_NS, TARGET_RATIO = 2.5, 1.0
OURS, OWN_C, SBEDECODER = "gateway", "own C reader", "sbedecoder"
Rows = dict[int, list[np.ndarray]]
Decode = Callable[[int, int], int]  # (address of the table, step) -> entries


def run(plan: Plan) -> Result:
    """Decodes the same packets with every contender."""
    rounds = 9 if plan.quick else 15
    result = Result("sbe", TITLE)
    plan.report(0.0, "making the stream")
    stream = recorded(plan.data) if plan.data is not None else None
    if stream is None:
        result.notes.append(f"a seeded stream: {CAPTURE} is not below --data or $GATEWAY_SHARED_DATA")
        stream = synthetic(PACKETS, SEED)
    rows = reference_rows(stream)
    result.settings = {
        "source": stream.source,
        "recorded": stream.schema_file is not None,
        "packets": len(stream.offsets),
        "bytes": len(stream.data),
        "entries": sum(len(arrays[1]) for arrays in rows.values()),
        "messages": {template: len(arrays[0]) for template, arrays in rows.items()},
        "rounds": rounds,
        "passes_per_sample": PASSES,
        "clock": "CLOCK_THREAD_CPUTIME_ID",
    }
    contenders = []
    for name, make in ((OURS, _ours), (OWN_C, _own_c), (SBEDECODER, _sbedecoder)):
        plan.report(0.02, f"preparing {name}")
        try:
            contenders.append(make(stream, rows))
        except CapabilityError as problem:
            result.skipped[name] = str(problem)
    result.rows = interleave(contenders, rounds, {METRIC: UNIT}, _digest_of(rows), plan)
    _judge(result)
    return result


def _judge(result: Result) -> None:
    ours, theirs = find(result.rows, OURS, METRIC), find(result.rows, OWN_C, METRIC)
    if ours is None:
        result.failures.append("gateway's rows differ from the reference's")
        return
    if result.settings["recorded"]:
        result.targets.append(Target("gateway SBE decode", median(ours), TARGET_NS, UNIT))
    if theirs is not None:
        result.targets.append(Target(f"{OURS} / {OWN_C}", times(ours, theirs), TARGET_RATIO, "×"))


def _digest_of(rows: Rows) -> str:
    return digest([array for template in TEMPLATES for array in rows[template]])


def _contender(name: str, ours: bool, rows: Rows, decode: Decode, note: str) -> Contender:
    """Times `decode` over one message's worth of rows, used again; the checksum is of one pass that keeps them all."""
    entries = sum(len(rows[template][1]) for template in TEMPLATES)
    table, kept = arrays(rows)
    found = decode(table.ctypes.data, 1)
    sizes = [len(array) for template in TEMPLATES for array in rows[template]]
    checksum = digest([array[:size] for array, size in zip(kept, sizes, strict=True)])
    if found != entries:
        checksum = "count differs"
    scratch, held = arrays({template: [array[:1] for array in rows[template]] for template in TEMPLATES})

    def run_round() -> Reading:
        begin = time.thread_time_ns()
        read = sum(decode(scratch.ctypes.data, 0) for _ in range(PASSES))
        spent = time.thread_time_ns() - begin
        return Reading({METRIC: spent / read}, checksum if read == PASSES * entries and held else "count differs")

    return Contender(name, ours, run_round, note)


def _ours(stream: Stream, rows: Rows) -> Contender:
    decode_stream = kernel(stream).decode_stream
    fixed = (stream.data.ctypes.data, stream.offsets.ctypes.data, stream.sizes.ctypes.data, len(stream.offsets))
    return _contender(OURS, True, rows, lambda table, step: int(decode_stream(*fixed, table, step)), "numba")


def _own_c(stream: Stream, rows: Rows) -> Contender:
    function = load("sbe_reader").sbe_decode_stream
    function.restype = ctypes.c_int64
    function.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    fixed = (stream.data.ctypes.data, stream.offsets.ctypes.data, stream.sizes.ctypes.data, len(stream.offsets))
    return _contender(OWN_C, False, rows, lambda table, step: int(function(*fixed, table, step)), "gcc -O3 -march=native")


def _sbedecoder(stream: Stream, rows: Rows) -> Contender:
    peer = Sbedecoder(stream)
    checksum = _digest_of(rows) if peer.agrees(rows) else "values differ"

    def run_round() -> Reading:
        spent, entries = peer.spent()
        return Reading({METRIC: spent / entries}, checksum)

    return Contender(SBEDECODER, False, run_round, "PyPI, objects; identifiers, sequences, prices and sizes compared")
