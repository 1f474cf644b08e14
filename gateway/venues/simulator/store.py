"""The recent messages of the simulated venue's feed, one slot each, for those who ask for them again.

Beside the corridor, inside the venue. Hard rule: a slot holds the bytes that left, whatever became of the packet; the
slot of a sequence is sequence modulo the store, so that a message is out of store once the store has gone round.
"""

from gateway.core.kernel import inner
from gateway.core.memory import copy_bytes, load_be16, load_i64
from gateway.layout import value
from gateway.protocols.itch50 import LENGTHS
from gateway.protocols.moldudp64 import BLOCK_BYTES
from gateway.venues.simulator.frames import VENUE

SLOT_BYTES = value("VENUE_STORE_SLOT_BYTES")
assert BLOCK_BYTES + max(LENGTHS[letter] for letter in "SRHAEXDU") <= SLOT_BYTES
assert SLOT_BYTES <= value("VENUE_BLOCK_MAX"), "a whole slot may be read from the last block gathered"


@inner
def keep(venue, sequence, messages, block):
    """Keeps `messages` blocks from `block` on, the first one numbered `sequence`."""
    slots = load_i64(venue + VENUE.store_messages)
    if slots == 0:
        return
    store = load_i64(venue + VENUE.store)
    for number in range(sequence, sequence + messages):
        copy_bytes(store + (number & (slots - 1)) * SLOT_BYTES, block, SLOT_BYTES)
        block += BLOCK_BYTES + load_be16(block)


@inner
def fetch(venue, sequence, messages, target, room_bytes):
    """Copies up to `messages` blocks from `sequence` on to `target`, as many as fit. Returns messages << 32 | bytes.

    The caller has made sure that the store has them all.
    """
    slots, store = load_i64(venue + VENUE.store_messages), load_i64(venue + VENUE.store)
    used, taken = 0, 0
    while taken < messages:
        block = store + ((sequence + taken) & (slots - 1)) * SLOT_BYTES
        block_bytes = BLOCK_BYTES + load_be16(block)
        if used + block_bytes > room_bytes:
            break
        copy_bytes(target + used, block, block_bytes)
        used += block_bytes
        taken += 1
    return taken << 32 | used
