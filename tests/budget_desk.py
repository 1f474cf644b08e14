"""Time and what was said, for tests of request budgets."""

from gateway.ops.request_budget import RequestBudget
from gateway.ops.token_bucket import Priority, terms_of

S = 10**9
NOON = 1_767_614_400 * S
CANCEL, REDUCE, NEW = Priority.CANCEL, Priority.REDUCE, Priority.NEW


class World:
    """Time, and what was said."""

    def __init__(self, path, per_minute=60, burst=100, cancel=20, reduce=10):
        self.path, self.now, self.told = path, NOON, []
        self.terms = terms_of(per_minute, burst, cancel, reduce)

    def budget(self, venue="binance", address="10.0.0.1"):
        return RequestBudget(self.path, venue, address, self.terms, lambda: self.now, self.told.append)
