"""Sends every counted frame of a port back with its addresses exchanged, and counts: `python3 echo.py PORT`.

Says "open" once it polls, and "link up" or "link down" when that changes; on SIGTERM it prints its account as JSON. It is
the gateway's own port, polled in Python.
"""

import json
import signal
import sys
import time

from gateway.port import open_port

MAGIC, AT, WARM, COUNTED = b"GWECHO", 42, 1, 2
LOOK_SECONDS = 0.25
LINK_UP, LINK_DOWN = 1, 2


def say_link(port, before):
    """Says when the link has changed; the state it is in now."""
    state = port.statistics()["link_state"]
    if state != before:
        print("link", {LINK_UP: "up", LINK_DOWN: "down"}.get(state, "unknown"), flush=True)
    return state


def main(name):
    """Echoes until told to stop."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    account = {"warm": 0, "received": 0, "echoed": 0, "foreign": 0}
    with open_port(name) as port:
        print("open", flush=True)
        link, look = 0, 0.0
        while not asked:
            if time.monotonic() > look:
                link, look = say_link(port, link), time.monotonic() + LOOK_SECONDS
            answers = []
            for frame in port.receive():
                data = frame.data
                kind = data[AT + len(MAGIC)] if data[AT : AT + len(MAGIC)] == MAGIC and len(data) > AT + 11 else 0
                if kind not in (WARM, COUNTED):
                    account["foreign"] += 1
                    continue
                account["warm" if kind == WARM else "received"] += 1
                answers.append((kind, data[6:12] + data[:6] + data[12:]))
            for kind, answer in answers:
                account["echoed"] += port.transmit([answer]) * (kind == COUNTED)
        account["port"], account["set_up"] = port.statistics(), port.describe()
    print(json.dumps(account), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
