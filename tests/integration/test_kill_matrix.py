"""The kill in nine situations, each with orders open and positions held, judged from the venue's side of the wire.

Must hold in all of them: no new order at the venue later than 10 ms after the latch; nothing open within 5 s where the venue
answers; flat, or every residual named, when the report comes. By default once each; `-m long` two hundred times and more,
with a table of what was measured (also into the file that GATEWAY_KILL_MATRIX names).
"""

import json
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from gateway import layout
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.ops import kill_file
from tests.kill_desk import KILL_SECONDS, Desk
from tests.kill_figures import Figures

BLOCKED_MS, CLOSED_MS, REPORT_MS = 10.0, 5_000, 1_000 * KILL_SECONDS + 500
ANSWERING = {"normal load", "core stopped", "core crashed", "session down", "disk full", "twice at once", "during start"}
CHEAP = ("normal load", "core stopped", "session down", "disk full", "twice at once")
DEAR = ("venue refuses cancels", "venue silent", "core crashed", "during start")
BEGINNING_ANEW = {"core crashed", "during start", "session down", "disk full"}
ROUNDS_CHEAP, ROUNDS_DEAR = 34, 9
MUTE_MS = 1_000 * KILL_SECONDS + 8_000


def normal_load(desk: Desk) -> Figures:
    return desk.kill()


def core_stopped(desk: Desk) -> Figures:
    desk.signal("CORE", signal.SIGSTOP)
    time.sleep(0.6)  # longer than a heartbeat is missed
    found = desk.kill()
    assert found.report["verified_by"] == "the venue's drop copy" and not found.report["core_alive"]
    return found


def session_down(desk: Desk) -> Figures:
    desk.keep_orders(True)
    try:
        desk.cut_session(logins_refused=4)
        desk.wait_for(lambda: not desk.instance.control[0]["session_connection"], 10)
        return desk.kill()
    finally:
        desk.keep_orders(False)


def venue_refuses_cancels(desk: Desk) -> Figures:
    desk.keep_orders(True)  # nor does it cancel by itself, should the session be replaced on a busy machine
    try:
        return refused(desk)
    finally:
        desk.keep_orders(False)


def refused(desk: Desk) -> Figures:
    refusals = desk.gateway.counts["cancels_refused"]
    desk.fail(refuse_cancels=1_000)
    found = desk.kill()
    report = found.report
    assert desk.gateway.counts["cancels_refused"] > refusals
    assert report["confirmed"] == (not found.open_orders), f"what it says is what the venue has: {report}"
    assert report["clean"] == (not found.open_orders and not found.positions), f"{report}"  # an order may fill meanwhile
    named = {row["reference"] for row in report["residuals"] if row["reference"]}
    assert set(found.open_orders) <= named, "every order that is still open is named"
    desk.fail()
    again = desk.kill()
    assert again.report["clean"], again.report
    found.turned += again.turned
    return found


def venue_silent(desk: Desk) -> Figures:
    desk.fail(mute_ms=MUTE_MS)
    began = time.monotonic()
    found = desk.kill()
    report = found.report
    assert report["exit_code"] == 1 and not report["confirmed"] and report["residuals"], f"{report}"
    time.sleep(max(0.0, began + MUTE_MS / 1000 + 2.0 - time.monotonic()))
    again = desk.kill()
    assert again.report["clean"], again.report
    found.turned += again.turned
    return found


def disk_full(desk: Desk) -> Figures:
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system of its own, to fill")
    with desk.full_disk():
        found = desk.kill()
        assert "No space left" in found.report["file_problem"], "the report says what could not be kept"
        assert kill_file.reason(desk.state).startswith("COMMAND"), "the latch's own file was made before"
    return found


def twice_at_once(desk: Desk) -> Figures:
    first, second = desk.begin_kill(), desk.begin_kill()
    reports = [desk.end_kill(first), desk.end_kill(second)]
    assert reports[0]["latched_ns"] == reports[1]["latched_ns"] and all(report["clean"] for report in reports), reports
    return desk.figures(max(reports, key=lambda report: report["open_before"]))


def core_crashed(desk: Desk) -> Figures:
    desk.signal("CORE", signal.SIGKILL)
    found = desk.figures(desk.report_of_control())
    assert found.report["reason"] == "CORE_DIED" and found.report["by"] == "control"
    return found


def during_start(desk: Desk) -> Figures:
    """What an appliance that died has left at the venue is closed by one that has not yet started."""
    desk.keep_orders(True)
    try:
        desk.crash()
        desk.begin_start()
        desk.wait_for(lambda: attachable(desk), 60)
        found = desk.kill()
        assert desk.orders_after(desk.crashed_ns) == [], "an appliance that is killed while it starts never trades"
        return found
    finally:
        desk.keep_orders(False)


