"""An appliance over SoupBinTCP that trades with a simulated venue while its processes are killed, and what must hold after.

The venue's side is read from its drop copy, folded in plain Python; our side from shared memory and from the journal.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.core.orders import open_orders
from gateway.errors import AttachError
from gateway.instance import FOLDER, Instance
from gateway.ops import session_secret
from gateway.ops.demo import CONFIGURATION, PASSWORD, USERNAME, appliance_positions, free_address
from gateway.ops.drop_copy import DropCopy
from gateway.ops.journal import read
from gateway.ops.supervisor import end_process
from gateway.protocols.ouch50_account import VenueAccount
from gateway.venues.simulator.process import attach_counters
from tests.stage_bench import unique_name

QUOTES = Path(__file__).resolve().parent.parent / "gateway" / "strategies" / "quotes.py"
START_SECONDS, WAIT_SECONDS, COMMAND_SECONDS = 400.0, 60.0, 120.0
JOURNAL_SECONDS = 10.0  # control writes what core has put into the ring a turn ago
SYMBOLS, RATE = 8, 2000
RUNNING = layout.value("PROCESS_RUNNING")
STAGES = ("PROCESS_CONTROL", "PROCESS_IO", "PROCESS_CORE", "PROCESS_SESSION")
OPENING = (layout.value("INTENT_NEW"), layout.value("INTENT_REPLACE"))


class Trading:
    """A venue that outlives every appliance of this test, and one appliance at a time."""

    def __init__(self, folder: Path, **more: str):
        """`more`: keys of the configuration, as SECTION__KEY."""
        self.folder, self.name = folder, unique_name("death")
        self.orders, self.drop_copy = free_address(), free_address()
        settings = {
            "INSTANCE__NAME": self.name,
            "INSTANCE__STATE": str(folder / "state"),
            "PORT__NAME": f"pair:{self.name}",
            "PLACEMENT__TOGETHER": "false",
            "PLACEMENT__IDLE": "sleep",
            "STRATEGY__FILE": str(QUOTES),
            "ORDERS__CARRIAGE": "soupbintcp",
            "ORDERS__ADDRESS": self.orders,
            "ORDERS__DROP_COPY": self.drop_copy,
            "RISK__STALE_MS": "5000",
            "RISK__DAY_MESSAGES_MAX": "1000000",
            **more,
        }
        given = {f"GATEWAY__{key}": value for key, value in settings.items()}
        self.environment = {**os.environ, **given, session_secret.VARIABLE: PASSWORD}
        self.appliance: subprocess.Popen[bytes] | None = None
        self.venue = self._spawn("venue", self._venue_words())
        try:
            self.counters: Any = self.wait_for(lambda: attach_counters(f"{self.name}-venue"), START_SECONDS)
            self.start()
        except BaseException:
            self.close()
            raise

    def _venue_words(self) -> list[str]:
        words = ["venue", "--port", f"pair:{self.name},side=b", "--instance", f"{self.name}-venue", "--idle", "sleep"]
        words += ["--symbols", str(SYMBOLS), "--rate", str(RATE), "--snapshots", "50"]
        return [*words, "--orders", self.orders, "--drop-copy", self.drop_copy, "--username", USERNAME]

    def _spawn(self, log: str, words: list[str]) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "gateway.cli.main", *words]
        with (self.folder / f"{log}.log").open("ab") as file:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=self.environment, start_new_session=True
            )

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Another `gateway` command with the same configuration."""
        command = [sys.executable, "-m", "gateway.cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=COMMAND_SECONDS)

    def log(self, name: str = "appliance") -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def wait_for(self, what: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(AttachError):
                result = what()
                if result is not None and (isinstance(result, (Instance, np.void)) or bool(result)):
                    return result
            time.sleep(0.02)
        raise AssertionError(f"in vain for {seconds} s: {self.log()}")

    # ---- the appliance ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new appliance, until its order session is up."""
        self.appliance = self._spawn("appliance", ["run", str(CONFIGURATION), "--json"])
        self.instance: Instance = self.wait_for(self._running, START_SECONDS)
        self.wait_for(lambda: self.session_up, START_SECONDS)

    def _running(self) -> Instance | None:
        assert self.appliance is not None
        assert self.appliance.poll() is None, f"gateway run ended: {self.log()}"
        instance = Instance.attach(self.name)
        beats = instance.control[0]["heartbeats"]
        if beats[layout.value("PROCESS_CONTROL")]["pid"] != self.appliance.pid:
            return None
        return instance if all(beats[layout.value(name)]["state"] == RUNNING for name in STAGES) else None

    def pid(self, process: str) -> int:
        return int(self.instance.control[0]["heartbeats"][layout.value(process)]["pid"])

    @property
    def latch(self) -> str:
        return layout.names("kill_reason", "KILL_")[int(self.instance.control[0]["kill_latch"])]

    @property
    def session_up(self) -> bool:
        return int(self.instance.control[0]["session_connection"]) > 0

    def trades(self, orders: int = 20) -> None:
        """Until so many more orders have reached the venue, and some rest there."""
        before = int(self.counters["orders_received"])
        self.wait_for(lambda: int(self.counters["orders_received"]) >= before + orders)
        self.wait_for(lambda: len(open_orders(self.instance.rows("orders"))) > 0)

    def halt(self, halted: bool) -> None:
        """What control does to stop new risk; what rests goes on."""
        self.instance.regions["gate"].view("gate_account")[0]["halted"] = int(halted)

    def kill(self, process: str) -> int:
        """kill -9; returns the process id."""
        pid = self.pid(process)
        os.kill(pid, signal.SIGKILL)
        return pid

    def replaced(self, process: str, pid: int) -> None:
        """Until another process runs in its place and orders may leave again."""
        self.wait_for(lambda: self.pid(process) not in (0, pid))
        beat = self.instance.control[0]["heartbeats"][layout.value(process)]
        self.wait_for(lambda: beat["state"] == RUNNING and self.session_up)

    # ---- both sides ------------------------------------------------------------------------------------------------

    def account(self) -> VenueAccount:
        """The venue's own account, now."""
        copy = DropCopy(self.drop_copy, USERNAME, PASSWORD)
        try:
            assert copy.connect(WAIT_SECONDS), f"no drop copy: {copy.problem}"
            return copy.account
        finally:
            copy.close()

    def ours(self) -> tuple[dict[str, int], dict[int, int]]:
        """Positions by symbol, open quantity by reference."""
        rows = open_orders(self.instance.rows("orders"))
        opened = {int(row["reference"]): int(row["open"]) for row in rows}
        return appliance_positions(self.instance), opened

    def agree(self) -> VenueAccount:
        """Halts new risk until both sides say the same, twice; returns the venue's account."""
        self.halt(True)
        deadline, equal = time.monotonic() + WAIT_SECONDS, 0
        while True:
            account, (positions, opened) = self.account(), self.ours()
            theirs = {reference: order.open for reference, order in account.open_orders.items()}
            equal = equal + 1 if (positions, opened) == (account.positions, theirs) else 0
            if equal == 2:
                self.halt(False)
                return account
            said = f"ours {positions} {opened}, the venue's {account.positions} {theirs}"
            assert time.monotonic() < deadline, f"{said}; {self.log()}"
            time.sleep(0.1)

    def require_once(self, account: VenueAccount) -> None:
        """Every order that the venue has was decided exactly once, and it was sent none twice."""
        assert int(self.counters["duplicates_ignored"]) == 0 and account.refused["duplicate"] == 0
        own = {reference for reference, order in account.orders.items() if _of_control(order.client_order_id)}
        strange = set(account.orders) | account.rejected
        with contextlib.suppress(AssertionError):  # the newest may still stand in the ring
            self.wait_for(lambda: strange <= set(self.decided()) | own, JOURNAL_SECONDS)
        decided = self.decided()
        assert len(decided) == len(set(decided)), "a reference was decided twice within the venue's day"
        strange -= set(decided) | own
        assert not strange, f"{len(strange)} orders at the venue whose decision nobody wrote down: {sorted(strange)[:5]}"

    def decided(self) -> list[int]:
        """References of every order that the gate let pass, as the journal has them."""
        rows = read(self.folder / "state" / "journal.bin")
        passed = rows[(rows["kind"] == layout.value("JOURNAL_DECISION")) & (rows["reasons"] == 0)]
        return passed["reference"][np.isin(passed["intent"]["kind"], OPENING)].tolist()

    def journalled(self) -> set[tuple[int, int]]:
        """(match, reference) of every execution in the journal."""
        rows = read(self.folder / "state" / "journal.bin")
        fills = rows[(rows["kind"] == layout.value("JOURNAL_REPORT")) & (rows["reasons"] == ord("E"))]
        return set(zip(fills["match"].tolist(), fills["reference"].tolist(), strict=True))

    def require_halted(self, reason: str) -> None:
        """Halted stays halted: no start, and nothing new at the venue, until a human clears it."""
        before = int(self.counters["orders_received"])
        outcome = self.command("run", str(CONFIGURATION), "--seconds", "1")
        assert outcome.returncode == 5 and "latch is set" in outcome.stderr and reason in outcome.stderr, outcome.stderr
        assert int(self.counters["orders_received"]) == before

    def kill_command(self) -> None:
        """The human, before: nothing open, nothing held."""
        outcome = self.command("kill", "--instance", self.name)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    def clear(self) -> None:
        """The human."""
        outcome = self.command("kill", "--clear", "--config", str(CONFIGURATION))
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    def stop(self) -> dict[str, Any]:
        """Ends the appliance in order; its summary."""
        assert self.appliance is not None
        self.appliance.send_signal(signal.SIGTERM)
        self.appliance.wait(COMMAND_SECONDS)
        text = (self.folder / "appliance.log").read_text(errors="replace")  # a summary is longer than what `log` shows
        lines = [line for line in text.splitlines() if line.startswith("{")]
        return dict(json.loads(lines[-1])) if lines else {}

    def close(self) -> None:
        """Ends everything, also stages whose control is gone."""
        if self.appliance is not None:
            end_process(self.appliance, 30.0)
        with contextlib.suppress(AttachError):
            instance = Instance.attach(self.name)
            for name in STAGES[1:]:
                pid = int(instance.control[0]["heartbeats"][layout.value(name)]["pid"])
                with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                    if f"gateway-{self.name}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(pid, signal.SIGKILL)
            instance.close(remove=True)
        end_process(self.venue, 10.0)
        for path in FOLDER.glob(f"gateway*{self.name}*"):
            if path.is_file():
                path.unlink()


def _of_control(client_order_id: str) -> bool:
    """Whether control sent an order by itself to close a position: its row stands above the reference."""
    return int(client_order_id[6:], 32) >> 32 == layout.value("GATE_STRATEGIES") - 1
