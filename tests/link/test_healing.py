"""Books that do not hold what their source says: when that costs another scan, and when it does not."""

import pytest

from gateway import limits
from gateway.link.healing import Healing
from gateway.link.streams.join import Phase
from tests.link.stream_world import World

SECOND_NS = 1_000_000_000
FIRST_SECONDS, LAST_SECONDS = limits.LINK_HEAL_FIRST_NS // SECOND_NS, limits.LINK_HEAL_LAST_NS // SECOND_NS


def scans_of(mismatch_at, seconds):
    """When scans are asked for, in seconds, of a core that finds a mismatch at these."""
    count, asked = [0], []
    healing = Healing(lambda: count[0])
    for second in range(seconds):
        count[0] += mismatch_at(second)
        healing.found(second * SECOND_NS)
        if healing.is_due(second * SECOND_NS):
            healing.asked(second * SECOND_NS)
            asked.append(second)
    return asked


def test_a_mismatch_is_answered_by_a_scan_at_once_and_none_by_none():
    assert scans_of(lambda second: second == 7, 1000) == [7]
    assert scans_of(lambda second: 0, 1000) == []


def test_a_source_that_never_fits_costs_a_scan_every_five_minutes_and_no_more():
    asked = scans_of(lambda second: 1, 7200)
    waits = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    assert asked[0] == 0 and waits[:5] == [FIRST_SECONDS << step for step in range(5)]
    assert waits[9:] == [LAST_SECONDS] * len(waits[9:]) and len(waits) > 20


def test_a_source_whose_every_scan_is_wrong_is_no_quiet_one():
    """The mismatch comes right behind each scan, five minutes apart at last."""
    count, asked, wrong_at = [0], [], 0
    healing = Healing(lambda: count[0])
    for second in range(7200):
        count[0] += second == wrong_at
        healing.found(second * SECOND_NS)
        if healing.is_due(second * SECOND_NS):
            healing.asked(second * SECOND_NS)
            asked.append(second)
            wrong_at = second + 3
    waits = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    assert waits == sorted(waits) and waits[-1] == LAST_SECONDS and len(asked) < 35


def test_after_five_minutes_without_a_mismatch_the_next_one_waits_a_second_again():
    wrong = {0, 1, 3, 3 + LAST_SECONDS, 4 + LAST_SECONDS}
    assert scans_of(lambda second: second in wrong, 2000) == [0, 1, 3, 3 + LAST_SECONDS, 4 + LAST_SECONDS]


def test_what_core_had_found_before_this_process_came_is_none_of_ours():
    healing = Healing(lambda: 5)
    assert healing.found(1) == 0 and not healing.is_due(1) and healing.mismatches == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_that_begins_anew_is_stale_at_once_and_whole_after_one_more_scan(seed):
    print("seed", seed)
    world = World(seed)
    world.line.up(False)
    world.turn(50)
    world.settle()
    before, begins = world.core.scans, world.reader.market.counters["begins"]
    items = world.reader.begin_anew(world.now_ns)
    world.waiting += items
    assert len(items) == 1 and world.reader.market.join.phase is Phase.WAITING
    assert world.reader.begin_anew(world.now_ns) == [], "it has been asked for"
    world.turn(20)
    world.settle()
    assert world.reader.market.counters["begins"] == begins + 1 and world.core.scans == before + 1
    assert world.reader.market.join.losses == 1
