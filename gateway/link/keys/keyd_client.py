"""A KeyService that is a keyd elsewhere: over its unix socket, or over TLS.

    KeydClient(unix_connector(path))      KeydClient(tls_connector((host, port), context, pin))

Hard rule: a call ends within limits.KEY_DEADLINE_NS, with an answer or with KeyRefused; nothing else ever comes out of it.
"""

import contextlib
import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import clock, limits
from gateway.link.keys import keyd_wire
from gateway.link.keys.key_service import SECRET_BYTES, KeyRefusal, KeyRefused, check_period
from gateway.link.keys.timed_socket import SECOND_NS, TimedSocket

Connector = Callable[[int], TimedSocket]  # within so many nanoseconds


def unix_connector(path: Path) -> Connector:
    """Connects to keyd on this host."""

    def connect(within_ns: int) -> TimedSocket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(within_ns / SECOND_NS)
            connection.connect(str(path))
        except BaseException:
            connection.close()
            raise
        return TimedSocket(connection)

    return connect


def tls_connector(address: tuple[str, int], context: ssl.SSLContext, pin: bytes) -> Connector:
    """Connects to keyd on another host; `pin` is the SHA-256 of the certificate (DER) that it must show."""

    def connect(within_ns: int) -> TimedSocket:
        until_ns = clock.monotonic_ns() + within_ns
        connection = socket.create_connection(address, within_ns / SECOND_NS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = context.wrap_socket(connection, do_handshake_on_connect=False)
        timed = TimedSocket(secured)
        try:
            timed.shake_hands(max(until_ns - clock.monotonic_ns(), 1))
            shown = hashlib.sha256(secured.getpeercert(binary_form=True) or b"").digest()
            if not hmac.compare_digest(shown, pin):
                raise KeyRefused(KeyRefusal.UNREACHABLE, "it shows another certificate than the pinned one")
        except BaseException:
            timed.close()
            raise
        return timed

    return connect


class KeydClient:
    """Keeps one connection and opens another when that is gone. Any number of threads, one call at a time."""

    def __init__(self, connect: Connector, timeout_ns: int = limits.KEY_DEADLINE_NS):
        self._connect, self._timeout_ns = connect, timeout_ns
        self._connection: TimedSocket | None = None
        self._lock = threading.Lock()

    def wrapped(self, name: str, period: int) -> bytes:
        """See KeyService."""
        check_period(name, period)
        return bytes(self._call("wrapped", name=name, period=period))

    def unwrap(self, wrapped: bytes) -> bytearray:
        """See KeyService."""
        secret = bytearray(self._call("unwrap", wrapped=wrapped))
        if len(secret) != SECRET_BYTES:
            raise KeyRefused(KeyRefusal.FAULT, "its answer is no secret")
        return secret

    def certify(self, source: int, public_key: bytes, day: int) -> bytes:
        """See KeyService."""
        return bytes(self._call("certify", source=source, public_key=public_key, day=day))

    def authority(self, source: int) -> dict[int, bytes]:
        """See KeyService."""
        keys = self._call("authority", source=source)
        if not all(type(version) is int and type(key) is bytes and len(key) == 32 for version, key in keys.items()):
            raise KeyRefused(KeyRefusal.FAULT, "its answer is no keys")
        return dict(keys)

    def revoke(self, name: str, period: int) -> int:
        """See KeyService."""
        check_period(name, period)
        return int(self._call("revoke", name=name, period=period))

    def close(self) -> None:
        """Hangs up; the next call connects anew."""
        with self._lock:
            self._hang_up()

    def _call(self, request: str, **fields: Any) -> Any:
        data = keyd_wire.encode_request(request, **fields)
        until_ns = clock.monotonic_ns() + self._timeout_ns
        with self._lock:
            kept = self._connection is not None
            try:
                try:
                    answer = self._ask(data, until_ns)
                except (ConnectionError, ssl.SSLError):
                    if not kept or request == "revoke":  # a connection that was kept may have been hung up on meanwhile
                        raise
                    self._hang_up()
                    answer = self._ask(data, until_ns)
            except TimeoutError:
                self._hang_up()
                raise KeyRefused(KeyRefusal.UNREACHABLE, f"no answer within {self._timeout_ns / 1e9:g} s") from None
            except OSError as problem:
                self._hang_up()
                raise KeyRefused(KeyRefusal.UNREACHABLE, _reason(problem)) from None
            except KeyRefused:
                self._hang_up()
                raise
        return keyd_wire.decode_answer(request, answer)

    def _ask(self, data: bytes, until_ns: int) -> bytes:
        if self._connection is None:
            self._connection = self._connect(_left(until_ns))
        self._connection.write(data, _left(until_ns))
        head = self._connection.read(keyd_wire.LENGTH.size, _left(until_ns), _left(until_ns))
        if not head:
            raise ConnectionResetError("hung up on us: is this caller on its list?")
        try:
            length = keyd_wire.length_of(head)
        except KeyRefused:
            raise KeyRefused(KeyRefusal.FAULT, "its answer is none") from None
        answer = self._connection.read(length, _left(until_ns), _left(until_ns))
        if not answer:
            raise ConnectionResetError("hung up on us in the middle of its answer")
        return answer

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None


def _left(until_ns: int) -> int:
    left_ns = until_ns - clock.monotonic_ns()
    if left_ns <= 0:
        raise TimeoutError
    return left_ns


def _reason(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {problem.reason or 'broken off'}".lower()
    if isinstance(problem, FileNotFoundError | ConnectionRefusedError):
        return f"{problem.strerror}: nobody listens there; start gateway keyd"
    return problem.strerror or str(problem) or type(problem).__name__
