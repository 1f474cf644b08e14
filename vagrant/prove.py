"""Proves a running guest of the Vagrantfile from the host: an echo with equal counts, then the corridor against the venue.

    this ── pair:vagrant-MACHINE,side=b ── wire ── guest's card ── guest.py echo
    gateway venue ─ the same place ──────── wire ── guest's card ── gateway run, with io on the virtio driver of DPDK

    python vagrant/prove.py MACHINE         in the folder of the Vagrantfile; exit code 1 when anything differs

Hard rule: a count of one side is compared with the other side's own count; nothing is taken from one side alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.cli.output import print_note
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, GatewayError, UsageError
from gateway.ops.reconciliation import reconcile
from gateway.port import Port, open_port

HERE = Path(__file__).resolve().parent
MACHINES = ("virtio", "vhost-user")
CARD = "dpdk:0000:00:10.0"
FRAMES = 1000
WINDOW = 64  # frames under way at once; vhost-user drops beyond a queue of 256
WARM_UP = 32  # the first frames through an emulated IOMMU may be lost: they are not counted
HEADER = bytes.fromhex("020000001001" "020000002001" "88b5")  # IEEE 802, local experimental EtherType 1
SYMBOLS = 16
RATE = 500  # messages per second: an emulated processor
TRADE_SECONDS = 5.0
START_SECONDS = 240.0
JOB_SECONDS = 120.0


class Guest:
    """A job in the guest over ssh; ended with its connection."""

    def __init__(self, machine: str, folder: Path, *words: str):
        configuration = folder / "ssh"
        if not configuration.exists():
            outcome = subprocess.run(["vagrant", "ssh-config", machine], cwd=HERE, capture_output=True, text=True, timeout=60)
            if outcome.returncode != 0:
                raise GatewayError(f"the guest {machine} is not up: {outcome.stderr.strip() or 'vagrant up first'}")
            configuration.write_text(outcome.stdout)
        command = ["ssh", "-F", str(configuration), machine, "gateway-guest", *words]
        self.log = folder / f"{words[0]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        os.set_blocking(self.process.stdout.fileno(), False)  # type: ignore[union-attr]
        self.text = ""

    def line(self, seconds: float) -> str:
        """The next line of its output; GatewayError with its last words when none comes."""
        deadline = time.monotonic() + seconds
        while "\n" not in self.text:
            if time.monotonic() > deadline:
                raise GatewayError(f"the guest said nothing for {seconds:.0f} s: {self.last_words()}")
            more = self.process.stdout.read()  # type: ignore[union-attr]
            if more == "":
                raise GatewayError(f"the guest ended early: {self.last_words()}")
            self.text += more or ""
            time.sleep(0.01)
        first, _, self.text = self.text.partition("\n")
        return first

    def last_words(self) -> str:
        """The last line of its error output."""
        return (self.log.read_text(errors="replace").strip().splitlines() or ["no word why"])[-1]

    def close(self) -> None:
        """Ends the connection."""
        self.process.kill()
        self.process.wait(10)


def numbered(number: int) -> bytes:
    """A frame that nobody else sends, of a length that follows from its number."""
    return HEADER + number.to_bytes(4, "big") + bytes((number + index) & 0xFF for index in range(46 + number % 1400))


def exchange(port: Port, first: int, count: int, seconds: float) -> set[int]:
    """Sends frames by number, never more than a window ahead; returns the numbers that came back unharmed."""
    back: set[int] = set()
    sent, deadline = 0, time.monotonic() + seconds
    while len(back) < count and time.monotonic() < deadline:
        if sent < count and sent - len(back) < WINDOW:
            sent += port.transmit([numbered(first + sent)])
        for frame in port.receive() or []:
            number = int.from_bytes(frame.data[14:18], "big")
            if frame.data[:14] == HEADER and first <= number < first + count and frame.data == numbered(number):
                back.add(number)
        time.sleep(0)
    return back


def prove_echo(machine: str, folder: Path) -> bool:
    """Frames there and back; every count on both sides has to agree."""
    guest = Guest(machine, folder, "echo", CARD, str(WARM_UP + FRAMES), str(JOB_SECONDS))
    try:
        guest.line(START_SECONDS)
        with open_port(f"pair:vagrant-{machine},side=b") as port:
            warm = exchange(port, 0, WARM_UP, 10.0)
            back = exchange(port, WARM_UP, FRAMES, JOB_SECONDS / 2)
            result = json.loads(guest.line(JOB_SECONDS))
    finally:
        guest.close()
    ok = len(back) == FRAMES and result["received"] == result["returned"] == FRAMES + WARM_UP == FRAMES + len(warm)
    print(
        f"echo       {FRAMES + WARM_UP:,} sent; guest: {result['received']:,} received, {result['returned']:,} sent back; "
        f"{len(back) + len(warm):,} came back whole: {'equal' if ok else 'NOT EQUAL'}"
    )
    return ok


def run_venue(machine: str, report: Path) -> dict[str, Any]:
    """The simulated venue at our end of the cable, for its whole day."""
    words = ["venue", "--port", f"pair:vagrant-{machine},side=b", "--instance", f"vagrant-{machine}-venue"]
    words += ["--symbols", str(SYMBOLS), "--rate", str(RATE), "--seconds", str(TRADE_SECONDS), "--report", str(report)]
    with report.with_suffix(".log").open("wb") as log:
        venue = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    return venue


def prove_corridor(machine: str, folder: Path) -> bool:
    """The appliance in the guest trades with the venue on the host; books, positions and gaps are compared."""
    guest = Guest(machine, folder, "corridor", CARD, str(SYMBOLS), str(TRADE_SECONDS))
    report, venue = folder / "venue.json", None
    try:
        guest.line(START_SECONDS)
        venue = run_venue(machine, report)
        seen = json.loads(guest.line(JOB_SECONDS))
        venue.send_signal(signal.SIGTERM)
        venue.wait(20)
    finally:
        guest.close()
        if venue is not None and venue.poll() is None:
            venue.kill()
            venue.wait(10)
    theirs = json.loads(report.read_text())
    io, core = seen["summary"]["io"], seen["summary"]["core"]
    check = reconcile(seen["books"], seen["positions"], seen["summary"], theirs)
    sent, received = theirs["port"]["frames_transmitted"], io["frames_received"]
    orders_sent, orders_received = io["orders_transmitted"], theirs["orders_received"]
    ok = check.ok and orders_sent == orders_received > 0 and sent == received
    print(f"corridor   {sent:,} frames of the venue, {received:,} received in the guest; {core['messages']:,} messages")
    print(f"           {orders_sent:,} orders sent, {orders_received:,} reached the venue, {core['fills']:,} fills")
    print(f"           {check.books_compared} books compared, {check.books_wrong} wrong, {check.books_stale} stale")
    print(f"check      {'ok: everything agrees' if ok else 'FAILED'}")
    for problem in check.problems[:10]:
        print(f"           {problem}")
    return ok


def main(words: list[str]) -> int:
    """Both proofs, one after the other."""
    try:
        if len(words) != 1 or words[0] not in MACHINES:
            raise UsageError(f"usage: prove.py {' or '.join(MACHINES)}")
        with tempfile.TemporaryDirectory(prefix="gateway-prove-") as folder:
            began = time.monotonic()
            outcomes = []
            for prove in (prove_echo, prove_corridor):
                outcomes.append(prove(words[0], Path(folder)))
                print_note(f"{prove.__name__}: {time.monotonic() - began:.1f} s")
                began = time.monotonic()
        return EXIT_DONE if all(outcomes) else EXIT_CHECK_FAILED
    except (GatewayError, OSError, ValueError, subprocess.SubprocessError) as problem:
        print(f"prove: {problem}", file=sys.stderr)
        return getattr(problem, "exit_code", 5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
