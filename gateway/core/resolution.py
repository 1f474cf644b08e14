"""Orders without an answer ⑧: after a time they are UNKNOWN, and control says what the venue knows of them.

    SENT, CANCELLING ── no answer for unknown_ns ──► UNKNOWN ──┬─ the venue reports after all ─► as the report says
                                                               ├─ control_core: never arrived ─► REJECTED, given back
                                                               └─ control_core: works ─► ACCEPTED, PARTIAL

Hard rule: an UNKNOWN order keeps its reservation and is never sent again. It is over only by a report, or where control has
proof that the venue can not take its reference any more (ops/order_resolution.py).
"""

from gateway.core import ring
from gateway.core.counters import add_to
from gateway.core.journal_records import journal_refusal
from gateway.core.kernel import kernel
from gateway.core.memory import load_i64, load_u8, load_u16, store_i64, store_u8
from gateway.core.orders import CANCELLING, ORDER_BYTES, REJECTED, SENT, UNKNOWN, finish, live_row, resume, set_state
from gateway.layout import offsets, value

PATH = offsets("order_path")
TABLE = offsets("order_table")
ORDER = offsets("order")
COUNTERS = offsets("core_counters")
ADOPTION = offsets("adoption")
SLOT = offsets("resolution_slot")
NEVER_ARRIVED, WORKING = value("RESOLUTION_NEVER_ARRIVED"), value("RESOLUTION_WORKING")
SAID_NEVER, SAID_UNKNOWN, SAID_WORKING = (value(f"REFUSAL_{name}") for name in ("NEVER_ARRIVED", "UNKNOWN", "WORKING"))
ROWS_PER_LOOK = 128
RESOLUTIONS_PER_LOOK = 64


@kernel
def sweep_unanswered(path, now_ns):
    """The next rows of our own orders: what has had no answer for too long is UNKNOWN. Returns how many became so."""
    adoption, mask = load_i64(path + PATH.adoption), load_i64(path + PATH.orders_mask)
    rows = min(load_i64(load_i64(path + PATH.table) + TABLE.next_reference), mask + 1)
    cursor, limit_ns, found = load_i64(adoption + ADOPTION.swept), load_i64(adoption + ADOPTION.unknown_ns), 0
    if limit_ns <= 0:
        return 0
    for _ in range(min(rows, ROWS_PER_LOOK)):
        cursor = cursor + 1 if cursor + 1 < rows else 0
        order = load_i64(path + PATH.orders) + cursor * ORDER_BYTES
        state = load_u8(order + ORDER.state)
        waits = (state == SENT) | (state == CANCELLING)
        if waits and now_ns - load_i64(order + ORDER.time_last_ns) >= limit_ns:
            set_state(path, order, UNKNOWN)
            journal_refusal(path, now_ns, load_i64(order + ORDER.reference), SAID_UNKNOWN)
            add_to(load_i64(path + PATH.counters) + COUNTERS.unknown_orders, 1)
            found += 1
    store_i64(adoption + ADOPTION.swept, cursor)
    return found


@kernel
def take_resolutions(path, reader, now_ns):
    """What control found out, record by record of control_core. Returns how many there were."""
    taken = 0
    slot = ring.peek(reader)
    while slot != 0 and taken < RESOLUTIONS_PER_LOOK:
        apply_resolution(path, load_u16(slot + SLOT.kind), load_i64(slot + SLOT.reference), now_ns)
        ring.advance(reader)
        taken += 1
        slot = ring.peek(reader)
    if taken != 0:
        ring.acknowledge(reader)
    return taken


@kernel
def apply_resolution(path, kind, reference, now_ns):
    """One finding; only an order that is still UNKNOWN is moved by it. 1 when it was."""
    order = live_row(path, reference)
    if order == 0 or load_u8(order + ORDER.state) != UNKNOWN:
        return 0
    heard_of = (load_i64(order + ORDER.venue_order_id) != 0) | (load_i64(order + ORDER.filled) != 0)
    if (kind == NEVER_ARRIVED) & (not heard_of):
        journal_refusal(path, now_ns, reference, SAID_NEVER)
        store_u8(order + ORDER.reject_code, SAID_NEVER)
        finish(path, order, REJECTED, now_ns)
    elif (kind == WORKING) & heard_of:
        journal_refusal(path, now_ns, reference, SAID_WORKING)
        resume(path, order, now_ns)
    else:
        return 0
    add_to(load_i64(path + PATH.counters) + COUNTERS.orders_resolved, 1)
    return 1
