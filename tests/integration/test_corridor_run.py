"""`gateway run` as a real process: its life, its deaths and its papers."""

import os
import signal
import subprocess
import sys
import time

import pytest

from gateway import layout
from gateway.ops import journal, kill_file
from gateway.venues.simulator.flow import frames
from tests.corridor_bench import Feed, configuration, pcap_of, replay
from tests.integration.appliance import Appliance

VALID, STALE = layout.value("BOOK_VALID"), layout.value("BOOK_STALE")
DECISION, REPORT = layout.value("JOURNAL_DECISION"), layout.value("JOURNAL_REPORT")
LATCH_SIGNAL, LATCH_CONTROL = layout.value("KILL_SIGNAL"), layout.value("KILL_CONTROL_STALE")


@pytest.fixture
def appliance(tmp_path):
    """Makes appliances; ends them all."""
    made = []

    def make(**options):
        made.append(Appliance(tmp_path, **options))
        return made[-1]

    yield make
    for row in made:
        row.close()


def opened(feed):
    """A book with both sides."""
    feed.packet(*feed.listing(), feed.add(1, "B", 100, 1_000_000), feed.add(2, "S", 100, 1_000_100))
    return [frame for _, frame in feed.frames]


def wait_messages(running, count):
    running.wait_for(lambda: running.core["messages"] >= count, 20)


@pytest.mark.slow
@pytest.mark.parametrize("together", [False, True], ids=["two processes", "together"])
def test_a_day_on_a_pair_gives_the_books_of_its_replay_and_stops_in_order(appliance, together, tmp_path):
    day = list(frames(seed=3, symbols=6, messages=3000))
    path = tmp_path / "day.pcap"
    path.write_bytes(pcap_of(day))
    expected = replay(path, configuration(feed__reorder_window_us=1_000_000))
    running = appliance(together=together, strategy="def on_event(state, event, book, orders):\n    pass\n")
    running.send([frame for _, frame in day])
    wait_messages(running, expected["core"]["messages"])
    running.wait_for(lambda: running.core["end_of_session"] == expected["core"]["end_of_session"], 20)
    assert running.books() == expected["books"]
    ended = running.stop()
    names = ("messages", "gaps", "sessions", "instruments", "live_orders", "crossed", "packets", "strategy_calls")
    assert {name: ended["core"][name] for name in names} == {name: expected["core"][name] for name in names}
    assert ended["messages"] == expected["messages"]
    assert ended["exit_code"] == 0 and ended["kill_latch"] == "" and ended["seconds"] < 5
    running.peer.close()
    assert running.left_over() == []


