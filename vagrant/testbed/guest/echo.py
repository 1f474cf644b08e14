"""Sends every counted frame of a port back with its addresses exchanged, and counts: `python3 echo.py PORT`.

Says "open" once it polls; on SIGTERM it prints its account as JSON. It is the gateway's own port, polled in Python.
"""

import json
import signal
import sys

from gateway.port import open_port

MAGIC, AT, WARM, COUNTED = b"GWECHO", 42, 1, 2


def main(name):
    """Echoes until told to stop."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    account = {"warm": 0, "received": 0, "echoed": 0, "foreign": 0}
    with open_port(name) as port:
        print("open", flush=True)
        while not asked:
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
        account["port"] = port.statistics()
    print(json.dumps(account), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
