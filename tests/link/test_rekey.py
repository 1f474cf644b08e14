"""Keys change in-band: no pause, no round trip, no nonce twice, and a damaged EPOCH frame does not end the line."""

import pytest

from gateway.link.frames import key_schedule, wire
from gateway.link.frames.protection import Sealer
from gateway.link.frames.wire import Damaged, Message, Refusal, Refused, Type
from tests.link import wire_desk as desk


def rekeyed(sealer: Sealer, hours: int = 0) -> bytes:
    hour = sealer.hour + hours
    return sealer.rekey(hour, desk.secret_of(hour), desk.NOW_NS, desk.FENCE)


def test_a_thousand_rekeys_under_load_lose_nothing_and_repeat_no_nonce(monkeypatch: pytest.MonkeyPatch):
    used: list[tuple[bytes, bytes]] = []
    derive = key_schedule.derive

    class Watched:
        """A cipher that notes what it sealed under."""

        def __init__(self, cipher, name: bytes):
            self.cipher, self.name = cipher, name

        def encrypt(self, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
            used.append((self.name, nonce))
            return self.cipher.encrypt(nonce, plain, associated)

        def decrypt(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
            return self.cipher.decrypt(nonce, sealed, associated)

    def watched(session_key: bytes, secret: bytes, *place: int) -> key_schedule.EpochKey:
        key = derive(session_key, secret, *place)
        return key._replace(cipher=Watched(key.cipher, repr((session_key, secret, place)).encode()))

    monkeypatch.setattr(key_schedule, "derive", watched)
    sealer, stream = desk.line()
    found = []
    for index in range(1000):
        data = sealer.seal(desk.said(sequence=2 * index)) + rekeyed(sealer, hours=index % 400 == 399)
        stream.feed(data + sealer.seal(desk.said(sequence=2 * index + 1)))
        found += desk.drained(stream)
    assert [message.sequence for message in found] == list(range(2000))
    assert sealer.epoch == stream.opener.epoch == 1001 and sealer.record == stream.opener.record == 3000
    assert sealer.hour == stream.opener.hour == desk.HOUR + 2
    assert len(used) == len(set(used)) == 3000


def test_epochs_count_their_frames_and_bytes_from_nothing():
    sealer, _ = desk.line()
    data = sealer.seal(desk.said()) + sealer.seal(desk.said())
    assert (sealer.frames_in_epoch, sealer.bytes_in_epoch) == (2, len(data) - 2 * 36)
    rekeyed(sealer)
    assert (sealer.epoch, sealer.frames_in_epoch, sealer.bytes_in_epoch) == (2, 0, 0)


@pytest.mark.parametrize("hours", [0, 1, 2])
@pytest.mark.parametrize("behind", [0, 1])
def test_a_damaged_epoch_frame_is_bridged_by_the_frame_behind_it(hours: int, behind: int):
    sealer, stream = desk.line()
    data = sealer.seal(desk.said(sequence=1)) + desk.bit_flipped(rekeyed(sealer, hours), 500)
    for _ in range(behind):
        data += desk.bit_flipped(sealer.seal(desk.said(sequence=2)), 400)
    data += sealer.seal(desk.said(sequence=3)) + rekeyed(sealer) + sealer.seal(desk.said(sequence=4))
    stream.feed(data)
    found = desk.drained(stream)
    assert found[1] == Damaged(0, 1, Type.EPOCH)
    assert [item.sequence for item in found if isinstance(item, Message)] == [1, 3, 4]
    assert stream.opener.epoch == 3 and stream.opener.hour == desk.HOUR + hours and stream.refused is None


def test_two_damaged_epoch_frames_in_a_row_are_bridged():
    sealer, stream = desk.line()
    stream.feed(
        desk.bit_flipped(rekeyed(sealer, 1), 300) + desk.bit_flipped(rekeyed(sealer), 300) + sealer.seal(desk.said())
    )
    assert [type(item) for item in desk.drained(stream)] == [Damaged, Damaged, Message]
    assert stream.opener.epoch == 3


def test_behind_a_damaged_epoch_frame_a_forged_frame_is_still_an_attack():
    sealer, stream = desk.line()
    damaged = desk.bit_flipped(rekeyed(sealer), 300)
    stream.feed(damaged + desk.outer_repaired(desk.bit_flipped(sealer.seal(desk.said()), 400)))
    assert desk.drained(stream)[1] == Refused(Refusal.TAG)


def test_an_epoch_that_nobody_announced_is_refused():
    sealer, stream = desk.line()
    rekeyed(sealer)
    stream.feed(sealer.seal(desk.said(sequence=1)))
    assert stream.next() == Refused(Refusal.EPOCH)


def test_an_epoch_frame_passes_whatever_its_fence():
    sealer, stream = desk.line()
    stream.opener.fence = 99
    stream.feed(rekeyed(sealer) + sealer.seal(desk.said(fence=99)))
    assert isinstance(stream.next(), Message)


def test_every_place_and_epoch_and_hour_has_another_key():
    places = [
        (connection, direction, epoch, hour)
        for connection in (0, 1, 2)
        for direction in (0, 1)
        for epoch in (1, 2)
        for hour in (1, 2)
    ]
    found = {key_schedule.derive(bytes(96), bytes(32), *place).iv for place in places}
    found |= {key_schedule.derive(bytes(95) + b"\1", bytes(32), *place).iv for place in places}
    found |= {key_schedule.derive(bytes(96), bytes(31) + b"\1", *place).iv for place in places}
    assert len(found) == 3 * len(places) == 72
    assert wire.LIVENESS == 2
