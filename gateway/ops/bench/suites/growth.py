"""Cost as work grows: curves of books, gate and ring, memory for each live order and each symbol, and the time of a start.

    books     100 to 10,000 symbols, 100,000 to 2,000,000 live orders            book_growth.py
    gate      1 to 8,192 instruments of one account, 1 to 256 accounts           gate_growth.py
    ring      a burst with none to eight observers                               ring_growth.py
    start     warm, cold (in a full run), and of the command line alone          start_times.py

A metric that ends with `at NUMBER WHAT` or `, NUMBER WHAT` is a point of the curve of its contender: growth_plot.py
"""

from gateway.errors import CapabilityError
from gateway.ops.bench import book_growth, gate_growth, ring_growth, start_times
from gateway.ops.bench.suite import Plan, Result

TITLE = "Growth: what more symbols, orders, instruments, accounts and observers cost, and what a start costs"
QUICK_BOOKS = ((100, 100_000), (100, 1_000_000), (10_000, 100_000), (10_000, 1_000_000))
QUICK_INSTRUMENTS, QUICK_ACCOUNTS = (1, 16, 256, 2048, 8192), (1, 8, 64, 256)
PASSES, GATE_ROUNDS, STARTS = (1, 3), (5, 15), (2, 5)  # quick, full
COLD_SKIPPED = "a start that compiles every kernel takes more than a minute; leave out --quick"


def run(plan: Plan) -> Result:
    """Every curve in turn."""
    result = Result("growth", TITLE)
    result.settings = {
        "passes": PASSES[not plan.quick],
        "rounds": GATE_ROUNDS[not plan.quick],
        "starts": STARTS[not plan.quick],
    }
    result.settings |= {"batch_messages": book_growth.BATCH, "clock": "CLOCK_THREAD_CPUTIME_ID; of a start CLOCK_MONOTONIC"}
    _books(result, plan)
    _gate(result, plan)
    _ring(result, plan)
    _start(result, plan)
    return result


def _books(result: Result, plan: Plan) -> None:
    grid = QUICK_BOOKS if plan.quick else [(one, two) for one in book_growth.SYMBOLS for two in book_growth.LIVE_ORDERS]
    points, passes = [book_growth.Point(*place) for place in grid], PASSES[not plan.quick]
    for done, (what, rows, failures) in enumerate(book_growth.measure(points, passes)):
        plan.report(0.5 * done / (len(points) * passes), what)
        result.rows += rows
        result.failures += failures


def _gate(result: Result, plan: Plan) -> None:
    part = Plan(plan.quick, lambda share, what: plan.report(0.5 + 0.15 * share, f"gate: {what}"), plan.data)
    instruments = QUICK_INSTRUMENTS if plan.quick else gate_growth.INSTRUMENTS
    accounts = QUICK_ACCOUNTS if plan.quick else gate_growth.ACCOUNTS
    rows, failures = gate_growth.measure(instruments, accounts, GATE_ROUNDS[not plan.quick], part)
    result.rows += rows
    result.failures += failures


def _ring(result: Result, plan: Plan) -> None:
    part = Plan(plan.quick, lambda share, what: plan.report(0.65 + 0.15 * share, f"ring: {what}"), plan.data)
    try:
        rows = ring_growth.measure(part)
    except CapabilityError as problem:
        result.skipped["ring"] = str(problem)
        return
    result.rows += rows
    if not all(row.correct for row in rows):
        result.failures.append("ring: records were wrong, or a run with observers did not end in time")


def _start(result: Result, plan: Plan) -> None:
    """One start that is not measured brings every kernel to the disk."""
    starts = STARTS[not plan.quick]
    plan.report(0.8, "start: compiling, where something is missing")
    start_times.ready_seconds()
    helps, warm = [], []
    for turn in range(starts):
        plan.report(0.82 + 0.08 * turn / starts, "start: warm")
        helps.append(start_times.help_seconds())
        warm.append(start_times.ready_seconds())
    result.rows.append(start_times.row(start_times.HELP, start_times.TOLD, helps))
    result.rows.append(start_times.row(start_times.READY, start_times.WARM, warm))
    if plan.quick:
        result.skipped[f"{start_times.READY} {start_times.COLD}"] = COLD_SKIPPED
        return
    plan.report(0.9, "start: cold")
    result.rows.append(start_times.row(start_times.READY, start_times.COLD, [start_times.cold_seconds()]))
