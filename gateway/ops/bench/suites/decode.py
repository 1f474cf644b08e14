"""ITCH 5.0 from MoldUDP64 packets to 64-byte events: thread-CPU nanoseconds per message.

ours              gateway/protocols/itch50_decode.py, as the corridor calls it, packet by packet
own C switch      contenders/decode_switch.c: the same rows, the same checks, the same counters
itchcpp, itchfeed, meatpy    what PyPI has: an object of every message, on the first messages of the same stream

Metric `decode` is a fragment of the synthetic day; `decode, recorded` every message recorded from the exchange, few and
mostly of one type, again and again: what it shows above all is that everybody reads what the exchange really sent.
"""

import ctypes
import hashlib
import time
from collections.abc import Callable

import numpy as np

from gateway import limits
from gateway.core.kernel import cached
from gateway.errors import CapabilityError
from gateway.layout import dtype, size
from gateway.ops.bench.compiled import load
from gateway.ops.bench.itch_marginals import marginals
from gateway.ops.bench.itch_peers import ITCHCPP, add_peers
from gateway.ops.bench.itch_stream import TIME_BASE_NS, Stream, beginning, make_stream, recorded_stream
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target
from gateway.protocols.itch50_decode import decode_packet, make_table

TITLE = "ITCH 5.0 decode: MoldUDP64 packets to 64-byte events"
METRIC, METRIC_RECORDED, UNIT = "decode", "decode, recorded", "ns/msg"
SEED = 20260
PASSES = {METRIC: 4, METRIC_RECORDED: 400}  # over the stream, per sample
PEER_PASSES = {METRIC: 1, METRIC_RECORDED: 4}
OURS, SWITCH = "gateway", "own C switch"
TARGET_NS = 4.0
LIMITS = {SWITCH: 1 / 2.3, ITCHCPP: 1 / 80}  # ours to theirs
EVENT_BYTES = size("event")
Decode = Callable[[int, int], int]  # (events address, step) -> events written


@cached
def _decode_stream(table, data, offsets, sizes, packets, time_base_ns, events, step, counters):
    """The same loop as switch_decode_stream in contenders/decode_switch.c."""
    total = 0
    for index in range(packets):
        target = events + (total * EVENT_BYTES if step else 0)
        payload = data + offsets[index]
        total += decode_packet(table, payload, sizes[index], 0, time_base_ns + index, target, counters)
    return total


def run(plan: Plan) -> Result:
    """Decodes the same streams with every contender."""
    messages, sample, rounds = (250_000, 20_000, 9) if plan.quick else (1_000_000, 100_000, 15)
    result = Result("decode", TITLE)
    plan.report(0.0, "making the stream")
    stream = make_stream(messages, SEED)
    result.settings = {
        "messages": messages,
        "messages_of_python_peers": sample,
        "packets": len(stream.offsets),
        "bytes": len(stream.data),
        "seed": SEED,
        "synthetic": marginals(stream),
        "rounds": rounds,
        "passes_per_sample": PASSES,
        "clock": "CLOCK_THREAD_CPUTIME_ID",
    }
    _measure(result, plan, METRIC, stream, beginning(stream, sample), rounds)
    recorded = recorded_stream(plan.data) if plan.data else None
    if recorded is None:
        result.skipped[METRIC_RECORDED] = "no recorded ITCH 5.0: --data DIR with folders nasdaq-*itch50-*"
    else:
        result.settings["recorded"] = recorded.messages_by_type
        _measure(result, plan, METRIC_RECORDED, recorded, recorded, rounds)
    _judge(result)
    return result


def _measure(result: Result, plan: Plan, metric: str, stream: Stream, sample: Stream, rounds: int) -> None:
    reference = _digest(stream.events)
    contenders = [_ours(stream, metric)]
    try:
        contenders.append(_switch(stream, metric))
    except CapabilityError as problem:
        result.skipped[SWITCH] = str(problem)
    add_peers(contenders, result, sample, metric, PEER_PASSES[metric], reference)
    result.rows += interleave(contenders, rounds, {metric: UNIT}, reference, plan)


def _judge(result: Result) -> None:
    for metric in {row.metric for row in result.rows}:
        if find(result.rows, OURS, metric) is None:
            result.failures.append(f"{metric}: gateway's events differ from the reference rows")
    ours = find(result.rows, OURS, METRIC)
    if ours is None:
        return
    result.targets.append(Target("gateway decode", median(ours), TARGET_NS, UNIT))
    for name, limit in LIMITS.items():
        peer = find(result.rows, name, METRIC)
        if peer is not None:
            result.targets.append(Target(f"{OURS} / {name}", times(ours, peer), limit, "×"))


def _digest(events: np.ndarray) -> str:
    return hashlib.blake2b(events.tobytes(), digest_size=16).hexdigest()


def _contender(name: str, ours: bool, stream: Stream, metric: str, decode: Decode, note: str) -> Contender:
    """Times `decode` over one reused packet's worth of rows; the checksum comes from one pass that keeps them all."""
    whole = np.zeros(len(stream.events) + 1, dtype("event"))
    count = decode(whole.ctypes.data, 1)
    digest = _digest(whole[:count])
    scratch = np.zeros(limits.EVENTS_MAX, dtype("event"))

    def run_round() -> Reading:
        begin = time.thread_time_ns()
        written = sum(decode(scratch.ctypes.data, 0) for _ in range(PASSES[metric]))
        spent = time.thread_time_ns() - begin
        return Reading({metric: spent / written}, digest if written == PASSES[metric] * count else "count differs")

    return Contender(name, ours, run_round, note)


def _ours(stream: Stream, metric: str) -> Contender:
    table, counters = make_table(), np.zeros(1, dtype("core_counters"))

    def decode(events: int, step: int) -> int:
        return int(
            _decode_stream(
                *(table.ctypes.data, stream.data.ctypes.data, stream.offsets, stream.sizes, len(stream.offsets)),
                *(TIME_BASE_NS, events, step, counters.ctypes.data),
            )
        )

    return _contender(OURS, True, stream, metric, decode, "numba")


def _switch(stream: Stream, metric: str) -> Contender:
    counters = np.zeros(1, dtype("core_counters"))
    function = load("decode_switch").switch_decode_stream
    function.restype = ctypes.c_int64
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2 + [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]

    def decode(events: int, step: int) -> int:
        return int(
            function(
                *(stream.data.ctypes.data, stream.offsets.ctypes.data, stream.sizes.ctypes.data, len(stream.offsets)),
                *(TIME_BASE_NS, events, step, counters.ctypes.data),
            )
        )

    return _contender(SWITCH, False, stream, metric, decode, "gcc -O3 -march=native")
