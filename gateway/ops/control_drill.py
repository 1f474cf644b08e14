"""Makes every control fire, before and after the trade, on the real core: `gateway demo --every-control`.

Each case breaks one rule in the market of drill_market.py and counts on the control's own counter whether it fired. Most
break it as a strategy or a venue would (too large, too far, twice, a fill at half as much again, a gap in the feed); what
nobody can do from outside (another epoch, a reader that hangs) is a word of shared memory, put back right after.

Hard rule: a control counts as fired only by the counter that its own code moved.
"""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway import layout
from gateway.ops import post_trade_record
from gateway.ops.drill_market import AAPL, CENTRE, MILLISECOND_NS, SECOND_NS, DrillMarket, poked
from gateway.ops.drop_copy import DropCopy
from gateway.ops.halts import BITS
from gateway.ops.key_watch import KeyWatch
from gateway.ops.log import Log
from gateway.ops.order_reconciliation import OrderReconciliation
from gateway.ops.post_trade import PostTrade

TICK_NS = 20 * MILLISECOND_NS
PRE_TRADE = sorted((number, name) for number, name in layout.names("gate_reason", "GATE_").items() if name != "REASONS")
POST_TRADE = sorted(
    (number, name) for number, name in layout.names("post_trade_control", "POST_TRADE_").items() if name != "CONTROLS"
)


def fire_every_control(name: str) -> dict[str, dict[str, int]]:
    """How often each control fired, by id: {"pre_trade": …, "post_trade": …}; 0 where one did not."""
    with tempfile.TemporaryDirectory(prefix="gateway-drill-") as folder:
        market = DrillMarket(name, Path(folder))
        try:
            market.open()
            first = market.order()
            counts = {case: _fire(market, case, first) for case in CASES}
            after = _fire_after_the_trade(market, first)
            counts["DISABLED"] = _fire(market, "DISABLED", first)
            return {"pre_trade": {name: counts.get(name, 0) for _, name in PRE_TRADE}, "post_trade": after}
        finally:
            market.close()


def missing(fired: dict[str, dict[str, int]]) -> list[str]:
    """Ids of the controls that did not fire."""
    return [f"{kind} {name}" for kind, counts in fired.items() for name, count in counts.items() if count == 0]


# ---- before the trade ------------------------------------------------------------------------------------------------


def _fire(market: DrillMarket, control: str, first: int) -> int:
    """Runs one case; how much the control's counter rose."""
    market.quote()
    before = market.rejects(control)
    CASES.get(control, _plain)(market, first)
    return market.rejects(control) - before


def _plain(market: DrillMarket, first: int) -> None:
    market.order()


def _with(where: Callable[[DrillMarket], Any], field: str, number: int) -> Callable[[DrillMarket, int], None]:
    """An order while one word of shared memory says something else."""

    def case(market: DrillMarket, first: int) -> None:
        with poked(where(market), field, number):
            market.order()

    return case


def _strategy(market: DrillMarket) -> Any:
    return market.account["strategies"][1]


def _stale(market: DrillMarket, first: int) -> None:
    market.pass_time(2 * SECOND_NS)
    market.order()


def _duplicate(market: DrillMarket, first: int) -> None:
    market.order(signal_id=1 << 40, quantity=1)
    market.order(signal_id=1 << 40, quantity=1)


def _hanging(handle: str) -> Callable[[DrillMarket, int], None]:
    """An order while a ring's reader is a whole ring behind, as this writer sees it."""

    def case(market: DrillMarket, first: int) -> None:
        writer = getattr(market.core, handle)
        writer.position += writer.depth
        try:
            market.order()
        finally:
            writer.position -= writer.depth

    return case


