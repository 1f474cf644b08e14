"""kill -9 of each process under load, over SoupBinTCP: both sides agree, nothing is sent twice, halted stays halted.

One death of each process by default, ROUNDS of each with `-m long`: GATEWAY_DEATHS says another number.
"""

import os

import pytest

from gateway import clock, layout, limits
from gateway.errors import EXIT_DONE, EXIT_FAULT
from gateway.ops.demo import CONFIGURATION
from tests.sudden_death import JOURNAL_SECONDS, STAGES, START_SECONDS, Trading

ROUNDS = int(os.environ.get("GATEWAY_DEATHS", "100"))
DEATHS_A_DAY = min(10, ROUNDS)  # of one venue: its account of the day is read again and again, and grows
DAYS = -(-ROUNDS // DEATHS_A_DAY)
RESTARTS = 4  # of one process that control makes good before it gives up, less one
RESTARTED = {"io": "PROCESS_IO", "session": "PROCESS_SESSION"}


@pytest.fixture
def trading(tmp_path):
    made = Trading(tmp_path)
    try:
        yield made
    finally:
        made.close()
        assert not made.instance.folder.exists()


def dies_and_is_replaced(trading, process):
    """io or session: control starts it again, and trading goes on."""
    trading.trades()
    trading.replaced(process, trading.kill(process))
    assert trading.latch == "CLEAR"
    trading.trades()
    trading.require_once(trading.agree())


def core_dies(trading):
    """The latch falls, what is open is cancelled; after a human's clear the next run knows the venue's day."""
    trading.trades()
    trading.kill("PROCESS_CORE")
    trading.wait_for(lambda: trading.latch == "CORE_DIED")
    trading.wait_for(lambda: not trading.account().open_orders)
    trading.stop()
    begins_again(trading, "CORE_DIED")


def control_dies(trading):
    """io sets the latch, core cancels; what it had put into the journal's ring reaches the file before the memory goes."""
    trading.trades()
    trading.kill("PROCESS_CONTROL")
    trading.appliance.wait(10)
    trading.wait_for(lambda: trading.latch == "CONTROL_STALE")
    trading.wait_for(lambda: not trading.account().open_orders)  # gateway/core/unattended.py
    trading.kill_command()  # nobody is left who closes positions by himself: a human does (docs/operating/kill.md)
    begins_again(trading, "CONTROL_STALE")


def begins_again(trading, reason):
    """Halted stays halted; then a human clears, and both sides agree before and after it trades again."""
    trading.require_halted(reason)
    before = trading.account()
    trading.clear()
    trading.require_once(before)
    trading.start()
    account = trading.agree()
    trading.wait_for(lambda: set(before.executions) <= trading.journalled(), JOURNAL_SECONDS)
    trading.require_once(account)
    trading.trades()
    trading.require_once(trading.agree())


@pytest.mark.slow
@pytest.mark.parametrize("process", RESTARTED)
def test_a_process_that_dies_under_load_is_replaced_and_both_sides_agree(trading, process):
    dies_and_is_replaced(trading, RESTARTED[process])


@pytest.mark.slow
def test_a_core_that_dies_under_load_halts_for_good_and_the_next_run_has_the_venue_s_account(trading):
    core_dies(trading)


@pytest.mark.slow
def test_a_control_that_dies_under_load_halts_for_good_and_loses_no_record(trading):
    control_dies(trading)


@pytest.mark.long
@pytest.mark.parametrize("day", range(DAYS))
@pytest.mark.parametrize("process", RESTARTED)
def test_a_process_may_die_again_and_again(trading, process, day):
    for number in range(DEATHS_A_DAY):
        if number and number % RESTARTS == 0:
            trading.stop()
            trading.start()
        dies_and_is_replaced(trading, RESTARTED[process])
        print(f"{process} death {day * DEATHS_A_DAY + number + 1} of {ROUNDS}", flush=True)


@pytest.mark.long
@pytest.mark.parametrize("day", range(DAYS))
@pytest.mark.parametrize("death", [core_dies, control_dies], ids=["core", "control"])
def test_core_and_control_may_die_again_and_again(trading, death, day):
    for number in range(DEATHS_A_DAY):
        death(trading)
        print(f"{death.__name__} {day * DEATHS_A_DAY + number + 1} of {ROUNDS}", flush=True)


@pytest.mark.slow
def test_a_link_that_ends_six_times_leaves_a_region_that_trades_on_alone(tmp_path):
    words = {"ENABLED": "true", "NODE": "1", "KEY_FILE": "/none", "KEY_SERVICE": "unix:/none", "ROLES_FILE": "/none"}
    words |= {"ADDRESSES_FILE": "/none", "SIGNER": "A" * 43 + "="}
    alone = Trading(tmp_path, **{f"LINK__{key}": text for key, text in words.items()})
    try:
        beat = alone.instance.control[0]["heartbeats"][layout.value("PROCESS_LINK")]
        before = {process: alone.pid(process) for process in STAGES}
        alone.wait_for(lambda: int(beat["state"]) == layout.value("PROCESS_GIVEN_UP"), START_SECONDS)
        state = alone.instance.regions["link"].view("link_state")[0]  # one that held keys before its trouble began
        state["keys_until_ns"] = clock.now_ns(alone.instance.clock_address) + limits.LINK_KEYS_NS // 2
        alone.trades()
        assert {process: alone.pid(process) for process in STAGES} == before and alone.latch == "CLEAR"
        status = alone.command("link", str(CONFIGURATION), "--status")
        assert status.returncode == EXIT_FAULT and "given up" in status.stderr and "gateway link CONFIG" in status.stderr
        summary = alone.stop()
        assert alone.appliance.returncode == EXIT_DONE and summary["kill_latch"] == ""
        (line,) = [line for line in (tmp_path / "appliance.log").read_text().splitlines() if "given up" in line]
        assert "ended 6 times" in line and "the region goes on alone" in line
    finally:
        alone.close()
