"""Everything of ours killed with -9 at once, and started again within the venue's day: the replay gives it all back."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.cli.demo import report
from gateway.core.orders import open_references
from gateway.errors import AttachError
from gateway.ops import own_orders
from gateway.ops.demo import Demo, DemoOptions, appliance_books, appliance_positions
from gateway.ops.reconciliation import compare_positions, reconcile
from gateway.ops.summary import summary
from gateway.ops.wiring import wire
from gateway.venues.simulator.process import attach_counters

QUOTES = Path(__file__).resolve().parent.parent.parent / "gateway" / "strategies" / "quotes.py"
WAIT_SECONDS = 120.0


def wait_for(what: Callable[[], object], why: str, more: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"{why} {more()}"
        time.sleep(0.02)


@contextmanager
def trading(folder: Path, seconds: float) -> Iterator[Demo]:
    options = DemoOptions(
        seconds=seconds, orders="soupbintcp", keep_orders=True, strategy=QUOTES, rate=5000, together=True, symbols=8
    )
    with wire("pair") as wiring:
        demo = Demo(wiring, options, folder)
        try:
            for _ in demo.start_appliance():
                pass
            demo.start_venue()
            yield demo
        finally:
            demo.close()


def kill_everything(demo: Demo) -> None:
    """kill -9 of control and of every stage, and of what they leave in memory: nothing."""
    assert demo.instance is not None and demo.appliance is not None
    beats = demo.instance.control[0]["heartbeats"]
    for pid in [demo.appliance.pid, *{int(beat["pid"]) for beat in beats if int(beat["pid"]) > 0}]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    demo.appliance.wait()
    shutil.rmtree(demo.instance.folder)  # else the memory of the dead is taken for the next one's
    demo.instance = None


def settled(demo: Demo) -> bool:
    """New risk is allowed: the replay is over, and what it had to do."""
    assert demo.instance is not None
    connection = int(demo.instance.control[0]["session_connection"])
    return connection > 0 and connection == int(demo.instance.regions["gate"].view("gate_account")[0]["session_connection"])


def told(demo: Demo) -> str:
    """What the appliance said, and its working orders."""
    assert demo.instance is not None
    rows = demo.instance.rows("orders")
    rows = rows[rows["reference"] > 0][["reference", "venue_order_id", "state", "open", "filled", "flags", "reject_code"]]
    state = demo.instance.regions["reconciliation"].view("reconciliation_state")[0]
    return f"{demo.log('appliance')} {state} {own_orders.working_orders(demo.instance)} {rows[-60:]}"


def hear_the_end(demo: Demo) -> None:
    """The venue is gone: until nothing arrives any more of what it said."""
    assert demo.instance is not None
    core, seen = demo.instance.counters[0]["core"], -1
    while int(core["reports"]) != seen:
        seen = int(core["reports"])
        demo.take_the_rest()
        time.sleep(1.0)


def traded(name: str) -> int:
    """Executions of our orders at the venue; -1: it is not there yet."""
    try:
        return int(attach_counters(name)["executions"])
    except AttachError:
        return -1


def trade_until(demo: Demo, name: str, fills: int) -> None:
    assert demo.instance is not None
    instance = demo.instance
    wait_for(lambda: traded(f"{name}-venue") >= fills and open_references(instance.rows("orders")), "nothing traded")


@pytest.mark.slow
@pytest.mark.parametrize("found", ["cancel", "adopt"])
def test_after_kill_9_of_everything_positions_and_open_orders_are_the_venues(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY__RECONCILIATION__FOUND", found)
    with trading(tmp_path, seconds=900.0) as demo:
        trade_until(demo, demo.instance_name, fills=5)
        kill_everything(demo)
        for _ in demo.start_appliance():
            pass
        assert demo.instance is not None
        wait_for(lambda: settled(demo), "new risk was never allowed again")
        state = demo.instance.regions["reconciliation"].view("reconciliation_state")[0]
        wait_for(
            lambda: int(state["reconciliations"]) >= 2,
            "the accounts were never compared",
            lambda: told(demo),
        )
        venue = demo.stop_venue()
        hear_the_end(demo)
        whole = summary(demo.instance)
        books, positions = appliance_books(demo.instance), appliance_positions(demo.instance)
        ours = set(open_references(demo.instance.rows("orders")))
        demo.stop_appliance()
    check = reconcile(books, positions, whole, venue)
    compare_positions(check, positions, venue)
    assert check.position_errors == check.books_wrong == 0, check.problems
    assert whole["core"]["fills"] == venue["executions"] > 10
    assert ours == {row["user_reference"] for row in venue["open_orders"]}
    assert whole["core"]["orders_adopted"] > 10
    assert whole["reconciliation"]["reconciliations"] > 0  # what was found working may have filled before it was looked at
    assert whole["reconciliation"]["mismatches"] == 0
    assert report(demo, whole, venue, check)["unknown_orders"] == 0
