"""The HTTP trigger of the kill switch: `POST /kill` with the token, on loopback only.

    curl -X POST -H "Authorization: Bearer $(cat TOKEN)" http://127.0.0.1:PORT/kill

Hard rule: without the token nothing happens but a line that says who tried; the comparison takes as long for every guess.
"""

import hmac
import json
import os
import stat
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gateway.errors import CapabilityError, ConfigurationError
from gateway.sections import host_and_port

PATH = "/kill"
TOKEN_CHARACTERS_MIN, TOKEN_CHARACTERS_MAX = 16, 256
REQUEST_SECONDS = 2.0  # a client that says nothing for so long is hung up on
REQUESTS_MAX = 16  # at the same time
SAY_SECONDS = 1.0  # between two lines about refused requests
STOP_SECONDS = 2.0


def read_token(path: str) -> str:
    """The token. Raises ConfigurationError for a file that others may read, or that holds no token."""
    file = Path(path).expanduser()
    try:
        status = file.stat()
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"kill.token_file = {path!r}: cannot be read ({type(problem).__name__})") from None
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(f"kill.token_file: others may read {path}, or it is not ours; mend: chmod 600 {path}")
    if not TOKEN_CHARACTERS_MIN <= len(token) <= TOKEN_CHARACTERS_MAX or not token.isprintable() or " " in token:
        wrong = f"{path} holds no token of {TOKEN_CHARACTERS_MIN} characters"
        raise ConfigurationError(f"kill.token_file: {wrong}; mend: head -c 24 /dev/urandom | base64 > {path}")
    return token


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], token: str, on_kill: Callable[[], dict[str, Any]], say: Callable[[str], None]
    ):
        self.authorization = f"Bearer {token}".encode()
        self.on_kill, self._say = on_kill, say
        self.refused = 0
        self._said = 0.0
        super().__init__(address, _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return threading.active_count() <= REQUESTS_MAX + 8

    def refuse(self, client: str, why: str) -> None:
        """Counts, and says so; a flood of guesses makes a line a second, not a flood of lines."""
        self.refused += 1
        if time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            self._say(f"KILL TRIGGER refused a request of {client}: {why} ({self.refused} refused so far)")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS
    server_version, sys_version = "gateway", ""

    def do_POST(self) -> None:
        given = (self.headers.get("Authorization") or "").encode("latin-1", "replace")
        right = hmac.compare_digest(given, self.server.authorization)
        if not right:
            self._answer(401, {"error": "no token, or a wrong one"})
        elif self.path != PATH:
            self._answer(404, {"error": f"only {PATH} is here"})
        else:
            self._answer(200, self.server.on_kill())

    def _other(self) -> None:
        self._answer(405, {"error": "POST only"})

    do_GET = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _other

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        if status != 200:
            self.server.refuse(self.client_address[0], document["error"])
        body = json.dumps(document).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *words: Any) -> None:
        """What is refused is said by the server."""


class KillServer:
    """Listens from the moment it is made. `on_kill` sets the latch and returns what the caller is told; `say`: the log."""

    def __init__(self, address: str, token_file: str, on_kill: Callable[[], dict[str, Any]], say: Callable[[str], None]):
        token = read_token(token_file)
        try:
            self._server = _Server(host_and_port(address), token, on_kill, say)
        except OSError as problem:
            raise CapabilityError(f"kill.http = {address!r}: {problem.strerror}; choose another port") from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="kill-http", daemon=True)
        self._thread.start()

    @property
    def refused(self) -> int:
        """Requests that were refused so far."""
        return self._server.refused

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_SECONDS)
