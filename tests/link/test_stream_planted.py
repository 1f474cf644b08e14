"""Bugs planted in the streams, each by one replaced function, and the check that finds it; without the bug it is silent.

The checks have names: `lives` is the seeded simulation against the naive twin, the others are what they say.
"""

import struct

import numpy as np
import pytest

from gateway.link.streams import batch as batches
from gateway.link.streams import cursor as cursors
from gateway.link.streams import records, stream_request
from gateway.link.streams.execution_subscription import ExecutionSubscription
from gateway.link.streams.join import Join
from gateway.link.streams.retained import Retained
from gateway.link.streams.stream_asking import Asking
from gateway.link.streams.stream_opening import Opening
from gateway.link.streams.stream_progress import Progress
from gateway.link.streams.stream_quotes import Quotes
from gateway.link.streams.stream_reader import StreamReader
from gateway.link.streams.stream_scans import Scans
from gateway.link.streams.stream_server import StreamServer
from gateway.link.streams.subscription import Subscription
from tests.link.stream_checks import (
    CHECKS,
    asked_well,
    captured,
    credited,
    executed,
    followed,
    granted,
    lives,
    quoted,
    rebound,
    resumed,
    shared,
    trimmed,
)

# bugs: (what it is, where, the function that replaces it, the check that finds it)


def resumes_one_too_far(original):
    return lambda self, sequence: original(self, sequence + 1)


def takes_what_is_left(original):
    def entry(self, number):
        return original(self, max(number, self.evicted))

    return entry


def applies_unscanned(original):
    def unfinished(self, rows, keep):
        keep[:] = True

    return unfinished


def drops_unscanned_when_live(original):
    return lambda self, rows: original(self, rows) & (rows["flags"] & records.UNSCANNED == 0)


def applies_scans_of_others(original):
    return lambda self, rows: np.ones(len(rows), bool)


def passes_over_losses(original):
    def lose(self):
        return False

    return lose


def duplicates_at_the_join(original):
    return lambda self, sequence: self


def turns_without_order(original):
    def turn(self):
        return next((channel for channel in self.channels if self._held[channel]), None)

    return turn


def keeps_old_generations(original):
    def on_mark(self, channel, body):
        found = original(self, channel, body)
        self._marks = dict.fromkeys(self.channels, self._mark)
        return found

    return on_mark


def credits_on_arrival(original):
    def give(self, channel, size_bytes):
        self.peer.consumed(channel, size_bytes)

    return give


def credits_twice(original):
    def taken(self, item):
        original(self, item)
        original(self, item)

    return taken


def never_ends_grants(original):
    def end(self, subscriber, stream, reason, now_ns):
        return None

    return end


def never_renews_in_a_new_session(original):
    def bind(self, binding, now_ns):
        self._binding = binding

    return bind


def asks_for_each(original):
    def want(self, who, now_ns):
        self.asked_ns = None
        original(self, who, now_ns)

    return want


def owes_no_quotes(original):
    return lambda self, subscriber: None


def forgets_the_previous_live(original):
    def cut(rows, previous):
        found, last = original(rows, previous)
        return [one._replace(previous=one.first - 1) for one in found], last

    return cut


def repeats_executions(original):
    def begin(self, mark, same):
        self.source, self.next_sequence = (mark.node, mark.boot_id), mark.sequence

    return begin


def cursor_of_another_life(original):
    def where(self, request, retained):
        found = cursors.parse(request.cursor) if request.cursor else None
        return found, None if found is None else retained.number_of(found.sequence)

    return where


def loses_at_full_channel(original):
    def send_entry(self, peer, entry, now_ns):
        original(self, peer, entry, now_ns)
        return True

    return send_entry


def ends_scans_early(original):
    def begin_scan(self, subscriber, sequence):
        original(self, subscriber, sequence)
        if "snapshots" in subscriber.progress:
            self._finish(subscriber, subscriber.progress["snapshots"].number)

    return begin_scan


def takes_any_field(original):
    return lambda value, kind, bound: True


def takes_any_stream(original):
    def decode(body, scan, mixed=False):
        return original(body, scan, None)

    return decode


def keeps_a_new_life(original):
    def restarted(self, now_ns):
        return None

    return restarted


BUGS = [
    ("resume is off by one", Retained, "number_of", resumes_one_too_far, lives),
    ("the next best entry instead of too old", Retained, "entry", takes_what_is_left, lives),
    ("UNSCANNED is applied while synchronising", Join, "_unfinished", applies_unscanned, lives),
    ("UNSCANNED is dropped when live", Join, "_live", drops_unscanned_when_live, lives),
    ("scans of others are applied when live", Join, "_live", applies_scans_of_others, followed),
    ("LOST is passed over", Join, "_lose", passes_over_losses, lives),
    ("duplicates at the join", batches.Batch, "behind", duplicates_at_the_join, trimmed),
    ("channels are taken as they come", Subscription, "_turn", turns_without_order, lives),
    ("batches of an older generation are taken", Subscription, "_on_mark", keeps_old_generations, trimmed),
    ("credit on arrival", StreamReader, "_give", credits_on_arrival, credited),
    ("credit twice", StreamReader, "taken", credits_twice, lives),
    ("a grant that is over does not end", StreamServer, "end", never_ends_grants, granted),
    ("grants are not made anew in a new session", Asking, "bind", never_renews_in_a_new_session, rebound),
    ("a scan for each who waits", Scans, "want", asks_for_each, shared),
    ("who comes late gets no quotes", Quotes, "owe_all", owes_no_quotes, quoted),
    ("previous is not the last live record", batches, "cut", forgets_the_previous_live, captured),
    ("executions come twice where they begin anew", ExecutionSubscription, "_begin", repeats_executions, executed),
    ("a cursor of another life is taken", Opening, "_where", cursor_of_another_life, resumed),
    ("an entry that found no room is left out", Progress, "_send_entry", loses_at_full_channel, lives),
    ("a scan ends where it begins", Opening, "begin_scan", ends_scans_early, lives),
    ("fields are not checked", stream_request, "_holds", takes_any_field, asked_well),
    ("a batch of another stream is taken", batches, "decode", takes_any_stream, captured),
    ("a new life of the source is not noticed", StreamServer, "restarted", keeps_a_new_life, lives),
]


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_without_a_bug_every_check_is_silent(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize(("what", "place", "name", "bug", "check"), BUGS, ids=[bug[0] for bug in BUGS])
def test_a_planted_bug_is_found_by_its_check(what, place, name, bug, check, monkeypatch):
    fired = []
    broken = bug(getattr(place, name))

    def counted(*words, **named):
        fired.append(1)
        return broken(*words, **named)

    monkeypatch.setattr(place, name, counted)
    with pytest.raises((AssertionError, ValueError, struct.error, pytest.fail.Exception)):
        check()
    assert fired, f"{what}: the bug was never reached"


def test_at_least_twelve_bugs_are_planted_in_different_functions():
    assert len({(place, name, bug) for _, place, name, bug, _ in BUGS}) >= 12
