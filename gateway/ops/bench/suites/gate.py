"""The pre-trade gate: thread-CPU nanoseconds for one whole decision, every control evaluated.

gateway           gateway/core/gate.py, as the corridor calls it
own plain C       contenders/gate_plain.c: the same controls over the same memory, one `if` after another
NautilusTrader    its risk engine, where it is installed: fewer controls, one order command at a time

hot    one instrument again and again          wide    8,192 instruments in random order: their lines are met cold
"""

import ctypes
import time
from collections.abc import Callable

import numpy as np

from gateway import layout
from gateway.core.gate import decide_new
from gateway.core.kernel import cached
from gateway.core.memory import address_of
from gateway.errors import CapabilityError
from gateway.layout import size
from gateway.ops.bench.compiled import load
from gateway.ops.bench.gate_memory import MIDDLE, NOW_NS, GateMemory
from gateway.ops.bench.nautilus import NAUTILUS, nautilus
from gateway.ops.bench.rounds import find, interleave, median, times
from gateway.ops.bench.suite import Contender, Plan, Reading, Result, Target

TITLE = "Pre-trade gate: one decision, every control evaluated"
UNITS = {"hot": "ns/order", "wide": "ns/order"}
OURS, PLAIN = "gateway", "own plain C"
INSTRUMENTS = 8192
SEED = 20260
TARGETS_NS = {"hot": 12.0, "wide": 40.0}
INTENT_BYTES = size("intent")
REASONS = {name: 1 << bit for bit, name in layout.names("gate_reason", "GATE_").items() if name != "REASONS"}
# What is wrong with an order of the correctness pass, and every control that must say so.
WRONG: tuple[tuple[dict[str, int], tuple[str, ...]], ...] = (
    ({}, ()),
    ({"quantity": 1001}, ("QTY",)),
    ({"quantity": 0}, ("QTY", "VALUE")),
    ({"price": MIDDLE + 50}, ("PRICE",)),
    ({"price": 2 * MIDDLE - 100}, ("PRICE",)),
    ({"side": 3}, ("PERM",)),
    ({"strategy": 9}, ("PERM", "POSITION", "REPEAT")),
    ({"time_in_force": 5}, ("PERM",)),
    ({"price": 0}, ("PRICE", "VALUE")),
    ({"price": 1 << 40}, ("PRICE", "VALUE")),
)
STATES: tuple[tuple[dict[str, int], tuple[str, ...]], ...] = (
    ({"restricted": 1}, ("STATE",)),
    ({"own_ask": MIDDLE + 100}, ("SELF",)),
    ({"position_max": 99}, ("POSITION",)),
    ({"window_price": MIDDLE * 2}, ("PRICE",)),
    ({"stale_ns": -1}, ("STALE",)),
    ({"margin_fraction": 0}, ("MARGIN",)),
    ({"value_max": MIDDLE}, ("VALUE",)),
)
Decide = Callable[[GateMemory, np.ndarray, int], int]  # (memory, order of intents, rounds) -> sum of masks times place


@cached
def _decide_all(path, intents, order, rounds, now_ns):
    """The same loop as plain_decide_all in contenders/gate_plain.c."""
    total = 0
    for _ in range(rounds):
        for index in range(len(order)):
            total += decide_new(path, intents + order[index] * INTENT_BYTES, 1, now_ns) * (index + 1)
    return total


def run(plan: Plan) -> Result:
    """Every contender over the same memory, in turn."""
    rounds, passes = (9, 8) if plan.quick else (15, 24)
    result = Result("gate", TITLE)
    plan.report(0.0, "making the memory")
    memory = GateMemory(INSTRUMENTS)
    result.settings = {"instruments": INSTRUMENTS, "rounds": rounds, "passes": passes, "controls": len(REASONS)}
    result.settings |= {"seed": SEED, "clock": "CLOCK_THREAD_CPUTIME_ID"}
    deciders: list[tuple[str, bool, Decide, str]] = [(OURS, True, _ours, "numba")]
    try:
        deciders.append((PLAIN, False, _plain(), "gcc -O3 -march=native"))
    except CapabilityError as problem:
        result.skipped[PLAIN] = str(problem)
    _check(result, memory, deciders)
    contenders = [_contender(memory, passes, *decider) for decider in deciders]
    result.rows = interleave(contenders, rounds, UNITS, 0, plan)
    try:
        result.rows += nautilus(plan)
    except CapabilityError as problem:
        result.skipped[NAUTILUS] = str(problem)
    _judge(result)
    return result


def _judge(result: Result) -> None:
    for metric, limit in TARGETS_NS.items():
        ours, plain = find(result.rows, OURS, metric), find(result.rows, PLAIN, metric)
        if ours is None:
            result.failures.append(f"gateway refused an order of the {metric} round that every limit allows")
            continue
        result.targets.append(Target(f"{OURS} {metric}", median(ours), limit, UNITS[metric]))
        if plain is not None:
            result.targets.append(Target(f"{OURS} / {PLAIN}, {metric}", times(ours, plain), 1.0, "×"))


def _check(result: Result, memory: GateMemory, deciders: list) -> None:
    """Orders that are wrong in a known way, and instruments in a known state: each must be refused for exactly that."""
    intents, rows = memory.intents.copy(), memory.rows.copy()
    reasons: list[tuple[str, ...]] = []
    for index in range(INSTRUMENTS):
        fields, named = WRONG[index % len(WRONG)]
        state, also = STATES[index // len(WRONG) % len(STATES)] if not fields else ({}, ())
        for name, value in fields.items():
            memory.intents[name][index] = value
        for name, value in state.items():
            if name == "restricted":
                memory.rows["flags"][index] |= layout.value("INSTRUMENT_RESTRICTED")
            else:
                memory.rows[name][index] = value
        reasons.append((*named, *also))
    masks = [sum({REASONS[name] for name in named}) for named in reasons]
    expected = sum(mask * (index + 1) for index, mask in enumerate(masks))
    for name, _, decide, _ in deciders:
        memory.rewind()
        if decide(memory, np.arange(INSTRUMENTS), 1) != expected:
            result.failures.append(f"{name} refuses for other reasons than those that hold")
    memory.intents[:], memory.rows[:] = intents, rows


def _ours(memory: GateMemory, order: np.ndarray, rounds: int) -> int:
    return int(_decide_all(memory.path.address, address_of(memory.intents), order, rounds, NOW_NS))


def _plain() -> Decide:
    function = load("gate_plain").plain_decide_all
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 3

    def decide(memory: GateMemory, order: np.ndarray, rounds: int) -> int:
        path, intents = memory.path.address, address_of(memory.intents)
        return int(function(path, intents, address_of(order), len(order), rounds, NOW_NS))

    return decide


def _contender(memory: GateMemory, passes: int, name: str, ours: bool, decide: Decide, note: str) -> Contender:
    orders = {"hot": np.full(INSTRUMENTS, 1), "wide": np.random.default_rng(SEED).permutation(INSTRUMENTS)}

    def run_round() -> Reading:
        values, refused = {}, 0
        for metric, order in orders.items():
            memory.rewind()
            begin = time.thread_time_ns()
            refused |= decide(memory, order, passes)
            values[metric] = (time.thread_time_ns() - begin) / (passes * len(order))
        return Reading(values, refused)

    return Contender(name, ours, run_round, note)