def refuse_a_second_run(running):
    """The same instance cannot run twice, and the first one does not notice."""
    command = [sys.executable, "-m", "gateway.cli.main", "run", str(running.path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 5 and "already running" in second.stderr and second.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_journal_has_a_decision_for_every_intent_and_a_record_for_every_report(appliance):
    running, feed = appliance(), Feed()
    refuse_a_second_run(running)
    running.send(opened(feed))
    for number in range(20):
        running.send([feed.packet(feed.add(10 + number, "B", 1, 999_900 - 100 * number))])
    orders = []
    running.wait_for(lambda: orders.extend(running.orders()) or len(orders) >= 21, 20)
    for order in orders:
        running.accept(order)
        running.report("OrderExecuted", user_ref_num=order["user_ref_num"], quantity=1, price="100.0000", match_number=9)
    running.wait_for(lambda: running.core["reports"] == 42, 20)
    ended = running.stop()
    records = journal.read(running.folder / "state" / "journal.bin")
    decisions, reports = records[records["kind"] == DECISION], records[records["kind"] == REPORT]
    assert len(decisions) == ended["decisions"] == ended["core"]["intents"] == 21
    assert len(reports) == ended["core"]["reports"] == 42 and len(records) == 63
    assert sorted(decisions["reference"]) == [order["user_ref_num"] for order in orders] == list(range(1, 22))
    assert not decisions["reasons"].any() and (decisions["intent"]["quantity"] == 1).all()
    assert [chr(int(code)) for code in reports["reasons"]] == ["A", "E"] * 21
    assert ended["core"]["fills"] == 21 and ended["exit_code"] == 0 and ended["report_reasons"] == {}


@pytest.mark.slow
def test_an_io_that_is_killed_comes_back_and_what_it_missed_is_a_gap(appliance):
    running, feed = appliance(), Feed()
    running.send(opened(feed))
    wait_messages(running, 4)
    assert running.books()[1]["flags"] & (VALID | STALE) == VALID
    before = running.pid("PROCESS_IO")
    os.kill(before, signal.SIGKILL)
    feed.sequence += 5  # sent while nobody listened
    running.wait_for(lambda: running.pid("PROCESS_IO") != before, 60)
    running.send([feed.packet(feed.add(10, "B", 1, 999_000))])
    wait_messages(running, 5)
    assert (running.core["gaps"], running.core["gap_messages"]) == (1, 5)
    book = running.books()[1]
    assert book["flags"] & (VALID | STALE) == STALE and book["bids"][-1] == (999_000, 1, 1)
    assert running.latch == 0 and "SIGKILL" in running.log
    orders = len(running.orders())
    ended = running.stop()
    assert ended["core"]["orders_sent"] == orders == 1, "only while the book was whole"
    assert ended["rejects"].keys() == {"stale"} and ended["exit_code"] == 0


@pytest.mark.slow
def test_without_control_io_sets_the_latch_and_it_outlives_the_run_until_somebody_clears_it(appliance):
    running, feed = appliance(more="\n[watch]\ncontrol_stale_ms = 1000\n"), Feed()
    running.send(opened(feed))
    running.wait_for(running.orders, 20)
    stages = [running.pid("PROCESS_IO"), running.pid("PROCESS_CORE")]
    running.process.kill()
    running.process.wait()
    running.process.stdout.close()
    deadline = time.monotonic() + 20
    while running.latch == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.latch == LATCH_CONTROL
    running.peer.transmit([feed.packet(feed.add(9, "B", 1, 999_900))])
    sent = running.orders()
    while not sent and time.monotonic() < deadline:
        time.sleep(0.02)
        sent = running.orders()
    time.sleep(0.3)
    sent += running.orders()
    assert {order["message"] for order in sent} == {"Cancel Order"}, "core cancels what is open, no more"
    running.peer.close()
    command = [sys.executable, "-m", "gateway.cli.main"]
    refused = subprocess.run([*command, "run", str(running.path)], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 5 and "CONTROL_STALE, in a run whose control died" in refused.stderr
    words = ["kill", "--clear", "--force", "--config", str(running.path)]
    cleared = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)
    assert cleared.returncode == 0 and all(f"ended left-over process {stage}" in cleared.stderr for stage in stages)
    running.start()
    assert running.latch == 0 and running.pid("PROCESS_IO") not in stages
    assert running.stop()["exit_code"] == 0 and running.left_over() == []


def kill_command(*words):
    command = [sys.executable, "-m", "gateway.cli.main", "kill", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_a_signal_to_io_latches_and_nothing_starts_until_a_human_clears_it(appliance):
    running, feed = appliance(), Feed()
    running.send(opened(feed))
    running.wait_for(running.orders, 20)
    refused = kill_command("--clear", "--config", str(running.path))
    assert refused.returncode == 2 and "stop it first" in refused.stderr
    os.kill(running.pid("PROCESS_IO"), signal.SIGUSR1)
    running.wait_for(lambda: running.latch == LATCH_SIGNAL, 5)
    running.wait_for(lambda: kill_file.reason(running.folder / "state"), 5)
    running.send([feed.packet(feed.add(9, "B", 1, 999_900))])
    wait_messages(running, 5)
    sent = running.wait_for(running.orders, 10)
    time.sleep(0.2)
    sent += running.orders()
    assert {order["message"] for order in sent} == {"Cancel Order"}, "control cancels what is open, no more"
    ended = running.stop()
    assert ended["exit_code"] == 1 and ended["kill_latch"] == "SIGNAL" and ended["rejects"]["kill"] == 1
    command = [sys.executable, "-m", "gateway.cli.main", "run", str(running.path)]
    again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert again.returncode == 5 and again.stderr.count("\n") == 1 and "SIGNAL" in again.stderr
    assert "gateway kill --clear" in again.stderr
    running.peer.close()
    assert running.left_over() == []
    refused = kill_command("--clear", "--config", str(running.path))
    assert refused.returncode == 1 and "unresolved: order" in refused.stderr, "this venue has confirmed nothing"
    cleared = kill_command("--clear", "--force", "--config", str(running.path))
    assert cleared.returncode == 0 and "it was set by: SIGNAL" in cleared.stderr
    running.start()
    assert running.stop()["exit_code"] == 0
