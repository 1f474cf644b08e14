"""The reading side of executions: which marks are ours, and each execution once."""

import numpy as np

from gateway.link.frames.wire import Message
from gateway.link.streams import records, stream_request
from gateway.link.streams.execution_subscription import ExecutionSubscription
from gateway.link.streams.stream_request import Begin

SOURCE = (7, bytes(16))


def say(subscription: ExecutionSubscription, body: bytes, schema: int = 0) -> list[int]:
    """A message of channel 1; the numbers of what is new in it."""
    return subscription.on_delivered(Message(1, 1, 0, 0, 1, 0, schema, 0, len(body), body))["sequence"].tolist()


def mark(begin: int, generation: int, sequence: int, resumed: bool = False) -> bytes:
    return stream_request.encode(Begin(begin, generation, *SOURCE, sequence, resumed))


def executions(first: int, count: int) -> bytes:
    rows = np.zeros(count, records.EXECUTION)
    rows["sequence"] = np.arange(first, first + count)
    return rows.tobytes()


def test_a_mark_of_a_request_that_this_process_never_made_brings_nothing_and_hides_nothing():
    """What the source sent before it heard that the reading process is another one; that one counts from 1 again."""
    subscription = ExecutionSubscription()
    subscription.expect(1)
    say(subscription, mark(14, 6, 30))
    assert say(subscription, executions(30, 3), records.SCHEMA_EXECUTIONS) == []
    assert (subscription.source, subscription.lost, subscription.failed) == (None, 0, "")
    say(subscription, mark(1, 7, 1))
    assert say(subscription, executions(1, 3), records.SCHEMA_EXECUTIONS) == [1, 2, 3]
    assert say(subscription, executions(2, 4), records.SCHEMA_EXECUTIONS) == [4, 5]


def test_what_the_source_no_longer_keeps_is_counted_as_lost():
    subscription = ExecutionSubscription()
    subscription.expect(1)
    say(subscription, mark(1, 1, 11))
    assert subscription.lost == 10
    assert say(subscription, executions(11, 2), records.SCHEMA_EXECUTIONS) == [11, 12]


def test_a_hole_is_a_gap_and_a_mark_that_resumes_elsewhere_is_refused():
    for wrong, reason in ((executions(5, 1), "GAP"), (mark(1, 2, 9, True), "CURSOR")):
        subscription = ExecutionSubscription()
        subscription.expect(1)
        say(subscription, mark(1, 1, 1))
        say(subscription, executions(1, 2), records.SCHEMA_EXECUTIONS)
        say(subscription, wrong, records.SCHEMA_EXECUTIONS if reason == "GAP" else 0)
        assert subscription.failed == reason
