"""The matching engine and the client's reports against the naive exchange, message by message."""

import random

import pytest

from gateway.protocols import itch50, ouch50
from gateway.venues.simulator.books import books, queue
from tests.naive_venue import NaiveVenue, price_units
from tests.venues.desk import Desk, quiet

SEED = 20240102
ACTIONS = 52_000
BATCH = 400
SYMBOLS = 4


def feed_tuple(message: dict) -> tuple:
    match message["message"][:9]:
        case "Add Order":
            fields = ("order_reference_number", "buy_sell_indicator", "shares", "stock")
            return ("A", *(message[name] for name in fields), price_units(message["price"]))
        case "Order Exe":
            return ("E", message["order_reference_number"], message["executed_shares"], message["match_number"])
        case "Order Can":
            return ("X", message["order_reference_number"], message["canceled_shares"])
        case "Order Del":
            return ("D", message["order_reference_number"])
        case _:
            ids = ("original_order_reference_number", "new_order_reference_number", "shares")
            return ("U", *(message[name] for name in ids), price_units(message["price"]))


def report_tuple(data: bytes) -> tuple:
    report = ouch50.decode(data, ouch50.OUTBOUND)
    letter, reference = chr(data[0]), report["user_ref_num"]
    if letter == "A":
        terms = (report["side"], report["quantity"], report["symbol"], price_units(report["price"]))
        return ("A", reference, *terms, report["order_reference_number"])
    if letter == "U":
        terms = (report["side"], report["quantity"], price_units(report["price"]), report["order_reference_number"])
        return ("U", report["orig_user_ref_num"], reference, *terms)
    if letter == "E":
        price = price_units(report["price"])
        return ("E", reference, report["quantity"], price, report["liquidity_flag"], report["match_number"])
    if letter == "C":
        return ("C", reference, report["quantity"], report["reason"])
    return ("J", reference, report["reason"]) if letter == "J" else ("X", reference, report["symbol"])


