"""What the guest runs on its data-plane card while prove.py watches from the host: an echo, then the corridor.

    host: prove.py ── ssh, standard input and output ── this          ready, then one JSON object
          frames, or gateway venue ── wire ── card ── dpdk:PCI ── this, or io of the appliance

    python vagrant/guest.py echo     PORT COUNT SECONDS
    python vagrant/guest.py corridor PORT SYMBOLS SECONDS

Hard rule: it says `ready` once the card is polled, not before, and ends by itself when the host goes or the time is over.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ops.demo import Demo, DemoOptions, appliance_books, appliance_positions
from gateway.ops.summary import summary
from gateway.ops.wiring import Wiring
from gateway.port import open_port

# An emulated processor is 20 to 30 times slower; what watches the clock of the appliance has to know.
PATIENCE = {
    "GATEWAY__WATCH__CORE_STALE_MS": "60000",
    "GATEWAY__WATCH__CONTROL_STALE_MS": "60000",
    "GATEWAY__WATCH__ORDER_AGE_MAX_MS": "60000",
    "GATEWAY__RISK__STALE_MS": "60000",
    "GATEWAY__FEED__REORDER_WINDOW_US": "500000",
}
QUIET_SECONDS = 0.5  # after the last frame


def ready() -> None:
    """Tells the host that it may begin."""
    print("ready", flush=True)


def echo(name: str, count: int, seconds: float) -> dict[str, object]:
    """Sends back every frame that comes, until `count` came and all is quiet, or the time is over."""
    received = returned = 0
    with open_port(name) as port:
        ready()
        deadline = time.monotonic() + seconds
        last = time.monotonic()
        while time.monotonic() < deadline and not (received >= count and time.monotonic() - last > QUIET_SECONDS):
            frames = [frame.data for frame in port.receive() or []]
            if not frames:
                continue
            last = time.monotonic()
            received += len(frames)
            while frames and time.monotonic() < deadline:
                taken = port.transmit(frames)
                returned += taken
                del frames[:taken]
        return {"received": received, "returned": returned, "port": port.statistics()}


def corridor(name: str, symbols: int, seconds: float) -> dict[str, object]:
    """The appliance on the card, until the venue at the other end has closed its session."""
    from os import environ

    environ.update(PATIENCE)
    with tempfile.TemporaryDirectory(prefix="gateway-guest-") as folder:
        options = DemoOptions(seconds=seconds, symbols=symbols, together=True)
        demo = Demo(Wiring("dpdk", name, ""), options, Path(folder))
        demo.venue = subprocess.Popen(["cat"], stdout=subprocess.DEVNULL)  # lives as long as the host holds our input
        try:
            for _ in demo.start_appliance():
                pass
            ready()
            for _ in demo.flowing():
                time.sleep(0.1)
            demo.take_the_rest()
            assert demo.instance is not None
            books, positions = appliance_books(demo.instance), appliance_positions(demo.instance)
            result = {"summary": summary(demo.instance), "books": books, "positions": positions}
            demo.stop_appliance()
        finally:
            demo.close()
    return result


def main(words: list[str]) -> int:
    """Runs one job and prints its result as one JSON object."""
    job = {"echo": echo, "corridor": corridor}[words[0]]
    try:
        print(json.dumps(job(words[1], int(words[2]), float(words[3]))), flush=True)
    except GatewayError as problem:
        print(f"guest: {problem}", file=sys.stderr)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
