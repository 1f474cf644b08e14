"""Rows of the suite `book` over real order data: the events of es_orders.py applied 256 at a time, apart from decoding.

Every round plays each recorded day from an empty book; at every checkpoint of a day all levels of both sides, their
quantities and their numbers of orders equal the twin's. Hard rule: one round that differs makes the row wrong.
"""

import time

import numpy as np

from gateway.core.book import apply_events, begin_session
from gateway.core.book_reader import levels
from gateway.core.book_store import OwnedStore
from gateway.layout import dtype, size, value
from gateway.ops.bench.es_orders import INSTRUMENT, TICK, EsDay, recorded_days
from gateway.ops.bench.suite import Plan, Result, Row

METRIC = "book, real ES orders"
CHECKPOINTS = 20  # of each day
SIDES = (value("SIDE_BUY"), value("SIDE_SELL"))


def measure(result: Result, plan: Plan, contender: str, unit: str, batch: int) -> None:
    """Adds the row. Raises CapabilityError where the recording or its reader is missing."""
    days, rounds = recorded_days(plan.data, CHECKPOINTS), 5 if plan.quick else 15
    row = Row(contender, METRIC, unit, True, True, [], "recorded by Databento; events made before")
    wrong = compared = 0
    for index in range(-1, rounds):
        plan.report((index + 1) / (rounds + 1), METRIC)
        spent = events = 0
        for day in days:
            ns, differing, count = _play(day, batch)
            spent, events = spent + ns, events + len(day.events)
            wrong, compared = wrong + differing, compared + count
        if index >= 0:
            row.samples.append(spent / events)
    result.rows.append(row)
    result.settings["es_orders"] = {"days": [day.name for day in days], "events": events, "levels_compared": compared}
    if wrong:
        row.correct = False
        result.failures.append(f"{METRIC}: {wrong} of {compared} sides differ from the twin")


def _play(day: EsDay, batch: int) -> tuple[int, int, int]:
    """(thread-CPU nanoseconds, sides that differ, levels compared)."""
    store = OwnedStore(instruments=INSTRUMENT + 1, nodes=1 << 12, orders=1 << 15, tick=TICK)
    counters, events = np.zeros(1, dtype("core_counters")), day.events.copy()
    for region in store.memory:
        region[:] = 0  # its pages are there before the first order, as in `gateway run`
    begin_session(store.address, 1)
    spent = wrong = compared = first = 0
    for last, *sides in day.checkpoints:
        begin = time.thread_time_ns()
        for start in range(first, last, batch):
            address = events.ctypes.data + start * size("event")
            apply_events(store.address, address, min(batch, last - start), counters.ctypes.data)
        spent, first = spent + time.thread_time_ns() - begin, last
        for number, twin in zip(SIDES, sides, strict=True):
            wanted = [(price, *twin[price]) for price in sorted(twin, reverse=number == SIDES[0])]
            wrong += levels(store.handle, INSTRUMENT, number) != wanted
            compared += len(wanted)
    return spent, wrong + int(counters["reasons"].any()), compared
