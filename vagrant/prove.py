"""Proves a running guest of the Vagrantfile from the host: an echo with equal counts, then the corridor against the venue.

    testbed/far_end.py ── pair:vagrant-MACHINE,side=b ── wire.py ── guest's card ── testbed/guest/echo.py
    gateway venue ─────── the same place ─────────────── wire.py ── guest's card ── gateway run, testbed/guest/account.py

    python vagrant/prove.py MACHINE         in the folder of the Vagrantfile; exit code 1 when anything differs

Hard rule: it is what `scripts/testbed` does, by ssh: the same programs in the guest, the same judgement.
"""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.output import print_note
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, GatewayError, UsageError
from gateway.ops.supervisor import end_process
from vagrant.testbed import guest_tree
from vagrant.testbed.agent import GUEST_FOLDER, Guest, last_line
from vagrant.testbed.bench import Row
from vagrant.testbed.echo_cases import EchoCase, exchange, far_end
from vagrant.testbed.trading import PORT, TOGETHER, FarSide, Market, compile_venue, trade

HERE = Path(__file__).resolve().parent
MACHINES = ("virtio", "vhost-user")
FRAMES, SEED = 1000, 1
MARKET = Market(seconds=5.0, rate=500, symbols=16)
AGENT_SECONDS = 120.0


@dataclass
class Visited(Guest):
    """A guest reached by ssh."""

    log: Path

    def last_words(self) -> str:
        """What ssh, or the agent, complained of."""
        return last_line(self.log.read_text(errors="replace"))


@contextlib.contextmanager
def visit(machine: str, folder: Path) -> Iterator[Guest]:
    """The guest's agent at the other end of an ssh; what it started ends with the connection."""
    words = ["vagrant", "ssh-config", machine]
    outcome = subprocess.run(words, cwd=HERE, capture_output=True, text=True, timeout=60)
    if outcome.returncode != 0:
        raise GatewayError(f"the guest {machine} is not up: {outcome.stderr.strip() or 'vagrant up first'}")
    (folder / "ssh").write_text(outcome.stdout)
    ours, theirs = socket.socketpair()
    command = ["ssh", "-F", str(folder / "ssh"), machine, "python3", "-u", f"{GUEST_FOLDER}/agent.py"]
    with ours, (folder / "ssh.log").open("wb") as log:
        with theirs:
            process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=log)
        try:
            guest = Visited(ours, folder / "ssh.log")
            guest.wait_until_ready(AGENT_SECONDS)
            yield guest
        finally:
            ours.shutdown(socket.SHUT_WR)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(AGENT_SECONDS)
            end_process(process)


def prove_echo(machine: str, guest: Guest) -> Row:
    """Frames there and back; every count of both sides has to agree."""
    row = Row("echo", port=PORT)
    with far_end(f"pair:vagrant-{machine},side=b", [], FRAMES, SEED) as far:
        exchange(row, guest, far, EchoCase(machine))
    print(
        f"echo       host {row.host_sent:,} sent, guest {row.guest_received:,} received and {row.guest_echoed:,} sent back, "
        f"host {row.host_echoed:,} came back whole: {'equal' if row.ok else 'NOT EQUAL'}"
    )
    return row


def prove_corridor(machine: str, guest: Guest, folder: Path) -> Row:
    """The appliance in the guest trades with the venue on the host; books, positions and gaps are compared."""
    row = Row("corridor", port=PORT)
    compile_venue()
    far = FarSide(f"pair:vagrant-{machine},side=b", [], folder, SEED)
    trade(row, guest, guest_tree.place(), MARKET, far, **TOGETHER)
    result = row.details["result"]
    print(
        f"corridor   {row.host_sent:,} frames of the venue, {row.guest_received:,} received in the guest; "
        f"{result['messages_decoded']:,} messages\n"
        f"           {result['orders_sent']:,} orders sent, {result['venue_orders_received']:,} reached the venue, "
        f"{result['fills']:,} fills\n"
        f"           {result['books_compared']} books compared, {result['books_wrong']} wrong, "
        f"{result['books_stale']} stale"
    )
    return row


def prove(machine: str, folder: Path) -> bool:
    """Both proofs, one after the other, and what they complain of."""
    with visit(machine, folder) as guest:
        began = time.monotonic()
        rows = [prove_echo(machine, guest)]
        echoed = time.monotonic()
        rows.append(prove_corridor(machine, guest, folder))
        ended = time.monotonic()
    start = rows[1].details["start_seconds"]
    print_note(f"echo: {echoed - began:.1f} s; corridor: {ended - echoed:.1f} s, of that {start} s until io and core ran")
    ok = all(row.ok for row in rows)
    print(f"check      {'ok: everything agrees' if ok else 'FAILED'}")
    for row in rows:
        for problem in row.problems[:10]:
            print(f"           {row.case}: {problem}")
    return ok


def main(words: list[str]) -> int:
    """Exit code 0 when all agrees."""
    try:
        if len(words) != 1 or words[0] not in MACHINES:
            raise UsageError(f"usage: prove.py {' or '.join(MACHINES)}")
        with tempfile.TemporaryDirectory(prefix="gateway-prove-") as folder:
            return EXIT_DONE if prove(words[0], Path(folder)) else EXIT_CHECK_FAILED
    except (GatewayError, OSError, ValueError, subprocess.SubprocessError) as problem:
        print(f"prove: {problem}", file=sys.stderr)
        return getattr(problem, "exit_code", GatewayError.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
