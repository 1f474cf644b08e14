"""The demo: a simulated venue and the appliance as processes of their own, joined by any port, and an honest check.

      this process ──┬── gateway run demo.toml ──┬── io                     port ═══ port
                     │                           └── core                            ║
                     └── gateway venue … ────────────────────────────────────────────╝

Hard rule: the summary compares what the appliance holds with what the venue reports; it repeats neither's own claim.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateway import layout
from gateway.core import book_reader, orders
from gateway.core.book_store import make_store
from gateway.errors import AttachError, CapabilityError, ConfigurationError, GatewayError
from gateway.instance import Instance
from gateway.ops import session_secret
from gateway.ops.supervisor import end_process
from gateway.ops.wiring import Wiring

CONFIGURATION = Path(__file__).with_name("demo.toml")
STRATEGY = Path(__file__).resolve().parent.parent / "strategies" / "imbalance.py"
USERNAME, PASSWORD = "GWSIM", "simulated"  # the venue of a demo holds nothing worth a secret
START_SECONDS = 930.0  # the first start compiles every kernel; the supervisor gives up before this
DRAIN_SECONDS = 20.0
QUIET_SECONDS = 0.5  # no report and no healing for so long: everything has arrived
REST_SECONDS = 0.2  # the venue is gone: what it sent lies in the port
HEAL_SECONDS = 3.0  # the same while a book is stale, or the order session down: what heals it may still be on its way
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class DemoOptions:
    """What the user may choose."""

    seconds: float = 20.0
    seed: int = 1
    symbols: int = 32
    rate: int = 20_000
    faults: str = "drop_a=1000,duplicate_b=500,reorder_b=500,delay_a=200"
    loss: int = 0  # packets lost on both lines, per million
    snapshots: int = 100  # symbols per second on the snapshot channel; 0: none
    strategy: Path = STRATEGY
    together: bool = False  # io and core in one loop
    orders: str = "udp"  # how orders travel: a carriage of the configuration
    cut: int = 0  # times the connection of the order session is cut
    keep_orders: bool = False  # the venue does not cancel on disconnect
    keys: Mapping[str, str] = field(default_factory=dict)  # more of the appliance's configuration: SECTION__KEY, value


@dataclass
class Demo:
    """A running demo; `processes` in the order they are ended."""

    wiring: Wiring
    options: DemoOptions
    folder: Path
    instance_name: str = field(default_factory=lambda: f"demo-{os.getpid()}")
    appliance: "subprocess.Popen[bytes] | None" = None
    venue: "subprocess.Popen[bytes] | None" = None
    compiler: "subprocess.Popen[bytes] | None" = None
    instance: Instance | None = None
    order_address: str = field(default_factory=lambda: free_address())
    drop_copy_address: str = field(default_factory=lambda: free_address())

    def _spawn(self, name: str, words: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        command = [*self.wiring.prefix, sys.executable, "-m", "gateway.cli.main", *words]
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def compile_venue(self) -> None:
        """Starts compiling the venue's kernels beside the appliance's own start."""
        code = "from gateway.venues.simulator.step import venue_step; venue_step()"
        self.compiler = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, start_new_session=True)

    def venue_compiled(self) -> bool:
        """Whether the venue may start without its market waiting for a compiler."""
        return self.compiler is None or self.compiler.poll() is not None

    def start_appliance(self) -> Iterator[None]:
        """Starts `gateway run`; yields while it comes up, ends once io and core run."""
        settings = {
            "INSTANCE__NAME": self.instance_name,
            "INSTANCE__STATE": str(self.folder / "state"),
            "PORT__NAME": self.wiring.appliance,
            "STRATEGY__FILE": str(self.options.strategy.resolve()),
            "PLACEMENT__TOGETHER": str(self.options.together).lower(),
            "ORDERS__CARRIAGE": self.options.orders,
            "ORDERS__ADDRESS": self.order_address,
            "ORDERS__DROP_COPY": self.drop_copy_address,
            "ORDERS__CANCEL_ON_DISCONNECT": str(not self.options.keep_orders).lower(),
        }
        settings |= self.options.keys
        environment = {f"GATEWAY__{key}": value for key, value in settings.items()} | {session_secret.VARIABLE: PASSWORD}
        self.appliance = self._spawn("appliance", ["run", str(CONFIGURATION), "--json"], environment)
        deadline = time.monotonic() + START_SECONDS
        while not (self._appliance_runs() and self.venue_compiled()):
            self._require_alive("appliance", self.appliance)
            if time.monotonic() > deadline:
                raise GatewayError(f"the appliance did not start within {START_SECONDS:.0f} s: {self.log('appliance')}")
            yield
            time.sleep(POLL_SECONDS)

    def _appliance_runs(self) -> bool:
        with contextlib.suppress(AttachError):
            if self.instance is None:
                self.instance = Instance.attach(self.instance_name, writable=())
            beats = self.instance.control[0]["heartbeats"]
            running = layout.value("PROCESS_RUNNING")
            names = ["PROCESS_IO"] if self.options.together else ["PROCESS_IO", "PROCESS_CORE"]
            names += ["PROCESS_SESSION"] if self.over_tcp else []
            return all(beats[layout.value(name)]["state"] == running for name in names)
        return False

    def start_venue(self) -> None:
        """Starts the venue on the other end; the flow begins as soon as it is up."""
        options = self.options
        words = ["venue", "--port", self.wiring.venue, "--instance", f"{self.instance_name}-venue"]
        words += ["--seed", str(options.seed), "--symbols", str(options.symbols), "--rate", str(options.rate)]
        words += ["--seconds", str(options.seconds), "--report", str(self.venue_report_path)]
        words += ["--snapshots", str(options.snapshots)]
        if self.over_tcp:
            words += ["--orders", self.order_address, "--username", USERNAME, "--password", PASSWORD]
            words += ["--drop-copy", self.drop_copy_address]
            words += ["--session-faults", f"cut={options.cut}"] + ["--keep-orders"] * options.keep_orders
        faults = [options.faults] if options.faults else []
        faults += [f"drop_both={options.loss}"] if options.loss else []
        if faults:
            words += ["--faults", ",".join(faults)]
        self.venue = self._spawn("venue", words, {})

    @property
    def over_tcp(self) -> bool:
        """Whether orders travel by a session."""
        return self.options.orders != "udp"

    @property
    def venue_report_path(self) -> Path:
        """Where the venue writes what it saw."""
        return self.folder / "venue.json"

    def flowing(self) -> Iterator[Instance]:
        """Yields the attached instance until the venue has ended its session and the reports are in."""
        assert self.instance is not None and self.venue is not None and self.appliance is not None
        deadline = time.monotonic() + START_SECONDS + self.options.seconds + DRAIN_SECONDS
        core = self.instance.counters[0]["core"]
        while core["end_of_session"] == 0 and time.monotonic() < deadline:
            self._require_alive("venue", self.venue)
            self._require_alive("appliance", self.appliance)
            yield self.instance
        quiet_since, seen = time.monotonic(), None
        while time.monotonic() < deadline:
            stale = self._books_stale(self.instance)
            now = (*(int(core[name]) for name in ("reports", "gap_messages", "healed")), stale)
            if now != seen:
                seen, quiet_since = now, time.monotonic()
            if time.monotonic() - quiet_since > (HEAL_SECONDS if stale or self._session_down() else QUIET_SECONDS):
                return
            yield self.instance

    def _session_down(self) -> bool:
        """Whether reports may still come, on the order session's next connection."""
        assert self.instance is not None
        return self.over_tcp and not int(self.instance.control[0]["session_connection"])

    def _books_stale(self, instance: Instance) -> int:
        """How many of the venue's books the appliance holds for stale; its rows are the venue's locates, from 1 on."""
        flags = instance.rows("books")["flags"][1 : self.options.symbols + 1]
        return int((flags & layout.value("BOOK_STALE") != 0).sum())

    def take_the_rest(self) -> None:
        """Waits until the appliance has worked off what an ended venue still said: heartbeats, snapshots."""
        assert self.instance is not None
        counters = self.instance.counters[0]
        quiet_since, seen = time.monotonic(), -1
        while time.monotonic() - quiet_since < REST_SECONDS:
            if (now := int(counters["core"]["frames"]) + int(counters["io"]["frames_received"])) != seen:
                seen, quiet_since = now, time.monotonic()
            time.sleep(POLL_SECONDS)

    def _require_alive(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        code = process.poll()
        if code is not None:
            kinds = {3: ConfigurationError, 4: CapabilityError}
            raise kinds.get(code, GatewayError)(f"the {name} ended early (exit code {code}): {self.log(name)}")

    def log(self, name: str) -> str:
        """The last two lines a process wrote to its log: what went wrong, and who noticed."""
        lines = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return "; ".join(lines[-2:]) or "it said nothing"

    def stop_venue(self) -> dict[str, Any]:
        """Ends the venue; returns its report."""
        assert self.venue is not None
        self.venue.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.venue.wait(DRAIN_SECONDS)
        end_process(self.venue)
        try:
            return dict(json.loads(self.venue_report_path.read_text()))
        except (OSError, ValueError) as problem:
            raise GatewayError(f"the venue left no report ({problem}): {self.log('venue')}") from problem

    def stop_appliance(self) -> None:
        """Ends the appliance in order."""
        if self.appliance is not None and self.appliance.poll() is None:
            self.appliance.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.appliance.wait(DRAIN_SECONDS)

    def close(self) -> None:
        """Ends whatever still runs, also stages whose control is gone."""
        for process in (self.compiler, self.venue, self.appliance):
            if process is not None:
                end_process(process)
        if self.instance is not None:
            for beat in self.instance.control[0]["heartbeats"]:
                if beat["state"] == layout.value("PROCESS_RUNNING"):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(int(beat["pid"]), signal.SIGKILL)
            self.instance.close(remove=True)


def free_address() -> str:
    """An address on the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def open_references(instance: Instance) -> list[int]:
    """References of our own orders that may still fill."""
    return orders.open_references(instance.rows("orders"))


def appliance_books(instance: Instance) -> dict[str, dict[str, Any]]:
    """The appliance's books by symbol, full depth, with their flags."""
    store = make_store(instance.body("books"), instance.body("levels"), instance.body("book_orders"))
    rows = book_reader.books(store)
    books = {}
    for instrument, symbol in book_reader.instruments(store):
        books[symbol] = {
            "instrument": instrument,
            "stale": bool(int(rows[instrument]["flags"]) & layout.value("BOOK_STALE")),
            "bids": [list(row) for row in book_reader.levels(store, instrument, book_reader.BUY)],
            "asks": [list(row) for row in book_reader.levels(store, instrument, book_reader.SELL)],
        }
    return books


def appliance_positions(instance: Instance) -> dict[str, int]:
    """Our position by symbol."""
    rows, books = instance.rows("gate"), instance.rows("books")
    held = rows["position"].copy()
    return {books[index]["symbol"].decode("ascii").rstrip(): int(held[index]) for index in np.flatnonzero(held)}
