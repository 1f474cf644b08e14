"""RATE ⑦: messages of the account per second and per day. Read first: gate.py.

Hard rule: an interval or a span that is unset or absurd refuses; a time out of range does too.
"""

from numba import int64

from gateway.core.kernel import leaf
from gateway.core.memory import load_i64
from gateway.layout import offsets

ACCOUNT = offsets("gate_account")
SECOND_NS = 1_000_000_000
TIME_MAX_NS = 1 << 62
SPAN_MAX_NS = 1 << 60  # times the bucket runs ahead by; two of them add up without an overflow


@leaf
def rate_fails(account, now_ns):
    """Token bucket kept as a time, and the day's count. The reserve of the bucket is for cancels.

    Control has worked out what a message costs and how far the bucket may run ahead (limit_block.py).
    """
    interval_ns, span_ns = load_i64(account + ACCOUNT.rate_interval_ns), load_i64(account + ACCOUNT.rate_span_ns)
    unset = (interval_ns <= 0) | (interval_ns > SECOND_NS) | (span_ns < 0) | (span_ns > SPAN_MAX_NS)
    empty = max(load_i64(account + ACCOUNT.bucket_ns), now_ns) - now_ns > span_ns
    spent = load_i64(account + ACCOUNT.day_messages) >= load_i64(account + ACCOUNT.day_messages_max)
    return int64(unset | empty | spent | (now_ns <= 0) | (now_ns >= TIME_MAX_NS))
