"""Gate and order table against their naive twin: seeded decisions and reports, every control firing."""

import random
from collections import Counter

import numpy as np
import pytest

from gateway import layout
from gateway.core.memory import FRACTION_ONE
from gateway.native import at
from tests.naive_gate import NaiveGate
from tests.order_desk import BITS, EPOCH, NOW_NS, SYMBOLS, Desk, Ring

DECISIONS, DECISIONS_LONG = 100_000, 10_000_000
ROWS = 128
INSTRUMENTS = 4
BOOK_FLAGS = {name: layout.value(f"BOOK_{name.upper()}") for name in ("valid", "stale", "crossed", "fault", "quiet")}
LIMIT_FLAGS = {
    "permitted": layout.value("INSTRUMENT_PERMITTED"),
    "restricted": layout.value("INSTRUMENT_RESTRICTED"),
    "limits_set": layout.value("INSTRUMENT_LIMITS_SET"),
    "auction": layout.value("INSTRUMENT_AUCTION"),
}
MONEY = ("currency", "group", "weight_fraction", "margin_fraction")  # a change of these moves the sums
STATES = ("open", "auction", "named")
U32 = ("collar_ppm", "window_ppm")
ACCOUNT_LIMITS = ("rate_per_second", "rate_burst", "reserve_percent", "day_messages_max", "gross_max", "net_max") + (
    *("hours_open_ns", "hours_close_ns", "rate_age_ns", "window_ns"),
)
KINDS = ("NEW", "REPLACE", "CANCEL", "MASS_CANCEL")
FIRES = {*BITS}
SUMS = ("gross_value", "net_long", "net_short", "margin_value", "equity", "free_value", "signal_value", "group_value")
STRATEGIES = 3
HOUR_NS = 3600 * 10**9
EXTREMES = (0, -1, 1, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -(2**63), -(2**31))
CURSOR = layout.offsets("ring_header").cursor
STATE_NAMES = layout.names("order_state", "ORDER_")


