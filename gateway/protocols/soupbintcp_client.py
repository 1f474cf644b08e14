"""The client of a SoupBinTCP session: login, sequenced data in order, heartbeats, over any number of connections.

Beside the corridor, sans I/O: bytes and time in, bytes and events out; no socket, no clock.

                ┌────────────────────────── any loss ◄──────────────────────────┐
                ▼                                                               │
    IDLE ── connect ──► LOGIN ── Login Accepted ──► OPEN ── data, heartbeats ───┤
                          └── Login Rejected, silence, anything else ───────────┘

Hard rule: the next connection asks for the session and the sequence where the last one stopped, so a message comes once.
"""

from gateway import limits
from gateway.protocols import soupbintcp
from gateway.protocols.message import Refused
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost, Message, Said, Stream

IDLE, LOGIN, OPEN = "idle", "login", "open"
FROM_SERVER = "AJSHZ+"
BUSY = "S"  # reject reason: session not available; every other one is "not authorised"
SEQUENCE_LAST = (1 << 63) - 1


class Client:
    """One user's end. `session` '' is the one the server runs; `next_sequence` is the first message not yet had."""

    def __init__(self, username: str, password: str, session: str = "", next_sequence: int = 1):
        self.username, self._password = username, password
        self.session, self.next_sequence = session, next_sequence
        self.phase = IDLE
        self.heartbeats_sent = 0
        self.stream = Stream(FROM_SERVER, 0)

    def connect(self, now_ns: int) -> None:
        """A connection stands: asks for what comes next."""
        self.stream = Stream(FROM_SERVER, now_ns)
        self.phase = LOGIN
        request = soupbintcp.encode(
            "LoginRequest",
            username=self.username,
            password=self._password,
            requested_session=self.session,
            requested_sequence_number=self.next_sequence,
        )
        self.stream.say(request, now_ns)

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Bytes of the server; b'' once it has closed. What follows a loss is not read."""
        if self.phase == IDLE:
            return []
        if not data:
            return [self._lose("closed")]
        packets, reason = self.stream.cut(data, now_ns)
        events: list[Event] = []
        for packet in packets:
            events += self._take(packet)
            if self.phase == IDLE:
                return events
        return events + ([self._lose(reason)] if reason else [])

    def advance(self, now_ns: int) -> list[Event]:
        """Time goes on: a heartbeat is due, or the server is silent."""
        if self.phase == IDLE:
            return []
        login = self.phase == LOGIN
        if self.stream.is_silent(now_ns, limits.SESSION_LOGIN_NS if login else limits.SESSION_SILENT_NS):
            return [self._lose("login_silence" if login else "silence")]
        if not login and self.stream.owes_heartbeat(now_ns):
            self.stream.say(soupbintcp.encode("ClientHeartbeat"), now_ns)
            self.heartbeats_sent += 1
        return []

    def send(self, payload: bytes, now_ns: int) -> None:
        """One message to the venue; only while OPEN, else it would be lost unnoticed (ValueError)."""
        if self.phase != OPEN:
            raise ValueError("the session is not open")
        self.stream.say(soupbintcp.encode(soupbintcp.UNSEQUENCED, payload), now_ns)

    def logout(self, now_ns: int) -> None:
        """Asks the server to close."""
        if self.phase == OPEN:
            self.stream.say(soupbintcp.encode("LogoutRequest"), now_ns)

    def disconnect(self, reason: str) -> Lost:
        """The connection is gone for a reason that lies outside."""
        return self._lose(reason)

    def output(self) -> bytes:
        """The bytes to write, once."""
        return self.stream.output()

    def _lose(self, reason: str) -> Lost:
        self.phase = IDLE
        return Lost(reason)

    def _take(self, packet: bytes) -> list[Event]:
        kind = chr(packet[0])
        if kind == "+":
            return [Said(packet[1:])]
        if self.phase == LOGIN:
            return [self._answered(kind, packet)]
        if kind == soupbintcp.SEQUENCED:
            self.next_sequence += 1
            return [Message(self.next_sequence - 1, packet[1:])]
        if kind == "Z":
            return [self._lose("ended")]
        return [] if kind == "H" else [self._lose("type_unexpected")]

    def _answered(self, kind: str, packet: bytes) -> Event:
        """The answer to the login; anything else before it breaks the protocol."""
        if kind not in "AJ":
            return self._lose("type_unexpected")
        try:
            fields = soupbintcp.decode(packet)
        except Refused:
            return self._lose("field")
        if kind == "J":
            return self._lose("login_busy" if fields["reject_reason_code"] == BUSY else "login_refused")
        session, sequence = fields["session"].strip(" "), fields["sequence_number"]
        if not (session.isascii() and session.isalnum()) or not 1 <= sequence <= SEQUENCE_LAST:
            return self._lose("field")
        if self.session and session != self.session:
            return self._lose("session_other")
        self.session, self.next_sequence, self.phase = session, sequence, OPEN
        return Accepted(session, sequence)
