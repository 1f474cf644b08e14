"""Proves a running guest of the Vagrantfile from the host: an echo with equal counts, then the corridor against the venue.

    testbed/far_end.py ── pair:vagrant-MACHINE,side=b ── wire.py ── guest's card ── testbed/guest/echo.py
    gateway venue ─────── the same place ─────────────── wire.py ── guest's card ── corridor.py: io on net_virtio, core

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

from gateway.cli.output import print_note
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, GatewayError, UsageError
from gateway.ops.reconciliation import reconcile
from gateway.ops.supervisor import end_process

HERE = Path(__file__).resolve().parent
MACHINES = ("virtio", "vhost-user")
CARD = "dpdk:0000:00:10.0"
FRAMES = 1000
SYMBOLS = 16
RATE = 500  # messages per second: an emulated processor
TRADE_SECONDS = 5.0
START_SECONDS = 600.0  # imports and start on an emulated processor, on a busy host
JOB_SECONDS = 300.0


class Guest:
    """A job in the guest over ssh; ended with its connection."""

    def __init__(self, machine: str, folder: Path, *words: str):
        configuration = folder / "ssh"
        if not configuration.exists():
            outcome = subprocess.run(
                ["vagrant", "ssh-config", machine], cwd=HERE, capture_output=True, text=True, timeout=60
            )
            if outcome.returncode != 0:
                raise GatewayError(f"the guest {machine} is not up: {outcome.stderr.strip() or 'vagrant up first'}")
            configuration.write_text(outcome.stdout)
        command = ["ssh", "-F", str(configuration), machine, *words]
        self.log = folder / f"{words[0]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        os.set_blocking(self.process.stdout.fileno(), False)  # type: ignore[union-attr]
        self.text = b""

    def line(self, seconds: float) -> str:
        """The next line of its output; GatewayError with its last words when none comes."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.text:
            if time.monotonic() > deadline:
                raise GatewayError(f"the guest said nothing for {seconds:.0f} s: {self.last_words()}")
            more = self.process.stdout.read()  # type: ignore[union-attr]
            if more == b"":
                raise GatewayError(f"the guest ended early: {self.last_words()}")
            self.text += more or b""
            time.sleep(0.01)
        first, _, self.text = self.text.partition(b"\n")
        return first.decode()

    def hang_up(self) -> None:
        """Ends its input: the job takes that for the end."""
        self.process.stdin.close()  # type: ignore[union-attr]

    def last_words(self) -> str:
        """The last line of its error output."""
        return (self.log.read_text(errors="replace").strip().splitlines() or ["no word why"])[-1]

    def close(self) -> None:
        """Ends the connection."""
        end_process(self.process)


def run_far_end(machine: str, folder: Path) -> "subprocess.Popen[str]":
    """Counted frames from our end of the cable; it waits for a line before it begins."""
    words = [sys.executable, "-m", "vagrant.testbed.far_end", f"pair:vagrant-{machine},side=b", "--frames", str(FRAMES)]
    with (folder / "far_end.log").open("wb") as log:
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=HERE.parent)


def prove_echo(machine: str, folder: Path) -> bool:
    """Frames there and back; every count of both sides has to agree."""
    guest = Guest(machine, folder, "gateway-echo", CARD)
    try:
        guest.line(START_SECONDS)
        far = run_far_end(machine, folder)
        try:
            theirs = json.loads(far.communicate("\n", JOB_SECONDS)[0].splitlines()[-1])
        finally:
            end_process(far)
        guest.hang_up()
        ours = json.loads(guest.line(JOB_SECONDS))
    finally:
        guest.close()
    ok = theirs["sent"] == ours["received"] == ours["echoed"] == theirs["echoed"] == FRAMES
    print(
        f"echo       host {theirs['sent']:,} sent, guest {ours['received']:,} received and {ours['echoed']:,} sent back, "
        f"host {theirs['echoed']:,} came back whole: {'equal' if ok else 'NOT EQUAL'}"
    )
    return ok


def run_venue(machine: str, report: Path) -> "subprocess.Popen[bytes]":
    """The simulated venue at our end of the cable, for its whole day."""
    words = ["venue", "--port", f"pair:vagrant-{machine},side=b", "--instance", f"vagrant-{machine}-venue"]
    words += ["--symbols", str(SYMBOLS), "--rate", str(RATE), "--seconds", str(TRADE_SECONDS), "--report", str(report)]
    with report.with_suffix(".log").open("wb") as log:
        command = [sys.executable, "-m", "gateway.cli.main", *words]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def prove_corridor(machine: str, folder: Path) -> bool:
    """The appliance in the guest trades with the venue on the host; books, positions and gaps are compared."""
    guest = Guest(machine, folder, "gateway-corridor", CARD, str(SYMBOLS), str(TRADE_SECONDS))
    report, venue = folder / "venue.json", None
    try:
        guest.line(START_SECONDS)
        venue = run_venue(machine, report)
        guest.line(JOB_SECONDS)
        venue.send_signal(signal.SIGTERM)
        venue.wait(20)
        guest.hang_up()
        seen = json.loads(guest.line(JOB_SECONDS))
    finally:
        guest.close()
        if venue is not None:
            end_process(venue)
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
