"""The gate as it grows: instruments of one account, and accounts, nanoseconds for one decision in random order.

An instance of the appliance has one account and one gate. More accounts are more instances; here a core with one cache meets
them all in turn, each with memory of its own (gate_memory.py), which is the most that another account can cost.

Hard rule: at every point orders that are wrong in a known way are refused for exactly that, before one that passes is timed.
"""

import time
from collections.abc import Sequence

import numpy as np

from gateway import layout
from gateway.core.memory import address_of
from gateway.layout import size
from gateway.ops.bench.gate_memory import NOW_NS, QUANTITY, GateMemory
from gateway.ops.bench.growth_kernels import decide_pairs
from gateway.ops.bench.rounds import interleave
from gateway.ops.bench.suite import Contender, Plan, Reading, Row

INSTRUMENTS = tuple(1 << bit for bit in range(14))  # of one account
ACCOUNTS = tuple(1 << bit for bit in range(9))
INSTRUMENTS_EACH = 32  # of every account, where accounts grow
SEED = 20263
DECISIONS = 32_768  # in a sample: the largest point four times
QUANTITY_WRONG = 1001
UNIT = "ns/order"
QTY = 1 << next(bit for bit, name in layout.names("gate_reason", "GATE_").items() if name == "QTY")


class Accounts:
    """`count` accounts with `instruments` each, and every pair of (path, intent) in random order."""

    def __init__(self, count: int, instruments: int):
        self.memories = [GateMemory(instruments) for _ in range(count)]
        pairs = [
            (memory.path.address, address_of(memory.intents) + index * size("intent"))
            for memory in self.memories
            for index in range(instruments)
        ]
        self.pairs = np.random.default_rng(SEED).permutation(np.array(pairs, np.int64))
        self.rounds = DECISIONS // len(self.pairs)

    def rewind(self) -> None:
        """Every account as at the start."""
        for memory in self.memories:
            memory.rewind()

    def decide(self, rounds: int) -> int:
        """Sum of the masks times their place; 0: every order passed."""
        return int(decide_pairs(address_of(self.pairs), len(self.pairs), rounds, NOW_NS))

    def refuses(self) -> bool:
        """Whether exactly the orders that are too large are refused, and for that alone: every second of each account."""
        wrong = set()
        for memory in self.memories:
            memory.intents["quantity"][::2] = QUANTITY_WRONG
            wrong |= {address_of(memory.intents) + index * size("intent") for index in range(0, len(memory.intents), 2)}
        expected = sum(QTY * (place + 1) for place, pair in enumerate(self.pairs.tolist()) if pair[1] in wrong)
        found = self.decide(1)
        for memory in self.memories:
            memory.intents["quantity"] = QUANTITY
        return found == expected


def measure(instruments: Sequence[int], accounts: Sequence[int], rounds: int, plan: Plan) -> tuple[list[Row], list[str]]:
    """Rows of both curves, every point once a round; and what went wrong."""
    points = [("one account", f"decision at {count:,} instruments", 1, count) for count in instruments]
    each = f"{INSTRUMENTS_EACH} instruments each"
    points += [(each, f"decision at {count:,} accounts", count, INSTRUMENTS_EACH) for count in accounts]
    contenders, failures = [], []
    for curve, metric, count, width in points:
        made = Accounts(count, width)
        if not made.refuses():
            failures.append(f"gate, {curve}, {metric}: refuses for other reasons than those that hold")
            continue
        contenders.append(_contender(curve, metric, made))
    units = {metric: UNIT for _, metric, _, _ in points}
    return interleave(contenders, rounds, units, 0, plan), failures


def _contender(curve: str, metric: str, accounts: Accounts) -> Contender:
    def run_round() -> Reading:
        accounts.rewind()
        refused = accounts.decide(1)  # the round before met other accounts: their lines are in the caches
        begin = time.thread_time_ns()
        refused |= accounts.decide(accounts.rounds)
        return Reading({metric: (time.thread_time_ns() - begin) / (accounts.rounds * len(accounts.pairs))}, refused)

    return Contender(curve, True, run_round)
