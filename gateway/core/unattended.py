"""Orders that nobody would cancel ⑧: the latch is set and control, whose work a kill is, gives no sign of life.

    latch set, control silent ─► every live order ─► cancel ─► gate ⑦ ─► submit ⑧      UNKNOWN after a time ─► cancel again

Hard rule: only cancels, through the path of every other one, and none of an order that closes a position: those belong to
control, or to a person's `gateway kill`, who may be at it just now.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.core.kernel import kernel
from gateway.core.memory import address_of, load_i64, load_u8, load_u32, relaxed, store_i64, store_u8, store_u32
from gateway.core.orders import CANCELLING, ORDER_BYTES, is_live
from gateway.core.portfolio import STRATEGY_LAST
from gateway.core.submit import submit_intents
from gateway.layout import offsets, size, value

CORE = offsets("core")
UNATTENDED = offsets("unattended")
PATH = offsets("order_path")
TABLE = offsets("order_table")
ORDER = offsets("order")
INTENTS = offsets("intents")
INTENT = offsets("intent")
CONTROL = offsets("control_block")
HEARTBEAT = offsets("heartbeat")
OF_CONTROL = CONTROL.heartbeats + value("PROCESS_CONTROL") * size("heartbeat")
CANCEL, INTENT_BYTES = value("INTENT_CANCEL"), size("intent")
RUNNING = value("PROCESS_RUNNING")
ROWS_PER_LOOK = 1024


@kernel
def cancel_unattended(core, now_ns):
    """Cancels the next live orders while the latch is set and control is silent. Returns how many cancels left."""
    unattended, path = load_i64(core + CORE.unattended), load_i64(core + CORE.path)
    if unattended == 0:
        return 0
    if not control_is_missed(load_i64(path + PATH.control), load_i64(unattended + UNATTENDED.silent_ns), now_ns):
        return 0
    intents, mask = load_i64(unattended + UNATTENDED.intents), load_i64(path + PATH.orders_mask)
    rows = min(load_i64(load_i64(path + PATH.table) + TABLE.next_reference), mask + 1)
    cursor, sent = load_i64(unattended + UNATTENDED.cursor), 0
    for _ in range(min(rows, ROWS_PER_LOOK)):
        cursor = cursor + 1 if cursor + 1 < rows else 0
        order = load_i64(path + PATH.orders) + cursor * ORDER_BYTES
        if is_open(order) == 1:
            intend_cancel(intents, order)
            if submit_intents(path, intents, now_ns, 0, 0) == 0:
                break  # no room: the next look goes on behind it, and comes round
            sent += 1
    store_i64(unattended + UNATTENDED.cursor, cursor)
    return sent


@kernel
def is_open(order):
    """1 for an order of a strategy that may still fill and has no cancel on its way."""
    own = load_u32(order + ORDER.strategy) != STRATEGY_LAST  # the last row is control's
    return is_live(order) & own & (load_u8(order + ORDER.state) != CANCELLING)


@kernel
def control_is_missed(control, silent_ns, now_ns):
    """Whether the latch waits for somebody who is not there; a control that has not begun, or has ended, is not missed."""
    beat = control + OF_CONTROL
    alive = load_u32(beat + HEARTBEAT.state) != RUNNING or now_ns - relaxed(beat + HEARTBEAT.time_ns) <= silent_ns
    return relaxed(control + CONTROL.kill_latch) != 0 and not alive


@kernel
def intend_cancel(intents, order):
    """The whole order, in the name of the strategy that sent it: nobody else's cancel passes the gate."""
    intent = intents + INTENTS.rows
    for offset in range(0, INTENT_BYTES, 8):
        store_i64(intent + offset, 0)
    store_u8(intent + INTENT.kind, CANCEL)
    store_i64(intent + INTENT.order_reference, load_i64(order + ORDER.reference))
    store_u32(intent + INTENT.instrument, load_u32(order + ORDER.instrument))
    store_u32(intent + INTENT.strategy, load_u32(order + ORDER.strategy))
    store_u8(intent + INTENT.side, load_u8(order + ORDER.side))
    store_i64(intent + INTENT.price, load_i64(order + ORDER.price))
    store_u32(intents + INTENTS.count, 1)


def make_unattended(silent_ns: int) -> tuple[np.ndarray, tuple[Any, ...]]:
    """A struct unattended, and what to keep alive with it."""
    intents = np.zeros(1, dtype=layout.dtype("intents"))
    unattended = np.zeros(1, dtype=layout.dtype("unattended"))
    unattended["intents"], unattended["silent_ns"] = address_of(intents), silent_ns
    return unattended, (intents,)
