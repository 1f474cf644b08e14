"""Closes positions after the latch: one order an instrument at a time, each further through the market than the last.

    own touch, rested ─► through the other side by 0 … n ppm, immediate ─► the last step, repeated until flat
         │ over?  no: cancelled, or fenced off by a mass cancel; nothing is sent until the venue has said it is over
         └─► position afresh, by the venue's own account ─► flat: done

Hard rule: what is outstanding never exceeds what is left of the position. An order whose fate is unknown counts as working,
and so does every other open order that could make the position smaller.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.kill_sections import Kill
from gateway.ops.control_orders import DAY, IMMEDIATE, ControlOrders
from gateway.ops.touch import Prices, Touch
from gateway.ops.venue_truth import Truth
from gateway.protocols.ouch50_account import BUY, SELL

QUANTITY_MAX = 999_999  # OUCH 5.0, 2.1: less than a million
REFUSALS_MAX = 8  # of one instrument
REPEAT_SECONDS = 0.2  # between two orders of the last step
LEAVE_TIMES = 1.5  # answers' time before the end: nothing new from there on
LETTERS = {BUY: "B", SELL: "S"}


class Step(NamedTuple):
    """One rung: `through_ppm` None is the own side's best price, where it rests so long."""

    through_ppm: int | None
    rest_seconds: float = 0.0


def steps_of(kill: Kill) -> list[Step]:
    """The ladder of a configuration; at least one step."""
    steps = [Step(None, kill.touch_ms / 1000)] if kill.touch_ms else []
    steps += [Step(ppm) for ppm in kill.slippage_ppm]
    return [*steps, *([Step(kill.market_ppm)] if kill.market_ppm or not steps else [])]


@dataclass
class Closing:
    """One instrument on its way to flat."""

    symbol: str
    step: int = 0
    step_last: int = 1 << 30  # what lies further out was refused
    working: list[int] = field(default_factory=list)  # references that are not known to be over
    orders: int = 0
    refusals: int = 0
    due: float = 0.0  # when the working order is chased, or the next one may follow
    why: str = ""


class Flattener:
    """Works every position down; `turn` never blocks.

    truth      whom to believe now, None: nobody who is current
    may_send   whether what is handed over leaves at once; else it would wait, and the market moves on
    """

    def __init__(
        self,
        orders: ControlOrders,
        prices: Prices,
        kill: Kill,
        truth: Callable[[], Truth | None],
        may_send: Callable[[], str],
        deadline: float,
    ):
        self.orders, self.prices, self.truth, self.may_send = orders, prices, truth, may_send
        self.steps, self.answer_seconds = steps_of(kill), kill.answer_ms / 1000
        self.deadline, self.leaving = deadline, deadline - LEAVE_TIMES * self.answer_seconds
        self.rows: dict[str, Closing] = {}
        self.sent = 0

    def turn(self, now: float | None = None) -> bool:
        """One look at every instrument; True once all are flat, or the time is over."""
        now = time.monotonic() if now is None else now
        truth = self.truth()
        if truth is None:
            return now >= self.deadline
        held = truth.positions()
        for symbol in held:
            self.rows.setdefault(symbol, Closing(symbol))
        for row in self.rows.values():
            self._advance(row, truth, held.get(row.symbol, 0), now)
        flat = not truth.positions() and not any(row.working for row in self.rows.values())
        return flat or now >= self.deadline

    def why(self, symbol: str) -> str:
        """Why a position is left."""
        row = self.rows.get(symbol)
        return (row.why if row else "") or "the time was over"

    def _advance(self, row: Closing, truth: Truth, held: int, now: float) -> None:
        before = len(row.working)
        refused = sum(truth.was_rejected(reference) for reference in row.working)
        row.working = [reference for reference in row.working if not truth.is_over(reference)]
        if row.working:
            if now >= row.due:
                self._chase(row, truth, now)
            return
        if before:
            self._step_on(row, refused, now)
        if held == 0:
            row.why = ""
        elif now >= row.due and now < self.leaving and row.refusals < REFUSALS_MAX:
            self._send(row, truth, held, now)

    def _step_on(self, row: Closing, refused: int, now: float) -> None:
        """The last order is over: the next one goes further, unless so far was refused."""
        row.due = 0.0
        if refused:
            row.refusals += refused
            row.step_last = max(0, row.step - 1) if row.step else row.step_last
            row.why = f"the venue refused {row.refusals} orders"
        last = min(len(self.steps) - 1, row.step_last)
        if row.step >= last:
            row.due = now + REPEAT_SECONDS
        row.step = min(row.step + 1, last)

    def _send(self, row: Closing, truth: Truth, held: int, now: float) -> None:
        buying = held < 0
        side = BUY if buying else SELL
        open_orders = [order for order in truth.open_orders() if order.symbol == row.symbol and order.side == side]
        open_against = sum(order.quantity for order in open_orders)
        quantity = min(abs(held) - open_against, QUANTITY_MAX)
        if quantity <= 0:
            row.why = f"{len(open_orders)} open orders could close it, and the venue does not cancel them"
            return
        if problem := self.may_send():
            row.why = problem
            return
        touch = self.prices.touch(row.symbol)
        if touch is None:
            row.why = "no book, no last trade, no mark: nothing says what it is worth"
            return
        step = self.steps[row.step]
        inputs = {"step": row.step, "position": held, "open_against": open_against, "believed": truth.name}
        reference = self._order(row.symbol, side, quantity, touch, step, truth.reference_max(), inputs)
        if reference == 0:
            row.why = "the control ring is full, or no reference is left"
            return
        row.working.append(reference)
        row.orders, self.sent = row.orders + 1, self.sent + 1
        row.due = now + (step.rest_seconds or self.answer_seconds)
        row.why = f"not filled by {row.orders} orders, the last at {touch.source} prices"

    def _order(
        self, symbol: str, side: str, quantity: int, touch: Touch, step: Step, above: int, inputs: dict[str, Any]
    ) -> int:
        resting = step.through_ppm is None
        price = touch.own(side == BUY) if resting else touch.through(side == BUY, step.through_ppm or 0)
        life = DAY if resting else IMMEDIATE
        inputs |= {"through_ppm": step.through_ppm, "bid": touch.bid, "ask": touch.ask, "price_source": touch.source}
        return self.orders.reduce(LETTERS[side], quantity, symbol, price, life, above, inputs)

    def _chase(self, row: Closing, truth: Truth, now: float) -> None:
        """An order that still works is cancelled; one the venue never spoke of is fenced off by a higher reference."""
        row.due = now + self.answer_seconds
        for reference in row.working:
            self.orders.cancel(reference)
        unheard = [reference for reference in row.working if not truth.is_known(reference)]
        if unheard:
            row.why = f"order {unheard[0]} was sent, and the venue has not said what became of it"
            if truth.complete and not self.may_send():
                self.orders.mass_cancel(row.symbol, truth.reference_max())
