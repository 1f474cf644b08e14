"""A real `gateway run` on a pair port, with the test as the venue at the other end."""

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

from gateway import layout
from gateway.core.book_store import make_store
from gateway.errors import AttachError
from gateway.instance import Instance
from gateway.port import open_port
from gateway.protocols import moldudp64, ouch50, udp
from gateway.protocols.headers import carried_by
from tests.corridor_bench import full_books, unique_name

START_SECONDS = 200
RUNNING = layout.value("PROCESS_RUNNING")
EAGER = '''
"""One small order for every message that leaves its book two-sided."""

from gateway.core.strategy import DAY, buy


def on_event(state, event, book, orders):
    if book.ask_quantity > 0 and book.bid_quantity > 0:
        buy(orders, book.instrument, 1, book.bid_price, DAY)
'''
RISK = """
quantity_max = 1000
value_max = 1_000_000
position_max = 1_000_000
collar_ppm = 100_000
stale_ms = 60_000
rate_per_second = 1_000_000
rate_burst = 1_000_000
day_messages_max = 1_000_000
capital = 5_000_000_000
gross_max = 5_000_000_000
net_max = 5_000_000_000
window_ppm = 1_000_000
instruments = ["*"]
"""


class Appliance:
    """`gateway run` as a process of its own; the pair's other side is `peer`."""

    def __init__(self, folder: Path, together: bool = False, strategy: str = EAGER, more: str = ""):
        self.folder, self.name = folder, unique_name("run")
        (folder / "strategy.py").write_text(strategy)
        self.path = folder / "gateway.toml"
        self.path.write_text(
            f'[instance]\nname = "{self.name}"\nstate = "{folder}/state"\n[port]\nname = "pair:{self.name}"\n'
            f'[placement]\ntogether = {str(together).lower()}\nidle = "sleep"\n'
            f'[strategy]\nfile = "{folder}/strategy.py"\n'
            f'instruments = ["*"]\nrepeat_max = 1024\nrepeat_s = 1\n[kill]\nseconds = 6\n[risk]{RISK}{more}'
        )
        self.reports = 0
        self.start()
        self.peer = open_port(f"pair:{self.name},side=b")

    def start(self) -> None:
        """Starts `gateway run` and waits until every stage runs."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "run", str(self.path), "--json"],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "log").open("ab"),
            start_new_session=True,
        )
        self.instance: Instance = self.wait_for(self._attached)

    def _attached(self) -> Instance | None:
        with contextlib.suppress(AttachError):
            instance = Instance.attach(self.name)
            beats = instance.control[0]["heartbeats"]
            names = ["PROCESS_IO", "PROCESS_CORE"] if "together = false" in self.path.read_text() else ["PROCESS_IO"]
            of_this_run = beats[layout.value("PROCESS_CONTROL")]["pid"] == self.process.pid
            if of_this_run and all(beats[layout.value(name)]["state"] == RUNNING for name in names):
                return instance
        return None

    def wait_for(self, what: Callable[[], Any], seconds: float = START_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"gateway run ended early: {self.log}"
            if result := what():
                return result
            time.sleep(0.01)
        raise AssertionError(f"waited {seconds} s in vain; {self.log}")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def core(self) -> Any:
        return self.instance.counters[0]["core"]

    @property
    def latch(self) -> int:
        return int(self.instance.control[0]["kill_latch"])

    def pid(self, process: str) -> int:
        return int(self.instance.control[0]["heartbeats"][layout.value(process)]["pid"])

    def books(self) -> dict[int, dict[str, Any]]:
        bodies = [self.instance.body(name) for name in ("books", "levels", "book_orders")]
        return full_books(make_store(*bodies))

    def send(self, frames: list[bytes]) -> None:
        """All frames, waiting where the corridor is behind."""
        for frame in frames:
            self.wait_for(lambda frame=frame: self.peer.transmit([frame]), 20)

    def orders(self) -> list[dict[str, Any]]:
        """Order messages that have arrived at the venue since the last call."""
        found = []
        while frames := self.peer.receive():
            found += [ouch50.decode(carried_by(frame.data).payload, "inbound") for frame in frames]
        return found

    def accept(self, order: dict[str, Any]) -> None:
        """The venue's Order Accepted for an Enter Order."""
        terms = {name: text for name, text in order.items() if name not in ("message", "appendage_length")}
        self.report("OrderAccepted", **terms, order_reference_number=order["user_ref_num"] + 1000, order_state="L")

    def report(self, name: str, sequence: int | None = None, **fields: Any) -> None:
        """One report on the order session."""
        message = ouch50.encode(name, timestamp=self.reports + 1, **fields)
        self.reports += 1
        packet = moldudp64.encode("REPORTS", self.reports if sequence is None else sequence, [message])
        self.send(
            [udp.frame(packet, source="10.77.0.2", destination="10.77.0.1", source_port=41002, destination_port=41001)]
        )

    def stop(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        """Asks it to leave; the summary it prints, with `exit_code` and `seconds` it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        seconds = time.monotonic() - began
        return {**json.loads(output or b"{}"), "exit_code": self.process.returncode, "seconds": seconds}

    def left_over(self) -> list[str]:
        """Files and processes of this instance that are still there."""
        files = [str(path) for path in Path("/dev/shm").glob(f"gateway*{self.name}*")]
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"gateway-{self.name}".encode() in (process / "cmdline").read_bytes():
                    files.append(process.name)
        return files

    def close(self) -> None:
        """Ends what still runs and removes what it left."""
        self.peer.close()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        for row in self.left_over():
            if row.isdigit():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(row), signal.SIGKILL)
        self.instance.close(remove=True)
        for path in Path("/dev/shm").glob(f"gateway-pair-{self.name}.*"):
            path.unlink()
