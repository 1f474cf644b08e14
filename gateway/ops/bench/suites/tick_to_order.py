"""Tick to order, io and core on one CPU. Lands with the integration."""

from gateway.ops.bench.suite import Plan, Result

TITLE = "Tick to order: frame visible in io to order frame handed to the port"


def run(plan: Plan) -> Result:
    """Not yet."""
    return Result("tick-to-order", TITLE, skipped={"suite": "not wired yet"})
