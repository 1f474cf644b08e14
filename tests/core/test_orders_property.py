"""A venue that does anything a venue may: what is reserved always covers what may still happen, fills always add up."""

import random
from dataclasses import dataclass

import pytest

from gateway.core.orders import open_references
from tests.order_desk import Desk

PRICE = 1_000_200
STEPS = 4000


@dataclass
class Working:
    """The venue's own view of one order."""

    side: int
    left: int


class Venue:
    """Accepts, fills in parts, cancels, rejects; every report it owes goes on a wire that delays and repeats."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.desk = Desk(orders_rows=256, fills_rows=1 << 14).open()
        self.desk.set_limits(1, position_max=10**9)
        self.desk.set_account(rate_per_second=10**9, rate_burst=10**6)
        self.working: dict[int, Working] = {}
        self.wire: list[tuple[str, dict]] = []
        self.fills: list[tuple[int, int]] = []  # (side, quantity), each once
        self.stamp_ns = 0

    def say(self, name: str, reference: int, **fields) -> None:
        self.stamp_ns += 1
        fields.update(user_ref_num=reference)
        if name != "BrokenTrade":
            fields.update(timestamp=self.stamp_ns)
        self.wire.append((name, fields))

    def send(self) -> None:
        side, quantity = self.random.choice((1, 2)), self.random.randrange(1, 500)
        reference = int(self.desk.table["next_reference"][0])
        if self.desk.send(side=side, quantity=quantity) != set():
            return
        draw = self.random.random()
        if draw < 0.1:
            self.say("Rejected", reference, reason=1)
        elif draw < 0.15:
            self.desk.refuse(reference)  # io: it never left
        else:
            terms = {"quantity": quantity, "price": PRICE, "order_state": "L"}
            self.say("OrderAccepted", reference, order_reference_number=reference, **terms)
            self.working[reference] = Working(side, quantity)

    def act(self) -> None:
        """The venue does something to one of its orders."""
        reference = self.random.choice(list(self.working))
        order = self.working[reference]
        if self.random.random() < 0.7:
            quantity = self.random.randrange(1, order.left + 1)
            self.fills.append((order.side, quantity))
            self.say("OrderExecuted", reference, quantity=quantity, price=PRICE, match_number=len(self.fills))
        else:
            quantity = order.left if self.random.random() < 0.7 else self.random.randrange(1, order.left + 1)
            self.say("OrderCanceled", reference, quantity=quantity, reason="U")
        order.left -= quantity
        if order.left == 0:
            del self.working[reference]

    def deliver(self) -> None:
        """One report arrives: fills may overtake and repeat, cancels and accepts keep their order and may repeat at once."""
        executions = [index for index, (name, _) in enumerate(self.wire) if name == "OrderExecuted"]
        index = self.random.choice(executions) if executions and self.random.random() < 0.3 else 0
        name, fields = self.wire.pop(index)
        self.desk.report(name, **fields)
        if self.random.random() < 0.2:
            self.desk.report(name, **fields)
        if name == "OrderExecuted" and self.random.random() < 0.1:
            self.wire.append((name, fields))

    def check(self) -> None:
        """Whatever the wire still carries: position and reservation cover the worst of both sides."""
        row = self.desk.rows[1]
        known = int(row["position"])
        true = sum(quantity if side == 1 else -quantity for side, quantity in self.fills)
        bought_unseen = sum(fill for side, fill in self.unseen() if side == 1)
        sold_unseen = sum(fill for side, fill in self.unseen() if side == 2)
        assert true == known + bought_unseen - sold_unseen
        left = {side: sum(order.left for order in self.working.values() if order.side == side) for side in (1, 2)}
        assert int(row["open_buy"]) >= left[1] + bought_unseen
        assert int(row["open_sell"]) >= left[2] + sold_unseen

    def unseen(self) -> list[tuple[int, int]]:
        """Fills whose report never arrived yet, each once."""
        recorded = {int(fill["match"]) for fill in self.desk.fills[self.desk.fills["reference"] != 0]}
        return [fill for match, fill in enumerate(self.fills, start=1) if match not in recorded]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_reserved_covers_what_may_happen_and_fills_add_up(seed):
    print(f"seed {seed}")
    venue = Venue(seed)
    for step in range(STEPS):
        draw = venue.random.random()
        if draw < 0.3:
            venue.send()
        elif draw < 0.6 and venue.working:
            venue.act()
        elif venue.wire:
            venue.deliver()
        if venue.working and venue.random.random() < 0.1:
            venue.desk.send("CANCEL", order_reference=venue.random.choice(list(venue.working)))
        venue.desk.core_io.drain()
        venue.desk.journal.drain()
        if step % 20 == 0:
            venue.check()
    for reference in list(venue.working):
        venue.say("OrderCanceled", reference, quantity=venue.working.pop(reference).left, reason="U")
    while venue.wire:
        venue.deliver()
        venue.desk.journal.drain()
    venue.check()
    row = venue.desk.rows[1]
    assert (int(row["open_buy"]), int(row["open_sell"])) == (0, 0)
    assert int(row["position"]) == sum(quantity if side == 1 else -quantity for side, quantity in venue.fills)
    assert len(venue.fills) > 500 and venue.desk.account["session_lost"] == 0
    assert venue.desk.feed_reason("QUANTITY_EXCESS") == 0
    assert open_references(venue.desk.orders) == []