class Twins:
    """A desk and its naive twin, changed together and compared after every step."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.desk = Desk(orders_rows=ROWS, fills_rows=1 << 18, instruments=INSTRUMENTS).open()
        self.naive = NaiveGate(INSTRUMENTS, ROWS)
        self.now_ns = NOW_NS
        self.match = 1
        self.stamp_ns = 1
        self.naive.epoch = EPOCH
        self.fired: Counter[str] = Counter()
        self.signal = 0
        self.desk.recent = np.zeros(1 << 14, dtype=self.desk.recent.dtype)
        self.desk.attach()
        self.asleep: list[Ring] = []
        self.recent: list[tuple[int, int]] = []
        for instrument in range(INSTRUMENTS):
            self.calm_limits(instrument)
            self.calm_book(instrument)
        self.calm_account()
        self.control(kill_latch=0, epoch=EPOCH, lease_expires_ns=0)

    # ---- changing both -----------------------------------------------------------------------------------------

    def account(self, **fields: int) -> None:
        self.naive.account.update(fields)
        self.desk.set_account(**fields)

    def settle_rows(self) -> None:
        """The sweep has come by every row since the limits changed."""
        self.desk.settle_rows()
        self.naive.portfolio.settle()

    def wealth(self, **fields: int) -> None:
        """Capital and what share of equity an order and a group may be worth."""
        self.naive.portfolio.account.update(fields)
        self.desk.set_account(**fields)
        self.desk.settle()

    def strategy(self, number: int, **fields: int) -> None:
        self.naive.strategies[number].update(fields)
        self.desk.set_strategy(number, **{"flags" if name == "set" else name: value for name, value in fields.items()})

    def rate(self, currency: int, **fields: int) -> None:
        self.naive.rates[currency].update(fields)
        for name, number in fields.items():
            self.desk.account["rates"][name][0, currency] = number
        self.settle_rows()

    def group(self, **fields: int) -> None:
        self.naive.groups[1].update(fields)
        self.desk.set_group(1, **fields)

    def mark(self, instrument: int, price: int) -> None:
        self.naive.portfolio.mark[instrument] = price
        self.desk.set_limits(instrument, mark=price)
        self.settle_rows()

    def control(self, **fields: int) -> None:
        self.naive.control.update(fields)
        for name, number in fields.items():
            self.desk.control[name] = number

    def limits(self, instrument: int, **fields: int) -> None:
        row = self.naive.limits[instrument]
        row.update(fields)
        plain = {name: number for name, number in fields.items() if name not in LIMIT_FLAGS}
        self.desk.set_limits(instrument, flags=sum(bit for name, bit in LIMIT_FLAGS.items() if row[name]), **plain)
        if any(name in MONEY for name in fields):
            self.settle_rows()

    def book(self, instrument: int, **fields: int) -> None:
        row = self.naive.books[instrument]
        row.update(fields)
        flags = sum(bit for name, bit in BOOK_FLAGS.items() if row[name])
        plain = {name: number for name, number in fields.items() if name not in (*BOOK_FLAGS, *STATES)}
        trading = layout.value("TRADING_OPEN") if row["open"] else self.random.choice((0, 2, 3, 4, 6))
        trading = layout.value("TRADING_AUCTION") if row["auction"] else trading
        symbol = SYMBOLS[instrument] if row["named"] else b""
        self.desk.set_book(instrument, flags=flags, trading=trading, symbol=symbol, **plain)

    def calm_limits(self, instrument: int) -> None:
        choice = self.random.choice
        flags = {"permitted": 1, "restricted": 0, "limits_set": 1, "auction": choice((0, 1)), "halted": 0}
        units = {"tick": choice((1, 1, 100)), "lot": choice((1, 1, 50)), "stale_ns": 10**9, "last_age_ns": 10**9}
        caps = {"quantity_max": choice((200, 500, 1000)), "value_max": choice((10**9, 10**9, 2 * 10**8))}
        caps.update(position_max=choice((2000, 10**6, 10**6)), collar_ppm=choice((100, 50_000)))
        money = {"margin_fraction": choice((FRACTION_ONE, FRACTION_ONE // 7)), "currency": int(instrument == 3)}
        money.update(group=int(instrument in (1, 2)), weight_fraction=choice((FRACTION_ONE, -FRACTION_ONE // 3)))
        permits = choice((0xFFFF, 0xFFFF, 0b111101, 0b111110))
        self.limits(instrument, **flags, **units, **caps, **money, permits=permits)

    def calm_book(self, instrument: int) -> None:
        middle, half = self.random.randrange(900_000, 1_100_000, 100), self.random.choice((50, 100, 100, 151))
        top = {"bid_price": middle - half, "bid_quantity": 100, "ask_price": middle + half, "ask_quantity": 100}
        flags = {"valid": 1, "stale": 0, "crossed": 0, "fault": 0, "quiet": 0, "open": 1, "auction": 0, "named": 1}
        self.book(instrument, last_price=middle, time_ns=self.now_ns, **top, **flags)
        window = {"window_ppm": self.random.choice((2_000, 100_000)), "window_price": middle + self.random.choice((0, 1500))}
        self.limits(instrument, **window, window_ns=self.now_ns, last_price=middle, last_price_ns=self.now_ns)

    def calm_account(self) -> None:
        choice = self.random.choice
        rate, burst = choice((50, 1000, 10**6)), choice((5, 100))
        self.account(rate_per_second=rate, rate_burst=burst, reserve_percent=20, day_messages_max=10**9)
        self.account(limits_version=0, session_lost=0, halted=0, dup_ns=10**9, rate_age_ns=10**12, window_ns=300 * 10**9)
        self.account(hours_open_ns=self.now_ns - 10**12, hours_close_ns=self.now_ns + 10**12)
        self.account(gross_max=choice((10**12, 10**12, 10**10)), net_max=choice((10**12, 10**12, 5 * 10**9)))
        shares = {"value_fraction": choice((FRACTION_ONE, FRACTION_ONE // 500)), "group_fraction": FRACTION_ONE // 5}
        self.wealth(capital=choice((10**13, 10**13, 10**11)), **shares)
        self.group(value_max=choice((10**12, 10**12, 5 * 10**9)))
        self.rate(0, fraction=FRACTION_ONE)
        self.rate(1, fraction=choice((FRACTION_ONE * 108 // 100, FRACTION_ONE // 150)), time_ns=self.now_ns)
        for number in range(STRATEGIES):
            caps = {"position_max": choice((1000, 10**6)), "repeat_max": choice((1024, 20)), "repeat_ns": 10**9}
            caps["size_shift"] = choice((0, 0, 0, 1))
            self.strategy(number, set=1, halted=0, repeated=0, **caps)
        self.naive.halted = False
        self.desk.intents["halted"] = 0

    def disturb(self) -> None:
        """One thing in the world goes wrong."""
        draw, instrument = self.random, self.random.randrange(INSTRUMENTS)
        what = draw.randrange(16)
        if what == 0:
            self.control(kill_latch=draw.choice((1, 2)))
        elif what == 1:
            self.control(**draw.choice(({"epoch": 0}, {"epoch": EPOCH + 1}, {"lease_expires_ns": self.now_ns + 1000})))
        elif what < 5:
            name = draw.choice([*self.naive.limits[instrument]])
            number = draw.choice((0, 1)) if name in LIMIT_FLAGS or name in ("currency", "group") else draw.choice(EXTREMES)
            number = abs(number) % 2**32 if name in U32 else number
            self.limits(
                instrument,
                **{name: min(abs(number), 2**63 - 1) if name in ("weight_fraction", "permits", "halted") else number},
            )
        elif what < 9:
            name = draw.choice([*self.naive.books[instrument]])
            truth = name in BOOK_FLAGS or name in STATES
            self.book(instrument, **{name: draw.choice((0, 1)) if truth else draw.choice(EXTREMES)})
        elif what == 9:
            self.account(**{draw.choice(ACCOUNT_LIMITS): draw.choice(EXTREMES)})
        elif what == 10:
            self.account(
                **draw.choice(
                    ({"limits_version": 1}, {"session_lost": 1}, {"halted": 1}, {"halted": 1 << 11}, {"halted": 1 << 11 | 2})
                )
            )
        elif what == 11:
            name = draw.choice(("set", "halted", "position_max", "repeat_max", "repeat_ns", "repeated", "size_shift"))
            number = draw.choice((0, 1)) if name in ("set", "halted", "repeated") else draw.choice(EXTREMES)
            number = draw.choice((0, 1, 2, 5, 62, 63, 64, 2**64 - 1)) if name == "size_shift" else number
            self.strategy(draw.randrange(STRATEGIES), **{name: number})
        elif what == 12:
            self.rate(1, **draw.choice(({"fraction": draw.choice(EXTREMES)}, {"time_ns": draw.choice(EXTREMES)})))
        elif what == 13:
            self.account(dup_ns=draw.choice((0, -1, 2 * 10**9, 2**62)))
        elif what == 14:
            self.wealth(capital=draw.choice((0, -1, 10**9, 2**60)), value_fraction=draw.choice((0, 1, 2**62)))
        elif what == 15:
            self.group(value_max=draw.choice(EXTREMES))
        if what == 15:
            self.naive.halted = True
            self.desk.intents["halted"] = 1

    def calm(self) -> None:
        """The market as it should be, a little later."""
        self.control(kill_latch=0, epoch=EPOCH, lease_expires_ns=0)
        self.calm_account()
        for instrument in range(INSTRUMENTS):
            self.calm_limits(instrument)
            self.calm_book(instrument)

    def read_rings(self) -> None:
        """The readers of both rings come by, or sleep for a while."""
        for ring in (self.desk.core_io, self.desk.journal):
            if ring in self.asleep:
                if self.random.random() < 0.02:
                    self.asleep.remove(ring)
            elif self.random.random() < 0.004:
                self.asleep.append(ring)
            else:
                ring.drain()

    # ---- stepping both -----------------------------------------------------------------------------------------

    def draw_intent(self, kind: str) -> dict[str, int]:
        """Fields of an intent, near the limits more often than not."""
        draw = self.random
        instrument = draw.randrange(INSTRUMENTS) if draw.random() < 0.99 else draw.choice((INSTRUMENTS, 2**32 - 1))
        book = self.naive.books[instrument % INSTRUMENTS]
        reference = draw.randrange(max(1, self.naive.next_reference - ROWS), self.naive.next_reference + 1)
        order = self.naive.known(reference)
        side = draw.choice((1, 2)) if draw.random() < 0.99 else draw.choice((0, 3, 255))
        if order is not None and kind == "REPLACE" and draw.random() < 0.9:
            instrument, side = order.instrument, order.side
        price = book["ask_price"] + 200 * (side == 2) + draw.choice((0, 0, 0, 0, 0, 0, -1, 1, 100, 200, 50_000, -50_000))
        quantity = draw.choice((1, 50, 50, 100, 100, 100, 100, 200, 500, 501, 1001))
        if kind == "CANCEL":
            quantity = draw.choice((0, 0, 50, 2**31 - 1, 2**31, -1))
        if draw.random() < 0.01:
            price = draw.choice(EXTREMES)
        if draw.random() < 0.01:
            quantity = draw.choice(EXTREMES)
        price = min(max(price, -(2**63)), 2**63 - 1)
        strategy = draw.randrange(STRATEGIES) if draw.random() < 0.99 else draw.choice((5, 8, 2**32 - 1))
        if order is not None and kind in ("REPLACE", "CANCEL") and draw.random() < 0.95:
            strategy = order.strategy
        self.signal += draw.random() < 0.9
        life = 3 if draw.random() < 0.99 else draw.choice((0, 1, 7, 16, 17))
        flags = 0 if draw.random() < 0.9 else draw.choice((1, 2, 2, 2, 2, 3, 4, 255))
        if flags & 2 and draw.random() < 0.7:
            quantity = draw.choice((abs(self.naive.portfolio.whole[instrument % INSTRUMENTS]["position"]), 1, 50))
            side = 2 if self.naive.portfolio.whole[instrument % INSTRUMENTS]["position"] > 0 else 1
        terms = {"instrument": instrument, "side": side, "price": price, "quantity": quantity}
        reference = reference if kind != "NEW" else 0
        who = {"strategy": strategy, "signal_id": self.signal % 4 + 1000 * (self.signal // 1000)}
        return {**terms, **who, "time_in_force": life, "order_reference": reference, "flags": flags}

    def decide(self) -> None:
        """One intent through both."""
        kind = self.random.choices(KINDS, (80, 5, 14, 1))[0]
        intent = self.draw_intent(kind)
        self.naive.ring_room = self.room(self.desk.core_io)
        self.naive.journal_room = self.room(self.desk.journal)
        expected = self.naive.submit(kind, intent, self.now_ns)
        actual = self.desk.send(kind, self.now_ns, **intent)
        assert actual == expected, f"{kind} {intent} at {self.now_ns}"
        self.fired.update(actual or {"PASS"})

    @staticmethod
    def room(ring: Ring) -> int:
        """Slots free, by the shared header."""
        cursor = at(int(ring.writer.header) + CURSOR, "uint64_t *")[0]
        return int(ring.depth - (ring.writer.position - cursor))

    def report(self) -> None:
        """One venue report about an order, known or not, true or not."""
        draw, naive, desk = self.random, self.naive, self.desk
        reference = naive.next_reference + 1
        if naive.orders and draw.random() < 0.999:
            reference = draw.choice(list(naive.orders.values())).reference
        order = naive.known(reference)
        what = draw.randrange(8)
        quantity = draw.choice((1, 50, 100, order.open if order else 7)) or 3
        self.stamp_ns += draw.choice((0, 1))
        about = {"user_ref_num": reference, "timestamp": self.stamp_ns}
        if what == 0:
            facts = {"price": 1_000_000, "quantity": order.quantity if order and draw.random() < 0.8 else 70}
            naive.accepted(reference, self.match, **facts)
            desk.report("OrderAccepted", order_reference_number=self.match, order_state="L", **about, **facts)
        elif what < 4:
            self.match += draw.choice((0, 1, 1))
            naive.executed(reference, self.match, 1_000_100, quantity, self.now_ns)
            if order is not None:
                self.recent = [*self.recent[-10:], (self.match, reference)]
            executed = {"match_number": self.match, "price": 1_000_100, "quantity": quantity}
            desk.report("OrderExecuted", now_ns=self.now_ns, **executed, **about)
        elif what < 6:
            naive.cancelled(reference, self.stamp_ns, quantity)
            desk.report("OrderCanceled", quantity=quantity, reason="U", **about)
        elif what == 6 and draw.random() < 0.3:
            naive.rejected(reference)
            desk.report("Rejected", reason=2, **about)
        elif what == 7 and self.recent and draw.random() < 0.2:
            match, reference = draw.choice(self.recent)
            naive.broken_trade(reference, match)
            desk.report("BrokenTrade", match_number=match, user_ref_num=reference)

    def compare(self) -> None:
        """Everything both know."""
        naive, desk = self.naive, self.desk
        assert int(desk.table["next_reference"][0]) == naive.next_reference
        assert int(desk.account["day_messages"][0]) == naive.day_messages
        assert int(desk.account["bucket_ns"][0]) == naive.busy_until_ns
        assert int(desk.account["session_lost"][0]) == naive.account["session_lost"]
        assert desk.rows["mark"].tolist() == naive.portfolio.mark
        for name in ("window_price", "window_ns", "last_price", "last_price_ns"):
            assert desk.rows[name].tolist() == [limits[name] for limits in naive.limits]
        for name in ("position", "cash", "cost"):
            assert desk.rows[name].tolist() == [naive.portfolio.whole[number][name] for number in range(INSTRUMENTS)]
            for (strategy, instrument), held in naive.portfolio.holdings.items():
                assert int(desk.holdings[name][strategy, instrument]) == held[name]
        sums = naive.portfolio.sums()
        assert {name: int(desk.account[name][0]) for name in SUMS} == sums
        pair = (int(desk.account["groups"]["long_value"][0, 1]), int(desk.account["groups"]["short_value"][0, 1]))
        assert pair == naive.portfolio.group(1)
        for number in range(STRATEGIES):
            assert int(desk.account["strategies"]["repeated"][0, number]) == naive.strategies[number]["repeated"]
        for side, name in ((1, "open_buy"), (2, "open_sell")):
            assert desk.rows[name].tolist() == [naive.reserved(number, side) for number in range(INSTRUMENTS)]
        for order in naive.orders.values():
            row = desk.order(order.reference)
            there = (int(row["reference"]), int(row["open"]), int(row["filled"]), STATE_NAMES[int(row["state"])])
            assert there == (order.reference, order.open, order.filled, order.state)


def run(seed: int, decisions: int) -> Counter:
    """Both twins through `decisions` intents and about as many reports."""
    twins = Twins(seed)
    draw = twins.random
    for step in range(decisions):
        if draw.random() < 0.02:
            twins.disturb()
        if draw.random() < 0.04:
            twins.calm()
        twins.now_ns += draw.choice((0, 1, 1000, 10**6, 10**9)) if draw.random() < 0.2 else 0
        if draw.random() < 0.5:
            instrument = draw.randrange(INSTRUMENTS)
            twins.book(instrument, time_ns=twins.now_ns)
        if draw.random() < 0.05:
            twins.mark(draw.randrange(INSTRUMENTS), draw.randrange(900_000, 1_100_000))
        twins.read_rings()
        twins.decide()
        if draw.random() < 0.7:
            twins.report()
        if step % 97 == 0:
            twins.compare()
    twins.compare()
    return twins.fired


@pytest.mark.slow
def test_a_hundred_thousand_decisions_equal_the_naive_twin_and_every_control_fires():
    seed = 20260101
    print(f"seed {seed}")
    fired = run(seed, DECISIONS)
    print(dict(fired))
    assert set(fired) == FIRES | {"PASS"}
    assert min(fired.values()) >= 50, "a control that hardly fires is hardly tested"
    assert fired["PASS"] >= DECISIONS // 20


@pytest.mark.long
def test_ten_million_decisions_equal_the_naive_twin():
    for seed in range(100):
        print(f"seed {seed}")
        run(seed, DECISIONS_LONG // 100)