class Trader:
    """Draws an action, does it on the naive exchange and returns the message for the other one."""

    def __init__(self, seed: int, desk: Desk, naive: NaiveVenue):
        self.random, self.desk, self.naive = random.Random(seed), desk, naive

    def act(self) -> bytes:
        drawn = self.random.random()
        if drawn < 0.50:
            return self.enter()
        if drawn < 0.84:
            return self.cancel()
        return self.replace() if drawn < 0.997 else self.mass_cancel()

    def _reference(self) -> int:
        if self.random.random() < 0.02:
            return self.random.randint(1, self.desk.reference + 1)  # mostly one that was used before
        return self.desk.reference + 1

    def _price(self, symbol: int) -> int:
        if self.random.random() < 0.01:
            return self.desk.middle(symbol) + self.random.choice((51_200, -51_300, 50, 1 << 40))
        return self.desk.middle(symbol) + 100 * round(self.random.gauss(0, 6))

    def _quantity(self) -> int:
        return self.random.choice((100, 100, 200, 37, 500, 0, 1_000_000) if self.random.random() < 0.05 else (100, 300, 7))

    def _options(self, quantity: int) -> dict[str, object]:
        """What core appends, one of both: the whole as minimum (FOK), or post only; and what another client might."""
        drawn = self.random.random()
        if drawn < 0.15:
            return {"min_qty": self.random.choice((quantity, quantity, 1, 50, 0, quantity + 1))}
        return {"post_only": self.random.choice("PPPN")} if drawn < 0.3 else {}

    def enter(self) -> bytes:
        symbol = self.random.randrange(SYMBOLS)
        name = f"SIM{symbol:04d}" if self.random.random() > 0.01 else "NOBODY"
        side = self.random.choice("BBBBSSSTE" if self.random.random() > 0.01 else "bX ")
        life = self.random.choice("0003" if self.random.random() > 0.01 else "5E")
        display = "Y" if self.random.random() > 0.01 else "N"
        quantity, price, reference = self._quantity(), self._price(symbol), self._reference()
        options = self._options(quantity)
        minimum, post = options.get("min_qty", 0), options.get("post_only", "")
        self.naive.enter(reference, side, quantity, name, price, life, display, minimum, post)
        newest = self.desk.reference
        message = self.desk.order(side, quantity, price, name, life, display, reference, **options)
        self.desk.reference = max(newest, reference)
        return message

    def _target(self) -> int:
        live = list(self.naive.open)
        if not live or self.random.random() < 0.05:
            return self.random.randint(1, self.desk.reference + 1)
        return self.random.choice(live)

    def cancel(self) -> bytes:
        reference = self._target()
        quantity = 0 if self.random.random() < 0.8 else self.random.choice((1, 50, 100, 299))
        self.naive.cancel(reference, quantity)
        return ouch50.encode("CancelOrder", user_ref_num=reference, quantity=quantity)

    def replace(self) -> bytes:
        original, reference = self._target(), self._reference()
        symbol = int(self.naive.open[original].symbol[3:]) if original in self.naive.open else 0
        quantity, price = self._quantity(), self._price(symbol)
        life = "0" if self.random.random() > 0.1 else self.random.choice("35")
        options = {"post_only": "P"} if self.random.random() < 0.2 else {}
        self.naive.replace(original, reference, quantity, price, life, "Y", options.get("post_only", ""))
        self.desk.reference = max(self.desk.reference, reference)
        terms = {"quantity": quantity, "price": price, "time_in_force": life, "display": "Y", **options}
        return ouch50.encode("ReplaceOrder", orig_user_ref_num=original, user_ref_num=reference, **terms)

    def mass_cancel(self) -> bytes:
        name = self.random.choice(("", "SIM0001", "SIM0002"))
        reference = self._reference()
        self.naive.mass_cancel(reference, name)
        self.desk.reference = max(self.desk.reference, reference)
        return ouch50.encode("MassCancel", user_ref_num=reference, firm="FIRM", symbol=name)


def compare_books(desk: Desk, naive: NaiveVenue) -> None:
    for index, book in enumerate(books(desk.venue)):
        symbol = naive.symbols[book.symbol]
        assert book.bids == symbol.levels("B")
        assert book.asks == symbol.levels("S")
        assert book.client_position == naive.positions[book.symbol]
        assert book.client_cash == naive.cash[book.symbol]
        for price, _, _ in book.bids + book.asks:
            waiting = [(o.order_id, o.open, o.reference) for o in symbol.orders if o.price == price]
            assert queue(desk.venue, index, (price - symbol.floor) // 100) == waiting


@pytest.mark.slow
def test_the_engine_says_what_the_naive_exchange_says_about_every_action():
    print("seed", SEED)
    desk = Desk(quiet(SYMBOLS))
    naive = NaiveVenue({f"SIM{i:04d}": int(desk.venue.symbols[i]["floor_price"]) for i in range(SYMBOLS)})
    trader = Trader(SEED, desk, naive)
    for batch in range(ACTIONS // BATCH):
        desk.feed.clear()
        desk.reports.clear()
        naive.feed.clear()
        naive.client.clear()
        for _ in range(BATCH):
            desk.say(trader.act())
        desk.step()
        assert [feed_tuple(itch50.decode(message)) for message in desk.feed] == naive.feed, f"batch {batch}"
        assert [report_tuple(report) for report in desk.reports] == naive.client, f"batch {batch}"
    compare_books(desk, naive)
    assert min(naive.withheld.values()) > 40, naive.withheld
    counters = desk.venue.counters
    assert counters["matches"] == naive.next_match - 1 > 4_000
    assert (
        counters["shares_entered"]
        == 2 * counters["shares_traded"] + counters["shares_cancelled"] + counters["resting_shares"]
    )
    assert counters["orders_received"] + counters["replaces_received"] + counters["cancels_received"] == ACTIONS
