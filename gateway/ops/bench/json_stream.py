"""Depth messages as Binance USD-M writes them, for the suite `json`: a seeded walk, in exact decimals, snapshot first.

Level counts are drawn so that their median and mean are those of a recorded day (34 and 68); prices crowd around the middle.
Hard rule: the stream is a function of its seed.
"""

import random
from dataclasses import dataclass

LEVELS_MEDIAN, LEVELS_SIGMA, LEVELS_MAX = 34.0, 1.17, 1200
MIDDLE, TICK_DIGITS, QUANTITY_DIGITS = 618_000, 1, 3
SNAPSHOT_LEVELS = 1000
MILLISECONDS = 1_723_161_256_000


@dataclass(frozen=True)
class Depth:
    """The messages, and how many levels they carry altogether."""

    snapshot: bytes
    messages: list[bytes]
    levels: int


def make_depth(count: int, seed: int, levels: int = 0) -> Depth:
    """`count` depthUpdate messages behind a snapshot; `levels` fixes the number in each, 0 draws it."""
    rng = random.Random(seed)
    middle, last, total, messages = MIDDLE, 5_123_107_852_948, 0, []
    sides = [_levels(rng, middle, SNAPSHOT_LEVELS, sign, False) for sign in (-1, 1)]
    snapshot = f'{{"lastUpdateId":{last},"E":{MILLISECONDS},"T":{MILLISECONDS},"bids":[{sides[0]}],"asks":[{sides[1]}]}}'
    for index in range(count):
        middle += rng.randint(-3, 3)
        size = levels or min(max(round(LEVELS_MEDIAN * 2.718281828 ** rng.gauss(0, LEVELS_SIGMA)), 1), LEVELS_MAX)
        bids = size // 2
        first, before, last = last + rng.randint(1, 300), last, last + rng.randint(400, 4000)
        time = MILLISECONDS + index * 50
        total += size
        messages.append(
            f'{{"stream":"btcusdt@depth@0ms","data":{{"e":"depthUpdate","E":{time},"T":{time - 1},"s":"BTCUSDT",'
            f'"U":{first},"u":{last},"pu":{before},"b":[{_levels(rng, middle, bids, -1)}],'
            f'"a":[{_levels(rng, middle, size - bids, 1)}]}}}}'.encode()
        )
    return Depth(snapshot.encode(), messages, total)


def _levels(rng: random.Random, middle: int, count: int, sign: int, gone: bool = True) -> str:
    prices: set[int] = set()
    while len(prices) < count:
        prices.add(middle + sign * (1 + int(rng.expovariate(1 / (20 + 2 * count)))))
    texts = []
    for price in sorted(prices):
        quantity = 0 if gone and rng.random() < 0.3 else int(rng.expovariate(1 / 400)) + 1
        texts.append(f'["{price // 10}.{price % 10}0","{quantity // 1000}.{quantity % 1000:03}"]')
    return ",".join(texts)
