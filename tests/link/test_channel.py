"""Both sides of one channel: sequences, the store, windows, what is lost, what conflates, what is delivered when."""

from random import Random

import pytest

from gateway import limits
from gateway.link.frames.wire import Message
from gateway.link.peers import acknowledgement
from gateway.link.peers.channel import ChannelPolicy, ChannelSettings
from gateway.link.peers.inbound import Inbound
from gateway.link.peers.outbound import Entry, Outbound

CHARGE = limits.LINK_FRAME_CHARGE
ORDERED, LATEST = ChannelPolicy.ORDERED, ChannelPolicy.LATEST


def settings(
    policy: ChannelPolicy = ORDERED, size: int = 100_000, frames: int = 100, manual: bool = True
) -> ChannelSettings:
    return ChannelSettings(2, "tested", 1, policy, 10, size, frames, manual)


def entry(body: bytes, key: int = 0) -> Entry:
    return Entry(0, 1, 0, 0, 0, len(body), body, None, key, 0)


def sent(outbound: Outbound, count: int, size: int = 10) -> list[Entry]:
    """So many messages on the wire, as records 0, 1, …"""
    for _ in range(count):
        assert outbound.send(entry(bytes(size)))
    return [take(outbound, record) for record in range(count)]


def take(outbound: Outbound, record: int) -> Entry:
    head = outbound.head()
    assert head is not None
    outbound.take(head, record)
    return head


def message(sequence: int, size: int = 10) -> Message:
    return Message(1, 2, 0, 0, sequence, 0, 0, 0, size, bytes(size))


def test_sequences_begin_at_one_and_a_refused_message_uses_none():
    outbound = Outbound(settings(frames=3))
    assert [outbound.send(entry(b"x")) for _ in range(5)] == [1, 2, 3, 0, 0]
    assert outbound.refused == 2 and outbound.wanted
    take(outbound, 0)
    outbound.acknowledge(1, 0)
    assert outbound.send(entry(b"x")) == 4


def test_room_is_what_is_neither_unsent_nor_unacknowledged():
    outbound = Outbound(settings(size=1000))
    outbound.send(entry(bytes(600)))
    assert outbound.room == 400 and outbound.send(entry(bytes(401))) == 0 and outbound.send(entry(bytes(400))) == 2
    take(outbound, 0)
    assert outbound.room == 0
    outbound.acknowledge(1, 0)
    assert outbound.room == 600


def test_the_newer_message_of_a_key_takes_the_place_and_sequence_of_the_unsent_one():
    outbound = Outbound(settings(LATEST))
    assert [outbound.send(entry(b"a1", 7)), outbound.send(entry(b"b1", 8)), outbound.send(entry(b"a2", 7))] == [1, 2, 1]
    assert outbound.conflated == 1 and outbound.held_bytes == 4
    assert [take(outbound, 0).body, take(outbound, 1).body] == [b"a2", b"b1"]
    assert outbound.send(entry(b"a3", 7)) == 3, "what is on the wire is not replaced"


def test_a_conflated_message_may_grow_only_as_far_as_its_channel():
    outbound = Outbound(settings(LATEST, size=1000))
    outbound.send(entry(bytes(10), 1))
    outbound.send(entry(bytes(500), 2))
    assert outbound.send(entry(bytes(501), 1)) == 0 and outbound.send(entry(bytes(500), 1)) == 1
    assert outbound.room == 0


def test_only_what_the_window_allows_is_sent_and_a_retransmission_costs_nothing():
    outbound = Outbound(settings(size=1000))
    assert outbound.limit == 1000
    for _ in range(10):
        outbound.send(entry(bytes(100)))
    record = 0
    while outbound.head() is not None:
        take(outbound, record)
        record += 1
    assert record == 1000 // (100 + CHARGE) and outbound.waiting
    outbound.lost_run(1, 2, record)
    assert [take(outbound, record).sequence, take(outbound, record + 1).sequence] == [1, 2]
    assert outbound.head() is None
    outbound.acknowledge(0, 1000 + 100 + CHARGE)
    assert take(outbound, record + 2).sequence == record + 1


