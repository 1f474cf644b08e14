"""Two messages that make two nodes one session: who, which hour's secret, which life, where each channel goes on.

Above noise.py, below the peer. docs/protocols/link.md, "Handshake". The initiator proves itself with the first message;
the responder's proof is the second; the initiator has proved the hour's secret with its first frame that opens.

    initiator                                                     responder
    first()  ── prefix │ e │ sealed payload │ CRC ────────────►  first()   length, prefix, CRC, node, hour, secret,
    second() ◄─ prefix │ e │ sealed payload │ CRC ─────────────            tag, clock, replay

Hard rule: nothing of a message is believed before its tag; a machine that has refused is thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway import limits
from gateway.link.frames import wire
from gateway.link.frames.noise import HandshakeState, NoiseError
from gateway.link.frames.wire import Prefix, Refusal, Refused

HOUR_NS = 3600 * 1_000_000_000
PROLOGUE = b"gateway link 1"
NOTHING_KNOWN = bytes(wire.ID_BYTES)

Entropy = Callable[[int], bytes]  # so many random bytes
HourlySecret = Callable[[int], bytes | None]


class Pairing(NamedTuple):
    """Two nodes whose static keys are pinned in each other's configuration; X25519, 32 bytes each."""

    node: int
    private_key: bytes
    remote_node: int
    remote_public_key: bytes


@dataclass(frozen=True)
class Statement:
    """What a side says of itself. The responder's `session_id` is not used: it repeats the initiator's."""

    boot_id: bytes  # of this process's life
    fence: int
    known_boot_id: bytes = NOTHING_KNOWN  # of the other side's life, to which `resume` refers
    resume: tuple[int, ...] = (1,) * limits.LINK_CHANNELS  # the next channel sequence that is expected
    session_id: bytes = NOTHING_KNOWN
    layouts: int = 0  # u32: the records that this side reads and writes


class Established(NamedTuple):
    """What both sides have after the second message. `session_key` goes to the key schedule and nowhere else."""

    handshake_hash: bytes  # public; what tokens are bound to
    session_key: bytes  # secret; handshake hash and both keys of Split
    session_id: bytes
    hour: int  # of the first key epoch
    secret: bytes
    remote_boot_id: bytes
    remote_known_boot_id: bytes
    remote_resume: tuple[int, ...]
    remote_fence: int
    remote_time_ns: int
    remote_layouts: int

    def where(self, boot_id: bytes) -> tuple[tuple[int, ...], bool]:
        """Where the other side says our channels go on, if it speaks of this life of ours; else at their beginning."""
        known = self.remote_known_boot_id == boot_id
        return self.remote_resume if known else (1,) * limits.LINK_CHANNELS, known


def hour_of(now_ns: int) -> int:
    """The hour whose secret is current."""
    return now_ns // HOUR_NS


def pack_payload(statement: Statement, session_id: bytes, now_ns: int) -> bytes:
    """192 bytes, to be sealed."""
    said = (statement.fence, statement.layouts, statement.known_boot_id)
    return wire.PAYLOAD.pack(session_id, statement.boot_id, now_ns, *said, *statement.resume)


def framed(prefix: Prefix, message: bytes) -> bytes:
    """A whole handshake message: prefix, Noise message, CRC-32 of both."""
    data = wire.pack_prefix(prefix) + message
    return data + wire.CRC.pack(wire.crc32(data))


def noise_part(data: bytes) -> bytes:
    """What stands between prefix and CRC."""
    return data[wire.PREFIX_BYTES : -wire.CRC_BYTES]


def handshake_state(initiator: bool, pairing: Pairing, first: Prefix) -> HandshakeState:
    """Noise with the first message's prefix in the prologue: whoever changes it changes every key."""
    return HandshakeState(
        initiator=initiator,
        prologue=PROLOGUE + wire.pack_prefix(first),
        private_key=pairing.private_key,
        remote_public_key=pairing.remote_public_key,
    )


def established(state: HandshakeState, payload: bytes, hour: int, secret: bytes) -> Established:
    """Both keys of Split enter the session key: an hour's secret that leaks later opens no recorded session."""
    session_id, boot_id, time_ns, fence, layouts, known_boot_id, *resume = wire.PAYLOAD.unpack(payload)
    session_key = state.hash + b"".join(state.split())
    facts = (session_id, hour, secret, boot_id, known_boot_id, tuple(resume), fence, time_ns, layouts)
    return Established(state.hash, session_key, *facts)


