"""The appliance in the guest, on the data-plane card, while prove.py runs the venue on the host.

    host: prove.py ── ssh ── this: "open" once io polls the card, "quiet" once the session is over, then
                          one JSON object of books, positions and counters
          gateway venue ── wire.py ── card ── dpdk:PCI ── io ── core

    gateway-corridor PORT SYMBOLS SECONDS           in the guest; install wrote the command

Hard rule: it judges nothing. What it holds goes to the host, which has the venue's account to compare it with.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ops.demo import Demo, DemoOptions, appliance_books, appliance_positions
from gateway.ops.summary import summary
from gateway.ops.wiring import Wiring

# An emulated processor is 20 to 30 times slower; what watches the clock of the appliance has to know.
PATIENCE = {
    "GATEWAY__WATCH__CORE_STALE_MS": "60000",
    "GATEWAY__WATCH__CONTROL_STALE_MS": "60000",
    "GATEWAY__WATCH__ORDER_AGE_MAX_MS": "60000",
    "GATEWAY__RISK__STALE_MS": "60000",
    "GATEWAY__FEED__REORDER_WINDOW_US": "500000",
}
VENUE_SECONDS = 60.0  # until the host's venue has written its account
REST_SECONDS = 1.0  # what lies in cable and card meanwhile


def corridor(name: str, symbols: int, seconds: float) -> dict[str, object]:
    """The appliance on the card, until the venue at the other end has closed its session."""
    os.environ.update(PATIENCE)
    with tempfile.TemporaryDirectory(prefix="gateway-guest-") as folder:
        options = DemoOptions(seconds=seconds, symbols=symbols, together=True)
        demo = Demo(Wiring("dpdk", name, ""), options, Path(folder))
        demo.venue = subprocess.Popen(["cat"], stdout=subprocess.DEVNULL)  # lives as long as the host holds our input
        try:
            for _ in demo.start_appliance():
                if demo.venue.poll() is not None:
                    raise GatewayError("the host hung up")
            print("open", flush=True)
            for _ in demo.flowing():
                time.sleep(0.1)
            print("quiet", flush=True)  # now the host stops its venue, and hangs up
            demo.venue.wait(VENUE_SECONDS)
            time.sleep(REST_SECONDS)
            demo.take_the_rest()
            assert demo.instance is not None
            books, positions = appliance_books(demo.instance), appliance_positions(demo.instance)
            result = {"summary": summary(demo.instance), "books": books, "positions": positions}
            demo.stop_appliance()
        finally:
            demo.close()
    return result


def main(words: list[str]) -> int:
    """Prints what the appliance holds at the end."""
    try:
        print(json.dumps(corridor(words[0], int(words[1]), float(words[2]))), flush=True)
    except (GatewayError, subprocess.TimeoutExpired) as problem:
        print(f"guest: {problem}", file=sys.stderr)
        return getattr(problem, "exit_code", GatewayError.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
