"""One direction of one TCP connection: a Sealer makes frames, an Opener checks them. docs/protocols/link.md, "Frame"

Between key_schedule.py and frame_stream.py; the peer owns one of each per connection.

    epoch 1: frame 0, 1, … EPOCH(2, hour) │ epoch 2: frame n, n+1, … EPOCH(3, hour) │ …      record numbers go on

Hard rule: a record number is used once in the life of a connection and direction, whatever the epoch; a frame that
is sent again is sealed again under the next number. Nothing of a frame is believed before its tag.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag

from gateway import limits
from gateway.errors import LinkError
from gateway.link.frames import bodies, key_schedule, wire
from gateway.link.frames.bodies import NextEpoch
from gateway.link.frames.wire import (
    CRC,
    HEAD,
    INNER,
    MAGIC,
    VERSION,
    Damaged,
    Flag,
    Header,
    Message,
    Refusal,
    Refused,
    Stale,
)
from gateway.link.frames.wire import crc32 as crc32_of
from gateway.link.frames.wire import crc32c as crc32c_of

COMPRESSED = int(Flag.COMPRESSED)
EPOCH = int(wire.Type.EPOCH)
BESIDE_BODY_BYTES = wire.SEALED_BYTES_MIN
HOURS_TRIED = 3  # after a damaged EPOCH frame: its hour is this one, or one of the next two

Unpack = Callable[[int, memoryview, int], bytes]  # schema, compressed body, raw bytes
HourlySecret = Callable[[int], bytes | None]


class Sealer:
    """Makes frames of one direction. `session_key` as the handshake established it; `secret` is that of `hour`."""

    def __init__(self, source: int, connection: int, direction: int, session_key: bytes, hour: int, secret: bytes):
        self._source = source
        self._place = (connection, direction)
        self._session_key = session_key
        self.epoch = 0
        self.record = 0  # number of the next frame
        self.advance(1, hour, secret)

    def advance(self, epoch: int, hour: int, secret: bytes) -> None:
        """Takes the key of a later epoch without a word; over TCP `rekey` says it."""
        assert epoch > self.epoch, "an epoch never returns"
        self.epoch, self.hour = epoch, hour
        self._cipher, self._iv = key_schedule.derive(self._session_key, secret, *self._place, epoch, hour)
        self.frames_in_epoch = 0
        self.bytes_in_epoch = 0  # of ciphertext

    def seal(self, message: Message, body_crc: int | None = None) -> bytes:
        """One whole frame. `body_crc` is the CRC-32 of the uncompressed body; None: the body is raw, compute it."""
        kind, channel, flags, fence, sequence, sent_ns, schema, token_id, raw_bytes, body = message
        length = len(body) + BESIDE_BODY_BYTES
        if self.frames_in_epoch >= limits.LINK_REKEY_FRAMES_HARD or length > limits.LINK_CIPHERTEXT_BYTES_MAX:
            raise LinkError("the key has sealed all it may, or the body is too long: rekey, or cut it")
        if body_crc is None:
            if flags & COMPRESSED:
                raise LinkError("a compressed body comes with the CRC-32 of what it was")
            body_crc = crc32_of(body)
        record = self.record
        head = HEAD.pack(MAGIC, VERSION, flags, kind, channel, self._source, self.epoch, fence, record, length)
        plain = b"".join((INNER.pack(sequence, sent_ns, raw_bytes, schema, token_id), body, CRC.pack(body_crc)))
        sealed = self._cipher.encrypt((self._iv ^ record).to_bytes(12, "big"), plain, head)
        self.record = record + 1
        self.frames_in_epoch += 1
        self.bytes_in_epoch += length
        return b"".join((head, CRC.pack(crc32c_of(head)), sealed, CRC.pack(crc32_of(sealed))))

    def rekey(self, hour: int, secret: bytes, sent_ns: int, fence: int) -> bytes:
        """The EPOCH frame, last of its epoch; the next `seal` uses the next epoch's key."""
        body = bodies.pack_epoch(NextEpoch(self.epoch + 1, hour))
        frame = self.seal(Message(EPOCH, 0, 0, fence, 0, sent_ns, 0, 0, len(body), body))
        self.advance(self.epoch + 1, hour, secret)
        return frame