class Initiator:
    """One attempt of the side that connects, for one TCP connection."""

    def __init__(self, pairing: Pairing, connection: int, statement: Statement, secrets: HourlySecret):
        self._pairing = pairing
        self._connection = connection
        self._statement = statement
        self._secrets = secrets
        self._prefix = Prefix(1, connection, pairing.node, pairing.remote_node, 0)
        self._secret = b""
        self._state: HandshakeState | None = None

    def first(self, now_ns: int, entropy: Entropy) -> bytes | Refused:
        """The first message; NO_SECRET when this hour's is not known."""
        secret = self._secrets(hour_of(now_ns))
        if secret is None:
            return Refused(Refusal.NO_SECRET)
        self._secret = secret
        self._prefix = self._prefix._replace(hour=hour_of(now_ns))
        self._state = handshake_state(True, self._pairing, self._prefix)
        payload = pack_payload(self._statement, self._statement.session_id, now_ns)
        return framed(self._prefix, self._state.write_first(entropy(wire.KEY_BYTES), payload))

    def second(self, data: bytes) -> Established | Refused:
        """Reads the answer of exactly 260 bytes."""
        assert self._state, "an answer is read after the first message was written"
        prefix = wire.read_prefix(data)
        if isinstance(prefix, Refusal):
            return Refused(prefix)
        if (prefix.message, prefix.connection) != (2, self._connection):
            return Refused(Refusal.HANDSHAKE_MESSAGE)
        if (prefix.initiator, prefix.responder) != (self._pairing.node, self._pairing.remote_node):
            return Refused(Refusal.NODE)
        if prefix.hour != self._prefix.hour:
            return Refused(Refusal.HOUR)
        try:
            payload = self._state.read_second(self._secret, noise_part(data))
        except NoiseError:
            return Refused(Refusal.HANDSHAKE_TAG)
        found = established(self._state, payload, prefix.hour, self._secret)
        return found if found.session_id == self._statement.session_id else Refused(Refusal.SESSION)


class Responder:
    """One attempt of the side that is connected to, for one TCP connection.

    `accepted_ns`: time in the newest first message of this initiator on this connection that was accepted; 0: none. What
    was said to an earlier life of this process and is played again is answered at most, and never proved by a frame.
    """

    def __init__(self, pairing: Pairing, connection: int, statement: Statement, secrets: HourlySecret, accepted_ns: int):
        self._pairing = pairing
        self._connection = connection
        self._statement = statement
        self._secrets = secrets
        self._accepted_ns = accepted_ns

    def first(self, data: bytes, now_ns: int, entropy: Entropy) -> tuple[bytes, Established] | Refused:
        """Reads the first message of exactly 260 bytes; the answer and what it established.

        The session is proved, and may replace another, only when its first frame has opened: whoever replays a first
        message cannot make one.
        """
        prefix = wire.read_prefix(data)
        if isinstance(prefix, Refusal):
            return Refused(prefix)
        if (reason := self._unexpected(prefix, now_ns)) is not None:
            return Refused(reason)
        secret = self._secrets(prefix.hour)
        if secret is None:
            return Refused(Refusal.NO_SECRET)
        state = handshake_state(False, self._pairing, prefix)
        try:
            payload = state.read_first(noise_part(data))
        except NoiseError:
            return Refused(Refusal.HANDSHAKE_TAG)
        session_id, _, time_ns = wire.PAYLOAD.unpack(payload)[:3]
        if abs(time_ns - now_ns) > limits.LINK_CLOCK_NS:
            return Refused(Refusal.CLOCK)
        if time_ns <= self._accepted_ns:
            return Refused(Refusal.REPLAYED)
        self._accepted_ns = time_ns
        answer = state.write_second(entropy(wire.KEY_BYTES), secret, pack_payload(self._statement, session_id, now_ns))
        return framed(prefix._replace(message=2), answer), established(state, payload, prefix.hour, secret)

    def _unexpected(self, prefix: Prefix, now_ns: int) -> Refusal | None:
        if (prefix.message, prefix.connection) != (1, self._connection):
            return Refusal.HANDSHAKE_MESSAGE
        if (prefix.initiator, prefix.responder) != (self._pairing.remote_node, self._pairing.node):
            return Refusal.NODE
        if abs(prefix.hour - hour_of(now_ns)) > limits.LINK_HOURS_EITHER_SIDE:
            return Refusal.HOUR
        return None
