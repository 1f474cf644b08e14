"""The server of a SoupBinTCP session: who may log in, replay from any sequence, heartbeats; one login at a time, or many
that only read.

Beside the corridor, sans I/O: bytes and time in, bytes and events out; no socket, no clock.

    LOGIN ── Login Request ──┬─► OPEN ── replay, then what is new ──► LOST: logout, silence, a broken packet, replaced
                             └─► LOST: not authorised, session not available

Hard rule: a message has its sequence from the moment it is in the log; a connection only reads on from where it asked.
"""

from collections.abc import Callable

from gateway import limits
from gateway.protocols import soupbintcp
from gateway.protocols.message import Refused
from gateway.protocols.soupbintcp_stream import Accepted, Event, Lost, Message, Said, Stream

LOGIN, OPEN, LOST = "login", "open", "lost"
FROM_CLIENT = "LURO+"
OUTPUT_BYTES = 1 << 16  # of replay that is said before anybody has read it


class Log:
    """Every message of one session, and the connection that is logged in to it."""

    def __init__(self, session: str):
        self.session = session
        self.messages: list[bytes] = []
        self.ended = False
        self.holder: Server | None = None

    def append(self, message: bytes) -> None:
        """The next message. Refuses (ValueError) one that no packet carries, or one beyond the log's bound."""
        if len(message) >= limits.SESSION_PACKET_BYTES_MAX or len(self.messages) >= limits.SESSION_MESSAGES_MAX:
            raise ValueError(f"a message of {len(message)} bytes, number {len(self.messages) + 1}")
        self.messages.append(message)


class Server:
    """One connection to a log. `admit(username, password)` answers '' or the reject reason code, 'A' or 'S'.

    `shared`: any number of logins read side by side, as from a drop copy.
    """

    def __init__(self, log: Log, admit: Callable[[str, str], str], now_ns: int, shared: bool = False):
        self.log, self.admit, self.shared = log, admit, shared
        self.phase = LOGIN
        self.heartbeats_sent = 0
        self.stream = Stream(FROM_CLIENT, now_ns)
        self._next = 0  # sequence of the message that is said next
        self.said_end = False

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Bytes of the client; b'' once it has closed. What follows a loss is not read."""
        if self.phase == LOST:
            return []
        if not data:
            return [self._lose("closed")]
        packets, reason = self.stream.cut(data, now_ns)
        events: list[Event] = []
        for packet in packets:
            events += self._take(packet, now_ns)
            if self.phase == LOST:
                return events
        return events + ([self._lose(reason)] if reason else [])

    def advance(self, now_ns: int) -> list[Event]:
        """Time goes on: what is new is said, a heartbeat is due, or the client is silent or replaced."""
        if self.phase == LOST:
            return []
        login = self.phase == LOGIN
        if self.stream.is_silent(now_ns, limits.SESSION_LOGIN_NS if login else limits.SESSION_SILENT_NS):
            return [self._lose("login_silence" if login else "silence")]
        if login:
            return []
        if not self.shared and self.log.holder is not self:
            return [self._lose("replaced")]
        self._say_new(now_ns)
        if self.stream.owes_heartbeat(now_ns):
            self.stream.say(soupbintcp.encode("ServerHeartbeat"), now_ns)
            self.heartbeats_sent += 1
        return []

    def disconnect(self, reason: str) -> Lost:
        """The connection is gone for a reason that lies outside."""
        return self._lose(reason)

    def output(self) -> bytes:
        """The bytes to write, once."""
        return self.stream.output()

    def _lose(self, reason: str) -> Lost:
        self.phase = LOST
        if self.log.holder is self:
            self.log.holder = None
        return Lost(reason)

    def _say_new(self, now_ns: int) -> None:
        said = 0
        while self._next <= len(self.log.messages) and said < OUTPUT_BYTES:
            packet = soupbintcp.encode(soupbintcp.SEQUENCED, self.log.messages[self._next - 1])
            self.stream.say(packet, now_ns)
            self._next += 1
            said += len(packet)
        if self.log.ended and not self.said_end and self._next > len(self.log.messages):
            self.said_end = True
            self.stream.say(soupbintcp.encode("EndOfSession"), now_ns)

    def _take(self, packet: bytes, now_ns: int) -> list[Event]:
        kind = chr(packet[0])
        if kind == "+":
            return [Said(packet[1:])]
        if self.phase == LOGIN:
            return [self._login(packet, now_ns) if kind == "L" else self._lose("type_unexpected")]
        if kind == soupbintcp.UNSEQUENCED:
            return [Message(0, packet[1:])]
        if kind == "O":
            return [self._lose("closed")]
        return [] if kind == "R" else [self._lose("type_unexpected")]

    def _login(self, packet: bytes, now_ns: int) -> Event:
        """Login Request: name and password, then the session, then where to begin (0: with what is new)."""
        try:
            fields = soupbintcp.decode(packet)
        except Refused:
            return self._lose("field")
        refusal = self.admit(fields["username"], fields["password"])
        behind = len(self.log.messages) + 1
        sequence = fields["requested_sequence_number"] or behind
        if not refusal and (fields["requested_session"].strip(" ") not in ("", self.log.session) or sequence > behind):
            refusal = "S"
        if refusal:
            self.stream.say(soupbintcp.encode("LoginRejected", reject_reason_code=refusal), now_ns)
            return self._lose("login_busy" if refusal == "S" else "login_refused")
        if not self.shared:
            self.log.holder = self  # the one before hears of it when its time goes on
        self._next, self.phase = sequence, OPEN
        accepted = soupbintcp.encode("LoginAccepted", session=self.log.session, sequence_number=sequence)
        self.stream.say(accepted, now_ns)
        return Accepted(self.log.session, sequence)
