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
RATE = "10000000/00:00:01"  # its clock stands still here, and the default lets 100 orders pass


def nautilus(plan: Plan) -> list[Row]:
    """Rows of its risk engine deciding one limit order after another. Raises CapabilityError with the reason."""
    try:
        engine, commands, passed = _engine(ORDERS_QUICK if plan.quick else ORDERS)
    except ImportError as problem:
        raise CapabilityError(f"not installed ({problem}): pip install 'bypass-gateway[peers]'") from None
    except (AttributeError, TypeError, ValueError) as problem:
        raise CapabilityError(f"this version is built up in another way ({problem})") from None
    samples: list[float] = []
    for index in range(ROUNDS):
        plan.report(index / ROUNDS, NAUTILUS)
        passed.clear()
        begin = time.thread_time_ns()
        for command in commands:
            engine.execute(command)
        samples.append((time.thread_time_ns() - begin) / len(commands))
        if passed != commands:
            raise CapabilityError(f"it let {len(passed)} of {len(commands)} orders pass, so it decided something else")
    return [Row(NAUTILUS, "hot", "ns/order", False, True, samples, "its risk engine, fewer controls")]


def _engine(count: int) -> tuple[Any, list[Any], list[Any]]:
    """A risk engine over a cache with one instrument, `count` commands that submit an order each, and what it let pass."""
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import MessageBus, TestClock
    from nautilus_trader.common.factories import OrderFactory
    from nautilus_trader.core.uuid import UUID4
    from nautilus_trader.execution.messages import SubmitOrder
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import StrategyId, TraderId
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.portfolio.portfolio import Portfolio
    from nautilus_trader.risk.config import RiskEngineConfig
    from nautilus_trader.risk.engine import RiskEngine
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    clock, trader, strategy = TestClock(), TraderId("BENCH-001"), StrategyId("S-001")
    bus, cache = MessageBus(trader_id=trader, clock=clock), Cache()
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    config = RiskEngineConfig(max_order_submit_rate=RATE)
    engine = RiskEngine(portfolio=portfolio, msgbus=bus, cache=cache, clock=clock, config=config)
    passed: list[Any] = []
    bus.register(endpoint="ExecEngine.execute", handler=passed.append)
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
    return engine, commands, passed
