"""Whose packets a channel follows, whatever the format: restarts, sessions that roll or are forged, damaged headers."""

import random

import pytest

from gateway import limits
from gateway.core.packet_fields import make_format
from tests.feed_bench import SESSION, Feed, messages_of

SECOND_NS = 1_000_000_000
SILENCE_NS = limits.SESSION_SILENCE_NS
SILENT = 7


def timed_format(counts_messages=0):
    """Sequence 4 bytes, time 8, type 1, header length 1, count 2; sequence counts packets unless told otherwise."""
    fields = {"sequence": (0, 4, False), "time": (4, 8, False), "type": (12, 1, False), "header_length": (13, 1, False)}
    if counts_messages:
        fields["count"] = (14, 2, True)
    return make_format(16, fields, (SILENT, 200), sequence_counts_messages=counts_messages)


def timed(sequence, time, kind=1, header=16, count=1):
    head = sequence.to_bytes(4, "little") + time.to_bytes(8, "little") + bytes([kind, header])
    return head + count.to_bytes(2, "big") + b"body"


def sequences(feed):
    return [row[0] for row in feed.output if isinstance(row[0], int)]


def test_a_feed_that_counts_packets_advances_by_one_a_packet():
    feed = Feed(form=timed_format())
    for sequence in (5, 6, 8, 7):
        feed.raw(timed(sequence, sequence), 10 + sequence)
    assert sequences(feed) == [5, 6, 7, 8] and feed.counters[0]["gaps"] == 0


def test_silent_types_take_no_sequence_and_are_not_delivered():
    feed = Feed(form=timed_format())
    for packet in (timed(1, 1), timed(2, 2, kind=SILENT), timed(2, 2, kind=200), timed(2, 2)):
        feed.raw(packet, 1)
    assert sequences(feed) == [1, 2] and feed.counters[0]["heartbeats"] == 2


def test_a_header_that_says_it_is_longer_than_its_packet_is_refused():
    feed = Feed(form=timed_format())
    feed.raw(timed(1, 1, header=21), 1)
    assert feed.output == [] and feed.reason("FEED_PACKET_SHORT") == 1


def test_a_channel_that_restarts_at_one_with_a_newer_time_begins_anew_at_once():
    feed = Feed(form=timed_format())
    for sequence in range(1, 50):
        feed.raw(timed(sequence, sequence * 1000), sequence)
    feed.raw(timed(1, 49_000 + limits.REORDER_WINDOW_NS + 1), 60)
    feed.raw(timed(2, 49_000 + limits.REORDER_WINDOW_NS + 2), 61)
    assert sequences(feed)[-3:] == [49, 1, 2] and feed.joins == [1, 1]
    assert feed.reason("FEED_SEQUENCE_RESET") == 1 and feed.statistics["resets"] == 1


def test_an_old_packet_with_its_old_time_is_a_copy_however_late_it_comes():
    feed = Feed(form=timed_format())
    for sequence in range(1, 50):
        feed.raw(timed(sequence, sequence * 1000), sequence)
    feed.raw(timed(1, 1000), 60 * SECOND_NS)
    feed.raw(timed(1, 49_000 + limits.REORDER_WINDOW_NS), 60 * SECOND_NS)  # within what two lines may differ by
    assert len(feed.output) == 49 and feed.reason("FEED_SEQUENCE_RESET") == 0


def test_without_times_sequence_one_begins_anew_only_after_a_second():
    feed = Feed()
    feed.offer(1, messages_of(1, 3), 0)
    feed.offer(1, messages_of(1, 3), limits.RESTART_NS, line=1)
    assert feed.joins == [1] and feed.reason("FEED_DUPLICATE") == 1
    feed.offer(1, messages_of(1, 2), limits.RESTART_NS + 1)
    assert feed.joins == [1, 1] and sequences(feed) == [1, 2, 3, 1, 2]


def test_a_forged_session_moves_nothing_while_the_true_one_is_heard():
    feed = Feed()
    for step in range(60):
        now_ns = step * SECOND_NS
        feed.offer(1 + step, messages_of(1 + step, 1), now_ns)
        feed.offer(1 + step, [b"forged"], now_ns + 1, session="FORGED")
    assert sequences(feed) == list(range(1, 61)) and feed.joins == [1]
    assert feed.reason("FEED_SESSION_OTHER") == 60


