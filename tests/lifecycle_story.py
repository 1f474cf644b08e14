"""One random sequence of what a venue and a connection may do to our orders, and what must hold after each step."""

import random

import numpy as np

from gateway import layout
from gateway.core.order_frames import HEADERS_BYTES
from gateway.ops.order_resolution import NEVER_ARRIVED, WORKING, finding
from gateway.protocols import ouch50
from gateway.protocols.ouch50_account import VenueAccount
from tests.lifecycle_core import UNKNOWN_NS, Core, resolve, sweep
from tests.naive_lifecycle import LIVE
from tests.order_desk import NOW_NS, SLOT_BYTES
from tests.random_venue import RandomVenue, read

SYMBOLS = {1: "AAPL", 2: "MSFT"}
STEPS = 30
STATES = layout.names("order_state", "ORDER_")
SIDES = {1: "buy", 2: "sell"}
POST_ONLY, FOK = layout.value("INTENT_POST_ONLY"), layout.value("TIME_FOK")


class Story:
    """One sequence of events; everything random follows from the seed."""

    def __init__(self, seed: int):
        self.seed, self.draw = seed, random.Random(seed)
        self.venue = RandomVenue(self.draw)
        self.now_ns = NOW_NS
        self.connection, self.transmitted = 0, 0
        self.cancels = self.draw.random() < 0.5  # the venue cancels on disconnect
        self.core = Core(0)
        self.counts = {"unknown": 0, "resolved": 0, "adopted": 0, "lost": 0, "restarts": 0, "disconnects": 0}
        self.connect()

    # ---- events ----------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A login, the replay of what was missed, the Account Query and its answer."""
        first = self.venue.query()
        log = self.venue.log
        while self.core.heard < len(log):
            self.core.deliver(log, self.core.heard, self.now_ns)
        self.connection += 1
        self.core.desk.control["session_connection"] = self.connection
        self.core.up(self.connection, first, self.transmitted, self.now_ns)

    def disconnect(self) -> None:
        self.counts["disconnects"] += 1
        self.venue.disconnect(self.cancels)
        self.core.desk.control["session_connection"] = 0
        self.core.held = {index for index in self.core.held if index < self.core.heard}

    def restart(self) -> None:
        """Every process of ours was killed: nothing is left but the venue."""
        self.counts["restarts"] += 1
        self.disconnect()
        self.gather()
        self.core, self.transmitted = Core(self.connection), 0

    def gather(self) -> None:
        for name, counter in (("unknown", "unknown_orders"), ("resolved", "orders_resolved")):
            self.counts[name] += int(self.core.desk.counters[counter][0])
        self.counts["adopted"] += int(self.core.desk.counters["orders_adopted"][0])
        self.counts["lost"] += int(self.core.desk.counters["orders_lost"][0])
        self.counts |= self.venue.options

    @property
    def is_up(self) -> bool:
        return bool(self.core.desk.control["session_connection"][0])

    def send(self) -> None:
        """An order of ours; the gate may refuse it, and does while the session is down."""
        desk, twin = self.core.desk, self.core.twin
        instrument, side, quantity = self.draw.choice((1, 2)), self.draw.choice((1, 2)), self.draw.randrange(1, 300)
        price = 1_000_000 if side == 1 else 1_000_200
        life, flags = self.draw.choice(((0, 0), (0, POST_ONLY), (3, 0), (FOK, 0)))
        reference = int(desk.table["next_reference"][0])
        terms = {"side": side, "quantity": quantity, "price": price, "time_in_force": life, "flags": flags}
        refused = desk.send(now_ns=self.now_ns, instrument=instrument, **terms)
        twin.next_reference += 1
        if not self.is_up:
            assert "SESSION" in refused
        if not refused:
            twin.send(reference, SYMBOLS[instrument], SIDES[side], quantity, self.now_ns)
            self.transmit(reference)

    def transmit(self, reference: int = 0) -> None:
        """What left the gate is on its way, or waits in a ring whose session is down: then it is refused as too old."""
        for record in self.core.desk.core_io.take_all():
            size = int(np.frombuffer(record[8:12], np.uint32)[0])
            message = record[SLOT_BYTES + HEADERS_BYTES : SLOT_BYTES + size]
            if self.is_up:
                self.venue.inbox.append(message)
        self.transmitted = max(self.transmitted, reference)
        self.core.desk.journal.drain()

    def live(self) -> list[int]:
        return [reference for reference, order in self.core.twin.orders.items() if order.live and order.open]

    def cancel(self) -> None:
        if not self.live():
            return
        reference = self.draw.choice(self.live())
        order = self.core.twin.orders[reference]
        instrument = next(row for row, symbol in SYMBOLS.items() if symbol == order.symbol)
        refused = self.core.desk.send(
            "CANCEL", instrument=instrument, order_reference=reference, strategy=0, now_ns=self.now_ns
        )
        assert not refused
        self.core.twin.cancel(reference, self.now_ns)
        self.transmit()

    def replace(self) -> None:
        if not self.live():
            return
        original = self.draw.choice(self.live())
        order, desk = self.core.twin.orders[original], self.core.desk
        instrument = next(row for row, symbol in SYMBOLS.items() if symbol == order.symbol)
        terms = {"side": 1 if order.side == "buy" else 2, "price": 1_000_000 if order.side == "buy" else 1_000_200}
        reference, quantity = int(desk.table["next_reference"][0]), self.draw.randrange(1, 400)
        terms |= {"order_reference": original, "quantity": quantity, "time_in_force": 0, "instrument": instrument}
        terms["flags"] = self.draw.choice((0, POST_ONLY))
        refused = desk.send("REPLACE", now_ns=self.now_ns, **terms)
        self.core.twin.next_reference += 1
        if not refused:
            self.core.twin.send(reference, order.symbol, order.side, quantity, self.now_ns)
            self.transmit(reference)

    def hear(self) -> None:
        """Some of what the venue said arrives: in turn, early, or again."""
        if not self.is_up:
            return
        log, heard = self.venue.log, self.core.heard
        for _ in range(self.draw.randrange(1, 6)):
            draw = self.draw.random()
            if draw < 0.2 and heard:
                self.core.deliver(log, self.draw.randrange(heard), self.now_ns)
            elif heard < len(log):
                ahead = self.draw.randrange(min(4, len(log) - heard)) if draw < 0.5 and heard else 0
                self.core.deliver(log, heard + ahead, self.now_ns)
            heard = self.core.heard

    def age(self) -> None:
        """Nothing was heard for a while, and control asks the venue about what has no answer."""
        self.now_ns += self.draw.choice((1, UNKNOWN_NS // 2, UNKNOWN_NS))
        desk, twin = self.core.desk, self.core.twin
        for instrument in (1, 2):
            desk.set_book(instrument, time_ns=self.now_ns)
            desk.set_limits(instrument, window_ns=self.now_ns, last_price_ns=self.now_ns)
        sweep(desk.path.address, self.now_ns)
        twin.age(self.now_ns, UNKNOWN_NS)
        account = VenueAccount().apply_all(self.venue.log)
        for row in desk.orders[desk.orders["state"] == layout.value("ORDER_UNKNOWN")]:
            verdict = finding(account, row)
            if verdict in (NEVER_ARRIVED, WORKING) and self.draw.random() < 0.8:
                reference = int(row["reference"])
                assert resolve(desk.path.address, verdict, reference, self.now_ns) == 1
                twin.resolve(verdict == NEVER_ARRIVED, reference, self.now_ns)

    def step(self) -> None:
        draw = self.draw.random()
        if draw < 0.03:
            self.restart()
        elif draw < 0.09 and self.is_up:
            self.disconnect()
        elif draw < 0.2 and not self.is_up:
            self.connect()
        elif draw < 0.3:
            self.age()
        elif draw < 0.5:
            self.hear()
        elif draw < 0.65:
            self.send()
        elif draw < 0.72:
            self.cancel()
        elif draw < 0.76:
            self.replace()
        elif draw < 0.9 and self.venue.inbox:
            self.venue.read()
        else:
            self.venue.act()

    # ---- what must hold ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Our table is the twin's, and what is reserved covers what the venue may do and we have not heard of."""
        desk, twin = self.core.desk, self.core.twin
        for reference, order in twin.orders.items():
            row = desk.order(reference)
            ours = (STATES[int(row["state"])], int(row["open"]), int(row["filled"]))
            assert ours == (order.state, order.open, order.filled), f"order {reference}"
        assert int(desk.table["next_reference"][0]) == twin.next_reference
        assert int(desk.account["session_lost"][0]) == 0
        for instrument, symbol in SYMBOLS.items():
            row = desk.rows[instrument]
            assert int(row["position"]) == twin.positions.get(symbol, 0)
            assert int(row["open_buy"]) == twin.reserved(symbol, "buy")
            assert int(row["open_sell"]) == twin.reserved(symbol, "sell")
            if int(desk.account["session_connection"][0]) == self.connection:  # else nothing new may leave
                self.check_reserved(symbol, row)

    def check_reserved(self, symbol: str, row: np.void) -> None:
        unheard = [read(message, ouch50.OUTBOUND) for message in self.venue.log[self.core.heard :]]
        if any(said["message"] == "Broken Trade" for said in unheard):
            return  # a trade that is taken back raises exposure without anybody's order
        held = self.venue.positions.get(symbol, 0)
        assert int(row["position"]) + int(row["open_buy"]) >= held + self.venue.open_at(symbol, "buy"), symbol
        assert int(row["open_sell"]) - int(row["position"]) >= self.venue.open_at(symbol, "sell") - held, symbol

    def finish(self) -> None:
        """Everything is said and heard, every question answered: both sides hold the same."""
        while self.venue.inbox:
            self.venue.read()
        if self.is_up:
            self.disconnect()
        self.connect()
        self.now_ns += UNKNOWN_NS
        self.age_out()
        self.check()
        twin = self.core.twin
        ours = {reference: order.open for reference, order in twin.orders.items() if order.live}
        assert ours == {reference: order.open for reference, order in self.venue.orders.items()}
        symbols = set(self.venue.positions) | set(twin.positions)
        assert all(self.venue.positions.get(symbol, 0) == twin.positions.get(symbol, 0) for symbol in symbols)
        assert all(order.state in LIVE or order.open == 0 for order in twin.orders.values())
        self.gather()

    def age_out(self) -> None:
        """Until nothing is without an answer."""
        self.draw = random.Random(self.seed)
        for _ in range(40):
            if not any(order.state in ("SENT", "CANCELLING", "UNKNOWN") for order in self.core.twin.orders.values()):
                return
            self.age()
