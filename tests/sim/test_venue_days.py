"""Whole seeded days of the simulated venue: market, a client at random, a fault plan, a full ring now and then.

One seed fixes everything. After each day: the feed rebuilds the books, shares are conserved, the reports rebuild the
client's positions and open orders, lost ranges are exactly what neither line carried.
"""

import random

import pytest

from gateway.protocols import itch50, ouch50
from gateway.venues.simulator.books import books, client_orders
from gateway.venues.simulator.report import lost_ranges, report
from gateway.venues.simulator.settings import FaultPlan, Settings
from tests.naive_venue import FeedBooks, price_units
from tests.venues.desk import MAC_A, MAC_B, Desk, packets

SEEDS = (1, 2, 3, 4, 5, 6)
SYMBOLS = 6
TURNS = 250


class ClientBook:
    """Positions, cash and open orders as the client's reports tell them."""

    def __init__(self) -> None:
        self.open: dict[int, list] = {}  # reference -> [symbol, side, open]
        self.positions = {f"SIM{index:04d}": 0 for index in range(SYMBOLS)}
        self.cash = dict.fromkeys(self.positions, 0)

    def apply(self, told: dict) -> None:
        kind, reference = told["message"], told["user_ref_num"]
        if kind == "Order Replaced":
            del self.open[told["orig_user_ref_num"]]
        if kind in ("Order Accepted", "Order Replaced"):
            self.open[reference] = [told["symbol"], "B" if told["side"] == "B" else "S", told["quantity"]]
        elif kind == "Order Executed":
            symbol, side, _ = self.open[reference]
            signed = told["quantity"] if side == "B" else -told["quantity"]
            self.positions[symbol] += signed
            self.cash[symbol] -= signed * price_units(told["price"])
            self._take(reference, told["quantity"])
        elif kind == "Order Canceled":
            self._take(reference, told["quantity"])

    def _take(self, reference: int, quantity: int) -> None:
        self.open[reference][2] -= quantity
        assert self.open[reference][2] >= 0
        if self.open[reference][2] == 0:
            del self.open[reference]


def random_message(rng: random.Random, desk: Desk, client: ClientBook) -> bytes:
    """An order near the touch, a cancel, a replacement or, rarely, a mass cancel."""
    drawn = rng.random()
    symbol = rng.randrange(SYMBOLS)
    price = desk.middle(symbol) + 100 * round(rng.gauss(0, 8))
    live = list(client.open)
    if drawn < 0.6 or not live:
        life = rng.choice("03")
        return desk.order(rng.choice("BS"), rng.choice((50, 100, 900)), price, f"SIM{symbol:04d}", life)
    target = rng.choice(live)
    if drawn < 0.8:
        return ouch50.encode("CancelOrder", user_ref_num=target, quantity=rng.choice((0, 0, 30)))
    desk.reference += 1
    if drawn < 0.98:
        price = desk.middle(int(client.open[target][0][3:])) + 100 * round(rng.gauss(0, 8))
        terms = {"quantity": 400, "price": price, "time_in_force": "0", "display": "Y"}
        return ouch50.encode("ReplaceOrder", orig_user_ref_num=target, user_ref_num=desk.reference, **terms)
    return ouch50.encode("MassCancel", user_ref_num=desk.reference, firm="SIMC", symbol=rng.choice(("", "SIM0001")))


def trade_a_day(seed: int) -> tuple[Desk, ClientBook]:
    rng = random.Random(seed)
    rates = tuple(rng.randrange(0, 60_000) for _ in range(4))
    plan = FaultPlan(
        (rates, rates[::-1]),
        drop_both=rng.randrange(0, 20_000),
        reject=rng.randrange(50_000),
        partial=rng.randrange(50_000),
    )
    desk = Desk(Settings(seed=seed, symbols=SYMBOLS, rate=100_000, depth=40, faults=plan))
    client = ClientBook()
    heard = 0
    for _ in range(TURNS):
        for _ in range(rng.randrange(6)):
            desk.say(random_message(rng, desk, client))
        if rng.random() < 0.2:  # nobody empties core_io for a while
            desk.bench.advance(2_000_000, 20)
        desk.step(rng.randrange(1, 400_000))
        for data in desk.reports[heard:]:
            client.apply(ouch50.decode(data, ouch50.OUTBOUND))
        heard = len(desk.reports)
    desk.venue.finish(int(desk.bench.clock[0]))
    desk.step()
    return desk, client


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_day_every_account_of_it_agrees(seed):
    print("seed", seed)
    desk, client = trade_a_day(seed)
    counters = desk.venue.counters
    assert counters["frames_lost"] == 0
    whole = 2 * counters["shares_traded"] + counters["shares_cancelled"] + counters["resting_shares"]
    assert counters["shares_entered"] == whole
    assert counters["executions"] > 0 and counters["orders_rejected"] > 0
    for book in books(desk.venue):
        assert book.client_position == client.positions[book.symbol]
        assert book.client_cash == client.cash[book.symbol]
    assert {row["user_reference"]: row["quantity"] for row in client_orders(desk.venue)} == {
        reference: row[2] for reference, row in client.open.items()
    }
    heard = {packet.sequence: packet.messages for mac in (MAC_B, MAC_A) for packet in packets(desk.frames, mac)}
    missing = {number for first, count in lost_ranges(desk.venue) for number in range(first, first + count)}
    told = {first + index for first, messages in heard.items() for index in range(len(messages))}
    assert told | missing == set(range(1, int(counters["feed_sequence"])))
    assert not told & missing
    assert report(desk.venue)["phase"] == "ended"


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_without_faults_the_feed_alone_rebuilds_the_books_of_a_day_with_a_client(seed):
    print("seed", seed)
    desk = Desk(Settings(seed=seed, symbols=SYMBOLS, rate=100_000, depth=40))
    rng, client, heard = random.Random(seed), ClientBook(), 0
    for _ in range(TURNS):
        desk.say(random_message(rng, desk, client))
        desk.step(100_000)
        for data in desk.reports[heard:]:
            client.apply(ouch50.decode(data, ouch50.OUTBOUND))
        heard = len(desk.reports)
    rebuilt = FeedBooks()
    for data in desk.feed:
        rebuilt.apply(itch50.decode(data))
    for book in books(desk.venue):
        assert rebuilt.levels(book.locate, "B") == book.bids
        assert rebuilt.levels(book.locate, "S") == book.asks
    assert client.open or desk.venue.counters["executions"] > 0
