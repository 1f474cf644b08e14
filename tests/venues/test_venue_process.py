"""`gateway venue` as a process on a pair port: trades, answers, ends its day, reports, leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.port import Port, open_port
from gateway.protocols import itch50, ouch50
from gateway.venues.simulator.process import attach_counters
from gateway.venues.simulator.step import venue_step
from tests.naive_venue import FeedBooks
from tests.venues.desk import MAC_A, MAC_CLIENT, order_frame, packets

START_SECONDS = 120.0
FOLDER = Path("/dev/shm")


class Running:
    """A venue process and the port that faces it."""

    def __init__(self, folder: Path, *words: str):
        self.name = f"venue-test-{os.getpid()}"
        self.report_path = folder / "report.json"
        venue_step()  # compiled here, so that the process below finds it on the disk
        self.port: Port = open_port(f"pair:{self.name}")
        self.frames: list[bytes] = []
        command = [sys.executable, "-m", "gateway.cli.main", "venue", "--port", f"pair:{self.name},side=b"]
        command += ["--instance", self.name, "--report", str(self.report_path), "--json", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def listen(self, until, seconds: float = START_SECONDS) -> None:
        """Receives until `until()` says enough; fails when it never does."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, "the venue did not get there in time"
            assert self.process.poll() is None, self.process.communicate()[1]
            received = self.port.receive()
            self.frames += [frame.data for frame in received or []]
            if not received:
                time.sleep(0.001)

    def reports(self) -> list[dict]:
        found = [message for packet in packets(self.frames, MAC_CLIENT) for message in packet.messages]
        return [ouch50.decode(message, ouch50.OUTBOUND) for message in found]

    def stop(self) -> dict:
        self.process.send_signal(signal.SIGTERM)
        out, problems = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, problems
        return json.loads(out.splitlines()[-1])

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.port.close()


@pytest.fixture
def running(tmp_path) -> Iterator[Running]:
    venue = Running(tmp_path, "--seconds", "0.5", "--grace", "0.2", "--symbols", "4", "--rate", "5000", "--seed", "9")
    yield venue
    venue.close()


@pytest.mark.slow
def test_a_venue_process_trades_answers_ends_its_day_and_reports(running):
    running.listen(lambda: bool(running.frames))
    counters = attach_counters(running.name)
    running.listen(lambda: int(counters["phase"]) == 2)
    order = ouch50.encode(
        "EnterOrder", user_ref_num=1, side="B", quantity=100, symbol="NOBODY", price=100, time_in_force="3", display="Y"
    )
    running.port.transmit([order_frame(order)])
    running.listen(lambda: bool(running.reports()))
    assert running.reports()[0]["reason"] == 0x17
    running.listen(lambda: any(packet.count == 0xFFFF for packet in packets(running.frames[-8:], MAC_A)))
    summary = running.stop()
    account = json.loads(running.report_path.read_text())
    assert (summary["phase"], account["phase"], account["seed"]) == ("ended", "ended", 9)
    assert account["orders_received"] == account["orders_rejected"] == 1
    assert account["time_last_order_ns"] > 0
    rebuilt = FeedBooks()
    for packet in packets(running.frames, MAC_A):
        for message in packet.messages:
            rebuilt.apply(itch50.decode(message))
    assert len(account["instruments"]) == 4
    for book in account["instruments"]:
        assert [list(level) for level in rebuilt.levels(book["locate"], "B")] == book["bids"]
        assert [list(level) for level in rebuilt.levels(book["locate"], "S")] == book["asks"]
    assert not (FOLDER / f"gateway-{running.name}").exists()


@pytest.mark.slow
def test_a_stopped_venue_ends_its_session_before_it_goes(tmp_path):
    running = Running(tmp_path, "--symbols", "2", "--rate", "2000")
    try:
        running.listen(lambda: any(packet.messages for packet in packets(running.frames, MAC_A)))
        summary = running.stop()
        while received := running.port.receive():
            running.frames += [frame.data for frame in received]
        assert summary["phase"] == "ended"
        assert packets(running.frames, MAC_A)[-1].count == 0xFFFF
    finally:
        running.close()


@pytest.mark.slow
def test_a_port_that_cannot_be_opened_is_one_line_and_leaves_no_folder(tmp_path):
    name = f"venue-refused-{os.getpid()}"
    command = [sys.executable, "-m", "gateway.cli.main", "venue", "--port", "nothing:here", "--instance", name]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
    assert outcome.returncode == 3
    assert "nothing" in outcome.stderr.splitlines()[-1]
    assert not (FOLDER / f"gateway-{name}").exists()


@pytest.mark.parametrize("words", [("--symbols", "4097"), ("--symbols", "0"), ("--rate", "-1"), ("--faults", "drops=1")])
def test_words_that_make_no_sense_are_refused_as_usage(words):
    command = [sys.executable, "-m", "gateway.cli.main", "venue", "--port", "pair:unused", *words]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
    assert outcome.returncode == 2
    assert len(outcome.stderr.splitlines()) == 1
