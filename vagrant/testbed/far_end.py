"""The host's end of an echo: `python -m vagrant.testbed.far_end PORT --frames N …`, a process of its own for each case.

      far end ── counted frames, at most WINDOW on their way ──► guest
         ▲                                                        │
         └────────────── byte for byte, addresses exchanged ──────┘

Says "open", waits for a line on its input, warms up until the first echo, counts, and prints its account as JSON.
"""

import argparse
import json
import sys
import time

from gateway.port import Port, open_port
from vagrant.testbed import marks

WINDOW = 32
WARM_SECONDS = 60.0  # the guest polls already; a vhost link and address translation take their first frames slowly
WARM_PAUSE_SECONDS = 0.05
SILENCE_SECONDS = 10.0  # nothing comes back for so long: what is missing is lost
POLL_SECONDS = 0.0002


class Echo:
    """Counts what goes out and what comes back."""

    def __init__(self, port: Port, count: int, flows: int, seed: int):
        self.port = port
        self.frames = marks.counted(count, flows, seed)
        self.missing = {frame[6:12] + frame[:6] + frame[12:] for frame in self.frames}
        self.account = {"sent": 0, "echoed": 0, "damaged_or_repeated": 0, "foreign": 0, "warm": 0, "refused": 0}

    def take(self) -> int:
        """Counted frames that came back now."""
        echoed = 0
        for frame in self.port.receive() or []:
            kind = marks.kind_of(frame.data)
            if kind == marks.WARM:
                self.account["warm"] += 1
            elif kind == 0:
                self.account["foreign"] += 1
            elif frame.data in self.missing:
                self.missing.remove(frame.data)
                echoed += 1
            else:
                self.account["damaged_or_repeated"] += 1
        self.account["echoed"] += echoed
        return echoed

    def warm_up(self) -> None:
        """Sends frames that do not count until one of them comes back, and then until none is on its way."""
        deadline, number = time.monotonic() + WARM_SECONDS, 0
        while self.account["warm"] == 0 and time.monotonic() < deadline:
            self.port.transmit([marks.make(marks.WARM, number, 0, bytes(32))])
            number += 1
            time.sleep(WARM_PAUSE_SECONDS)
            self.take()
        quiet_since, seen = time.monotonic(), -1
        while time.monotonic() - quiet_since < 10 * WARM_PAUSE_SECONDS:
            if seen != self.account["warm"]:
                quiet_since, seen = time.monotonic(), self.account["warm"]
            self.take()

    def run(self) -> None:
        """Sends all frames, a window at a time, and waits for the last echo or for silence."""
        heard = time.monotonic()
        while self.account["echoed"] < len(self.frames) and time.monotonic() - heard < SILENCE_SECONDS:
            room = WINDOW - (self.account["sent"] - self.account["echoed"])
            burst = self.frames[self.account["sent"] : self.account["sent"] + max(0, room)]
            taken = self.port.transmit(burst)
            self.account["sent"] += taken
            self.account["refused"] += len(burst) - taken
            if self.take():
                heard = time.monotonic()
            else:
                time.sleep(POLL_SECONDS)


def main() -> int:
    """One echo run; its exit code says only whether it could run."""
    parser = argparse.ArgumentParser(description="counted frames to a guest that echoes them")
    parser.add_argument("port")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with open_port(arguments.port) as port:
        print("open", flush=True)
        sys.stdin.readline()
        echo = Echo(port, arguments.frames, arguments.flows, arguments.seed)
        echo.warm_up()
        began = time.monotonic()
        echo.run()
        account = {**echo.account, "seconds": round(time.monotonic() - began, 3), "port": port.statistics()}
    print(json.dumps(account), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