CASES: dict[str, Callable[[DrillMarket, int], None]] = {
    "KILL": _with(lambda market: market.control, "kill_latch", 1),
    "FENCE": _with(lambda market: market.control, "epoch", 1 << 32),
    "STATE": lambda market, first: _discard(market.order(instrument=AAPL + 1)),
    "STALE": _stale,
    "PERM": lambda market, first: _discard(market.order(time_in_force=99)),
    "QTY": lambda market, first: _discard(market.order(quantity=1001)),
    "PRICE": lambda market, first: _discard(market.order(price=2 * CENTRE)),
    "VALUE": lambda market, first: _discard(market.order(quantity=1000)),
    "POSITION": lambda market, first: _discard(market.order(quantity=501)),
    "EXPOSURE": lambda market, first: _discard(market.order(quantity=600)),
    "MARGIN": lambda market, first: _discard(market.order(quantity=999)),
    "RATE": _with(lambda market: market.account, "day_messages_max", 1),
    "DUP": _duplicate,
    "SELF": lambda market, first: _discard(market.order("sell", price=CENTRE - 200)),
    "REPEAT": _with(_strategy, "repeated", 1),
    "JOURNAL": _hanging("core_journal"),
    "RING": _hanging("core_io"),
    "ORDERS": lambda market, first: _discard(
        market.order(kind=layout.value("INTENT_CANCEL"), order_reference=1 << 30, quantity=0)
    ),
    "REDUCE": lambda market, first: _discard(market.order(flags=layout.value("INTENT_REDUCE_ONLY"))),
    "KEYS": _with(lambda market: market.account, "halted", BITS["KEYS"]),
    "SESSION": _with(lambda market: market.control, "session_connection", 7),
}


def _discard(reference: int) -> None:
    """A case has no result but the counter."""


# ---- after the trade -------------------------------------------------------------------------------------------------


class _Copy(DropCopy):
    """Stands for the drop copy: a venue whose account holds nothing of ours."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", "DRILL", "drill")

    @property
    def current(self) -> bool:
        """It has nothing to read."""
        return True


def _fire_after_the_trade(market: DrillMarket, first: int) -> dict[str, int]:
    """A fill at half as much again, a gap, an order of unknown fate, a venue that disagrees, no keys, a damaged file."""
    told: list[str] = []
    copy, heard = _Copy(), market.instance.counters[0]["core"]
    compared = OrderReconciliation(
        market.instance, market.settings, copy, Log("drill", out=io.StringIO())
    )  # nobody has to act on it
    watch = SimpleNamespace(controls=PostTrade(market.instance, market.settings, compared, told.append))
    market.journal.observers.append(watch.controls.observe)

    def run(passed_ns: int) -> None:
        for _ in range(passed_ns // TICK_NS):
            market.now_ns += TICK_NS
            copy.account.messages = int(heard["reports"])  # it has heard as much, and knows none of it
            compared.tick(market.now_ns)
            watch.controls.tick(market.now_ns)

    run(2 * SECOND_NS)
    market.quote()
    market.fill(first, 50, CENTRE + 200)
    run(2 * SECOND_NS)
    market.quote()
    second = market.order(quantity=10)
    market.report("OrderAccepted", user_ref_num=second, order_reference_number=5, order_state="L", quantity=10, price=CENTRE)
    market.fill(first, 50, 4 * CENTRE)  # slippage, and with it drawdown, the day's loss, and the strategy's
    market.quote()
    run(SECOND_NS)
    with poked(_strategy(market), "repeated", 1):
        run(SECOND_NS)
    order = market.instance.rows("orders")[second]
    with poked(order, "state", layout.value("ORDER_UNKNOWN")):
        run(6 * SECOND_NS)
    with poked(market.control, "session_connection", 1), poked(market.account, "session_connection", 1):
        compared.ask()
        run(15 * SECOND_NS)
    watch.controls.keys = KeyWatch(market.instance)  # a link that holds none
    run(SECOND_NS)
    market.quote()
    run(SECOND_NS)
    market.feed(b"", skipped=5)
    market.pass_time(SECOND_NS)
    run(2 * SECOND_NS)
    post_trade_record.path_in(watch.controls.state).write_bytes(b"damaged on purpose\n")
    watch.controls = PostTrade(market.instance, market.settings, None, told.append)
    seen = market.instance.regions["post_trade"].view("post_trade_account")[0]
    return {name: int(seen["fired"][number]) for number, name in POST_TRADE}
