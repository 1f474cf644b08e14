"""The simulated venue as a process of its own with an order session and a drop copy, and a user of it who sends OUCH."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.ops.demo import free_address
from gateway.ops.supervisor import end_process
from gateway.protocols import ouch50
from gateway.protocols.soupbintcp_client import Client
from gateway.protocols.soupbintcp_stream import Lost, Message
from gateway.sections import host_and_port
from gateway.venues.simulator.process import attach_counters
from gateway.venues.simulator.symbols import LEVELS, TICK, floor_price_of
from tests.stage_bench import unique_name

START_SECONDS, WAIT_SECONDS = 280.0, 30.0
SYMBOLS = 4


def middle_of(symbol: int, seed: int = 1) -> int:
    """The price in the middle of a symbol's ladder: the flow trades around it."""
    return floor_price_of(seed, symbol) + LEVELS // 2 * TICK


class User:
    """One order session with the venue; every report it hears is kept in `reports`."""

    def __init__(self, address: str):
        self.socket = socket.create_connection(host_and_port(address))
        self.socket.setblocking(False)
        self.client = Client("GWSIM", "simulated")
        self.client.connect(time.monotonic_ns())
        self.reports: list[bytes] = []
        self.asked = 0

    def turn(self) -> None:
        data = self.client.output()
        if data:
            self.socket.sendall(data)
        try:
            events = self.client.receive(self.socket.recv(1 << 16), time.monotonic_ns())
        except BlockingIOError:
            events = []
        self.reports += [event.payload for event in events if isinstance(event, Message)]
        lost = [event.reason for event in events if isinstance(event, Lost)]
        assert not lost or lost == ["ended"], lost
        self.client.advance(time.monotonic_ns())

    def send(self, message: bytes) -> None:
        self.client.send(message, time.monotonic_ns())
        self.turn()

    def join(self) -> None:
        """Until logged in, with everything heard that was said before."""
        self.until(lambda: self.client.phase == "open")
        time.sleep(0.1)
        for _ in range(20):
            self.turn()
        self.asked = sum(report[:1] == b"Q" for report in self.reports)

    def until(self, what: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not what():
            assert time.monotonic() < deadline, "in vain"
            self.turn()
            time.sleep(0.001)

    def settle(self) -> None:
        """Until an Account Query that is asked now is answered: everything sent before was worked on."""
        self.asked += 1
        self.send(ouch50.encode("AccountQuery"))
        self.until(lambda: sum(report[:1] == b"Q" for report in self.reports) >= self.asked)


class VenueRun:
    """A running venue; `stop` ends it and returns its account."""

    def __init__(self, folder: Path, *words: str):
        self.name, self.folder = unique_name("venue"), folder
        self.orders, self.drop_copy = free_address(), free_address()
        self.report_path = folder / "venue.json"
        command = [sys.executable, "-m", "gateway.cli.main", "venue", "--port", f"pair:{self.name},side=b"]
        command += ["--instance", self.name, "--symbols", str(SYMBOLS), "--orders", self.orders]
        # nobody reads the other end of the port: a busy feed would wait for it, and reports behind it
        command += ["--drop-copy", self.drop_copy, "--report", str(self.report_path), "--rate", "200", *words]
        self.log = (folder / "venue.log").open("wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + START_SECONDS
        while not self.trades():
            assert self.process.poll() is None, (folder / "venue.log").read_text()
            assert time.monotonic() < deadline, "the venue did not start"
            time.sleep(0.05)

    def trades(self) -> bool:
        try:
            return int(attach_counters(self.name)["feed_sequence"]) > 1
        except Exception:  # not there yet
            return False

    def end(self) -> None:
        """Asks it to say what it has to say, and to leave."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> dict[str, Any]:
        self.end()
        self.process.wait(WAIT_SECONDS)
        return dict(json.loads(self.report_path.read_text()))

    def close(self) -> None:
        end_process(self.process, WAIT_SECONDS)  # a busy machine takes its time to remove the folder
        self.log.close()
        for side in "ab":
            (Path("/dev/shm") / f"gateway-pair-{self.name}.{side}").unlink(missing_ok=True)


@contextmanager
def venue_run(folder: Path, *words: str) -> Iterator[VenueRun]:
    run = VenueRun(folder, *words)
    try:
        yield run
    finally:
        run.close()
