"""ITCH 5.0 from MoldUDP64 packets to 64-byte events: thread-CPU nanoseconds per message.

ours              gateway/protocols/itch50_decode.py, as the corridor calls it, packet by packet
own C switch      contenders/decode_switch.c: the same rows, the same checks, the same counters
"""

import ctypes
import hashlib
import time
from collections.abc import Callable

import numpy as np
from numba import njit

from gateway import limits
from gateway.errors import CapabilityError
from gateway.layout import dtype, size
from gateway.ops.bench.compiled import load
from gateway.ops.bench.itch_stream import MESSAGES_PER_PACKET, TIME_BASE_NS, Stream, make_stream
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target
from gateway.protocols.itch50_decode import decode_packet, make_table

TITLE = "ITCH 5.0 decode: MoldUDP64 packets to 64-byte events"
METRIC, UNIT = "decode", "ns/msg"
SEED = 20260
PASSES = 4  # over the stream, per sample
TARGET_NS = 8.0
OURS, SWITCH = "gateway", "own C switch"
EVENT_BYTES = size("event")
Decode = Callable[[int, int], int]  # (events address, step) -> events written


@njit
def _decode_stream(table, data, offsets, sizes, packets, time_base_ns, events, step, counters):
    """The same loop as switch_decode_stream in contenders/decode_switch.c."""
    total = 0
    for index in range(packets):
        target = events + (total * EVENT_BYTES if step else 0)
        payload = data + offsets[index]
        total += decode_packet(table, payload, sizes[index], 0, time_base_ns + index, target, counters)
    return total


def run(plan: Plan) -> Result:
    """Decodes the same seeded stream with every contender."""
    messages, rounds = (250_000, 9) if plan.quick else (1_000_000, 15)
    result = Result("decode", TITLE)
    plan.report(0.0, "making the stream")
    stream = make_stream(messages, SEED)
    result.settings = {
        "messages": messages,
        "packets": len(stream.offsets),
        "bytes": len(stream.data),
        "seed": SEED,
        "messages_per_packet_mean": MESSAGES_PER_PACKET,
        "mix": stream.messages_by_type,
        "rounds": rounds,
        "passes_per_sample": PASSES,
        "clock": "CLOCK_THREAD_CPUTIME_ID",
    }
    contenders = [_ours(stream)]
    try:
        contenders.append(_switch(stream))
    except CapabilityError as problem:
        result.skipped[SWITCH] = str(problem)
    result.rows = interleave(contenders, rounds, {METRIC: UNIT}, _digest(stream.events), plan)
    _judge(result)
    return result


def _judge(result: Result) -> None:
    ours, switch = find(result.rows, OURS, METRIC), find(result.rows, SWITCH, METRIC)
    if ours is None:
        result.failures.append("gateway's events differ from the stream's own")
        return
    result.targets.append(Target("gateway decode", median(ours), TARGET_NS, UNIT))
    if switch is not None:
        result.targets.append(Target(f"{OURS} / {SWITCH}", times(ours, switch), 1.0, "×"))


def _digest(events: np.ndarray) -> str:
    return hashlib.blake2b(events.tobytes(), digest_size=16).hexdigest()


def _contender(name: str, ours: bool, stream: Stream, decode: Decode, note: str) -> Contender:
    """Times `decode` over one reused packet's worth of rows; the checksum comes from one pass that keeps them all."""
    whole = np.zeros(len(stream.events) + 1, dtype("event"))
    count = decode(whole.ctypes.data, 1)
    digest = _digest(whole[:count])
    scratch = np.zeros(limits.EVENTS_MAX, dtype("event"))

    def run_round() -> Reading:
        begin = time.thread_time_ns()
        written = sum(decode(scratch.ctypes.data, 0) for _ in range(PASSES))
        spent = time.thread_time_ns() - begin
        return Reading({METRIC: spent / written}, digest if written == PASSES * count else "count differs")

    return Contender(name, ours, run_round, note)


def _ours(stream: Stream) -> Contender:
    table, counters = make_table(), np.zeros(1, dtype("core_counters"))

    def decode(events: int, step: int) -> int:
        return int(
            _decode_stream(
                *(table.ctypes.data, stream.data.ctypes.data, stream.offsets, stream.sizes, len(stream.offsets)),
                *(TIME_BASE_NS, events, step, counters.ctypes.data),
            )
        )

    return _contender(OURS, True, stream, decode, "numba")


def _switch(stream: Stream) -> Contender:
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

    return _contender(SWITCH, False, stream, decode, "gcc -O3 -march=native")
