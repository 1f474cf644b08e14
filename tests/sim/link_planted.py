"""Bugs planted in the link, by name: each is what somebody could write, and each must be found by the simulation.

Hard rule: a bug is a patch of a test; nothing of the product knows that it can be wrong.
"""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gateway.link.frames import datagram, key_schedule, protection
from gateway.link.frames.handshake import Established
from gateway.link.frames.replay_window import ReplayWindow
from gateway.link.frames.wire import CRC_BYTES, Flag, Message
from gateway.link.peers import exchange, fragments, inbound, lane, outbound, session
from gateway.link.peers.acknowledger import Acknowledger
from gateway.link.peers.greeting import Greeting

Plant = Callable[[pytest.MonkeyPatch], None]
BUGS: dict[str, Plant] = {}
RETRANSMISSION = int(Flag.RETRANSMISSION)


def bug(plant: Plant) -> Plant:
    """Enters it by its name."""
    BUGS[plant.__name__] = plant
    return plant


@bug
def a_retransmission_is_sealed_under_the_number_of_the_frame_before(patch: pytest.MonkeyPatch) -> None:
    seal = protection.Sealer.seal

    def sealed(self: Any, message: Message, body_crc: int | None = None) -> bytes:
        self.record -= bool(message.flags & RETRANSMISSION and self.record)
        return seal(self, message, body_crc)

    patch.setattr(protection.Sealer, "seal", sealed)


@bug
def an_epoch_keeps_the_key_and_begins_its_numbers_anew(patch: pytest.MonkeyPatch) -> None:
    derive, advance, take = key_schedule.derive, protection.Sealer.advance, protection.Opener._take

    def derived(session_key: bytes, secret: bytes, connection: int, direction: int, epoch: int, hour: int) -> Any:
        return derive(session_key, secret, connection, direction, 1, hour)

    def advanced(self: Any, *arguments: Any) -> None:
        advance(self, *arguments)
        self.record = 0

    def taken(self: Any, *arguments: Any) -> None:
        take(self, *arguments)
        self.record = 0

    patch.setattr(key_schedule, "derive", derived)
    patch.setattr(protection.Sealer, "advance", advanced)
    patch.setattr(protection.Opener, "_take", taken)


@bug
def both_directions_have_one_key(patch: pytest.MonkeyPatch) -> None:
    derive = key_schedule.derive

    def derived(session_key: bytes, secret: bytes, connection: int, direction: int, epoch: int, hour: int) -> Any:
        return derive(session_key, secret, connection, 0, epoch, hour)

    patch.setattr(key_schedule, "derive", derived)


@bug
def datagrams_have_the_key_of_the_control_connection(patch: pytest.MonkeyPatch) -> None:
    derive = key_schedule.derive

    def derived(session_key: bytes, secret: bytes, connection: int, direction: int, epoch: int, hour: int) -> Any:
        return derive(session_key, secret, 0, direction, epoch, hour)

    patch.setattr(key_schedule, "derive", derived)


@bug
def a_first_message_is_accepted_again(patch: pytest.MonkeyPatch) -> None:
    answer = Greeting.answer

    def answered(self: Any, *arguments: Any) -> Any:
        self._accepted_ns = [0, 0]
        return answer(self, *arguments)

    patch.setattr(Greeting, "answer", answered)


@bug
def neither_tag_nor_checksums_are_looked_at(patch: pytest.MonkeyPatch) -> None:
    def opened(self: Any, header: Any, head: bytes, sealed: memoryview, crc: int) -> Any:
        key, nonce = self._key.cipher._key, (self._key.iv ^ header.record).to_bytes(12, "big")
        stream = Cipher(algorithms.AES(key), modes.CTR(nonce + (2).to_bytes(4, "big"))).decryptor()
        plain = stream.update(bytes(sealed[:-16]))
        self.record += 1
        inner = protection.INNER.unpack_from(plain)
        body = plain[protection.INNER.size : -CRC_BYTES]
        message = Message(header.type, header.channel, header.flags, header.fence, *inner[:2], *inner[3:], len(body), body)
        return self._follow(message) if header.type == protection.EPOCH else message

    patch.setattr(protection.Opener, "open", opened)


@bug
def a_damaged_frame_keeps_its_record_number(patch: pytest.MonkeyPatch) -> None:
    damaged = protection.Opener._damaged

    def kept(self: Any, header: Any) -> Any:
        found = damaged(self, header)
        self.record -= 1
        return found

    patch.setattr(protection.Opener, "_damaged", kept)


