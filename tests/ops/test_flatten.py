"""Flattening against a made-up venue: rising steps, one order at a time, never more than is left, whatever happens."""

import random

import pytest

from gateway.kill_sections import Kill
from gateway.ops.flatten import Flattener, steps_of
from gateway.ops.touch import Touch
from gateway.ops.venue_truth import OpenOrder

SYMBOLS = ("AAA", "BBB", "CCC")


class Venue:
    """Orders arrive late, fill a little, wholly or not at all, are refused, are lost; also the truth about all that."""

    name, complete = "the test's venue", True

    def __init__(self, positions, draw):
        self.held, self.draw, self.now = dict(positions), draw, 0.0
        self.open: dict[int, list] = {}  # reference: symbol, side, open, immediate
        self.wire: list[tuple[float, tuple]] = []
        self.known: set[int] = set()
        self.rejected: set[int] = set()
        self.reference = self.highest = 100
        self.current, self.losing, self.refusing, self.filling = True, 0.0, 0.0, 0.5
        self.sent: list[tuple[str, str, int, int, str]] = []
        self.inputs: list[dict] = []

    # what ControlOrders is to the flattener
    def reduce(self, side, quantity, symbol, price, life, above, inputs):
        self.reference += 1
        self.inputs.append(inputs)
        self.sent.append((symbol, side, quantity, price, life))
        self.check(symbol)
        if self.draw.random() >= self.losing:
            order = ("order", self.reference, symbol, "buy" if side == "B" else "sell", quantity, life == "3")
            self.wire.append((self.now + self.draw.random() * 0.4, order))
        self.unheard = self.reference
        return self.reference

    def cancel(self, reference):
        self.wire.append((self.now + self.draw.random() * 0.4, ("cancel", reference)))
        return True

    def mass_cancel(self, symbol="", above=0):
        self.reference += 1
        self.wire.append((self.now + 0.4, ("mass", self.reference, symbol)))
        return self.reference

    # the venue
    def check(self, symbol):
        """Hard rule: whatever is under way at this moment, filled whole, must not turn the position around."""
        orders = [row[1] for row in self.wire if row[1][0] == "order" and row[1][2] == symbol]
        under_way = [row for row in orders if row[1] > self.highest]  # one that was overtaken is ignored when it comes
        worst = {"buy": 0, "sell": 0}
        for _, _, _, side, quantity, _ in under_way:
            worst[side] += quantity
        for order_symbol, side, quantity, _ in self.open.values():
            if order_symbol == symbol:
                worst[side] += quantity
        held = self.held.get(symbol, 0)
        assert worst["sell"] <= max(0, held) and worst["buy"] <= max(0, -held), (symbol, held, worst)

    def turn(self, seconds):
        self.now += seconds
        due = sorted((row for row in self.wire if row[0] <= self.now), key=lambda row: row[1][1])
        self.wire = [row for row in self.wire if row[0] > self.now]
        for _, message in due:
            if message[0] == "order":
                self.take(*message[1:])
            elif message[0] == "cancel":
                self.open.pop(message[1], None)
            else:
                self.highest = max(self.highest, message[1])
                for reference in [row for row, order in self.open.items() if order[0] == message[2]]:
                    self.open.pop(reference)
        for reference, order in list(self.open.items()):
            if self.draw.random() < 0.2:
                self.fill(reference, order, self.draw.randrange(1, order[2] + 1))

    def take(self, reference, symbol, side, quantity, immediate):
        if reference <= self.highest:
            return  # out of order: the venue ignores it
        self.highest = reference
        self.known.add(reference)
        if self.draw.random() < self.refusing:
            self.rejected.add(reference)
            return
        self.open[reference] = order = [symbol, side, quantity, immediate]
        if self.draw.random() < self.filling:
            self.fill(reference, order, self.draw.choice((quantity, self.draw.randrange(1, quantity + 1))))
        if immediate:
            self.open.pop(reference, None)

    def fill(self, reference, order, quantity):
        order[2] -= quantity
        self.held[order[0]] += quantity if order[1] == "buy" else -quantity
        if order[2] == 0:
            self.open.pop(reference, None)

    # the truth
    def refresh(self):
        pass

    def positions(self):
        return {symbol: held for symbol, held in self.held.items() if held}

    def open_orders(self):
        return [OpenOrder(reference, row[0], row[1], row[2]) for reference, row in self.open.items()]

    def is_known(self, reference):
        return reference in self.known or reference <= self.highest

    def is_over(self, reference):
        return self.is_known(reference) and reference not in self.open

    def was_rejected(self, reference):
        return reference in self.rejected

    def reference_max(self):
        return self.highest


class Market:
    def touch(self, symbol):
        return None if symbol == "CCC" else Touch(999_900, 1_000_100, 100, "book")


def flattener(venue, seconds=60.0, **settings):
    return Flattener(venue, Market(), Kill(**settings), lambda: venue if venue.current else None, lambda: "", seconds)


def run(venue, work, step=0.05):
    while not work.turn(venue.now):
        venue.turn(step)
    return work


