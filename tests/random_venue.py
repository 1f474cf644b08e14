"""A venue that does whatever a venue may: it takes, refuses, fills, cancels, breaks trades, is slow, is silent on cancels.

It keeps its own orders and positions, and a log of what it said; nothing of it is shared with what is tested.
"""

import random
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gateway.protocols import ouch50

PRICE = 1_000_000
read = lru_cache(maxsize=1 << 12)(ouch50.decode)  # nobody changes what it gives


@dataclass
class Resting:
    """One open order at the venue."""

    symbol: str
    side: str
    open: int
    filled: int = 0


@dataclass
class RandomVenue:
    """`log` is the sequenced stream; `inbox` what was sent on the connection and not read yet, oldest first."""

    draw: random.Random
    log: list[bytes] = field(default_factory=list)
    inbox: list[bytes] = field(default_factory=list)
    orders: dict[int, Resting] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    trades: list[tuple[int, int, str, str, int]] = field(default_factory=list)  # match, reference, symbol, side, quantity
    last_reference: int = 0
    matches: int = 0
    options: dict[str, int] = field(default_factory=lambda: {"min_qty": 0, "post_only": 0})  # orders that had one

    def say(self, name: str, reference: int, **fields: Any) -> None:
        stamp = {} if name == "AccountQueryResponse" else {"user_ref_num": reference}
        self.log.append(ouch50.encode(name, timestamp=len(self.log) + 1, **stamp, **fields))

    # ---- what it hears ---------------------------------------------------------------------------------------------

    def read(self) -> None:
        """The next message of the connection."""
        said = read(self.inbox.pop(0), ouch50.INBOUND)
        getattr(self, said["message"].replace(" ", ""))(said)

    def query(self) -> int:
        """An Account Query is answered; the next new reference."""
        self.say("AccountQueryResponse", 0, next_user_ref_num=self.last_reference + 1)
        return self.last_reference + 1

    def AccountQuery(self, said: dict[str, Any]) -> None:
        self.query()

    def fresh(self, reference: int) -> bool:
        if reference <= self.last_reference:
            return False
        self.last_reference = reference
        return True

    def EnterOrder(self, said: dict[str, Any]) -> None:
        reference, quantity = said["user_ref_num"], said["quantity"]
        if not self.fresh(reference):
            return
        if self.draw.random() < 0.1:
            self.say("Rejected", reference, reason=15, cl_ord_id=said["cl_ord_id"])
            return
        for name in self.options.keys() & said.keys():
            self.options[name] += 1
        terms = {key: said[key] for key in ("side", "symbol", "price", "time_in_force", "cl_ord_id")}
        dead = self.draw.random() < 0.03
        state = "D" if dead else "L"
        self.say(
            "OrderAccepted", reference, quantity=quantity, order_state=state, order_reference_number=reference + 7, **terms
        )
        if dead:
            return
        self.orders[reference] = Resting(said["symbol"], "buy" if said["side"] == "B" else "sell", quantity)
        whole, post = said.get("min_qty", 0) == quantity, said.get("post_only") == "P"
        if post and self.draw.random() < 0.3:
            self.cancel(reference, "F")  # it would have traded
        elif whole and said["time_in_force"] == "3":
            if self.draw.random() < 0.5:
                self.fill(reference, quantity)  # in one piece or not at all
            self.cancel(reference, "I")
        elif said["time_in_force"] == "3":
            if self.draw.random() < 0.6:
                self.fill(reference, self.draw.randrange(1, quantity + 1))
            self.cancel(reference, "I")

    def ReplaceOrder(self, said: dict[str, Any]) -> None:
        reference, original = said["user_ref_num"], said["orig_user_ref_num"]
        if not self.fresh(reference):
            return
        old = self.orders.get(original)
        if old is None or said["quantity"] <= old.filled or self.draw.random() < 0.1:
            self.say("Rejected", reference, reason=21, cl_ord_id=said["cl_ord_id"])
            return
        del self.orders[original]
        left = said["quantity"] - old.filled
        terms = {key: said[key] for key in ("price", "time_in_force", "cl_ord_id")}
        terms |= {"symbol": old.symbol, "side": "B" if old.side == "buy" else "S", "order_state": "L"}
        terms |= {"orig_user_ref_num": original, "quantity": left, "order_reference_number": reference + 7}
        self.say("OrderReplaced", reference, **terms)
        self.orders[reference] = Resting(old.symbol, old.side, left)
        if said.get("post_only") == "P" and self.draw.random() < 0.3:
            self.cancel(reference, "F")

    def CancelOrder(self, said: dict[str, Any]) -> None:
        reference = said["user_ref_num"]
        draw = self.draw.random()
        if reference not in self.orders or draw < 0.1:
            return  # silent, as the specification has it, or as a venue has it that lost the message
        if draw < 0.2:
            self.say("CancelReject", reference)
            return
        self.cancel(reference, "U")

    # ---- what it does ----------------------------------------------------------------------------------------------

    def fill(self, reference: int, quantity: int) -> None:
        order = self.orders[reference]
        self.matches += 1
        order.open -= quantity
        order.filled += quantity
        if order.open == 0:
            del self.orders[reference]
        self.trades.append((self.matches, reference, order.symbol, order.side, quantity))
        self.move(order.symbol, order.side, quantity)
        self.say("OrderExecuted", reference, quantity=quantity, price=PRICE, match_number=self.matches)

    def cancel(self, reference: int, reason: str, quantity: int = 0) -> None:
        order = self.orders.get(reference)
        if order is None:
            return
        taken = min(quantity or order.open, order.open)
        order.open -= taken
        if order.open == 0:
            del self.orders[reference]
        self.say("OrderCanceled", reference, quantity=taken, reason=reason)

    def break_trade(self) -> None:
        match, reference, symbol, side, quantity = self.trades.pop(self.draw.randrange(len(self.trades)))
        self.move(symbol, side, -quantity)
        self.say("BrokenTrade", reference, match_number=match, reason="E")

    def move(self, symbol: str, side: str, quantity: int) -> None:
        self.positions[symbol] = self.positions.get(symbol, 0) + (quantity if side == "buy" else -quantity)

    def act(self) -> None:
        """Something happens to one of its orders, or nothing."""
        draw = self.draw.random()
        if self.orders and draw < 0.6:
            reference = self.draw.choice(list(self.orders))
            self.fill(reference, self.draw.randrange(1, self.orders[reference].open + 1))
        elif self.orders and draw < 0.8:
            reference = self.draw.choice(list(self.orders))
            self.cancel(reference, "Z", self.draw.randrange(0, self.orders[reference].open + 1))
        elif self.trades and draw < 0.85:
            self.break_trade()

    def disconnect(self, cancels: bool) -> None:
        """The connection is gone: it had read some of what was sent, the rest went down with it."""
        for _ in range(self.draw.randrange(len(self.inbox) + 1)):
            self.read()
        self.inbox.clear()
        for reference in list(self.orders) if cancels else ():
            self.cancel(reference, "Z")

    def open_at(self, symbol: str, side: str) -> int:
        """What may fill on a side: open orders, and new ones on their way here."""
        resting = sum(order.open for order in self.orders.values() if (order.symbol, order.side) == (symbol, side))
        for message in self.inbox:
            said = read(message, ouch50.INBOUND)
            if said["message"] == "Enter Order" and said["user_ref_num"] > self.last_reference:
                mine = (said["symbol"], "buy" if said["side"] == "B" else "sell")
                resting += said["quantity"] if mine == (symbol, side) else 0
        return resting
