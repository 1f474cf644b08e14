"""NautilusTrader's risk engine beside the gate suite, where the package is installed.

Hard rule: it is optional; without it, or with a version whose parts are elsewhere, the reason is said and nothing fails.
"""

import time
from typing import Any

from gateway.errors import CapabilityError
from gateway.ops.bench.suite import Plan, Row

NAUTILUS = "NautilusTrader"
ORDERS, ORDERS_QUICK = 20_000, 2_000
ROUNDS = 5


def nautilus(plan: Plan) -> list[Row]:
    """Rows of its risk engine deciding one limit order after another. Raises CapabilityError with the reason."""
    try:
        engine, commands = _engine(ORDERS_QUICK if plan.quick else ORDERS)
    except ImportError as problem:
        raise CapabilityError(f"not installed ({problem}); pip install nautilus_trader") from None
    except (AttributeError, TypeError, ValueError) as problem:
        raise CapabilityError(f"this version is built up in another way ({problem})") from None
    samples = []
    for index in range(ROUNDS):
        plan.report(index / ROUNDS, NAUTILUS)
        begin = time.thread_time_ns()
        for command in commands:
            engine.execute(command)
        samples.append((time.thread_time_ns() - begin) / len(commands))
    return [Row(NAUTILUS, "hot", "ns/order", False, True, samples, "its risk engine, fewer controls")]


def _engine(count: int) -> tuple[Any, list[Any]]:
    """A risk engine over a cache with one instrument and one quote, and `count` commands that submit an order each."""
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import MessageBus, TestClock
    from nautilus_trader.common.factories import OrderFactory
    from nautilus_trader.core.uuid import UUID4
    from nautilus_trader.execution.messages import SubmitOrder
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import StrategyId, TraderId
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.portfolio.portfolio import Portfolio
    from nautilus_trader.risk.engine import RiskEngine
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    clock, trader, strategy = TestClock(), TraderId("BENCH-001"), StrategyId("S-001")
    bus, cache = MessageBus(trader_id=trader, clock=clock), Cache()
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    engine = RiskEngine(portfolio=portfolio, msgbus=bus, cache=cache, clock=clock)
    bus.register(endpoint="ExecEngine.execute", handler=lambda command: None)
    instrument = TestInstrumentProvider.equity(symbol="AAPL", venue="XNAS")
    cache.add_instrument(instrument)
    factory = OrderFactory(trader_id=trader, strategy_id=strategy, clock=clock)
    commands = []
    for _ in range(count):
        order = factory.limit(instrument.id, OrderSide.BUY, Quantity.from_int(100), Price.from_str("100.02"))
        cache.add_order(order)
        commands.append(
            SubmitOrder(
                trader_id=trader, strategy_id=strategy, order=order, command_id=UUID4(), ts_init=clock.timestamp_ns()
            )
        )
    return engine, commands
