"""`scripts/testbed`: boots guests under QEMU, one for each case, and compares what both sides count.

Exit codes: 0 every case passed, 1 one did not, 2 usage, 4 the host lacks something (the line says what), 5 a fault.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from gateway.cli.output import print_json, print_note, print_table
from gateway.errors import EXIT_CAPABILITY, EXIT_CHECK_FAILED, EXIT_DONE, CapabilityError, GatewayError
from vagrant.testbed.appliance_cases import run_demo, run_exception, run_restart
from vagrant.testbed.bench import Bench, Row
from vagrant.testbed.echo_cases import ECHO_CASES, run_echo, run_link
from vagrant.testbed.guest_tree import ROOT, make
from vagrant.testbed.machine import alone

IMAGE_SECONDS = 960.0
CASES: dict[str, Callable[[Bench], Row]] = {
    **{case.name: partial(run_echo, chosen=case) for case in ECHO_CASES},
    "link": run_link,
    "exception": run_exception,
    "demo": run_demo,
    "restart": run_restart,
}
QUICK = ("vfio",)


def image() -> Path:
    """The guest's image, built where it is missing."""
    outcome = subprocess.run([str(ROOT / "vagrant/image/build")], stdout=subprocess.PIPE, text=True, timeout=IMAGE_SECONDS)
    if outcome.returncode != 0:
        kind = CapabilityError if outcome.returncode == EXIT_CAPABILITY else GatewayError
        raise kind("there is no image of the guest; the lines above say why")
    return Path(outcome.stdout.strip())


def arguments() -> argparse.Namespace:
    """The words of the command."""
    parser = argparse.ArgumentParser(prog="scripts/testbed", description="the gateway on a real virtio NIC, under QEMU")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)}, quick or all (default: quick)")
    parser.add_argument("--frames", type=int, default=1000, metavar="N", help="counted frames of an echo (1000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="sizes and contents follow from it (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.cases if name not in (*CASES, "quick", "all")]
    if unknown or not 1 <= chosen.frames <= 1_000_000:
        parser.error(f"no case {unknown[0]}; there are {', '.join(CASES)}" if unknown else "--frames: 1 to 1,000,000")
    return chosen


def names_of(words: list[str]) -> list[str]:
    """The cases to run, each once, in the order of the table."""
    wanted = set(words or ["quick"])
    wanted |= set(CASES) if "all" in wanted else set(QUICK) if "quick" in wanted else set()
    return [name for name in CASES if name in wanted]


def show(rows: list[Row]) -> None:
    """The counts of both sides, and what was complained of."""
    columns = ("case", "bound to", "driver", "sent", "guest received", "guest echoed", "echoed", "boot s", "s", "")
    numeric = columns[3:9]
    cells = [
        (row.case, row.bound_to, row.driver, row.host_sent, row.guest_received, row.guest_echoed, row.host_echoed)
        + (row.boot_seconds, row.seconds, "ok" if row.ok else "FAILED")
        for row in rows
    ]
    print_table(columns, cells, numeric)
    for row in rows:
        for problem in row.problems:
            print(f"{row.case}: {problem}")


def leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM leaves like Ctrl-C, so that guest and namespace go."""
    raise KeyboardInterrupt


def main() -> int:
    """Runs the chosen cases one after the other."""
    chosen = arguments()
    signal.signal(signal.SIGTERM, leave)
    try:
        bench = Bench(image(), make(), chosen.frames, chosen.seed)
        rows = []
        with alone():
            for name in names_of(chosen.cases):
                print_note(f"testbed: {name} …")
                rows.append(CASES[name](bench))
    except GatewayError as problem:
        print_note(f"testbed: {problem}")
        return problem.exit_code
    if chosen.json:
        print_json({"ok": all(row.ok for row in rows), "cases": [row.as_json() for row in rows]})
    else:
        show(rows)
    return EXIT_DONE if all(row.ok for row in rows) else EXIT_CHECK_FAILED


if __name__ == "__main__":
    sys.exit(main())
