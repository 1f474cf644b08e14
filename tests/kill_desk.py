"""A venue in this process and an appliance beside it that trades, to be killed: figures from the venue's side of the wire.

    test ── VenueProcess on a thread ══ TCP, pair ══ gateway run (control, io, core, session) ◄── gateway kill, a process

What came in carries the kernel's stamp (order_connection.py); what became of it stands in the venue's log.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from gateway import clock, layout
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.ops import kill_file, kill_report
from gateway.ops.demo import PASSWORD, USERNAME, Demo, DemoOptions
from gateway.ops.kill_drill import is_of_control
from gateway.ops.summary import rejects_by_control
from gateway.ops.supervisor import end_process
from gateway.ops.wiring import Wiring
from gateway.sections import host_and_port
from gateway.venues.simulator.order_faults import FaultClock
from gateway.venues.simulator.order_settings import OrderSettings, SessionFaults
from gateway.venues.simulator.process import VenueProcess
from gateway.venues.simulator.settings import Settings
from tests.corridor_bench import unique_name
from tests.kill_figures import Figures, VenueSide
from tests.loopback_wire import LoopbackWire

QUOTES = Path(__file__).resolve().parent.parent / "gateway" / "strategies" / "quotes.py"
START_SECONDS, WAIT_SECONDS = 300.0, 60.0
SYMBOLS, RATE = 6, 3000
DISK_BYTES = 8 << 20
KILL_SECONDS = 12
KEYS = {
    "KILL__SECONDS": str(KILL_SECONDS),
    "KILL__TOUCH_MS": "300",
    "WATCH__CORE_STALE_MS": "600000",
    "WATCH__CONTROL_STALE_MS": "600000",
}
OFF = ["DRAWDOWN", "DAILY", "SIZE", "STRATEGY", "SLIPPAGE", "GAP", "BALANCE", "ORDERS", "UNKNOWN"]  # no halt outlives a kill


class Desk(VenueSide):
    """Venue and appliance; `stop` ends both."""

    def __init__(self, folder: Path, **keys: str):
        self.name, self.folder = unique_name("kill"), folder
        self.keys = {**KEYS, "POST_TRADE__OFF": json.dumps(OFF), "JOURNAL__FOLDER": str(folder / "journal"), **keys}
        self.needs_start, self.crashed_ns = False, 0
        self._starting: Iterator[None] = iter(())
        self.demo: Demo | None = None
        self._rate_interval_ns = 0
        if os.geteuid() == 0:
            self._mount()
        try:
            self._open_venue()
            self.start()
        except BaseException:
            self.stop()
            raise

    def _open_venue(self):
        """A venue at the beginning of its day: it says only then which instruments there are."""
        wiring = Wiring("pair", f"pair:{self.name}", f"pair:{self.name},side=b")
        self.demo = None
        self._make_demo(wiring)
        address = host_and_port(self.demo.order_address)
        orders = OrderSettings(*address, USERNAME, PASSWORD, drop_copy=host_and_port(self.demo.drop_copy_address))
        settings = Settings(symbols=SYMBOLS, rate=RATE, snapshot_rate=50, orders=orders)
        self.venue = VenueProcess(f"{self.name}-venue", wiring.venue, settings)
        self.gateway = self.venue.gateway
        self._thread = threading.Thread(target=self.venue.run, daemon=True)
        self._thread.start()
        self.wire = LoopbackWire(address[1]) if os.geteuid() == 0 else None

    def _close_venue(self):
        if self.wire is not None:
            self.wire.close()
        self.venue.instance.control[0]["stop"] = 1
        self._thread.join(20)
        assert not self._thread.is_alive(), "the venue's loop does not end"
        self.venue.close()
        for side in "ab":
            Path(f"/dev/shm/gateway-pair-{self.name}.{side}").unlink(missing_ok=True)

    def _make_demo(self, wiring):
        """A fresh appliance; addresses stay those of the venue."""
        before = self.demo
        options = DemoOptions(strategy=QUOTES, orders="soupbintcp", keys=self.keys)
        self.demo = Demo(wiring, options, self.folder, instance_name=self.name)
        if before is not None:
            self.demo.order_address, self.demo.drop_copy_address = before.order_address, before.drop_copy_address

    def _mount(self):
        """A file system of its own for the state folder, so that it can be filled."""
        self.state.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "none", str(self.state)]
        subprocess.run(command, check=True, timeout=20)

    @contextlib.contextmanager
    def full_disk(self):
        """Not a byte is left in the state folder."""
        filler = self.state / "filler"
        try:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            yield
        finally:
            filler.unlink()

    # ---- the appliance -----------------------------------------------------------------------------------------------

    def begin_start(self):
        """Starts `gateway run` and does not wait."""
        self._make_demo(self.demo.wiring)
        self._starting = self.demo.start_appliance()
        next(self._starting, None)

    def start(self):
        """Starts it and waits until it trades."""
        self.begin_start()
        for _ in self._starting:
            pass
        self.instance = Instance.attach(self.name)
        account = self.instance.regions["gate"].view("gate_account")[0]
        self._rate_interval_ns = int(account["rate_interval_ns"]) or self._rate_interval_ns

    def finish_start(self):
        """A start under way is waited for."""
        for _ in self._starting:
            pass
        self._starting = iter(())

    def restart(self):
        """Ends what there is, clears the latch, and begins a new day with another venue."""
        self.resume()
        if self.demo.appliance is not None:
            end_process(self.demo.appliance, 20.0)
        for path in self.state.iterdir():  # what a control halted when the disk was full stays halted, with its file
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with contextlib.suppress(OSError):
            shutil.rmtree(f"/dev/shm/gateway-{self.name}")
        self._close_venue()
        self._open_venue()
        self.start()
        self.needs_start = False

    def resume(self):
        """Nothing is stopped, and the venue has no faults."""
        for name in ("CORE", "IO", "SESSION", "CONTROL"):
            self.signal(name, signal.SIGCONT)
        self.gateway.faults = FaultClock(SessionFaults())

    def cut_session(self, logins_refused: int):
        """The venue resets the connection, and is busy for so many logins."""
        faults = FaultClock(SessionFaults(busy=logins_refused))
        faults._due = [(0, "reset")]
        self.gateway.faults = faults

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "appliance.log").read_text(errors="replace")

    def pid(self, process: str) -> int:
        return int(self.instance.control[0]["heartbeats"][layout.value(f"PROCESS_{process}")]["pid"])

    def signal(self, process: str, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(process), number)

    def wait_for(self, what, seconds: float = WAIT_SECONDS):
        deadline = time.monotonic() + seconds
        while not (result := what()):
            assert time.monotonic() < deadline, f"waited in vain for {what.__name__}; {self.rejects()}; {self.log[-1500:]}"
            time.sleep(0.01)
        return result

    def rejects(self) -> str:
        """What keeps the strategy from trading."""
        account = self.instance.regions["gate"].view("gate_account")[0]
        words = {name: int(account[name]) for name in ("session_lost", "halted", "rate_interval_ns", "session_connection")}
        words["up"] = int(self.instance.control[0]["session_connection"])
        words["next"] = int(self.instance.regions["orders"].view("order_table")[0]["next_reference"])
        return f"{rejects_by_control(account)} {words} venue {self.account().reference_max}"

    def under_load(self):
        """Until the strategy has orders open and positions held, by the venue's log."""
        self.wait_for(self._loaded)

    def _loaded(self):
        account = self.account()
        return len([row for row in account.open_orders.values() if not is_of_control(row.client_order_id)]) > 2 and (
            len(account.positions) > 1
        )

    def crash(self):
        """Everything of the appliance ends at once, without a word."""
        pids = [self.pid(name) for name in ("CONTROL", "IO", "CORE", "SESSION")]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.demo.appliance.wait(10)
        shutil.rmtree(f"/dev/shm/gateway-{self.name}")  # as after a power cut: only the disk and the venue remember
        self.crashed_ns = clock.now_ns(self.venue.instance.clock_address)

    def rearm(self):
        """As a human's clearing and a new start leave it, without the start: only a test may do that."""
        self.resume()
        account = self.instance.regions["gate"].view("gate_account")[0]
        deadline = time.monotonic() + 10
        quiet = time.monotonic()
        while time.monotonic() < quiet + 0.7:
            control = self.instance.control[0]
            if control["kill_latch"] or kill_file.reason(self.state):
                kill_file.clear(self.state)
                control["kill_time_ns"] = 0
                control["kill_latch"] = 0
                kill_file.clear(self.state)
                quiet = time.monotonic()
            assert time.monotonic() < deadline, "the latch does not stay clear"
            time.sleep(0.005)
        self._use_up_references()
        account["session_lost"] = 0
        account["rate_interval_ns"] = self._rate_interval_ns
        (self.state / kill_report.REPORT_FILE).unlink(missing_ok=True)

    def _use_up_references(self):
        """Core goes on above the references control has used, as the next start does."""
        table = self.instance.regions["orders"].view("order_table")[0]
        table["next_reference"] = max(int(table["next_reference"]), self.account().reference_max + 1) + 4096

    # ---- the kill ----------------------------------------------------------------------------------------------------

    def begin_kill(self, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "gateway.cli.main", "kill", "--instance", self.name, "--json", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)

    @property
    def environment(self):
        return {**os.environ, "GATEWAY_ORDERS_PASSWORD": PASSWORD}

    def end_kill(self, process: subprocess.Popen) -> dict:
        output, problem = process.communicate(timeout=120)
        assert output, problem
        return {**json.loads(output), "exit_code": process.returncode}

    def kill(self, *words: str) -> Figures:
        return self.figures(self.end_kill(self.begin_kill(*words)))

    def report_of_control(self, seconds: float = 30.0) -> dict:
        """What control's own sequence has written down."""
        stamp = self.wait_for(lambda: int(self.instance.control[0]["kill_time_ns"]), 10)

        def written():
            document = kill_report.last(self.state)
            return document if document and document["latched_ns"] == stamp else None

        return self.wait_for(written, seconds)

    # ---- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        with contextlib.suppress(AttributeError, AttachError):  # of a desk that was never whole
            self.resume()
            if self.demo.appliance is not None:
                end_process(self.demo.appliance, 20.0)
        with contextlib.suppress(AttributeError, AttachError):
            self.demo.close()
        with contextlib.suppress(AttributeError):
            self._close_venue()
        if os.path.ismount(self.state):
            subprocess.run(["umount", "-l", str(self.state)], timeout=20)
