"""A recorded WebSocket session as `gateway decode` prints it: each message as its JSON, with line, time and kind.

Beside the corridor: the standard library reads the JSON here. Hard rule: a body is printed as the venue wrote it, byte by
byte.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.layout import value
from gateway.ops.recordings import Recording
from gateway.port import open_port

MORE = value("FRAME_MORE")


def session_lines(path: Path) -> Iterator[str]:
    """A line of JSON for each message: `line` (its number among them, from 1), `time_ns`, `message` (its kind), `body`.

    A new connection is a message of kind "connection" without body; what is no JSON has the kind "malformed" and its text.
    Raises PortError when the file cannot be read.
    """
    recording = Recording(path)
    try:
        with open_port(f"recording:{recording.path}") as port:
            number, data = 0, b""
            for frame in port:
                data += frame.data
                if not frame.flags & MORE:
                    number += 1
                    yield _line({"line": number, "time_ns": frame.time_ns}, data)
                    data = b""
    finally:
        recording.close()


def _line(head: dict[str, Any], data: bytes) -> str:
    if not data:
        return json.dumps(head | {"message": "connection"})
    text = data.decode("utf-8", "replace")
    try:
        head["message"] = kind_of(json.loads(text))
    except (ValueError, RecursionError):
        return json.dumps(head | {"message": "malformed", "body": text})
    return f'{json.dumps(head)[:-1]}, "body": {text}}}'


def kind_of(body: Any) -> str:
    """The venue's own name of a message: its event or type, its channel, or "answer" where it has neither."""
    if isinstance(body, list):
        names = [element for element in body[1:] if isinstance(element, str)]
        return names[0] if names else "answer"
    if not isinstance(body, dict):
        return "answer"
    places = [body, body.get("data"), body.get("arg"), body.get("params")]
    for place in places:
        for key in ("e", "type", "event", "channel"):
            if isinstance(place, dict) and isinstance(place.get(key), str):
                return str(place[key])
    return str(body.get("stream") or ("snapshot" if "lastUpdateId" in body else body.get("method") or "answer"))