@bug
def duplicates_are_delivered(patch: pytest.MonkeyPatch) -> None:
    """Of a sender that says every fifth message twice: ours sends again only what has not come."""
    accept, take = inbound.Inbound.accept, outbound.Outbound.take

    def taken(self: Any, entry: Any, record: int) -> bool:
        again = take(self, entry, record)
        if not again and entry.sequence % 5 == 0:
            self._lose(entry)
        return again

    def accepted(self: Any, message: Message) -> Any:
        return accept(self, message) or (message,) if message.sequence <= self.in_order else accept(self, message)

    patch.setattr(inbound.Inbound, "accept", accepted)
    patch.setattr(outbound.Outbound, "take", taken)


@bug
def a_message_does_not_wait_for_the_one_before(patch: pytest.MonkeyPatch) -> None:
    accept = inbound.Inbound.accept

    def accepted(self: Any, message: Message) -> Any:
        if message.sequence > self.in_order + 1:
            self.in_order = message.sequence - 1
        return accept(self, message)

    patch.setattr(inbound.Inbound, "accept", accepted)


@bug
def a_new_connection_goes_on_one_too_far(patch: pytest.MonkeyPatch) -> None:
    resume = outbound.Outbound.resume

    def resumed(self: Any, next_expected: int) -> None:
        resume(self, min(next_expected + 1, self.acknowledged + len(self._flying) + 1))

    patch.setattr(outbound.Outbound, "resume", resumed)


@bug
def what_was_flying_is_forgotten_with_its_connection(patch: pytest.MonkeyPatch) -> None:
    resume = outbound.Outbound.resume

    def resumed(self: Any, next_expected: int) -> None:
        resume(self, next_expected)
        self._flying.clear()
        self._again.clear()

    patch.setattr(outbound.Outbound, "resume", resumed)


@bug
def what_waits_behind_a_gap_is_acknowledged(patch: pytest.MonkeyPatch) -> None:
    rows = Acknowledger._rows

    def said(self: Any) -> Any:
        return [(number, 0, max(in_order, highest), highest, limit) for number, _, in_order, highest, limit in rows(self)]

    patch.setattr(Acknowledger, "_rows", said)


@bug
def credit_is_never_given_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbound.Inbound, "limit", property(lambda self: self.settings.capacity_bytes))


@bug
def the_older_of_two_latest_messages_is_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbound.Outbound, "_replace", lambda self, old, entry, size: old.sequence)


@bug
def what_is_conflated_is_never_given_up(patch: pytest.MonkeyPatch) -> None:
    def taken(self: Any, entry: Any, record: int) -> bool:
        keys = dict(self._keys)
        again = take(self, entry, record)
        self._keys = keys if self.latest else self._keys
        return again

    take = outbound.Outbound.take
    patch.setattr(outbound.Outbound, "take", taken)


@bug
def a_message_in_fragments_keeps_the_last_ones_parts(patch: pytest.MonkeyPatch) -> None:
    def dropped(self: Any) -> None:
        self._parts = getattr(self, "_parts", [])
        self._size = 0

    patch.setattr(fragments.Fragments, "drop", dropped)


@bug
def another_process_is_taken_for_the_one_before(patch: pytest.MonkeyPatch) -> None:
    def met(self: Any, established: Any) -> Any:
        self.remote_boot_id = established.remote_boot_id
        return established.remote_resume, True

    patch.setattr(session.Session, "_meet", met)
    patch.setattr(Established, "where", lambda self, boot_id: (self.remote_resume, True))
    patch.setattr(exchange.Exchange, "can_resume", lambda self, connection, expected: True)


@bug
def a_channel_takes_more_than_it_may_hold(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbound.Outbound, "takes", lambda self, size, frames: True)


@bug
def the_window_moves_before_the_tag(patch: pytest.MonkeyPatch) -> None:
    unexpected = datagram.DatagramOpener._unexpected

    def seen(self: Any, header: Any) -> Any:
        reason = unexpected(self, header)
        if reason is None:
            self._window.see(header.record)
        return reason

    patch.setattr(datagram.DatagramOpener, "_unexpected", seen)


@bug
def the_window_forgets_what_it_has_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ReplayWindow, "is_new", lambda self, record: record > self.newest - 4)


@bug
def a_connection_that_says_nothing_is_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lane.Lane, "late", lambda self, now_ns: None)
