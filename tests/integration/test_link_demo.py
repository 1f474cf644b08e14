"""Two gateways in two network namespaces: the demo's market data, executions and snapshots in the second region.

Checkpoints stop the venue for a moment (SIGSTOP): what is under way arrives, and then both regions' books must be the same,
order by order summed to levels, flags included.
"""

import json
import os
import signal
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from gateway import layout
from gateway.ops.demo import appliance_books
from tests.integration.link_towns import Frankfurt, Keys, paris
from tests.link_spaces import spaces

pytestmark = pytest.mark.root

SYMBOLS = 16
CALM_SECONDS = 30.0
FAULTS = {"loss": 0.01, "jitter_ms": 20, "corrupt": 0.01}


class Towns:
    """Both appliances, the venue and the line between them."""

    def __init__(self, places, folder, stack, **options):
        self.relay = places.relay(seed=11)
        self.keys = Keys(folder / "keys", stack)
        self.demo = paris(places, folder / "paris", self.keys, stack, symbols=SYMBOLS, **options)
        self.frankfurt = Frankfurt(places, folder / "frankfurt", self.keys, stack)
        self.demo.compile_venue()
        for _ in self.demo.start_appliance():
            assert self.frankfurt.process.poll() is None, (folder / "frankfurt" / "run.log").read_text()
        self.frankfurt.wait()
        self.until(lambda: self.peer().get("state") == "up", "the session", 60)
        self.checkpoints = 0

    def peer(self):
        """Paris, as Frankfurt's link sees it."""
        return self.frankfurt.status().get("peers", {}).get("paris", {})

    def until(self, holds, what, seconds=CALM_SECONDS):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}: {self.frankfurt.status()}"
            time.sleep(0.05)

    @contextmanager
    def calm(self):
        """The venue says nothing meanwhile, and what it said has been worked off."""
        self.demo.venue.send_signal(signal.SIGSTOP)
        try:
            core = self.demo.instance.counters[0]["core"]
            seen = -1
            while int(core["frames"]) != seen:
                seen = int(core["frames"])
                time.sleep(0.2)
            yield
        finally:
            self.demo.venue.send_signal(signal.SIGCONT)

    def compare(self):
        """Waits until both regions hold the same books; says where they differ."""
        deadline = time.monotonic() + CALM_SECONDS
        while differing := differences(appliance_books(self.demo.instance), appliance_books(self.frankfurt.instance)):
            assert time.monotonic() < deadline, f"books differ: {differing[:4]}: {json.dumps(self.peer())[:3000]}"
            time.sleep(0.05)
        self.checkpoints += 1

    def checkpoint(self):
        """One comparison in the middle of the flow."""
        with self.calm():
            self.compare()

    def play(self, every_seconds, act=lambda number: None):
        """The venue's whole session, with checkpoints; `act(n)` is called before the n-th."""
        self.demo.start_venue()
        due = time.monotonic() + every_seconds
        for _ in self.demo.flowing():
            time.sleep(0.02)
            ended = int(self.demo.instance.counters[0]["core"]["end_of_session"])
            if time.monotonic() >= due and not ended:
                act(self.checkpoints + 1)
                self.checkpoint()
                due = time.monotonic() + every_seconds
        self.demo.stop_venue()
        self.demo.take_the_rest()
        self.compare()


def differences(here, there):
    """Symbols whose books are not the same."""
    known = {symbol for symbol, book in here.items() if book["bids"] or book["asks"]}
    found = [symbol for symbol in sorted(known | set(there)) if symbol not in here or symbol not in there]
    return found + [
        symbol
        for symbol in sorted(set(here) & set(there))
        if any(here[symbol][side] != there[symbol][side] for side in ("bids", "asks", "stale"))
    ]


def own_fills(instance):
    """(reference, match, price, quantity) of every fill in the table."""
    fills = instance.rows("fills")
    rows = fills[np.flatnonzero(np.array(fills["reference"]))]
    return sorted((int(row["reference"]), int(row["match"]), int(row["price"]), int(row["quantity"])) for row in rows)


def mirrored_fills(frankfurt):
    return sorted((row["reference"], row["match"], row["price"], row["quantity"]) for row in frankfurt.executions())


def executions_agree(towns):
    """Every fill of Paris stands in Frankfurt's file, once."""
    wanted = own_fills(towns.demo.instance)
    assert len(wanted) > 0
    towns.until(lambda: len(mirrored_fills(towns.frankfurt)) >= len(wanted), f"{len(wanted)} executions")
    assert mirrored_fills(towns.frankfurt) == wanted
    letters = [row["side"] for row in towns.frankfurt.executions()]
    assert {"buy", "sell"} >= set(letters)
    return len(wanted)


