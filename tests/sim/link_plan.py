"""What one seed of the link simulation means: how bad the ways are, what breaks when, what the applications send.

Hard rule: everything is drawn here, before time begins; the run itself draws only what the network does to packets.
"""

from dataclasses import dataclass, field
from random import Random

from tests.sim.link_network import MICROSECOND, MILLISECOND, SECOND, Faults

BREAKS = ("cut", "cut_one_way", "pause", "reset", "half_open", "restart", "replay", "forge", "echo", "slow_reader")


@dataclass(frozen=True)
class Break:
    """Something that goes wrong at a time, for a while, on one side or in one direction (0 or 1)."""

    kind: str
    at_ns: int
    for_ns: int
    side: int


@dataclass(frozen=True)
class Sending:
    """One message that an application hands over."""

    at_ns: int
    side: int
    channel: int
    size_bytes: int
    key: int


@dataclass
class Plan:
    """A whole run."""

    seed: int
    ways: tuple[Faults, Faults] = field(default_factory=lambda: (Faults(), Faults()))
    breaks: list[Break] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    rekey_frames: int = 1 << 22
    capacity_bytes: int = 1 << 23  # of every channel
    healed_ns: int = SECOND  # from here on the network is whole
    end_ns: int = 40 * SECOND


def draw_way(random: Random) -> Faults:
    """One direction: most are bad in some ways, few in all."""
    way = Faults(latency_ns=random.randrange(100 * MICROSECOND, 30 * MILLISECOND))
    way.jitter_ns = random.choice([0, MILLISECOND, 20 * MILLISECOND])
    way.loss = random.choice([0.0, 0.01, 0.1, 0.3])
    way.duplication = random.choice([0.0, 0.1, 0.5])
    way.reorder = random.choice([0.0, 0.2])
    way.damage = random.choice([0.0, 0.0, 0.01, 0.03])
    way.bytes_per_second = random.choice([0, 0, 200_000, 2_000_000])
    return way


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(seed)
    plan = Plan(seed, (draw_way(random), draw_way(random)))
    plan.healed_ns = random.randrange(SECOND // 2, 3 * SECOND // 2)
    plan.rekey_frames = random.choice([1 << 22, 5, 30])
    plan.capacity_bytes = random.choice([1 << 23, 1 << 16])
    for _ in range(random.choice([0, 1, 2, 3, 5])):
        kind = random.choice(BREAKS)
        at_ns = random.randrange(20 * MILLISECOND, plan.healed_ns)
        plan.breaks.append(Break(kind, at_ns, random.randrange(20 * MILLISECOND, 900 * MILLISECOND), random.randrange(2)))
    for _ in range(random.randrange(20, 90)):
        plan.sendings.append(draw_sending(random, plan.healed_ns))
    plan.sendings.sort(key=lambda sending: sending.at_ns)
    return plan


def draw_sending(random: Random, last_ns: int) -> Sending:
    """Many small messages, some as large as a frame holds, few that are cut into fragments."""
    channel = random.choice([0, 1, 2, 2, 3, 3, 4, 5])
    size = random.choice([40, 40, 200, 1400, 16_000])
    if channel == 0 and random.random() < 0.1:
        size = 40_000
    return Sending(random.randrange(last_ns), random.randrange(2), channel, size, random.randrange(3))
