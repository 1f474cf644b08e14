"""One TCP connection of a session, from its handshake on: seals what leaves, opens what comes. docs/protocols/link.md

    CALLING ── second message ───────────────────────────► OPEN ──► (dropped)
    WAITING ── first message ──► ANSWERED ── first frame ───┘

Beside the corridor, inside a peer. Hard rule: keys, record numbers and epochs live and die with the connection; nothing
sealed for one ever leaves on another.
"""

from gateway import limits
from gateway.link.frames import handshake, wire
from gateway.link.frames.frame_stream import FrameStream
from gateway.link.frames.handshake import Established, Initiator
from gateway.link.frames.protection import Opener, Sealer, Unpack
from gateway.link.frames.wire import Message, Refusal
from gateway.link.peers.peer_settings import PeerSettings, Secrets

CALLING, WAITING, ANSWERED, OPEN = "calling", "waiting", "answered", "open"
HARD_FRAMES = limits.LINK_REKEY_FRAMES_HARD - 1  # one is left for the EPOCH frame


class Lane:
    """A connection. `out` is what goes before any frame; `mark` tells it from its successors."""

    def __init__(self, connection: int, state: str, now_ns: int, settings: PeerSettings):
        self.connection, self.state = connection, state
        self.settings = settings
        self.initiator: Initiator | None = None
        self.established: Established
        self.sealer: Sealer
        self.stream: FrameStream | None = None
        self.refused: Refusal | None = None  # of a lane that is nobody's yet
        self.out = b""
        self.mark = 0
        self.heard_any = False  # a valid frame
        self.must_speak = False  # was silent for long
        self.frames_in = self.frames_out = self.bytes_in = self.bytes_out = self.rekeys = self.rekeys_without = 0
        self.heard_ns = self.said_ns = now_ns
        self.deadline_ns = now_ns + settings.handshake_ns  # of the handshake
        self._collected = bytearray()
        self._secrets: Secrets
        self._rekey_ns = 0

    # ---- handshake -------------------------------------------------------------------------------------------------

    def collect(self, data: bytes | memoryview) -> tuple[bytes | None, bytes | memoryview]:
        """(the whole handshake message, what follows it), or (None, b"") while it is not whole."""
        missing = wire.HANDSHAKE_BYTES - len(self._collected)
        self._collected += data[:missing]
        if len(self._collected) < wire.HANDSHAKE_BYTES:
            return None, b""
        return bytes(self._collected), data[missing:]

    def establish(self, established: Established, secrets: Secrets, unpack: Unpack, fence: int, now_ns: int) -> None:
        """The handshake is done: keys of both directions."""
        settings, initiates = self.settings, self.settings.initiator
        ours, theirs = (wire.TO_RESPONDER, wire.TO_INITIATOR) if initiates else (wire.TO_INITIATOR, wire.TO_RESPONDER)
        key, hour, secret = established.session_key, established.hour, established.secret
        self.established, self._secrets = established, secrets
        self.sealer = Sealer(settings.node, self.connection, ours, key, hour, secret)
        opener = Opener(settings.remote_node, self.connection, theirs, key, hour, secret, secrets.hourly, unpack)
        opener.fence = fence
        self.stream = FrameStream(opener)
        self.mark = int.from_bytes(established.handshake_hash[:4], "little") or 1
        self._collected = bytearray()
        self.state = OPEN if initiates else ANSWERED
        self._plan_rekey(now_ns)

    # ---- frames ----------------------------------------------------------------------------------------------------

    @property
    def record(self) -> int:
        """The number of the next frame that leaves."""
        return self.sealer.record

    @property
    def taken_in(self) -> int:
        """Every record below this has come, whole or damaged."""
        return self.stream.opener.record if self.stream else 0

    @property
    def handshake_hash(self) -> bytes:
        """What binds a token to this connection."""
        return self.established.handshake_hash

    @property
    def laid_out_alike(self) -> bool:
        """Whether the same bytes are the same record on both sides."""
        return self.established.remote_layouts == self.settings.layouts

    def seal(self, message: Message, body_crc: int | None) -> bytes:
        """One frame."""
        self.frames_out += 1
        return self.sealer.seal(message, body_crc)

    def next_epoch(self, now_ns: int, fence: int) -> bytes | Refusal:
        """The EPOCH frame where one is due, else b""; KEY_WORN where the key may seal nothing more and there is no other."""
        sealer, rekey = self.sealer, self.settings.rekey
        if sealer.frames_in_epoch < rekey.frames and sealer.bytes_in_epoch < rekey.bytes and now_ns < self._rekey_ns:
            return b""
        hour = max(handshake.hour_of(now_ns), sealer.hour)
        secret = self._secrets.hourly(hour)
        if secret is None:
            hour, secret = sealer.hour, self._secrets.hourly(sealer.hour)
            self.rekeys_without += 1
        if secret is None:
            self._rekey_ns = now_ns + limits.LINK_STEADY_NS
            return Refusal.KEY_WORN if sealer.frames_in_epoch >= HARD_FRAMES else b""
        frame = sealer.rekey(hour, secret, now_ns, fence)
        self.rekeys += 1
        self.frames_out += 1
        self._plan_rekey(now_ns)
        return frame

    def _plan_rekey(self, now_ns: int) -> None:
        next_hour_ns = (handshake.hour_of(now_ns) + 1) * handshake.HOUR_NS
        self._rekey_ns = min(now_ns + self.settings.rekey.age_ns, next_hour_ns)

    # ---- time ------------------------------------------------------------------------------------------------------

    def late(self, now_ns: int) -> str | None:
        """Why the connection is given up now: no handshake in time, or silence."""
        if self.state != OPEN:
            return "deadline" if now_ns >= self.deadline_ns else None
        if now_ns >= self.said_ns + self.settings.keepalive_ns:
            self.must_speak = True
        return "silence" if now_ns >= self.heard_ns + self.settings.silence_ns else None

    @property
    def due_ns(self) -> int:
        """When `late` is to be asked again."""
        if self.state != OPEN:
            return self.deadline_ns
        silent_ns = self.heard_ns + self.settings.silence_ns
        return silent_ns if self.must_speak else min(silent_ns, self.said_ns + self.settings.keepalive_ns)
