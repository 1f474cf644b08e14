"""The one look at everything: it may doubt, and never lets pass what a control would refuse."""

import random

import numpy as np
from numba import njit

from gateway import kernel_cache, layout
from gateway.core.gate import refusals
from gateway.core.gate_pass import all_pass
from gateway.core.limit_units import ALWAYS_NS
from gateway.core.memory import FRACTION_ONE, SCALED_MAX, address_of
from gateway.ops.bench.gate_memory import MIDDLE, NOW_NS, TICK, GateMemory

INSTRUMENTS, ROUNDS = 2, 60_000
EDGES = (0, 1, 2, 3, 16, 31, 64, TICK, MIDDLE, 2**20, 2**31 - 1, 2**31, 2**32, SCALED_MAX, 2**60, 2**61, 2**62, 2**63 - 1)

kernel_cache.prepare()


@njit(cache=True)
def both(path, account, row, book, intent, instrument, now_ns):
    """(1 when nothing speaks against it, the reasons)."""
    passes = all_pass(path, account, row, book, intent, 1, instrument, now_ns)
    return passes, refusals(path, account, row, book, intent, 1, instrument, now_ns)


class Bench:
    """One order in a memory where everything speaks for it; `judge` gives both answers."""

    def __init__(self):
        self.memory = GateMemory(INSTRUMENTS)
        memory = self.memory
        self.records = {
            "account": memory.account,
            "row": memory.rows[1:2],
            "book": memory.books[1:2],
            "intent": memory.intents[1:2],
            "control": memory.control,
            "holding": memory.holdings[1:2],
            "strategy": memory.account["strategies"][0][0:1],
            "rate": memory.account["rates"][0][0:1],
            "group": memory.account["groups"][0][1:2],
        }
        self.fields = [
            (name, field)
            for name, record in self.records.items()
            for field in record.dtype.names
            if record.dtype[field].kind in "iu" and record.dtype[field].ndim == 0
        ]

    def judge(self) -> tuple[int, int]:
        memory = self.memory
        addresses = [address_of(self.records[name]) for name in ("account", "row", "book", "intent")]
        passes, reasons = both(memory.path.address, *addresses, 1, NOW_NS)
        return int(passes), int(reasons)

    def poke(self, name: str, field: str, number: int) -> int:
        record, kind = self.records[name], self.records[name].dtype[field]
        before = int(record[field][0])
        record[field][0] = (
            np.array([number & (256**kind.itemsize - 1)], dtype=np.uint64).astype(f"u{kind.itemsize}").view(kind)[0]
        )
        return before


def test_a_plain_order_needs_no_second_look():
    bench = Bench()
    for side in (1, 2):
        bench.poke("intent", "side", side)
        bench.memory.rows["permits"] = 0b11
        assert bench.judge() == (1, 0)
    bench.poke("intent", "flags", layout.value("INTENT_POST_ONLY"))
    bench.poke("intent", "time_in_force", layout.value("TIME_DAY"))
    assert bench.judge() == (1, 0)


def test_what_it_is_not_sure_of_it_leaves_to_the_controls():
    for name, field, number in (
        ("intent", "time_in_force", layout.value("TIME_FOK")),
        ("book", "bid_quantity", 0),
        ("strategy", "size_shift", 1),
        ("row", "margin_fraction", FRACTION_ONE // 2),
    ):
        bench = Bench()
        bench.poke("row", "last_age_ns", ALWAYS_NS[1])
        bench.poke("row", "last_price", MIDDLE)
        bench.poke("row", "last_price_ns", NOW_NS)
        bench.poke(name, field, number)
        passes, reasons = bench.judge()
        assert reasons == 0 and passes in (0, int(name == "row"))


def test_nothing_passes_that_a_control_refuses_whatever_stands_in_memory():
    seed = random.randrange(1 << 40)
    draw, bench = random.Random(seed), Bench()
    changed: list[tuple[str, str, int]] = []
    passed = refused = 0
    for step in range(ROUNDS):
        if len(changed) > draw.randrange(4):
            while changed:
                name, field, before = changed.pop()
                bench.poke(name, field, before)
        name, field = draw.choice(bench.fields)
        was = int(bench.records[name][field][0])
        near = was + draw.choice((-TICK, -1, 0, 1, TICK, -100, 100))
        number = draw.choice((near, draw.choice(EDGES), -draw.choice(EDGES), draw.getrandbits(draw.randrange(1, 65))))
        changed.append((name, field, bench.poke(name, field, number)))
        passes, reasons = bench.judge()
        assert not (passes and reasons), f"seed {seed}, step {step}: {changed} passes, and {reasons:b} refuse"
        passed, refused = passed + passes, refused + (reasons != 0)
    assert passed > ROUNDS // 8 and refused > ROUNDS // 8, f"seed {seed}: {passed} {refused}"


def test_a_cap_that_is_unset_refuses_also_what_would_only_reduce():
    for holder, caps in (("row", "row"), ("holding", "strategy")):
        for cap in (0, -1):
            bench = Bench()
            bench.poke(holder, "position", -1_000)  # buying makes it smaller
            bench.poke(caps, "position_max", cap)
            passes, reasons = bench.judge()
            assert passes == 0 and reasons == 1 << layout.value("GATE_POSITION")
