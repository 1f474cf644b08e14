"""keyd's sockets: a unix socket for this host, TLS for others; a thread for each client, few of them, each with deadlines.

    accept ─► listed? (unix: by the kernel; TLS: handshake within its deadline) ─► length ─► message ─► desk ─► answer ─┐
                 └ no: hung up on                              ▲────────────────────────────────────────────────────────┘

    32 clients in their handshake at most: a new one displaces the oldest, so strangers keep nobody out
    64 clients in all, 16 of one caller: the next one is hung up on

Hard rule: nothing that a client sends or leaves unsent ends the server, or holds a place for longer than its deadline.
"""

import contextlib
import os
import socket
import ssl
import stat
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from gateway import clock, limits
from gateway.errors import CapabilityError
from gateway.link.keys import keyd_wire
from gateway.link.keys.key_service import KeyRefused
from gateway.link.keys.keyd_access import Access, Caller
from gateway.link.keys.keyd_desk import KeydDesk
from gateway.link.keys.timed_socket import TimedSocket

BACKLOG = 4096  # a burst of strangers must not make a listed client wait for its next SYN, a second later
SAY_NS = 1_000_000_000  # between two lines about strangers
STOP_SECONDS = 3.0
LISTED, OWN_USER = 0o666, 0o600  # of the socket: who may connect; the list decides who is heard


