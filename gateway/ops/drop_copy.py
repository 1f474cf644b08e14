"""The drop copy: the venue's account, read from a second, read-only session, by control and by a kill without core.

    WAITING ─► END ── login from what is new: Login Accepted names the next sequence ──► logout
                                                                        │
    any loss: WAITING ◄── READING ── every report up to that end ◄──────┘      `current` from there on

Beside the corridor. SoupBinTCP 4.00; the messages go to a VenueAccount, which shares no code with core.
Hard rule: `current` is said only of an account that holds everything the venue had said when it was last asked for its end.
"""

import contextlib
import random
import select
import socket
import time
from collections.abc import Callable, Mapping

from gateway import clock, limits
from gateway.config import Configuration
from gateway.ops.backoff import Backoff
from gateway.ops.session_secret import password_of
from gateway.protocols.ouch50_account import VenueAccount
from gateway.protocols.soupbintcp_client import Client
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost, Message
from gateway.sections import host_and_port

WAITING, END, READING, REFUSED = "waiting", "end", "reading", "refused"
READ_BYTES = 1 << 16
POLL_BYTES_MAX = 1 << 20  # of one poll: its caller has a heartbeat to write
TIMEOUT_SECONDS = 2.0
REST_SECONDS = 0.002
RETRY_FIRST_MS, RETRY_LAST_MS = 50, 1000


class DropCopy:
    """One reader of `address` ("ADDR:PORT"). Nothing here raises for what the venue or the network does.

    account   VenueAccount, begun anew when the venue runs another session
    current   connected, and everything up to the end that was asked for last is in `account`
    problem   why the last connection was lost, '' before the first loss
    """

    def __init__(
        self,
        address: str,
        username: str,
        password: str,
        positions: Mapping[str, int] | None = None,
        chance: Callable[[], float] = random.random,
    ):
        self.host, self.port = host_and_port(address)
        self._login = (username, password)
        self._positions = dict(positions or {})
        self._chance = chance
        self.account = VenueAccount(self._positions)
        self.session, self.problem = "", ""
        self.state = WAITING
        self.renewals = self.losses = 0
        self._next, self._end = 1, -1  # sequence to be read next; last one the venue had when it was asked
        self._client = Client(username, password)
        self._socket: socket.socket | None = None
        self._connected = False
        self._unsent = b""
        self._due_ns = self._retry_ns = 0
        self._backoff = Backoff(RETRY_FIRST_MS, RETRY_LAST_MS)

    # ---- what its users call -------------------------------------------------------------------------------------

    @property
    def current(self) -> bool:
        """Whether `account` holds everything the venue had said when it was last asked."""
        return self.state == READING and self._client.phase == "open" and 0 <= self._end < self._next

    def connect(self, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
        """Reads until current, or the time is over; returns `current`."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and self.state != REFUSED:
            self.poll(clock.monotonic_ns())
            if self.current:
                return True
            self._rest(min(REST_SECONDS, max(0.0, deadline - time.monotonic())))
        return self.current

    def renew(self) -> None:
        """Asks the venue for its end anew: `current` is False until everything up to there was read."""
        self.renewals += 1
        self._drop()
        self._enter(WAITING)
        self._retry_ns = 0

    def poll(self, now_ns: int) -> int:
        """A bounded amount of work that never blocks; `now_ns` by any monotonic clock. Returns messages taken."""
        before = self.account.messages
        if self.state == WAITING and now_ns >= self._retry_ns:
            self._begin(END, now_ns)
        if self._socket is not None and (self._connected or self._finish_connecting(now_ns)):
            self._read(now_ns)
            if self._connected:
                for event in self._client.advance(now_ns):
                    self._on(event, now_ns)
                self._write(now_ns)
        return self.account.messages - before

    def close(self) -> None:
        """Logs out and closes."""
        self._client.logout(0)
        with contextlib.suppress(OSError):
            if self._socket is not None and self._connected:
                self._socket.send(self._unsent + self._client.output())
        self._drop()

    # ---- the connection ------------------------------------------------------------------------------------------

    def _enter(self, state: str) -> None:
        self.state = state

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._connected, self._unsent = None, False, b""
        self._end = -1
        self._client.disconnect("closed")

    def _begin(self, state: str, now_ns: int) -> None:
        """A new connection: for the venue's end, or for what is to be read."""
        self._enter(state)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._due_ns = now_ns + limits.SESSION_LOGIN_NS
        self._socket.connect_ex((self.host, self.port))

    def _finish_connecting(self, now_ns: int) -> bool:
        assert self._socket is not None
        _, writable, _ = select.select([], [self._socket], [], 0)
        if writable and self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self._connected = True
            reading = self.state == READING
            self._client = Client(*self._login, self.session if reading else "", self._next if reading else 0)
            self._client.connect(now_ns)
        elif writable or now_ns >= self._due_ns:
            self._lose("connect", now_ns)
        return self._connected

    def _lose(self, reason: str, now_ns: int) -> None:
        self.problem, self.losses = reason, self.losses + 1
        self._drop()
        self._enter(REFUSED if reason == "login_refused" else WAITING)
        self._retry_ns = now_ns + self._backoff.next_ns(self._chance())

    def _read(self, now_ns: int) -> None:
        taken, connection = 0, self._socket
        while connection is not None and self._socket is connection and taken < POLL_BYTES_MAX:
            try:
                data = connection.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            taken += len(data)
            for event in self._client.receive(data, now_ns):
                self._on(event, now_ns)
                if self._socket is not connection:
                    return  # what follows on the old connection is read on the new one, from its place

    def _write(self, now_ns: int) -> None:
        if self._socket is None:
            return
        self._unsent += self._client.output()
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._lose("closed", now_ns)

    def _rest(self, seconds: float) -> None:
        if self._socket is None:
            time.sleep(seconds)
        else:
            select.select([self._socket], [] if self._connected else [self._socket], [], seconds)

    # ---- what the venue says -------------------------------------------------------------------------------------

    def _on(self, event: Event, now_ns: int) -> None:
        match event:
            case Accepted(session, sequence):
                self._on_login(session, sequence, now_ns)
            case Message(sequence, payload) if self.state == READING:
                self.account.apply(payload)
                self._next = sequence + 1
            case Lost(reason):
                self._lose(reason, now_ns)

    def _on_login(self, session: str, sequence: int, now_ns: int) -> None:
        """The end is known: the next login reads up to it. A login that reads only confirms where it begins."""
        self._backoff.succeed()
        if self.state == READING:
            if sequence != self._next:
                self._lose("field", now_ns)
            return
        if session != self.session:
            self.session, self._next, self.account = session, 1, VenueAccount(self._positions)
        self.close()
        self._begin(READING, now_ns)
        self._end = sequence - 1


def drop_copy_of(configuration: Configuration) -> DropCopy | None:
    """The reader the configuration names; None where it names none. Raises ConfigurationError for a missing password."""
    orders = configuration.orders
    if orders.carriage == "udp" or not orders.drop_copy:
        return None
    username = orders.drop_copy_username or orders.username
    return DropCopy(orders.drop_copy, username, password_of(configuration), configuration.portfolio.positions)


def read_account(configuration: Configuration, timeout_seconds: float = TIMEOUT_SECONDS) -> VenueAccount | None:
    """The venue's account as it is now, read once; None where there is no drop copy or it does not answer in time."""
    copy = drop_copy_of(configuration)
    if copy is None:
        return None
    try:
        return copy.account if copy.connect(timeout_seconds) else None
    finally:
        copy.close()