def unwrap(header: Header, plain: bytes, fence: int, unpack: Unpack) -> Message | Stale | Refused:
    """What an opened frame holds: fence, raw length, unpacking and inner CRC, in this order."""
    sequence, sent_ns, raw_bytes, schema, token_id = INNER.unpack_from(plain)
    if header.fence < fence and header.type != EPOCH:
        return Stale(header.channel, sequence, header.fence)
    compressed = header.flags & COMPRESSED
    packed_bytes = header.length - BESIDE_BODY_BYTES
    if raw_bytes != packed_bytes and not compressed:
        return Refused(Refusal.RAW_LENGTH)
    if compressed:
        if raw_bytes > limits.LINK_RAW_BYTES_MAX or raw_bytes > limits.LINK_RATIO_MAX * packed_bytes:
            return Refused(Refusal.RAW_LENGTH)
        try:
            body = unpack(schema, memoryview(plain)[wire.INNER_BYTES : -wire.CRC_BYTES], raw_bytes)
        except ValueError:
            return Refused(Refusal.UNPACK)
        if len(body) != raw_bytes:
            return Refused(Refusal.UNPACK)
    else:
        body = plain[wire.INNER_BYTES : -wire.CRC_BYTES]
    if crc32_of(body) != CRC.unpack_from(plain, len(plain) - wire.CRC_BYTES)[0]:
        return Refused(Refusal.INNER_CRC)
    flags, kind, channel, _, _, frame_fence, _, _ = header
    return Message(kind, channel, flags, frame_fence, sequence, sent_ns, schema, token_id, raw_bytes, body)


class Opener:
    """Checks frames of one direction and follows EPOCH frames by itself. `source` is the node that the handshake named.

    `secrets(hour)` gives the next epoch's secret. `unpack(schema, body, raw_bytes)` raises ValueError on what is no
    body. `fence` is the highest fence epoch seen; raise it from outside, too. A damaged EPOCH frame leaves its hour
    untold: then `expected_epoch` is ahead of `epoch`, and the next frame that opens decides among three hours.
    """

    def __init__(
        self,
        source: int,
        connection: int,
        direction: int,
        session_key: bytes,
        hour: int,
        secret: bytes,
        secrets: HourlySecret,
        unpack: Unpack,
    ):
        self._source = source
        self._place = (connection, direction)
        self._session_key = session_key
        self._secrets = secrets
        self._unpack = unpack
        self.fence = 0
        self.record = 0  # number of the next frame
        self._take(1, hour, key_schedule.derive(session_key, secret, connection, direction, 1, hour))

    def _take(self, epoch: int, hour: int, key: key_schedule.EpochKey) -> None:
        self.epoch = self.expected_epoch = epoch
        self.hour = hour
        self._key = key
        self.frames_in_epoch = 0

    def unexpected(self, header: Header) -> Refusal | None:
        """Whether this header may not come now: source, epoch, worn key, record number."""
        if header.source != self._source:
            return Refusal.SOURCE
        if header.key_epoch != self.expected_epoch:
            return Refusal.EPOCH
        if self.frames_in_epoch >= limits.LINK_REKEY_FRAMES_HARD:
            return Refusal.KEY_WORN
        if header.record != self.record:
            return Refusal.RECORD
        return None

    def open(self, header: Header, head: bytes, sealed: memoryview, crc: int) -> Message | Damaged | Stale | Refused:
        """The message of an expected header; `head` is its first 28 bytes, `crc` the one behind `sealed`."""
        if crc32_of(sealed) != crc:
            return self._damaged(header)
        plain = self._decrypt(header, head, sealed)
        if plain is None:
            return Refused(Refusal.TAG)
        self.record += 1
        self.frames_in_epoch += 1
        if header.fence > self.fence:
            self.fence = header.fence
        found = unwrap(header, plain, self.fence, self._unpack)
        return self._follow(found) if header.type == EPOCH and isinstance(found, Message) else found

    def _damaged(self, header: Header) -> Damaged:
        self.record += 1
        self.frames_in_epoch += 1
        if header.type == EPOCH:
            self.expected_epoch += 1
        return Damaged(header.channel, header.record, header.type)

    def _decrypt(self, header: Header, head: bytes, sealed: memoryview) -> bytes | None:
        if self.expected_epoch != self.epoch:
            return self._decrypt_later(header, head, sealed)
        cipher, iv = self._key
        try:
            return cipher.decrypt((iv ^ header.record).to_bytes(12, "big"), sealed, head)
        except InvalidTag:
            return None

    def _decrypt_later(self, header: Header, head: bytes, sealed: memoryview) -> bytes | None:
        """The first frame that opens behind a damaged EPOCH frame decides which hour that one named."""
        for hour in range(self.hour, self.hour + HOURS_TRIED):
            secret = self._secrets(hour)
            if secret is None:
                continue
            key = key_schedule.derive(self._session_key, secret, *self._place, header.key_epoch, hour)
            try:
                plain = key.cipher.decrypt((key.iv ^ header.record).to_bytes(12, "big"), sealed, head)
            except InvalidTag:
                continue
            self._take(header.key_epoch, hour, key)
            return plain
        return None

    def _follow(self, message: Message) -> Message | Refused:
        """An EPOCH frame that has opened: the next frame is of the next epoch."""
        told = bodies.read_epoch(message.body)
        if told is None or told.epoch != self.epoch + 1:
            return Refused(Refusal.BODY)
        secret = self._secrets(told.hour)
        if secret is None:
            return Refused(Refusal.NO_SECRET)
        key = key_schedule.derive(self._session_key, secret, *self._place, told.epoch, told.hour)
        self._take(told.epoch, told.hour, key)
        return message