def test_a_session_that_began_with_a_forged_packet_gives_way_to_the_one_that_keeps_coming():
    feed = Feed()
    feed.offer(1, [b"forged"], 0, session="FORGED")
    for step in range(1, 30):
        feed.offer(100 + step, messages_of(100 + step, 1), step * SECOND_NS)
    assert feed.joins == [1, 111]
    assert sequences(feed)[1:] == list(range(111, 130))
    assert feed.reason("FEED_SEQUENCE_RESET") == 1 and feed.counters[0]["sessions"] == 2


def test_packets_of_another_session_that_do_not_follow_one_another_are_never_followed():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0)
    for step in range(50):
        feed.offer(7 * step + 1, [b"noise"], SILENCE_NS * 2 + step, session="NOISE")
    assert feed.joins == [1]


def test_a_forged_number_far_ahead_does_not_pin_the_channel_for_ever():
    feed = Feed()
    for step in range(5):
        feed.offer(1 + step, messages_of(1 + step, 1), step)
    feed.offer(1_000_000_000, [b"forged"], 10)
    feed.tick(SECOND_NS)
    for step in range(5, 30):
        feed.offer(1 + step, messages_of(1 + step, 1), SECOND_NS + step * SECOND_NS)
    assert feed.joins[0] == 1 and len(feed.joins) == 2
    assert sequences(feed)[-10:] == list(range(21, 31))


def test_a_retransmission_never_begins_anything():
    feed = Feed()
    feed.offer(1, messages_of(1, 1), 0, line=2)
    assert feed.output == []
    feed.offer(5, messages_of(5, 1), 0)
    for step in range(20):
        feed.offer(1, messages_of(1, 1), (20 + step) * SECOND_NS, line=2)
        feed.offer(1 + step, messages_of(1, 1), (20 + step) * SECOND_NS, line=2, session="OTHER")
    assert feed.joins == [5] and sequences(feed) == [5]


@pytest.mark.parametrize("seed", range(6))
def test_damaged_headers_never_deliver_out_of_order_nor_twice(seed):
    generator = random.Random(seed)
    for form in (timed_format(), timed_format(1), None):
        feed = Feed(form=form, request=0)
        for step in range(1500):
            if form is None:
                feed_packet(feed, generator, step)
            else:
                packet = bytearray(timed(step % 2**32, step * 1000, count=1))
                damage(packet, generator)
                feed.raw(
                    bytes(packet[: generator.choice((len(packet), len(packet), generator.randint(0, 20)))]), step * 1000
                )
        check_runs(feed, seed)


def feed_packet(feed, generator, step):
    """A whole MoldUDP64 packet with a damaged number; its messages stay readable."""
    sequence = generator.choice((step + 1, step + 1, step + 1, generator.randint(0, 2**64 - 1), generator.randint(0, 3000)))
    session = generator.choice((SESSION,) * 20 + ("OTHER",))
    feed.offer(sequence, messages_of(step + 1, 1), step * 1000, generator.randint(0, 1), session)


def damage(packet, generator):
    for _ in range(generator.choice((0, 0, 0, 1, 3))):
        packet[generator.randrange(16)] = generator.randrange(256)


def check_runs(feed, seed):
    """Within each run every number leaves once and in order, or is declared lost."""
    expected, runs = 0, 0
    for kind, first, end in feed.spans:
        runs += kind == "run"
        assert first == expected or kind == "run", f"seed {seed}"
        expected = end
    assert runs <= 1 + feed.reason("FEED_SEQUENCE_RESET"), f"seed {seed}"
    assert feed.spans, f"seed {seed}"


def test_a_format_whose_field_leaves_its_header_is_refused():
    for place in ((14, 4, False), (0, 3, False), (-1, 1, False)):
        with pytest.raises(ValueError, match="packet field sequence"):
            make_format(16, {"sequence": place})


def test_numbers_of_every_width_and_order_are_read():
    for width in (1, 2, 4, 8):
        for big in (False, True):
            feed = Feed(form=make_format(9, {"sequence": (1, width, big)}))
            for sequence in (3, 4, 6, 5):
                body = sequence.to_bytes(width, "big" if big else "little")
                feed.raw((b"x" + body).ljust(9, b"\0"), sequence)
            assert sequences(feed) == [3, 4, 5, 6], (width, big)