def attachable(desk: Desk) -> bool:
    """Whether the new run's shared memory stands; its stages do not run yet."""
    try:
        desk.instance = Instance.attach(desk.name)
    except AttachError:
        return False
    beats = desk.instance.control[0]["heartbeats"]
    return int(beats[layout.value("PROCESS_CONTROL")]["pid"]) == desk.demo.appliance.pid


SITUATIONS = {
    "normal load": normal_load,
    "core stopped": core_stopped,
    "session down": session_down,
    "venue refuses cancels": venue_refuses_cancels,
    "venue silent": venue_silent,
    "disk full": disk_full,
    "twice at once": twice_at_once,
    "core crashed": core_crashed,
    "during start": during_start,
}


def judge(name: str, found: Figures) -> None:
    """What must hold in every situation."""
    report = found.report
    assert found.orders_late == 0, f"{name}: a new order {found.last_order_ms:.1f} ms after the latch"
    assert found.turned == [], f"{name}: over-flattened, or made larger: {found.turned}"
    assert report["took_ms"] <= REPORT_MS, f"{name}: the report took {report['took_ms']} ms"
    named = {row["symbol"] for row in report["residuals"]}
    assert set(found.positions) <= named, f"{name}: left and not named: {found.positions}, {report['residuals']}"
    if name in ANSWERING:
        assert report["confirmed"] and not found.open_orders, f"{name}: {report}"
        assert 0 <= found.closed_ms <= CLOSED_MS, f"{name}: the venue had orders open for {found.closed_ms} ms"
        confirmed_ms = REPORT_MS if name == "during start" else CLOSED_MS  # there the session has to come up first
        assert 0 <= report["closed_after_ms"] <= confirmed_ms, f"{name}: {report}"


def run(desk: Desk, name: str) -> Figures:
    """One situation, from load to judgement; afterwards the appliance trades again."""
    if desk.needs_start:
        desk.restart()
    desk.under_load()
    found = SITUATIONS[name](desk)
    desk.needs_start = name in BEGINNING_ANEW or desk.demo.appliance.poll() is not None
    judge(name, found)
    if not desk.needs_start:
        desk.finish_start()
        desk.rearm()
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("desk"))
    try:
        yield desk
    finally:
        desk.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", SITUATIONS)
def test_a_kill_blocks_closes_and_flattens_or_names_what_is_left(desk, name):
    found = run(desk, name)
    if name in ANSWERING:
        assert found.positions == {} and found.flat_ms >= 0, found.report


# ---- two hundred times -----------------------------------------------------------------------------------------------


def plan() -> list[str]:
    """The situations of the long run, the dear ones spread over it."""
    names, dear = [], list(DEAR) * ROUNDS_DEAR
    for index in range(ROUNDS_CHEAP):
        names += CHEAP
        count = (index + 1) * len(dear) // ROUNDS_CHEAP - index * len(dear) // ROUNDS_CHEAP
        names += dear[index * len(dear) // ROUNDS_CHEAP :][:count]
    return names


def table(figures: dict[str, list[Figures]]) -> list[dict[str, object]]:
    """min, median and max of every figure, by situation."""
    rows = []
    for name, found in figures.items():
        row: dict[str, object] = {
            "situation": name,
            "runs": len(found),
            "orders_late": sum(one.orders_late for one in found),
        }
        measured = {
            "last_order_ms": [one.last_order_ms for one in found],
            "venue_closed_ms": [one.closed_ms for one in found if one.closed_ms >= 0],
            "venue_flat_ms": [one.flat_ms for one in found if one.flat_ms >= 0],
            "report_ms": [one.report["took_ms"] for one in found],
            "latch_us": [one.report["latch_took_ns"] / 1000 for one in found],
        }
        for what, numbers in measured.items():
            spread = (min(numbers), statistics.median(numbers), max(numbers)) if numbers else ()
            row[what] = [round(number, 3) for number in spread]
        row["flat"] = sum(not one.positions for one in found)
        rows.append(row)
    return rows


@pytest.mark.long
def test_two_hundred_kills_and_more(tmp_path):
    figures: dict[str, list[Figures]] = {name: [] for name in SITUATIONS}
    names = [name for name in plan() if name != "disk full" or os.geteuid() == 0]
    assert len(names) >= 200 or os.geteuid() != 0
    desk, problems = Desk(tmp_path), []
    try:
        for index, name in enumerate(names):
            try:
                figures[name].append(run(desk, name))
            except AssertionError as problem:
                problems.append(f"run {index}, {name}: {problem}"[:4000])
                desk.needs_start = True
            write(figures, problems)
    finally:
        desk.stop()
    for row in table(figures):
        print(row)
    assert not problems, "\n".join(problems)


def write(figures: dict[str, list[Figures]], problems: list[str]) -> None:
    """The table so far, for whoever waits."""
    if path := os.environ.get("GATEWAY_KILL_MATRIX"):
        document = {"runs": sum(map(len, figures.values())), "problems": problems, "table": table(figures)}
        Path(path).write_text(json.dumps(document, indent=1) + "\n")