@pytest.fixture
def towns(as_root, tmp_path):
    with ExitStack() as stack:
        places = stack.enter_context(spaces())
        yield lambda **options: Towns(places, tmp_path, stack, **options)


def account(towns, **more):
    """What a long run prints."""
    peer = towns.peer()
    print(json.dumps({"checkpoints": towns.checkpoints, "mirrored": peer.get("mirrored"), **more}))


@pytest.mark.slow
def test_books_and_executions_of_paris_stand_in_frankfurt_at_every_checkpoint(towns):
    both = towns(seconds=8, rate=4_000)
    both.play(2.0)
    fills = executions_agree(both)
    assert both.checkpoints >= 3
    assert both.peer()["mirrored"]["records"] > 10_000
    account(both, fills=fills)
    state = both.frankfurt.instance.regions["link"].view("link_state")[0]
    assert int(state["phase"]) == layout.value("LINK_CONNECTED") and int(state["time_confirmed_ns"]) > 0
    assert all(int(state[name]) > 0 for name in ("frames_sent", "frames_received", "round_trip_ns", "bytes_received"))


def under_faults(both, every):
    both.relay.set(**FAULTS)
    both.play(every)
    fills = executions_agree(both)
    counts = both.relay.set(loss=0.0, jitter_ms=0, corrupt=0.0)
    both.until(lambda: both.frankfurt.status()["sessions"] == 1, "one session")
    assert counts["corrupted"] > 0 and counts["lost"] > 0
    assert both.peer()["counters"]["crc_failures"] > 0
    account(both, fills=fills, relay=counts, crc_failures=both.peer()["counters"]["crc_failures"])


@pytest.mark.slow
def test_under_loss_jitter_and_corruption_the_books_are_equal_at_every_checkpoint(towns):
    both = towns(seconds=8, rate=1_500)
    under_faults(both, 2.0)
    assert both.checkpoints >= 3


@pytest.mark.long
def test_two_minutes_under_faults_leave_equal_books_at_every_checkpoint(towns):
    both = towns(seconds=120, rate=1_500)
    under_faults(both, 5.0)
    assert both.checkpoints >= 15


@pytest.mark.slow
def test_a_link_that_is_killed_or_hangs_comes_again_and_the_region_goes_on_alone_meanwhile(towns):
    both = towns(seconds=20, rate=2_000)

    def kill(number):
        if number in (2, 3):
            beat = both.frankfurt.instance.control[0]["heartbeats"][layout.value("PROCESS_LINK")]
            before = int(beat["pid"])
            assert before
            os.kill(before, signal.SIGKILL if number == 2 else signal.SIGSTOP)  # who hangs is ended by control
            both.until(lambda: int(beat["pid"]) not in (0, before), "another link", 60)

    both.play(2.0, kill)
    executions_agree(both)
    assert both.frankfurt.process.poll() is None and both.checkpoints >= 3
    assert "link: no sign of life for 10 s" in (both.frankfurt.folder / "run.log").read_text()


@pytest.mark.slow
def test_books_are_stale_while_the_line_is_cut_and_quotes_say_so(towns):
    both = towns(seconds=12, rate=1_000)
    stale = layout.value("BOOK_STALE")

    def cut(number):
        if number != 2:
            return
        both.relay.set(cut="both")
        rows = both.frankfurt.instance.rows("books")
        both.until(lambda: (rows["flags"][1 : SYMBOLS + 1] & stale).all(), "stale books", 5)
        time.sleep(0.6)
        code, text = both.frankfurt.verb("--quotes", "--json")
        quotes = json.loads(text)
        assert code == 1 and len(quotes) >= SYMBOLS and all(quote["stale"] for quote in quotes)
        both.relay.set(cut="")

    both.play(3.0, cut)
    executions_agree(both)
    code, text = both.frankfurt.verb("--status", "--json")
    assert code == 0 and json.loads(text)["running"]


@pytest.mark.slow
def test_a_key_service_that_is_down_stops_no_session_and_no_reconnect(towns):
    both = towns(seconds=8, rate=1_000)
    both.keys.stop()

    def cut(number):
        if number == 1:
            before = both.frankfurt.status()["sessions"]
            both.relay.set(cut="both")
            time.sleep(7)  # longer than a connection may be silent
            both.relay.set(cut="")
            both.until(lambda: both.frankfurt.status()["sessions"] > before, "another session", 20)

    both.play(2.0, cut)
    executions_agree(both)
    assert "key service" in both.frankfurt.status()["keys"]["problem"]
