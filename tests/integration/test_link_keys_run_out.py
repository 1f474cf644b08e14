"""A key service that is gone for hours: a real appliance with its link and keyd; the instance's clock is moved on.

    keyd (this process) ══ unix socket ══ link ── region link ──► control ── halts ──► gate of core ──► orders at the venue

The strategy asks for new risk and for a reduction on every event: what arrives at the venue says what the gate lets through.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import clock
from gateway.layout import value
from gateway.link.keys import static_key
from gateway.link.keys.keyd_access import Access
from gateway.link.keys.keyd_desk import KeydDesk
from gateway.link.keys.keyd_server import KeydServer
from gateway.link.keys.keyd_vault import KeydVault
from gateway.link.rights import signed_file
from gateway.ops.summary import summary
from tests.integration.appliance import Appliance
from tests.integration.test_corridor_run import Feed, opened
from tests.link.key_desk import FAST, HOUR_NS, PASSPHRASE, SECOND_NS

BOTH = '''
"""Of every message on a two-sided book: one share of new risk, and one of the position that is carried."""

from gateway.core.strategy import DAY, IOC, REDUCE_ONLY, buy, sell


def on_event(state, event, book, orders):
    if book.ask_quantity > 0 and book.bid_quantity > 0:
        buy(orders, book.instrument, 1, book.bid_price, DAY)
        sell(orders, book.instrument, 1, book.ask_price, IOC | REDUCE_ONLY)
'''
# nobody here answers orders, and for the dead hours nobody beats
SETTINGS = """
[portfolio]
positions = {TEST = 100}
prices = {TEST = 100.0}
[post_trade]
off = ["UNKNOWN", "GAP"]
[watch]
control_stale_ms = 600000
core_stale_ms = 600000
link_hung_ms = 600000
"""
SIGNED = {"roles": 'version = 1\n[roles.all]\nbit = 0\nstreams = ["all"]\n', "addresses": "version = 1\n[peers]\n"}
STEP_NS = 240 * SECOND_NS  # less than what silences control, so that nobody is taken for dead
ALLOWED, REDUCTIONS = {"B", "S"}, {"S"}


class Hours:
    """The appliance, its keyd, and the clock that both go by."""

    def __init__(self, folder: Path, stack: ExitStack):
        self.folder, self.feed, self._stack = folder, Feed(), stack
        self._clock = 0
        self.vault = self._vault()
        self.start_keyd()
        self.appliance = Appliance(folder, strategy=BOTH, more=SETTINGS + self._link())
        stack.callback(self.appliance.close)
        self._clock = self.appliance.instance.clock_address
        self.state = self.appliance.instance.regions["link"].view("link_state")[0]
        self.next_order = 2
        self.alive = ["PROCESS_CONTROL", "PROCESS_CORE", "PROCESS_IO", "PROCESS_LINK"]

    def _vault(self) -> KeydVault:
        KeydVault.create(self.folder / "root", PASSPHRASE, FAST)
        return KeydVault.open(self.folder / "root", PASSPHRASE, self.now_ns)

    def _link(self) -> str:
        signer = Ed25519PrivateKey.generate()
        for kind, text in SIGNED.items():
            (self.folder / f"{kind}.toml").write_bytes(signed_file.sign(kind, text.encode(), signer))
        static_key.create(self.folder / "link.key")
        public = static_key.format_public(signer.public_key().public_bytes_raw())
        words = {"key_file": "link.key", "roles_file": "roles.toml", "addresses_file": "addresses.toml"}
        lines = [f'{key} = "{self.folder / name}"' for key, name in words.items()]
        lines += ["enabled = true", "node = 1", f'key_service = "unix:{self.folder / "keyd.sock"}"', f'signer = "{public}"']
        return "\n[link]\n" + "\n".join(lines) + "\n"

    def start_keyd(self) -> None:
        self.keyd = KeydServer(KeydDesk(self.vault), Access(), self.folder / "keyd.sock")
        self._stack.callback(self.keyd.close)

    def now_ns(self) -> int:
        return clock.now_ns(self._clock) if self._clock else clock.utc_ns()

    @property
    def keys_until_ns(self) -> int:
        return int(self.state["keys_until_ns"])

    def pass_until(self, time_ns: int) -> None:
        """The instance's clock goes on to `time_ns`, in steps that everybody survives."""
        beats = self.appliance.instance.control[0]["heartbeats"]
        while (rest_ns := time_ns - self.now_ns()) > 0:
            self.appliance.instance.control[0]["clock"]["ns_base"] += min(rest_ns, STEP_NS)
            for name in self.alive:
                beat = beats[value(name)]
                self.appliance.wait_for(lambda beat=beat: self.now_ns() - int(beat["time_ns"]) < STEP_NS // 2, 20)
        assert self.appliance.latch == 0

    def freeze_link(self) -> None:
        """It is as good as dead: nothing of it runs."""
        os.kill(self.appliance.pid("PROCESS_LINK"), signal.SIGSTOP)
        self.alive.remove("PROCESS_LINK")

    def thaw_link(self) -> None:
        os.kill(self.appliance.pid("PROCESS_LINK"), signal.SIGCONT)

    def sides(self) -> set[str]:
        """Which sides arrive at the venue of three messages on the book."""
        frames = len(self.feed.frames)
        for _ in range(3):
            self.next_order += 1
            self.feed.packet(self.feed.add(self.next_order, "B", 1, 999_000))
        before = {name: int(self._account[name]) for name in ("decisions", "accepted")}
        self.appliance.send([frame for _, frame in self.feed.frames[frames:]])
        self.appliance.wait_for(lambda: int(self._account["decisions"]) >= before["decisions"] + 6, 20)
        found: list[str] = []
        passed = int(self._account["accepted"]) - before["accepted"]
        self.appliance.wait_for(lambda: found.extend(self.arrived()) or len(found) >= passed, 20)
        return set(found)

    def arrived(self) -> list[str]:
        """Sides of the new orders that have come to the venue since the last call."""
        return [order["side"] for order in self.appliance.orders() if order["message"] == "Enter Order"]

    @property
    def _account(self):
        return self.appliance.instance.regions["gate"].view("gate_account")[0]

    def status(self) -> tuple[int, str]:
        words = [sys.executable, "-m", "gateway.cli.main", "link", str(self.appliance.path), "--status"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout

    def halted(self) -> list[str]:
        """What halts the account, and what `gateway run --json` says so."""
        return list(summary(self.appliance.instance)["post_trade"]["account_halted"])

    def said(self, event: str) -> list[str]:
        """Lines of both logs."""
        paths = (self.folder / "state" / "log").glob("*.jsonl")
        rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
        return [row.get("text", "") for row in rows if row["event"] == event]


@pytest.fixture
def hours(tmp_path):
    with ExitStack() as stack:
        yield Hours(tmp_path, stack)


@pytest.mark.slow
def test_hours_without_a_key_service_stop_new_risk_and_nothing_else_until_it_is_back(hours):
    appliance = hours.appliance
    appliance.wait_for(lambda: hours.keys_until_ns > hours.now_ns() and not hours.halted())
    appliance.send(opened(hours.feed))
    appliance.wait_for(lambda: int(hours._account["decisions"]) >= 2, 20)
    assert hours.sides() == ALLOWED

    hours.keyd.close()
    until_ns = hours.keys_until_ns
    assert 2 * HOUR_NS < until_ns - hours.now_ns() <= 3 * HOUR_NS
    hours.pass_until(until_ns - 60 * SECOND_NS)
    assert hours.sides() == ALLOWED and hours.halted() == [], "about two hours are harmless"
    refused = summary(appliance.instance)["rejects_by_control"]["KEYS"]

    hours.pass_until(until_ns)
    appliance.wait_for(lambda: hours.halted() == ["KEYS"], 20)
    assert hours.sides() == REDUCTIONS
    whole = summary(appliance.instance)
    assert whole["rejects_by_control"]["KEYS"] == refused + 3 and whole["rejects_by_control"]["DISABLED"] == 0
    assert whole["post_trade"]["fired_by_control"]["KEYS"] == 1 and whole["kill_latch"] == ""
    appliance.wait_for(lambda: any("NO_KEYS" in line for line in hours.said("link_alarm")), 20)
    assert any("KEYS fired, account is halted" in line for line in hours.said("post_trade"))
    code, text = hours.status()
    assert code == 1 and "new risk is denied (KEYS)" in text

    hours.start_keyd()
    appliance.wait_for(lambda: hours.halted() == [], 60)
    assert hours.sides() == ALLOWED and hours.keys_until_ns > until_ns
    assert any("halt of KEYS is over" in line for line in hours.said("post_trade"))


@pytest.mark.slow
def test_a_link_that_is_dead_is_believed_for_as_long_as_its_keys_would_have_lasted(hours):
    appliance = hours.appliance
    appliance.wait_for(lambda: hours.keys_until_ns > hours.now_ns() and not hours.halted())
    appliance.send(opened(hours.feed))
    appliance.wait_for(lambda: int(hours._account["decisions"]) >= 2, 20)
    until_ns = hours.keys_until_ns
    hours.freeze_link()
    hours.pass_until(until_ns - 60 * SECOND_NS)
    assert hours.sides() == ALLOWED
    hours.pass_until(until_ns)
    appliance.wait_for(lambda: hours.halted() == ["KEYS"], 20)
    assert hours.sides() == REDUCTIONS
    hours.thaw_link()
    appliance.wait_for(lambda: hours.halted() == [], 60)
    assert hours.sides() == ALLOWED
