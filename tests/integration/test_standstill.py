"""io and core stand still while copies wait in the port: what was not read yet is not missing. The whole corridor, live."""

import random
import time

import pytest

from gateway.native import lib
from tests.corridor_bench import LINE_A, LINE_B, Feed, configuration, live_pair

WINDOW_US = 5000
STILL_SECONDS = 0.03  # six windows


def packets_of(count):
    """(line A's frame, line B's) of packets of one message each; the first lists the instrument."""
    pairs = []
    first, second = Feed(), Feed()
    for number in range(count):
        for feed, line in ((first, LINE_A), (second, LINE_B)):
            messages = feed.listing() if number == 0 else (feed.add(number, "B", 100, 10_000 + number),)
            feed.packet(*messages, line=line)
        pairs.append((first.frames[-1][1], second.frames[-1][1]))
    return pairs


def counts(live):
    core = live.counters["core"]
    return {name: int(core[name]) for name in ("gaps", "gap_messages", "messages")}


def look(live, peer, *frames):
    """What the port holds is read in one look, so that it is never seen empty."""
    assert peer.transmit(list(frames)) == len(frames) <= lib.PORT_BURST_MAX
    live.turns(1)


@pytest.mark.parametrize("backlog", [0, 1, 40, 200])
def test_a_copy_that_waits_behind_a_standstill_is_no_gap(backlog):
    pairs = packets_of(4 + backlog)
    with live_pair(configuration(feed__reorder_window_us=WINDOW_US)) as (live, peer):
        look(live, peer, *pairs[0], *pairs[1])
        look(live, peer, pairs[3][0])
        waiting = [frame for pair in pairs[4:] for frame in pair] + [pairs[2][1]]
        assert peer.transmit(waiting) == len(waiting)
        time.sleep(STILL_SECONDS)
        live.turns(16 + backlog // 16)
        assert counts(live) == {"gaps": 0, "gap_messages": 0, "messages": 5 + backlog}


def test_a_hole_that_nothing_fills_is_a_gap_once_the_port_is_empty_and_its_window_over():
    pairs = packets_of(30)
    with live_pair(configuration(feed__reorder_window_us=WINDOW_US)) as (live, peer):
        look(live, peer, *pairs[0], *pairs[1])
        look(live, peer, pairs[3][0])
        time.sleep(STILL_SECONDS)
        look(live, peer, *(frame for pair in pairs[4:] for frame in pair))
        assert counts(live)["gaps"] == 0
        for _ in range(10):
            time.sleep(STILL_SECONDS / 10)
            live.turns(4)
        assert counts(live) == {"gaps": 1, "gap_messages": 1, "messages": 30}


def test_a_port_that_is_never_empty_hides_no_gap():
    pairs = packets_of(4)
    with live_pair(configuration(feed__reorder_window_us=WINDOW_US)) as (live, peer):
        look(live, peer, *pairs[0], *pairs[1])
        look(live, peer, pairs[3][0])
        turns = 0
        while counts(live)["gaps"] == 0 and turns * lib.PORT_BURST_MAX <= 2 * lib.IO_BACKLOG_FRAMES:
            time.sleep(2 * lib.IO_STANDSTILL_NS / 1e9)  # a host too slow for what comes in
            look(live, peer, *[pairs[1][0]] * lib.PORT_BURST_MAX)
            turns += 1
        assert counts(live)["gaps"] == 1 and turns > 1


@pytest.mark.parametrize("seed", range(3))
def test_standstills_at_random_places_make_no_gap_of_what_comes_on_either_line(seed):
    generator, pairs = random.Random(seed), packets_of(400)
    with live_pair(configuration(feed__reorder_window_us=WINDOW_US)) as (live, peer):
        look(live, peer, *pairs[0])
        for first in range(1, len(pairs), 10):
            soon, late = [], []
            for line_a, line_b in pairs[first : first + 10]:
                kept = [frame for frame in (line_a, line_b) if generator.random() < 0.6] or [line_b]
                (late if generator.random() < 0.2 else soon).extend(kept)
            generator.shuffle(soon)
            look(live, peer, *soon)
            assert peer.transmit(late) == len(late)  # there in time, and read with the next ones
            if generator.random() < 0.3:
                time.sleep(2 * WINDOW_US / 1e6)
        live.turns(16)
        assert counts(live) == {"gaps": 0, "gap_messages": 0, "messages": len(pairs) + 1}, f"seed {seed}"
