"""Random lives of a source and a reader: scans, losses, restarts, slow readers, small stores; the books are always even."""

import os
import random
from collections.abc import Callable

import pytest

from tests.link.stream_world import World

SEEDS = int(os.environ.get("LINK_STREAM_SEEDS", "60"))
ACTIONS = ("turn", "turn", "turn", "link", "lose", "reader", "server", "core", "slow", "fast", "scan", "quiet")


def live(seed: int) -> World:
    """One life of 40 actions; AssertionError where a promise is broken."""
    chance = random.Random(seed)
    capacities = {2: chance.choice((3_000, 20_000, 1 << 20)), 3: chance.choice((3_000, 20_000, 1 << 20))}
    world = World(seed, chance.choice((3_000, 30_000, 1 << 20)), capacities, chance.choice((3, 24, 80)))
    world.line.up(False)
    for _ in range(40):
        act(world, chance)
        world.turn(chance.randrange(60))
    world.settle()
    return world


def act(world: World, chance: random.Random) -> None:
    """One thing that happens."""
    action = chance.choice(ACTIONS)
    if action == "link":
        world.line.down()
        world.turn(chance.randrange(20))
        world.line.up(True)
    elif action == "lose":
        world.core.lose(chance.randint(1, 5))
    elif action == "reader":
        restart_reader(world, chance.random() < 0.5)
    elif action == "server":
        world.line.restart()
        world.new_server()
        world.line.up(False)
    elif action == "core":
        world.core.begin()
        world.server.restarted(world.now_ns)
    elif action == "scan":
        world.core.request_scan()
    elif action in ("slow", "fast"):
        world.slow = 0.95 if action == "slow" else 0.0
    elif action == "quiet":
        world.events, world.scanned = chance.choice(((0, 4), (3, 4), (8, 1), (1, 50)))


def restart_reader(world: World, keeps: bool) -> None:
    """The reading process is another one; with a cursor it has kept its books, and what it took."""
    world.hear()
    world.apply()
    cursor = world.reader.market.cursor
    world.line.restart()
    if not keeps or cursor is None:
        cursor, world.book.whole, world.book.last = None, False, 0
        world.book.scanning = False
    world.new_reader(cursor)
    world.line.up(False)


def lived(life: Callable[[int], World], seed: int) -> None:
    """One whole life; a failure says its seed."""
    try:
        world = life(seed)
        assert world.line.source.over_consumed == world.line.reader.over_consumed == 0, "credit given twice"
    except AssertionError as problem:
        raise AssertionError(f"seed {seed}: {problem}") from problem


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_reader_has_the_sources_books_whatever_happens(seed: int):
    lived(live, seed)


@pytest.mark.slow
def test_the_random_lives_reach_every_state():
    total: dict[str, int] = {}
    for seed in range(min(SEEDS, 25)):
        world = live(seed)
        found = {**world.server.counters, **world.reader.market.counters, "compared": world.book.compared}
        found["shed"], found["wholes"] = world.core.shed, world.book.wholes
        for name, value in found.items():
            total[name] = total.get(name, 0) + value
    for name in ("behind", "resumed", "too_old", "abandoned", "begins", "resumes", "passed", "shed", "wholes", "compared"):
        assert total[name] > 0, f"{name} never happened: {total}"


HAPPENINGS = ("executed", "executed", "executed", "link", "reader", "server", "slow", "fast", "turn")


def trade(seed: int) -> World:
    """One life of 60 happenings in which executions come; AssertionError where one is missing, doubled or out of order."""
    chance = random.Random(seed)
    world = World(seed, capacities={1: chance.choice((1_000, 20_000, 1 << 20))})
    world.reader.want("executions")
    world.line.up(False)
    for _ in range(60):
        happen(world, chance)
        world.turn(chance.randrange(8))  # few: much is under way when the next thing happens
        assert world.executions == list(range(1, len(world.executions) + 1)), "one is missing, doubled or out of order"
    world.slow = 0.0
    if not world.line.is_up:
        world.line.up(True)
    world.turn(400)
    assert world.executions == list(range(1, world.execution_number + 1)), world.state()
    assert world.reader.executions.lost == 0
    return world


def happen(world: World, chance: random.Random) -> None:
    """One thing, to executions or to who sends and reads them."""
    what = chance.choice(HAPPENINGS)
    if what == "executed":
        world.executed(chance.choice((1, 3, 200)))
    elif what == "link":
        world.lose_link()
    elif what == "reader":
        world.hear()
        world.apply()
        cursor = world.reader.executions.cursor
        world.line.restart()
        world.new_reader()
        world.reader.want("executions", cursor)
        world.line.up(False)
    elif what == "server":
        world.line.restart()
        world.new_server()
        count, world.execution_number = world.execution_number, 0
        if count:
            world.executed(count)  # what its file has
        world.line.up(False)
    elif what in ("slow", "fast"):
        world.slow = 0.9 if what == "slow" else 0.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_execution_comes_once_and_in_order_whatever_happens(seed: int):
    lived(trade, seed)