class KeydServer:
    """Listens from the moment it is made. `say`: one line for people."""

    def __init__(
        self,
        desk: KeydDesk,
        access: Access,
        path: Path | None,
        listen: tuple[str, int] | None = None,
        context: ssl.SSLContext | None = None,
        say: Callable[[str], None] = lambda text: None,
    ):
        self._desk, self._access, self._context, self._say = desk, access, context, say
        self.counters: Counter[str] = Counter()  # served, strangers, displaced, crowded, overdue, faults
        self._lock = threading.Lock()
        self._shaking: dict[socket.socket, None] = {}  # in order of their coming
        self._clients: dict[socket.socket, str] = {}
        self._said_ns, self._closing = 0, False
        self._path, self.port = path, 0
        self._listeners: list[tuple[socket.socket, bool]] = []
        if path is not None:
            self._listeners.append((_listen_unix(path, LISTED if access.open_to_others else OWN_USER), False))
        if listen is not None:
            assert context is not None, "TCP without TLS is not served"
            self._listeners.append((_listen_tcp(listen), True))
            self.port = int(self._listeners[-1][0].getsockname()[1])
        self._threads = [
            threading.Thread(target=self._accept, args=pair, name="keyd-accept", daemon=True) for pair in self._listeners
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Listens no more and hangs up."""
        self._closing = True
        for listener, _ in self._listeners:
            _hang_up(listener)
            listener.close()
        with self._lock:
            for client in self._clients:
                _hang_up(client)
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket, remote: bool) -> None:
        while not self._closing:
            try:
                client, address = listener.accept()
            except OSError:
                if not self._closing:
                    self._pause()  # no descriptors left: clients that end give theirs back
                continue
            where = f"{address[0]}" if remote else "this host"
            if not self._admit(client, remote):
                client.close()
                continue
            try:
                threading.Thread(target=self._run, args=(client, remote, where), name="keyd-client", daemon=True).start()
            except RuntimeError:  # the host gives no more threads
                self._forget(client)

    def _pause(self) -> None:
        threading.Event().wait(0.05)

    def _admit(self, client: socket.socket, remote: bool) -> bool:
        """A place for a client; a handshake too many displaces the oldest, whose thread then ends."""
        with self._lock:
            crowded = len(self._clients) >= limits.KEY_CONNECTIONS_MAX
            if self._shaking and (crowded or (remote and len(self._shaking) >= limits.KEY_HANDSHAKES_MAX)):
                oldest = next(iter(self._shaking))
                del self._shaking[oldest]
                self._clients.pop(oldest, None)
                self.counters["displaced"] += 1
                _hang_up(oldest)
            if len(self._clients) >= limits.KEY_CONNECTIONS_MAX:
                self.counters["crowded"] += 1
                return False
            self._clients[client] = ""
            if remote:
                self._shaking[client] = None
            return True

    def _run(self, client: socket.socket, remote: bool, where: str) -> None:
        """One client from its first byte to its last; whatever happens, its place is free afterwards."""
        try:
            timed = self._shake_hands(client) if remote else TimedSocket(client)
            with timed:
                caller = self._access.caller(timed.connection)
                if caller is None:
                    self._note("strangers", f"somebody at {where} is not listed; hung up on")
                elif self._seat(client, caller):
                    self._serve(timed, caller)
        except TimeoutError:
            self.counters["overdue"] += 1
        except OSError as problem:  # ssl.SSLError too
            self._note("strangers" if client in self._shaking else "broken", f"{where}: {_reason(problem)}")
        except Exception as problem:
            self._note("faults", f"a fault of keyd's own while it served {where}: {type(problem).__name__}")
        finally:
            self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        with self._lock:
            self._shaking.pop(client, None)
            self._clients.pop(client, None)
        with contextlib.suppress(OSError):
            client.close()

    def _shake_hands(self, client: socket.socket) -> TimedSocket:
        """TLS over a second descriptor: who displaces this client hangs up on the first, whatever TLS is doing."""
        assert self._context is not None
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        timed = TimedSocket(self._context.wrap_socket(client.dup(), server_side=True, do_handshake_on_connect=False))
        try:
            timed.shake_hands(limits.KEY_DEADLINE_NS)
        except BaseException:
            timed.close()
            raise
        return timed

    def _seat(self, client: socket.socket, caller: Caller) -> bool:
        """From here on the client is known; one caller does not take every place."""
        with self._lock:
            self._shaking.pop(client, None)
            if client not in self._clients:  # displaced in the last moment
                return False
            if sum(name == caller.name for name in self._clients.values()) >= limits.KEY_CALLER_CONNECTIONS_MAX:
                self.counters["crowded"] += 1
                return False
            self._clients[client] = caller.name
            self.counters["served"] += 1
            return True

    def _serve(self, timed: TimedSocket, caller: Caller) -> None:
        while not self._closing:
            head = timed.read(keyd_wire.LENGTH.size, limits.KEY_IDLE_NS, limits.KEY_DEADLINE_NS)
            if not head:
                return
            try:
                length = keyd_wire.length_of(head)
            except KeyRefused as refused:  # what follows has no beginning any more
                timed.write(self._desk.refuse(refused.reason), limits.KEY_DEADLINE_NS)
                return
            body = timed.read(length, limits.KEY_DEADLINE_NS, limits.KEY_DEADLINE_NS)
            if not body:
                return
            timed.write(self._desk.answer(caller, body), limits.KEY_DEADLINE_NS)

    def _note(self, counter: str, text: str) -> None:
        """Counts; a flood of strangers makes a line a second, not a flood of lines."""
        with self._lock:
            self.counters[counter] += 1
            count, now_ns = self.counters[counter], clock.monotonic_ns()
            if self._closing or now_ns - self._said_ns < SAY_NS:
                return
            self._said_ns = now_ns
        self._say(f"{text} ({counter}: {count} so far)")


def _listen_unix(path: Path, mode: int) -> socket.socket:
    """Takes the place of a socket that nobody listens at; refuses to take a living one's."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        if path.exists():
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise CapabilityError(f"socket: {path} is no socket; name another path")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise CapabilityError(f"socket: a keyd listens at {path} already")
            path.unlink()
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        listener.listen(BACKLOG)
    except OSError as problem:
        listener.close()
        raise CapabilityError(f"socket: {path}: {problem.strerror or problem}; name another path") from None
    except CapabilityError:
        listener.close()
        raise
    return listener


def _listen_tcp(address: tuple[str, int]) -> socket.socket:
    try:
        return socket.create_server(address, backlog=BACKLOG)
    except OSError as problem:
        raise CapabilityError(f"listen: {address[0]}:{address[1]}: {problem.strerror}; choose another address") from None


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _reason(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLError):
        return f"TLS: {problem.reason or 'broken off'}".lower()
    return problem.strerror or type(problem).__name__