def test_steps_rise_from_the_own_touch_to_far_through_the_market():
    venue = Venue({"AAA": 300, "BBB": -200}, random.Random(1))
    venue.filling, wanted = 0.0, {"AAA": [], "BBB": []}
    work = flattener(venue, 6.0, touch_ms=500, slippage_ppm=[0, 1000], market_ppm=20_000)
    while not work.turn(venue.now):
        venue.open.clear()  # nothing fills; a resting order is cancelled by somebody else
        venue.turn(0.05)
    for symbol, side, quantity, price, life in venue.sent:
        wanted[symbol].append((side, quantity, price, life))
    assert wanted["AAA"][:4] == [
        ("S", 300, 1_000_100, "0"),
        ("S", 300, 999_900, "3"),
        ("S", 300, 998_900, "3"),
        ("S", 300, 979_900, "3"),
    ], "own touch, other touch, 0.1 % through, 2 % through; rounded away to the tick"
    assert wanted["BBB"][:4] == [
        ("B", 200, 999_900, "0"),
        ("B", 200, 1_000_100, "3"),
        ("B", 200, 1_001_200, "3"),
        ("B", 200, 1_020_200, "3"),
    ]
    assert set(wanted["AAA"][4:]) == {("S", 300, 979_900, "3")}, "the last step is repeated"
    inputs = [given for sent, given in zip(venue.sent, venue.inputs, strict=True) if sent[0] == "BBB"]
    assert [(given["step"], given["through_ppm"]) for given in inputs[:4]] == [(0, None), (1, 0), (2, 1000), (3, 20_000)]
    known = {"position": -200, "open_against": 0, "believed": "the test's venue", "bid": 999_900, "price_source": "book"}
    assert all({**given, **known} == given for given in inputs)
    assert "not filled" in work.why("AAA")


@pytest.mark.parametrize("attempt", range(40))
def test_whatever_a_venue_does_nothing_is_over_flattened_and_a_willing_one_ends_flat(attempt):
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    venue = Venue({"AAA": draw.randrange(-900, 900), "BBB": draw.randrange(-900, 900)}, draw)
    venue.losing, venue.refusing = draw.choice((0, 0.2)), draw.choice((0, 0.1))
    before = venue.positions()
    work = run(venue, flattener(venue, touch_ms=draw.choice((0, 500)), answer_ms=1000))
    for symbol, held in before.items():
        left = venue.held[symbol]
        assert left == 0 or (left > 0) == (held > 0), f"seed {seed}"
    refused = any(row.refusals >= 8 for row in work.rows.values())
    assert not venue.positions() or refused, f"seed {seed}: {venue.positions()}"


def test_without_an_answer_nothing_more_is_sent_and_the_reason_is_named():
    venue = Venue({"AAA": 500}, random.Random(2))
    venue.losing = 1.0
    venue.mass_cancel = lambda *words, **more: 0
    work = run(venue, flattener(venue, 20.0))
    assert len(venue.sent) == 1 and "has not said what became of it" in work.why("AAA")


def test_other_open_orders_that_would_close_the_position_count_as_sent():
    venue = Venue({"AAA": 500}, random.Random(3))
    venue.filling = 1.0
    venue.open = {7: ["AAA", "sell", 450, False]}
    venue.known.add(7)
    work = flattener(venue, 20.0)
    work.turn(0.0)
    assert [row[2] for row in venue.sent] == [50] and venue.inputs[0]["open_against"] == 450
    venue.open[7][2] = 500
    venue.sent.clear()
    again = flattener(venue, 20.0)
    again.turn(0.0)
    assert venue.sent == [] and "open orders could close it" in again.why("AAA")


def test_without_any_price_the_position_is_left_and_named():
    venue = Venue({"CCC": 10}, random.Random(4))
    work = run(venue, flattener(venue, 3.0))
    assert venue.sent == [] and "nothing says what it is worth" in work.why("CCC")


def test_nobody_current_means_nothing_is_sent():
    venue = Venue({"AAA": 10}, random.Random(5))
    venue.current = False
    run(venue, flattener(venue, 2.0))
    assert venue.sent == []


def test_a_refused_step_is_not_taken_again():
    venue = Venue({"AAA": 10}, random.Random(6))
    venue.refusing = 1.0
    work = run(venue, flattener(venue, 60.0, touch_ms=0, slippage_ppm=[0, 1000], market_ppm=20_000))
    assert len(venue.sent) <= 8 and "refused" in work.why("AAA")


def test_a_ladder_has_a_step_at_least():
    assert len(steps_of(Kill(touch_ms=0, slippage_ppm=[], market_ppm=0))) == 1


@pytest.mark.parametrize("buying", [True, False])
def test_prices_stay_within_what_an_order_carries(buying):
    for bid, ask in ((1, 1), (100, 200), ((1 << 31) - 200, (1 << 31) - 100)):
        price = Touch(bid, ask, 100, "book").through(buying, 500_000)
        assert 0 < price <= (1 << 31) - 1 and price % 100 == 0
