"""Frames over UDP: they come late, twice or not at all, and none of it ends anything. docs/protocols/link.md, "UDP"

Beside frame_stream.py; carries heartbeats, and later whatever bears loss. A datagram is exactly one frame. Epochs are
not announced: epoch 1 is the hour of the handshake, each hour is one more, so that no lost frame can lose the key.
Hard rule: the window moves after the tag was good, never before.
"""

from cryptography.exceptions import InvalidTag

from gateway import limits
from gateway.link.frames import key_schedule, wire
from gateway.link.frames.protection import HourlySecret, Sealer, Unpack, unwrap
from gateway.link.frames.replay_window import ReplayWindow
from gateway.link.frames.wire import Damaged, Header, Message, Refusal, Refused, Stale

EPOCHS_AHEAD = 24  # hours since the last datagram that opened: a sender may have lacked some secrets meanwhile


class DatagramSealer:
    """Makes datagrams of one direction; keys come from the control connection's handshake."""

    def __init__(self, source: int, direction: int, session_key: bytes, hour: int, secret: bytes):
        self._first_hour = hour
        self._sealer = Sealer(source, wire.LIVENESS, direction, session_key, hour, secret)

    @property
    def hour(self) -> int:
        """Whose secret is in use."""
        return self._sealer.hour

    @property
    def worn(self) -> bool:
        """Whether the key has sealed all it may: nothing more before the next hour's secret is known."""
        return self._sealer.frames_in_epoch >= limits.LINK_REKEY_FRAMES_HARD

    def seal(self, message: Message) -> bytes:
        """One datagram; its body is short and raw."""
        data = self._sealer.seal(message)
        assert len(data) <= limits.LINK_DATAGRAM_PAYLOAD_MAX, "a datagram fits one packet"
        return data

    def rekey(self, hour: int, secret: bytes) -> None:
        """A later hour has come; an hour that is over, or the same, changes nothing."""
        if hour > self._sealer.hour:
            self._sealer.advance(hour - self._first_hour + 1, hour, secret)


class DatagramOpener:
    """Checks datagrams of one direction. `fence` is the highest fence epoch seen; raise it from outside, too."""

    def __init__(
        self,
        source: int,
        direction: int,
        session_key: bytes,
        hour: int,
        secret: bytes,
        secrets: HourlySecret,
        unpack: Unpack,
    ):
        self._source = source
        self._direction = direction
        self._session_key = session_key
        self._first_hour = hour
        self._secrets = secrets
        self._unpack = unpack
        self.epoch = 1
        self.fence = 0
        self.counters = [0] * len(Refusal)
        self._window = ReplayWindow()
        self._keys = {1: self._derive(1, secret)}  # the current epoch's and those a datagram has named ahead of it

    def _derive(self, epoch: int, secret: bytes) -> key_schedule.EpochKey:
        hour = self._first_hour + epoch - 1
        return key_schedule.derive(self._session_key, secret, wire.LIVENESS, self._direction, epoch, hour)

    def open(self, data: bytes) -> Message | Damaged | Stale | Refused:
        """What a datagram holds; a Refused ends nothing here, it is counted and forgotten."""
        found = self._open(data)
        if isinstance(found, Refused):
            self.counters[found.reason] += 1
        elif isinstance(found, Damaged):
            self.counters[Refusal.OUTER_CRC] += 1
        elif isinstance(found, Stale):
            self.counters[Refusal.FENCE] += 1
        return found

    def _open(self, data: bytes) -> Message | Damaged | Stale | Refused:
        if not wire.OVERHEAD_BYTES <= len(data) <= limits.LINK_DATAGRAM_PAYLOAD_MAX:
            return Refused(Refusal.LENGTH)
        header = wire.read_header(data[: wire.HEADER_BYTES])
        if isinstance(header, Refusal):
            return Refused(header)
        if header.length != len(data) - wire.HEADER_BYTES - wire.CRC_BYTES:
            return Refused(Refusal.LENGTH)
        if (reason := self._unexpected(header)) is not None:
            return Refused(reason)
        sealed = memoryview(data)[wire.HEADER_BYTES : -wire.CRC_BYTES]
        if wire.crc32(sealed) != wire.CRC.unpack_from(data, len(data) - wire.CRC_BYTES)[0]:
            return Damaged(header.channel, header.record, header.type)
        return self._opened(header, data[: wire.ASSOCIATED_BYTES], sealed)

    def _unexpected(self, header: Header) -> Refusal | None:
        if header.source != self._source:
            return Refusal.SOURCE
        if not self.epoch <= header.key_epoch <= self.epoch + EPOCHS_AHEAD:
            return Refusal.EPOCH
        return None if self._window.is_new(header.record) else Refusal.RECORD

    def _opened(self, header: Header, head: bytes, sealed: memoryview) -> Message | Stale | Refused:
        key = self._key(header.key_epoch)
        if key is None:
            return Refused(Refusal.NO_SECRET)
        try:
            plain = key.cipher.decrypt((key.iv ^ header.record).to_bytes(12, "big"), sealed, head)
        except InvalidTag:
            return Refused(Refusal.TAG)
        self._window.see(header.record)
        if header.key_epoch > self.epoch:
            self.epoch = header.key_epoch
            self._keys = {epoch: known for epoch, known in self._keys.items() if epoch >= self.epoch}
        self.fence = max(self.fence, header.fence)
        return unwrap(header, plain, self.fence, self._unpack)

    def _key(self, epoch: int) -> key_schedule.EpochKey | None:
        if epoch not in self._keys:
            secret = self._secrets(self._first_hour + epoch - 1)
            if secret is None:
                return None
            self._keys[epoch] = self._derive(epoch, secret)
        return self._keys[epoch]
