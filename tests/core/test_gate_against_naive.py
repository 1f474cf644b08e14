"""Gate and order table against their naive twin: seeded decisions and reports, every control firing."""

import random
from collections import Counter

import pytest

from gateway import layout
from gateway.native import at
from tests.naive_gate import NaiveGate
from tests.order_desk import EPOCH, NOW_NS, SYMBOLS, Desk, Ring

DECISIONS, DECISIONS_LONG = 100_000, 10_000_000
ROWS = 256
INSTRUMENTS = 4
BOOK_FLAGS = {name: layout.value(f"BOOK_{name.upper()}") for name in ("valid", "stale", "crossed", "fault", "quiet")}
LIMIT_FLAGS = {
    "permitted": layout.value("INSTRUMENT_PERMITTED"),
    "restricted": layout.value("INSTRUMENT_RESTRICTED"),
    "limits_set": layout.value("INSTRUMENT_LIMITS_SET"),
}
KINDS = ("NEW", "REPLACE", "CANCEL", "MASS_CANCEL")
FIRES = {"KILL", "FENCE", "STATE", "STALE", "PERM", "QTY", "PRICE", "VALUE", "POSITION", "RATE", "DISABLED"} | {
    *("JOURNAL", "RING", "ORDERS", "SESSION")
}
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

    def control(self, **fields: int) -> None:
        self.naive.control.update(fields)
        for name, number in fields.items():
            self.desk.control[name] = number

    def limits(self, instrument: int, **fields: int) -> None:
        row = self.naive.limits[instrument]
        row.update(fields)
        plain = {name: number for name, number in fields.items() if name not in LIMIT_FLAGS}
        self.desk.set_limits(instrument, flags=sum(bit for name, bit in LIMIT_FLAGS.items() if row[name]), **plain)

    def book(self, instrument: int, **fields: int) -> None:
        row = self.naive.books[instrument]
        row.update(fields)
        flags = sum(bit for name, bit in BOOK_FLAGS.items() if row[name])
        plain = {name: number for name, number in fields.items() if name not in (*BOOK_FLAGS, "open", "named")}
        trading = layout.value("TRADING_OPEN") if row["open"] else self.random.choice((0, 2, 3, 4))
        symbol = SYMBOLS[instrument] if row["named"] else b""
        self.desk.set_book(instrument, flags=flags, trading=trading, symbol=symbol, **plain)

    def calm_limits(self, instrument: int) -> None:
        choice = self.random.choice
        flags = {"permitted": 1, "restricted": 0, "limits_set": 1}
        units = {"tick": choice((1, 1, 100)), "lot": choice((1, 1, 50)), "stale_ns": 10**9}
        caps = {"quantity_max": choice((200, 500, 1000)), "value_max": choice((10**9, 10**9, 2 * 10**8))}
        caps.update(position_max=choice((2000, 10**6, 10**6)), collar_ppm=choice((100, 50_000)))
        self.limits(instrument, **flags, **units, **caps)

    def calm_book(self, instrument: int) -> None:
        middle, half = self.random.randrange(900_000, 1_100_000, 100), self.random.choice((50, 100, 100, 151))
        top = {"bid_price": middle - half, "bid_quantity": 100, "ask_price": middle + half, "ask_quantity": 100}
        flags = {"valid": 1, "stale": 0, "crossed": 0, "fault": 0, "quiet": 0, "open": 1, "named": 1}
        self.book(instrument, last_price=middle, time_ns=self.now_ns, **top, **flags)

    def calm_account(self) -> None:
        rate, burst = self.random.choice((50, 1000, 10**6)), self.random.choice((5, 100))
        self.account(rate_per_second=rate, rate_burst=burst, reserve_percent=20, day_messages_max=10**9)
        self.account(limits_version=0, session_lost=0)
        self.naive.halted = False
        self.desk.intents["halted"] = 0

    def disturb(self) -> None:
        """One thing in the world goes wrong."""
        draw, instrument = self.random, self.random.randrange(INSTRUMENTS)
        what = draw.randrange(12)
        if what == 0:
            self.control(kill_latch=draw.choice((1, 2)))
        elif what == 1:
            self.control(**draw.choice(({"epoch": 0}, {"epoch": EPOCH + 1}, {"lease_expires_ns": self.now_ns + 1000})))
        elif what < 5:
            name = draw.choice([*self.naive.limits[instrument]])
            number = draw.choice((0, 1)) if name in LIMIT_FLAGS else draw.choice(EXTREMES)
            self.limits(instrument, **{name: number})
        elif what < 9:
            name = draw.choice([*self.naive.books[instrument]])
            truth = name in BOOK_FLAGS or name in ("open", "named")
            self.book(instrument, **{name: draw.choice((0, 1)) if truth else draw.choice(EXTREMES)})
        elif what == 9:
            name = draw.choice(("rate_per_second", "rate_burst", "reserve_percent", "day_messages_max"))
            self.account(**{name: draw.choice(EXTREMES)})
        elif what == 10:
            self.account(**draw.choice(({"limits_version": 1}, {"session_lost": 1})))
        else:
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
            elif self.random.random() < 0.003:
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
        price = book["ask_price"] + draw.choice((0, 0, 0, 0, 0, 0, -1, 1, 100, 200, 50_000, -50_000))
        quantity = draw.choice((1, 50, 50, 100, 100, 100, 100, 200, 500, 501, 1001))
        if kind == "CANCEL":
            quantity = draw.choice((0, 0, 50, 2**31 - 1, 2**31, -1))
        if draw.random() < 0.01:
            price = draw.choice(EXTREMES)
        if draw.random() < 0.01:
            quantity = draw.choice(EXTREMES)
        price = min(max(price, -(2**63)), 2**63 - 1)
        life = 3 if draw.random() < 0.99 else draw.choice((0, 1, 7))
        terms = {"instrument": instrument, "side": side, "price": price, "quantity": quantity}
        return {**terms, "time_in_force": life, "order_reference": reference}

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
            naive.executed(reference, self.match, 1_000_100, quantity)
            if order is not None:
                self.recent = [*self.recent[-10:], (self.match, reference)]
            desk.report("OrderExecuted", match_number=self.match, price=1_000_100, quantity=quantity, **about)
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
        assert desk.rows["position"].tolist() == naive.position
        assert desk.rows["cash"].tolist() == naive.cash
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
        twins.read_rings()
        twins.decide()
        if draw.random() < 0.4:
            twins.report()
        if step % 97 == 0:
            twins.compare()
    twins.compare()
    return twins.fired


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
