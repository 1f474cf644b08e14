"""Orders of strategies in other processes ⑥→⑦: records of external_core, judged by the same gate on the same way out.

    another process ─► external_core ─► take_external ─► a copy in struct intents ─► submit_intents ─► gate ⑦

Hard rule: a record is copied before it is looked at, and who sent it is what core was told, never what it says: the other
process may write into its slot at any time, but not into the copy.
"""

from gateway import limits
from gateway.core import ring
from gateway.core.kernel import kernel
from gateway.core.memory import copy_bytes, load_i64, load_u32, store_u8, store_u32, ticks
from gateway.core.submit import submit_intents
from gateway.layout import offsets, size, value

CORE = offsets("core")
SLOT = offsets("intent_slot")
INTENTS = offsets("intents")
INTENT = offsets("intent")
SLOT_BYTES, INTENT_BYTES = size("intent_slot"), size("intent")
INTENTS_MAX = value("INTENTS_MAX")
INTENT_NONE = value("INTENT_NONE")
AGE_MAX_NS = limits.ORDER_AGE_MAX_NS


@kernel
def take_external(core):
    """Up to INTENTS_MAX records through the gate; returns how many there were."""
    intents = load_i64(core + CORE.external_intents)
    if intents == 0:
        return 0
    reader, now_ns, count = core + CORE.external, load_i64(core + CORE.now_ns), 0
    slot = ring.peek(reader)
    while slot != 0 and count < INTENTS_MAX:
        intent = intents + INTENTS.rows + count * INTENT_BYTES
        copy_bytes(intent, slot + SLOT_BYTES, INTENT_BYTES)
        store_u32(intent + INTENT.strategy, load_u32(intents + INTENTS.strategy))
        age_ns = now_ns - load_i64(slot + SLOT.time_ns)
        if (age_ns > AGE_MAX_NS) | (age_ns < -AGE_MAX_NS):
            store_u8(intent + INTENT.kind, INTENT_NONE)  # too old, or of another clock: the gate refuses it, PERM
        ring.advance(reader)
        count += 1
        slot = ring.peek(reader)
    if count != 0:
        ring.acknowledge(reader)
        store_u32(intents + INTENTS.count, count)
        submit_intents(load_i64(core + CORE.path), intents, now_ns, ticks(), ticks())
    return count
