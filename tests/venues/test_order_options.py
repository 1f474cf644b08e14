"""Fill-or-kill and post-only, the whole way: core makes the message, the simulated venue decides, core hears the end."""

import pytest

from gateway import layout
from gateway.core.order_frames import HEADERS_BYTES
from gateway.venues.simulator.books import client_orders
from tests.order_desk import Desk as CoreDesk
from tests.venues.desk import Desk, quiet

DAY, IOC, FOK = 0, 3, layout.value("TIME_FOK")
POST = layout.value("INTENT_POST_ONLY")
BUY, SELL = 1, 2
SYMBOL = b"SIM0000 "


class Market:
    """Both desks; other participants are the venue's own orders, entered by the test with references of its own."""

    def __init__(self) -> None:
        self.venue = Desk(quiet())
        self.core = CoreDesk(firm="GW").open()
        self.price = self.venue.middle()
        book = {"bid_price": self.price - 100, "ask_price": self.price + 100, "last_price": self.price}
        self.core.set_book(1, symbol=SYMBOL, **book)
        self.core.set_limits(1, last_price=self.price, window_price=self.price)
        self.core.account["session_connection"] = 0

    def other(self, side: str, quantity: int, offset: int = 0) -> int:
        """An order of somebody else's rests; core's references go on above it."""
        self.venue.reference = int(self.core.table["next_reference"][0]) - 1
        self.venue.enter(side=side, quantity=quantity, price=self.price + offset)
        self.core.table["next_reference"] = self.venue.reference + 1
        return self.venue.reference

    def send(self, kind: str = "NEW", **terms: int) -> int:
        """An intent of a strategy's goes the whole way; its reference."""
        reference = int(self.core.table["next_reference"][0])
        assert self.core.send(kind, **{"price": self.price, "side": BUY, **terms}) == set()
        ((slot, frame),) = self.core.sent()
        assert len(frame) == int(slot["size"])
        before = len(self.venue.reports)
        self.venue.ask(frame[HEADERS_BYTES:])
        for report in self.venue.reports[before:]:
            if int.from_bytes(report[9:13], "big") >= reference or report[:1] == b"U":
                self.core.report_bytes(report)
        return reference

    def stands(self, reference: int) -> tuple[str, int, int]:
        """(state, filled, open) by core's table; the venue's own list must have the same open."""
        row = self.core.order(reference)
        assert int(row["reference"]) == reference
        open_there = {order["user_reference"]: order["quantity"] for order in client_orders(self.venue.venue)}
        assert open_there.get(reference, 0) == int(row["open"])
        return self.core.state(reference), int(row["filled"]), int(row["open"])

    @property
    def held(self) -> tuple[int, int, int]:
        """(position, open_buy, open_sell) of core's row."""
        row = self.core.rows[1]
        return int(row["position"]), int(row["open_buy"]), int(row["open_sell"])


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.mark.parametrize(("there", "filled"), [((100,), 100), ((60, 40), 100), ((99,), 0), ((50, 49), 0), ((), 0)])
def test_fill_or_kill_trades_the_whole_or_not_one_share(market: Market, there: tuple[int, ...], filled: int) -> None:
    for quantity in there:
        market.other("S", quantity)
    reference = market.send(quantity=100, time_in_force=FOK)
    assert market.stands(reference) == ("FILLED" if filled else "CANCELLED", filled, 0)
    assert market.held == (filled, 0, 0)


def test_an_immediate_order_without_a_minimum_takes_the_part_that_fill_or_kill_would_not(market: Market) -> None:
    market.other("S", 99)
    assert market.stands(market.send(quantity=100, time_in_force=FOK)) == ("CANCELLED", 0, 0)
    assert market.stands(market.send(quantity=100, time_in_force=IOC)) == ("CANCELLED", 99, 0)


@pytest.mark.parametrize(("side", "against", "offset"), [(BUY, "S", 100), (SELL, "B", -100)])
def test_a_post_only_order_rests_beside_the_market_and_is_cancelled_where_it_would_trade(
    market: Market, side: int, against: str, offset: int
) -> None:
    market.other(against, 50, offset)
    rests = market.send(side=side, quantity=70, time_in_force=DAY, flags=POST)
    assert market.stands(rests) == ("ACCEPTED", 0, 70)
    crossing = market.send(side=side, quantity=80, price=market.price + offset, time_in_force=DAY, flags=POST)
    assert market.stands(crossing) == ("CANCELLED", 0, 0)
    assert market.held == (0, 70 * (side == BUY), 70 * (side == SELL)), "nothing of the one that would trade is reserved"


def test_a_post_only_replacement_that_would_trade_leaves_neither_order(market: Market) -> None:
    market.other("S", 50, 100)
    old = market.send(quantity=70, time_in_force=DAY, flags=POST)
    new = market.send("REPLACE", order_reference=old, quantity=70, price=market.price + 100, time_in_force=DAY, flags=POST)
    assert market.stands(old)[::2] == ("CANCELLED", 0) and market.stands(new) == ("CANCELLED", 0, 0)
    assert market.held == (0, 0, 0)


def test_a_post_only_replacement_beside_the_market_rests_in_the_place_of_the_old_one(market: Market) -> None:
    market.other("S", 50, 100)
    old = market.send(quantity=70, time_in_force=DAY, flags=POST)
    new = market.send("REPLACE", order_reference=old, quantity=40, price=market.price - 100, time_in_force=DAY, flags=POST)
    assert market.stands(old)[::2] == ("CANCELLED", 0) and market.stands(new) == ("ACCEPTED", 0, 40)
    assert market.held == (0, 40, 0)
