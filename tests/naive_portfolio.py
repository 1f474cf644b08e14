"""What is held and what it may cost, as anyone would write it first: looked up afresh from every order and every trade.

The oracle of gateway/core/portfolio.py: nothing here is kept up to date, every sum is added up when it is asked for.
"""

from collections import defaultdict
from math import floor

ONE = 2**32
BOUND = 2**46
NOTIONAL = 2**61
LARGEST = 2**31 - 1
NOBODY = {"position": 0, "cash": 0, "cost": 0}


def bounded(number: int, largest: int) -> int:
    return min(max(number, -largest), largest)


def up(number: int, fraction: int) -> int:
    """number * fraction / 2^32, rounded up."""
    return bounded(-(-number * fraction // ONE), BOUND)


def down(number: int, fraction: int) -> int:
    return bounded(floor(number * fraction // ONE), BOUND)


class NaivePortfolio:
    """Trades by (strategy, instrument), marks, rates, weights; orders are looked up in `gate.orders`."""

    def __init__(self, gate, instruments: int):
        self.gate, self.instruments = gate, instruments
        self.mark = [0] * instruments
        self.account = {"capital": 0, "value_fraction": 0, "group_fraction": 0}
        self.holdings: dict[tuple[int, int], dict] = defaultdict(lambda: dict(NOBODY))
        self.whole: dict[int, dict] = defaultdict(lambda: dict(NOBODY))
        self.samples: list[dict[int, int]] = [{} for _ in range(instruments)]
        self.settled = [0] * instruments  # limits_version that each row was last worked out with
        self.executions: dict[int, list[int]] = defaultdict(list)

    def trade(self, strategy: int, instrument: int, signed: int, price: int) -> None:
        """Position, cash and cost: what leaves takes its share of the cost with it."""
        for held in (self.holdings[strategy, instrument], self.whole[instrument]):
            position, cost = held["position"], held["cost"]
            if position * signed >= 0:
                cost += signed * price
            elif abs(signed) >= abs(position):
                cost = (position + signed) * price
            else:
                cost -= cost * abs(signed) // abs(position)
            held.update(position=position + signed, cash=held["cash"] - signed * price, cost=cost)
        self.mark[instrument] = self.mark[instrument] or price

    def settle(self, *instruments: int) -> None:
        """These rows, or all of them, were worked out under the limits that hold now."""
        for number in instruments or range(self.instruments):
            self.settled[number] = self.gate.account["limits_version"]

    def freshen(self, number: int, now_ns: int) -> None:
        """An order looks at its instrument first, when its window has no sample of this tenth."""
        if number >= self.instruments:
            return
        limits = self.gate.limits[number]
        old = not 0 <= now_ns - limits["window_ns"] < self.gate.account["window_ns"] // 10
        if old or self.settled[number] != self.gate.account["limits_version"]:
            self.look_at(number, now_ns)

    def look_at(self, number: int, now_ns: int) -> None:
        """Last trade, window and mark of an instrument."""
        limits, book = self.gate.limits[number], self.gate.books[number]
        if self.settled[number] != self.gate.account["limits_version"]:
            self.settle(number)
        if not limits["permitted"]:
            return
        if book["last_price"] != limits["last_price"]:
            limits.update(last_price=book["last_price"], last_price_ns=now_ns)
        if not book["valid"] or any(book[flag] for flag in ("stale", "quiet", "crossed", "fault")):
            return
        if book["bid_quantity"] > 0 and book["ask_quantity"] > 0:
            pair = book["bid_price"], book["ask_price"]
            price = floor(sum(pair) / 2) if max(map(abs, pair)) <= LARGEST else 0
        else:
            price = book["last_price"] if abs(book["last_price"]) <= LARGEST else 0
        if price > 0:
            self.sample(number, price, now_ns)
        if price != 0:
            self.mark[number] = price

    def sample(self, number: int, price: int, now_ns: int) -> None:
        """A price per tenth of the window, and the mean of those that are not older than it."""
        tenth_ns = self.gate.account["window_ns"] // 10
        if tenth_ns < 1:
            return
        samples, slot = self.samples[number], now_ns // tenth_ns
        newest = max(samples, default=0)
        if newest - 10 <= slot <= newest:
            return
        samples[slot] = price
        for other in [other for other in samples if not slot - 10 < other <= slot]:
            del samples[other]
        self.gate.limits[number].update(window_price=sum(samples.values()) // len(samples), window_ns=now_ns)

    def look(self) -> None:
        """One walk over all orders: what is open by (instrument, side), and by (instrument, side, strategy)."""
        self.quantity: dict[tuple, int] = defaultdict(int)
        self.notional: dict[tuple, int] = defaultdict(int)
        for order in self.gate.orders.values():
            if order.open:
                self.quantity[order.instrument, order.side] += order.open
                self.quantity[order.instrument, order.side, order.strategy] += order.open
                self.notional[order.instrument, order.side] += order.open * order.price
        self.exposures = [self.exposure(number) for number in range(self.instruments)]

    def exposure(self, instrument: int) -> tuple[int, int]:
        """What the instrument would be worth if every buy filled, and every sale, in the account's currency."""
        limits = self.gate.limits[instrument]
        rate = self.gate.rates[limits["currency"]]["fraction"]
        held = bounded(self.whole[instrument]["position"], LARGEST) * self.mark[instrument]
        buys, sells = (min(self.notional[instrument, side], NOTIONAL) for side in (1, 2))
        return up(held + buys, rate), up(sells - held, rate)

    def profit(self, instrument: int) -> int:
        rate = self.gate.rates[self.gate.limits[instrument]["currency"]]["fraction"]
        held = bounded(self.whole[instrument]["position"], LARGEST) * self.mark[instrument]
        return down(bounded(self.whole[instrument]["cash"], NOTIONAL) + held, rate)

    def margin(self, instrument: int, worst: int) -> int:
        return up(max(worst, 0), self.gate.limits[instrument]["margin_fraction"])

    def sums(self) -> dict[str, int]:
        """Everything the account adds up."""
        self.look()
        exposures = self.exposures
        margin = sum(self.margin(number, max(pair)) for number, pair in enumerate(exposures))
        equity = self.account["capital"] + sum(self.profit(number) for number in range(self.instruments))
        return {
            "gross_value": sum(max(pair) for pair in exposures),
            "net_long": sum(pair[0] for pair in exposures),
            "net_short": sum(pair[1] for pair in exposures),
            "margin_value": margin,
            "equity": equity,
            "free_value": equity - margin,
            "signal_value": down(max(equity, 0), self.account["value_fraction"]),
            "group_value": down(max(equity, 0), self.account["group_fraction"]),
        }

    def group(self, number: int) -> tuple[int, int]:
        """What a group would be worth upward and downward; a negative weight turns an instrument around."""
        upward = downward = 0
        for instrument, limits in enumerate(self.gate.limits):
            if limits["group"] == number:
                pair = self.exposures[instrument]
                first, second = pair if limits["weight_fraction"] >= 0 else pair[::-1]
                upward += up(first, abs(limits["weight_fraction"]))
                downward += up(second, abs(limits["weight_fraction"]))
        return upward, downward
