"""One ITCH message to the row of its event ④, in two ways with one result: `write_row` is the faster one that this CPU has.

write_permuted   all 64 bytes at once: a permutation, a mask and a sum (AVX-512 VBMI: from Ice Lake, from Zen 4)
write_fields     field by field: byte_swapped(load 8 bytes at offset) & mask; every CPU

Hard rule: no load leaves the message, whose length the caller has checked. Neither writes `sequence` and `time_receive_ns`,
which are not in the message and are the caller's.
"""

from numba import njit

from gateway.core.memory import load_be16, load_be64, load_i64, load_u8, store_i64
from gateway.core.permute import PERMUTES, permute_bytes
from gateway.layout import offsets
from gateway.protocols.itch50_rows import (
    ROW_HEAD,
    ROW_LOADED,
    ROW_MASK,
    ROW_ORDER,
    ROW_ORDER_MASK,
    ROW_OTHER,
    ROW_OTHER_MASK,
    ROW_PICK,
    ROW_PRICE,
    ROW_PRICE_MASK,
    ROW_QUANTITY,
    ROW_QUANTITY_MASK,
    ROW_TEMPLATE,
    ROW_TEXT_MASK,
    SHIFT_SIDE,
    SHIFT_SIDE_PLACE,
)

EVENT = offsets("event")
TIME_MASK = (1 << 48) - 1


@njit
def write_permuted(message, row, event):
    """Every byte of the event is a byte of the message, masked, and a constant of the type added."""
    permute_bytes(message, load_i64(row + ROW_LOADED), row + ROW_PICK, row + ROW_MASK, row + ROW_TEMPLATE, event)


@njit
def write_fields(message, row, event):
    """A field after the other; one that the type has not is offset 0 with mask 0."""
    side = load_u8(message + ((load_i64(row + ROW_HEAD) >> SHIFT_SIDE_PLACE) & 0xFF))
    other = message + load_u8(row + ROW_OTHER)
    store_i64(event + EVENT.time_venue_ns, load_be64(message + 3) & TIME_MASK)
    order = load_be64(message + load_u8(row + ROW_ORDER)) & load_i64(row + ROW_ORDER_MASK)
    store_i64(event + EVENT.order_id, order)
    store_i64(
        event + EVENT.other_id,
        (load_be64(other) & load_i64(row + ROW_OTHER_MASK)) | (load_i64(other) & load_i64(row + ROW_TEXT_MASK)),
    )
    price = load_be64(message + load_u8(row + ROW_PRICE)) & load_i64(row + ROW_PRICE_MASK)
    store_i64(event + EVENT.price, price)
    quantity = load_be64(message + load_u8(row + ROW_QUANTITY)) & load_i64(row + ROW_QUANTITY_MASK)
    store_i64(event + EVENT.quantity, quantity)
    # instrument, kind, side, flags, type: one word
    word = (load_be16(message + 1) | (side << SHIFT_SIDE)) & load_i64(row + ROW_MASK + EVENT.instrument)
    store_i64(event + EVENT.instrument, word + load_i64(row + ROW_TEMPLATE + EVENT.instrument))


write_row = write_permuted if PERMUTES else write_fields