def test_a_window_never_shrinks_and_an_acknowledgement_never_goes_back():
    outbound = Outbound(settings())
    sent(outbound, 5)
    limit = outbound.limit
    assert outbound.acknowledge(3, 1) and outbound.limit == limit
    assert outbound.acknowledge(2, 0) and outbound.acknowledged == 3


@pytest.mark.parametrize("in_order", [4, 6, 1 << 63])
def test_an_acknowledgement_of_what_was_never_sent_is_no_acknowledgement(in_order: int):
    outbound = Outbound(settings())
    sent(outbound, 3)
    for _ in range(2):
        outbound.send(entry(b"unsent"))
    assert not outbound.acknowledge(in_order, 0)
    assert outbound.flying == 3


def test_what_is_missing_goes_again_only_if_its_record_was_taken_in():
    outbound = Outbound(settings())
    sent(outbound, 6)
    assert outbound.lost_run(2, 3, 3) == 0
    again = []
    while (head := outbound.head()) is not None:
        assert outbound.take(head, 10 + len(again))
        again.append(head.sequence)
    assert again == [2, 3], "4 was in record 3, which is still on its way"
    outbound.lost_run(2, 3, 4)
    assert [take(outbound, 20).sequence] == [4]
    assert outbound.head() is None


def test_the_last_frames_of_a_channel_are_known_to_be_lost_by_the_records_that_were_taken_in():
    outbound = Outbound(settings())
    sent(outbound, 5)
    outbound.acknowledge(2, 0)
    outbound.lost_tail(3, 5)
    assert [take(outbound, 5).sequence, take(outbound, 6).sequence] == [4, 5]
    outbound.lost_tail(3, 6)
    assert [take(outbound, 7).sequence] == [4], "5 is on its way again in record 6"
    assert outbound.retransmitted == 3


def test_tries_are_counted_for_each_frame_and_begin_anew_on_the_next_connection():
    outbound = Outbound(settings())
    sent(outbound, 2)
    for turn in range(3):
        assert outbound.lost_run(1, 1, 100) == turn
        take(outbound, 2 + turn)
    assert outbound.lost_run(1, 1, 100) == 3
    outbound.resume(1)
    take(outbound, 0)
    assert outbound.lost_run(1, 1, 100) == 1


def test_on_a_new_connection_everything_the_other_side_lacks_goes_again_in_order():
    outbound = Outbound(settings())
    sent(outbound, 6)
    outbound.send(entry(b"unsent"))
    outbound.lost_run(4, 1, 6)
    assert outbound.can_resume(1) and outbound.can_resume(7) and not outbound.can_resume(8) and not outbound.can_resume(0)
    outbound.resume(4)
    assert [take(outbound, record).sequence for record in range(4)] == [4, 5, 6, 7]
    assert outbound.head() is None and outbound.acknowledged == 3


def test_what_comes_behind_a_gap_waits_until_it_is_filled():
    inbound = Inbound(settings())
    assert inbound.accept(message(1)) == (message(1),)
    assert inbound.hole(3) == (2, 1) and inbound.accept(message(3)) == ()
    assert inbound.accept(message(4)) == () and inbound.gap == 1
    assert inbound.hole(7) == (5, 2) and inbound.accept(message(7)) == ()
    assert inbound.gaps == 2 and inbound.in_order == 1 and inbound.highest == 7
    assert [one.sequence for one in inbound.accept(message(2)) or ()] == [2, 3, 4]
    assert inbound.gap == 2


def test_a_sequence_is_delivered_once():
    inbound = Inbound(settings())
    random = Random(2)
    delivered: list[int] = []
    pool = [*range(1, 101)] * 3
    random.shuffle(pool)
    for sequence in pool:
        if sequence > inbound.highest + 1:
            inbound.hole(sequence)
        delivered += [one.sequence for one in inbound.accept(message(sequence)) or ()]
    assert delivered == [*range(1, 101)] and inbound.duplicates == 200
    assert inbound.received == 100 * (10 + CHARGE)


