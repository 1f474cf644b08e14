"""When the source is asked to scan: who asks again and again costs a scan an interval, whatever it does in between."""

import pytest

from gateway.limits import LINK_SCAN_DOUBLINGS_MAX
from gateway.limits import LINK_SCAN_INTERVAL_NS as INTERVAL_NS
from gateway.link.streams.stream_scans import Scans

MILLISECOND_NS = 1_000_000
NODE, OTHER = 7, 8


class Asked:
    """Scans whose source begins each one within the millisecond; `at_ns` says when it was asked."""

    def __init__(self):
        self.scans, self.at_ns, self.now_ns = Scans(lambda: self.at_ns.append(self.now_ns)), [], 0

    def run(self, until_ns: int, then) -> None:
        """NODE wants a scan in every millisecond; `then` is what it does with each it gets."""
        while self.now_ns < until_ns:
            self.now_ns += MILLISECOND_NS
            self.scans.want(NODE, self.now_ns)
            self.scans.ask(self.now_ns)
            if self.scans.asked_ns is not None:
                assert NODE in self.scans.began()
                then()

    def gaps_ns(self) -> list[int]:
        return [later - earlier for earlier, later in zip(self.at_ns, self.at_ns[1:], strict=False)]


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_the_first_scan_is_asked_for_at_once(asked):
    asked.run(MILLISECOND_NS, lambda: None)
    assert asked.at_ns == [MILLISECOND_NS]


@pytest.mark.parametrize("then", ["succeeded", "forget"])
def test_scan_after_scan_comes_an_interval_apart_even_if_the_stream_is_opened_anew_each_time(asked, then):
    asked.run(10 * INTERVAL_NS, lambda: getattr(asked.scans, then)(NODE))
    assert set(asked.gaps_ns()) == {INTERVAL_NS} and len(asked.at_ns) == 10


def test_who_never_gets_one_whole_waits_twice_as_long_each_time_up_to_the_bound(asked):
    asked.run((2 << LINK_SCAN_DOUBLINGS_MAX) * INTERVAL_NS, lambda: None)
    gaps_ns = asked.gaps_ns()
    assert gaps_ns[:LINK_SCAN_DOUBLINGS_MAX] == [INTERVAL_NS << times for times in range(LINK_SCAN_DOUBLINGS_MAX)]
    assert max(gaps_ns) <= INTERVAL_NS << LINK_SCAN_DOUBLINGS_MAX


def test_after_a_whole_one_the_wait_is_the_plain_interval_again(asked):
    asked.run(8 * INTERVAL_NS, lambda: None)
    asked.scans.succeeded(NODE)
    times = len(asked.at_ns)
    asked.run(asked.now_ns + 20 * INTERVAL_NS, lambda: None)
    assert asked.gaps_ns()[times : times + 3] == [INTERVAL_NS, INTERVAL_NS, 2 * INTERVAL_NS]


def test_one_that_asks_too_often_makes_nobody_else_wait(asked):
    asked.run(INTERVAL_NS // 2, lambda: asked.scans.succeeded(NODE))
    asked.scans.want(OTHER, asked.now_ns)
    assert asked.at_ns[-1] == asked.now_ns
    assert set(asked.scans.began()) == {NODE, OTHER}


@pytest.mark.parametrize("served", [True, False])
def test_who_waited_long_and_was_served_by_anothers_scan_or_gave_up_waits_the_plain_interval_next(asked, served):
    asked.run(200 * INTERVAL_NS, lambda: None)
    assert asked.scans.waiting[NODE] > asked.now_ns + 2 * INTERVAL_NS
    if served:
        asked.scans.want(OTHER, asked.now_ns)
        assert set(asked.scans.began()) == {NODE, OTHER}
        asked.scans.succeeded(NODE)
    else:
        asked.scans.forget(NODE)
    asked.scans.want(NODE, asked.now_ns)
    assert asked.scans.waiting[NODE] <= asked.now_ns + INTERVAL_NS
