"""The order session is up again ⑧: what went down with its connection is released, then new risk is allowed.

    reports missed ─► (session_news) ─► orders that never came: over ─► cancels that may be lost: the orders work again

Hard rule: an order is given up only where the venue has said what the next new reference is, behind every report it had
to send: below that, it has the order; from there on, what we had handed to a connection before is lost for good.
"""

from gateway.core.adoption import await_settled, open_new_risk, use_up
from gateway.core.counters import add_to
from gateway.core.journal_records import journal_refusal
from gateway.core.kernel import kernel
from gateway.core.memory import load_i64, load_u8, store_u8
from gateway.core.orders import CANCELLING, ORDER_BYTES, REJECTED, UNKNOWN, finish, is_live, resume
from gateway.layout import offsets, value

CORE = offsets("core")
PATH = offsets("order_path")
ORDER = offsets("order")
NEWS = offsets("session_news")
COUNTERS = offsets("core_counters")
LOST = value("REFUSAL_LOST")


@kernel
def on_session_up(core, news):
    """Every row of our own orders against what the venue has seen (struct session_news); rare, so all of them are read."""
    path, now_ns = load_i64(core + CORE.path), load_i64(core + CORE.now_ns)
    first, last = load_i64(news + NEWS.next_reference), load_i64(news + NEWS.reference_transmitted)
    for index in range(load_i64(path + PATH.orders_mask) + 1):
        order = load_i64(path + PATH.orders) + index * ORDER_BYTES
        if is_live(order) == 1:
            settle_order(path, order, first, last, now_ns)
    use_up(path, first - 1)
    await_settled(path, load_i64(news + NEWS.connection))
    open_new_risk(path, now_ns)


@kernel
def settle_order(path, order, first, last, now_ns):
    """One live row: lost with its connection, or perhaps with its cancel lost."""
    reference, state = load_i64(order + ORDER.reference), load_u8(order + ORDER.state)
    heard_of = (load_i64(order + ORDER.venue_order_id) != 0) | (load_i64(order + ORDER.filled) != 0)
    if (first <= reference) & (reference <= last) & (not heard_of):
        journal_refusal(path, now_ns, reference, LOST)
        store_u8(order + ORDER.reject_code, LOST)
        finish(path, order, REJECTED, now_ns)
        add_to(load_i64(path + PATH.counters) + COUNTERS.orders_lost, 1)
    elif (state == CANCELLING) | ((state == UNKNOWN) & heard_of):
        resume(path, order, now_ns)  # an answered cancel has ended its order by now; one still on its way ends it later
