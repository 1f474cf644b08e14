"""`[portfolio.positions]` through a real core: what is held from earlier days counts from the first order on."""

import json
import time
from pathlib import Path

import pytest

from gateway.ops.own_orders import listed, positions
from tests.corridor_bench import Feed, configuration, replay
from tests.kill_desk import Desk

PRICE = 1_000_000
# When instrument 9 trades: an order in instrument 1 of that side and quantity, reduce-only where the price is odd.
ASKED = """
from gateway.core.strategy import BUY, DAY, REDUCE_ONLY, TRADE, buy, sell


def on_event(state, event, book, orders):
    if event.kind != TRADE or event.instrument != 9:
        return
    terms = DAY | REDUCE_ONLY if event.price == 5001 else DAY
    if event.side == BUY:
        buy(orders, 1, event.quantity, 1_000_000, terms)
    else:
        sell(orders, 1, event.quantity, 1_000_100, terms)
"""


class Day:
    """A feed with a tradable book 1 and an instrument 9 whose trades say what is to be ordered."""

    def __init__(self, folder: Path):
        self.folder, self.feed = folder, Feed()
        (folder / "asked.py").write_text(ASKED)
        self.feed.packet(*self.feed.listing(1, "TEST"), *self.feed.listing(9, "BELL"))
        self.feed.packet(self.feed.add(1, "B", 100, PRICE), self.feed.add(2, "S", 100, PRICE + 100))

    def ask(self, side: str, quantity: int, reduce: bool = False) -> None:
        terms = {"stock": "BELL", "price": 5000 + reduce, "match_number": 1}
        self.feed.packet(self.feed.message("P", 9, buy_sell_indicator=side, shares=quantity, **terms))

    def run(self, held: int, **settings: object) -> dict:
        """The whole day; `held` is what was carried over, in TEST."""
        carried = {"portfolio__positions": {"TEST": held}, "portfolio__prices": {"TEST": 99.5}} if held else {}
        path = self.feed.write(self.folder / "feed.pcap")
        return replay(path, configuration(self.folder / "asked.py", **carried, **settings))


@pytest.fixture
def day(tmp_path: Path) -> Day:
    return Day(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("held", "side"), [(300, "B"), (-300, "S")])
def test_the_first_order_may_fill_the_position_to_its_limit_and_not_by_one_share_more(day, held, side):
    day.ask(side, 11)
    result = day.run(held, risk__position_max=310)
    assert (result["accepted"], result["rejects"]) == (0, {"position": 1})
    day.ask(side, 10)
    result = day.run(held, risk__position_max=310)
    assert (result["accepted"], result["rejects"]) == (1, {"position": 1})
    assert day.run(0, risk__position_max=310)["rejects"] == {}, "it is the carried position that was in the way"


@pytest.mark.parametrize(("held", "side"), [(300, "B"), (-300, "S")])
def test_what_is_carried_is_exposure_before_anything_was_sent(day, held, side):
    day.ask(side, 6)
    day.ask(side, 4)
    limits = {"risk__gross_max": 30_500, "risk__net_max": 10_000_000}
    result = day.run(held, **limits)
    assert (result["accepted"], result["rejects"]) == (1, {"exposure": 1}), "30,000 are held: 600 more are too many, 400 not"
    assert day.run(0, **limits)["rejects"] == {}


@pytest.mark.parametrize(("held", "side", "other"), [(300, "S", "B"), (-300, "B", "S")])
def test_the_first_order_may_reduce_what_is_carried_to_zero_and_not_beyond(day, held, side, other):
    day.ask(side, 301, reduce=True)
    day.ask(other, 1, reduce=True)
    result = day.run(held)
    assert (result["accepted"], result["rejects"]) == (0, {"reduce": 2})
    day.ask(side, 300, reduce=True)
    result = day.run(held)
    assert (result["accepted"], result["rejects"]) == (1, {"reduce": 2})
    assert day.run(0)["rejects"] == {"reduce": 3}, "without a position nothing is a reduction"


@pytest.mark.slow
def test_the_reconciliation_with_the_drop_copy_includes_what_is_carried_and_so_does_a_kill(tmp_path):
    carried, prices = {"SIM0000": 300, "SIM0003": -200}, {"SIM0000": 100.0, "SIM0003": 100.0}
    keys = {"PORTFOLIO__POSITIONS": json.dumps(carried), "PORTFOLIO__PRICES": json.dumps(prices)}
    desk = Desk(tmp_path, RECONCILIATION__EVERY_S="1", **keys)
    try:
        desk.under_load()
        state = desk.instance.regions["reconciliation"].view("reconciliation_state")[0]
        before = int(state["reconciliations"])
        desk.wait_for(lambda: int(state["reconciliations"]) >= before + 2)
        assert int(state["differences"]) == int(state["mismatches"]) == 0
        report = desk.kill().report
        time.sleep(0.2)
        ours = positions(desk.instance, carried, listed(desk.instance))
        theirs = desk.account().positions  # of this day alone: the venue's log knows nothing of earlier ones
        assert ours == {} and theirs == {symbol: -held for symbol, held in carried.items()}
        assert report["positions_after"] == {} and report["positions_before"], "the carried positions were closed too"
    finally:
        desk.stop()