def test_more_than_the_credit_given_is_refused_and_credit_comes_with_consumption():
    inbound = Inbound(settings(size=1000))
    sequence = 0
    while inbound.accept(message(sequence + 1, 100)):
        sequence += 1
    assert sequence == 1000 // (100 + CHARGE)
    assert inbound.accept(message(sequence + 1, 100)) is None
    inbound.taken()
    assert inbound.limit == 1000 + sequence * CHARGE
    assert inbound.consumed(100 * sequence) and inbound.limit == 1000 + sequence * (100 + CHARGE)
    inbound.advertised = inbound.limit
    assert not inbound.consumed(1 << 40) and inbound.limit == 1000 + sequence * (100 + CHARGE), "nobody consumes twice"
    assert inbound.accept(message(sequence + 1, 100))


def test_a_sequence_that_no_window_reaches_is_impossible():
    inbound = Inbound(settings(size=1000))
    assert [inbound.possible(sequence) for sequence in (0, 1, 13, 14, (1 << 64) - 1)] == [False, True, True, False, False]
    inbound.accept(message(1))
    assert inbound.possible(14) and inbound.possible(1)


def test_a_channel_without_manual_credit_is_consumed_when_it_is_taken():
    inbound = Inbound(settings(size=1000, manual=False))
    inbound.accept(message(1, 500))
    assert inbound.limit == 1000 and inbound.taken() and inbound.limit == 1000 + 500 + CHARGE


def test_what_was_held_when_a_connection_broke_is_forgotten_and_comes_again():
    inbound = Inbound(settings())
    inbound.accept(message(1))
    inbound.hole(3)
    inbound.accept(message(3))
    inbound.reopened()
    assert inbound.received == 10 + CHARGE and inbound.gap == 0
    assert inbound.accept(message(2)) == (message(2),) and inbound.accept(message(3)) == (message(3),)


def test_acknowledgements_come_back_as_they_were_packed():
    rows = [(2, 1, 41, 43, 65536), (15, 0, (1 << 64) - 1, (1 << 64) - 1, 0)]
    body = acknowledgement.pack(True, (1, 2), (3, 4), rows)
    assert acknowledgement.read(body) == (1, (1, 2), (3, 4), rows)
    assert acknowledgement.read_missing(acknowledgement.pack_missing(9, 5, 2, 77)) == (9, 2, 5, 77)


def test_bodies_that_are_no_acknowledgements_are_none():
    body = acknowledgement.pack(False, (1, 2), (3, 4), [(2, 1, 41, 43, 65536)])
    for wrong in (
        b"",
        body[:-1],
        body + b"x",
        b"\x02" + body[1:],
        body[:1] + b"\x02" + body[2:],
        body[:2] + b"\x01" + body[3:],
    ):
        assert acknowledgement.read(wrong) is None
    missing = acknowledgement.pack_missing(9, 5, 2, 77)
    for wrong in (
        b"",
        missing[:-1],
        missing + b"x",
        acknowledgement.pack_missing(9, 0, 2, 7),
        acknowledgement.pack_missing(9, 5, 0, 7),
    ):
        assert acknowledgement.read_missing(wrong) is None


def test_an_acknowledgement_is_due_after_so_many_frames_or_so_long():
    cadence = acknowledgement.Cadence(4, 1000)
    assert cadence.due_ns == limits.LINK_NEVER_NS
    cadence.heard(50)
    cadence.heard(90)
    assert cadence.due_ns == 1050
    cadence.heard(100)
    cadence.heard(110)
    assert cadence.due_ns == 0
    cadence.said()
    cadence.heard(500)
    assert cadence.due_ns == 1500
    cadence.hurry()
    assert cadence.due_ns == 0
