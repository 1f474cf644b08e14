"""Orders over SoupBinTCP, whole: both sides agree however often the connection is cut, and a kill works as on a port."""

import contextlib
import json
import os
import signal
import time

import pytest

from gateway import layout
from gateway.native import lib
from tests.integration.test_demo import check, demo
from tests.integration.test_kill import QUOTES, SETTLE_SECONDS, RunningDemo, orders_after

TCP = ("--orders", "soupbintcp")


def settled(outcome, cuts):
    """Orders, fills and positions equal on both sides, after `cuts` connections were lost."""
    assert outcome.returncode == 0, outcome.stdout[-3000:] + outcome.stderr[-1000:]
    result = json.loads(outcome.stdout.splitlines()[-1])
    session = result["order_session"]
    assert result["ok"] and result["order_errors"] == result["position_errors"] == result["books_wrong"] == 0
    lost = {reason: count for reason, count in session["losses_by_reason"].items() if reason not in ("connect", "ended")}
    assert sum(lost.values()) >= cuts and session["connections"] > 1 and session["phase"] == "ended"
    assert result["orders_sent"] - result["orders_lost"] == result["venue_orders_received"] > 0 and result["fills"] > 0
    return result


@pytest.mark.long
def test_the_demo_over_tcp_agrees_with_the_venue():
    result = check(demo(*TCP))
    assert result["order_session"]["connections"] == 1 and result["orders_lost"] == 0
    assert result["order_session"]["io"]["orders_transmitted"] == result["orders_sent"]


@pytest.mark.slow
def test_the_demo_over_tcp_agrees_after_every_kind_of_cut():
    result = settled(demo(*TCP, "--cut", "4", "--strategy", str(QUOTES)), cuts=4)
    assert result["rejects"]["session"] > 0, "nothing new was allowed while the session was down"


@pytest.mark.long
def test_the_demo_over_tcp_agrees_when_the_venue_keeps_what_is_open():
    settled(demo(*TCP, "--cut", "4", "--keep-orders", "--strategy", str(QUOTES)), cuts=4)


@pytest.mark.long
@pytest.mark.root
def test_the_demo_over_tcp_agrees_in_a_namespace_of_its_own(as_root):
    settled(demo(*TCP, "--cut", "2", "--port", "af_packet"), cuts=2)


@pytest.fixture
def running(request):
    running = RunningDemo("apart", *TCP, *getattr(request, "param", ()))
    try:
        yield running
    finally:
        session = running.instance.control[0]["heartbeats"][lib.PROCESS_SESSION]
        with_pid = int(session["pid"])
        if with_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(with_pid, signal.SIGCONT)
        running.close()
        assert not running.instance.folder.exists()


def blocked(running):
    """New orders that were tried after the latch: by the gate, or by the session."""
    sender = running.instance.regions["session_counters"].view("counters")[0]["io"]
    account = running.instance.regions["gate"].view("gate_account")[0]
    return int(sender["orders_blocked_kill"]) + int(account["rejects"][lib.GATE_KILL])


@pytest.mark.long
def test_after_a_kill_no_new_order_leaves_by_the_session_and_cancels_do(running):
    assert orders_after(running, 1.0) > 0, "the strategy trades before the kill"
    running.wait_for(lambda: running.open_orders() > 0)
    cancels = int(running.venue["cancels_received"])
    code, report = running.kill_command()
    assert code == 0 and report["confirmed"] and report["still_open"] == []
    time.sleep(SETTLE_SECONDS)
    assert orders_after(running, 2.0) == 0 and blocked(running) > 0
    assert int(running.venue["cancels_received"]) >= cancels + report["cancels_sent"]
    assert int(running.venue["time_last_order_ns"]) < report["latched_ns"] + 50_000_000


@pytest.mark.slow
def test_a_kill_over_the_session_works_while_core_is_stopped(running):
    running.stop_core_with_orders_open()
    time.sleep(1.0)
    cancels = int(running.venue["cancels_received"])
    code, report = running.kill_command()
    assert report["open_before"] > 0 and report["cancels_sent"] >= report["open_before"] and not report["core_alive"]
    assert code == 0 and report["confirmed"], "the venue's own account confirms them while core hangs"
    time.sleep(SETTLE_SECONDS)
    sent = report["cancels_sent"] + report["mass_cancels_sent"]
    assert int(running.venue["cancels_received"]) == cancels + sent
    os.kill(running.pid(lib.PROCESS_CORE), signal.SIGCONT)
    assert orders_after(running, 1.5) == 0, "a core that comes back finds the latch"


@pytest.mark.long
def test_a_kill_replaces_a_stopped_session(running):
    running.wait_for(lambda: running.open_orders() > 0)
    stopped = running.pid(lib.PROCESS_SESSION)
    os.kill(stopped, signal.SIGSTOP)
    time.sleep(1.0)
    _, report = running.kill_command()
    assert report["reason"] == "COMMAND" and report["cancels_waiting"] == 0
    assert running.pid(lib.PROCESS_SESSION) != stopped
    time.sleep(SETTLE_SECONDS)
    assert orders_after(running, 1.0) == 0
    assert running.open_orders() == 0


@pytest.mark.long
def test_a_session_killed_outright_comes_back_and_trades_on(running):
    assert orders_after(running, 1.0) > 0
    before = running.pid(lib.PROCESS_SESSION)
    os.kill(before, signal.SIGKILL)
    state = running.instance.regions["session"].view("session_state")[0]
    running.wait_for(lambda: running.pid(lib.PROCESS_SESSION) != before)
    running.wait_for(lambda: int(state["phase"]) == layout.value("SESSION_UP"))
    assert int(state["connections"]) == 2
    assert orders_after(running, 2.0) > 0, "the gate lets new risk pass again"
    assert running.instance.counters[0]["reports"]["gaps"] == 0
    assert int(running.instance.regions["gate"].view("gate_account")[0]["session_lost"]) == 0


@pytest.mark.long
@pytest.mark.parametrize("running", [("--cut", "20")], indirect=True)
def test_a_cut_cancels_every_open_order_at_the_venue(running):
    running.wait_for(lambda: int(running.venue["orders_canceled_lost"]) > 0)
    assert int(running.venue["sessions_lost"]) > 0


@pytest.mark.long
@pytest.mark.parametrize("running", [("--cut", "20", "--keep-orders")], indirect=True)
def test_a_cut_cancels_nothing_where_the_venue_keeps_orders(running):
    state = running.instance.regions["session"].view("session_state")[0]
    running.wait_for(lambda: int(state["connections"]) > 2)
    assert int(running.venue["orders_canceled_lost"]) == int(running.venue["sessions_lost"]) == 0
