"""Who speaks next: strict channels first, the others by weight, and nobody waits beyond the bound."""

from random import Random

import pytest

from gateway import limits
from gateway.link.peers.channel import CHANNELS, ChannelPolicy, ChannelSettings
from gateway.link.peers.outbound import Entry, Outbound
from gateway.link.peers.scheduler import FRAME_COST_MAX, Scheduler

CHARGE = limits.LINK_FRAME_CHARGE


def channels(*weights: int) -> list[Outbound]:
    made = []
    for number, weight in enumerate(weights):
        outbound = Outbound(ChannelSettings(number, f"c{number}", 1, ChannelPolicy.ORDERED, weight, 1 << 40, 1 << 30))
        outbound.limit = 1 << 60
        made.append(outbound)
    return made


def fill(outbound: Outbound, count: int, size: int = limits.LINK_BODY_BYTES_MAX) -> None:
    for _ in range(count):
        assert outbound.send(Entry(0, 1, 0, 0, 0, size, bytes(size), None, 0, 0))


def take(scheduler: Scheduler) -> tuple[int, int] | None:
    """(channel, cost) of what goes next."""
    found = scheduler.next()
    if found is None:
        return None
    outbound, entry = found
    outbound.take(entry, 0)
    return outbound.settings.number, len(entry.body) + CHARGE


@pytest.mark.parametrize("sizes", [(16384, 16384, 16384), (200, 16384, 900), (16384, 100, 100)])
def test_busy_channels_share_bytes_by_their_weights(sizes: tuple[int, ...]):
    made = channels(60, 25, 15)
    scheduler = Scheduler(made)
    total = 4_000_000
    for outbound, size in zip(made, sizes, strict=True):
        fill(outbound, total // (size + CHARGE), size)
    shares = [0, 0, 0]
    while sum(shares) < total:
        number, cost = take(scheduler) or (0, 0)
        shares[number] += cost
    for share, weight in zip(shares, (60, 25, 15), strict=True):
        assert abs(share / sum(shares) - weight / 100) < 0.02


def test_strict_channels_go_before_all_others_in_the_order_of_their_numbers():
    made = channels(0, 60, 0, 40)
    scheduler = Scheduler(made)
    for outbound in made:
        fill(outbound, 3, 10)
    assert [(take(scheduler) or (9, 9))[0] for _ in range(6)] == [0, 0, 0, 2, 2, 2]
    assert {(take(scheduler) or (9, 9))[0] for _ in range(6)} == {1, 3}
    assert scheduler.next() is None and not scheduler.ready


def test_a_channel_alone_takes_everything_and_saves_nothing_up_while_idle():
    made = channels(60, 25)
    scheduler = Scheduler(made)
    fill(made[0], 100)
    assert [(take(scheduler) or (9, 9))[0] for _ in range(100)] == [0] * 100
    fill(made[0], 100)
    fill(made[1], 100)
    first = [(take(scheduler) or (9, 9))[0] for _ in range(20)]
    assert 4 <= first.count(1) <= 7, "no more than its weight, however long it was silent"


def test_a_channel_that_waits_for_its_window_does_not_hold_up_the_others():
    made = channels(60, 25)
    scheduler = Scheduler(made)
    fill(made[0], 10)
    fill(made[1], 10)
    made[0].limit = 0
    assert [(take(scheduler) or (9, 9))[0] for _ in range(10)] == [1] * 10
    assert scheduler.next() is None and made[0].waiting


@pytest.mark.parametrize("seed", range(10))
def test_no_head_waits_for_more_than_the_starvation_bound(seed: int):
    """Measured: bytes of the others between the moment a head stands and the moment it goes, with mixed sizes and pauses."""
    random = Random(seed)
    made = channels(60, 25, 15)
    scheduler = Scheduler(made)
    waited = [0, 0, 0]
    worst = [0, 0, 0]
    for _ in range(3000):
        for outbound in made:
            if random.random() < 0.5 and outbound.held_frames < 50:
                fill(outbound, random.randrange(1, 4), random.choice((0, 300, 5000, 16384)))
        found = take(scheduler)
        if found is None:
            continue
        number, cost = found
        for other, outbound in enumerate(made):
            if other == number or outbound.head() is None:
                waited[other] = 0
            else:
                waited[other] += cost
                worst[other] = max(worst[other], waited[other])
    for number in range(3):
        assert worst[number] <= scheduler.starvation_bound_bytes(number)


def test_the_bound_of_the_channels_as_they_are_is_a_few_frames():
    bulk = [Outbound(row) for row in CHANNELS if row.connection == 1]
    scheduler = Scheduler(bulk)
    frames = {
        row.name: scheduler.starvation_bound_bytes(row.number) / FRAME_COST_MAX for row in CHANNELS if row.connection == 1
    }
    assert frames["market_data"] < 5 and frames["snapshots"] < 8 and frames["quotes"] < 11
