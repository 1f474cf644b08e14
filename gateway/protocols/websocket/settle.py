"""A message that was read becomes one that means something ④: its instrument gets a row, its numbers become units.

Hard rule: a number that is no whole number of the instrument's units refuses the message; nothing is rounded.
"""

from gateway.core.decimals import EXACT, POWERS, UNITS_MAX, rescale
from gateway.core.instruments import price_exponent_of, quantity_exponent_of, row_for_text
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import apart, load_i64, load_u32, store_i64
from gateway.layout import offsets, size, value
from gateway.protocols.websocket.text import CONTEXT, SLOT, has, slot_of

DECODER, ROW = offsets("decoder"), offsets("json_row")
ROW_BYTES = size("json_row")
SYMBOL, SYMBOL_HERE = value("SLOT_SYMBOL"), value("SLOT_SYMBOL_HERE")
FIELD, OFF_TICK, FULL = value("FEED_MESSAGE_FIELD"), value("FEED_OFF_TICK"), value("FEED_INSTRUMENTS_FULL")
POWER_MAX = 18
MORE_THAN_ONE = -1
NO_ROW = -1


@kernel
def settle(decoder, context):
    """0, or the reason why the message that was read is refused. Sets context.instrument and the rows' numbers to units."""
    apart()
    row = find_instrument(decoder, context)
    store_i64(context + CONTEXT.instrument, max(row, NO_ROW))
    if row < 0:
        return -row
    only = load_i64(context + CONTEXT.only_instrument)
    if only != row + 1:
        store_i64(context + CONTEXT.only_instrument, row + 1 if only == 0 else MORE_THAN_ONE)
    table = load_i64(decoder + DECODER.instruments)
    store_i64(context + CONTEXT.price_printed, 0)
    store_i64(context + CONTEXT.quantity_printed, 0)
    store_i64(context + CONTEXT.price_exponent, price_exponent_of(table, row))
    store_i64(context + CONTEXT.quantity_exponent, quantity_exponent_of(table, row))
    return scale_rows(context, load_i64(context + CONTEXT.price_exponent), load_i64(context + CONTEXT.quantity_exponent))


@kernel
def find_instrument(decoder, context):
    """Row of the instrument the message names, or of the only one there is; negative: the reason of a refusal."""
    apart()
    slot = SYMBOL if has(context, SYMBOL) else SYMBOL_HERE
    if not has(context, slot):
        only = load_i64(context + CONTEXT.only_instrument)
        return only - 1 if only > 0 else -FIELD
    address = slot_of(context, slot)
    size_bytes = load_u32(address + SLOT.bytes)
    if size_bytes == 0:
        return -FIELD
    row = row_for_text(load_i64(decoder + DECODER.instruments), load_i64(address + SLOT.text), size_bytes, 0)
    return row if row >= 0 else -FULL


@leaf
def signed_16(word):
    """The signed number in the low 16 bits."""
    return ((word & 0xFFFF) ^ 0x8000) - 0x8000


@leaf
def note_decimals(printed, packed):
    """Keeps the most decimals that were printed."""
    if -signed_16(packed) > load_i64(printed):
        store_i64(printed, -signed_16(packed))


@leaf
def factor_of(exponent, units_exponent):
    """What a mantissa is multiplied with; 0: not that simple."""
    power = exponent - units_exponent
    return POWERS[power] if 0 <= power <= POWER_MAX else 0


@kernel
def scale_rows(context, price_exponent, quantity_exponent):
    """Every row's price and quantity in units of these exponents: 0, or why one of them cannot be."""
    apart()
    row, packed_before = load_i64(context + CONTEXT.rows), -1
    price_factor, quantity_factor, price_limit, quantity_limit = 0, 0, 0, 0
    for _ in range(load_i64(context + CONTEXT.row_count)):
        packed = load_i64(row + ROW.price_exponent) & 0xFFFFFFFF
        if packed != packed_before:
            packed_before = packed
            note_decimals(context + CONTEXT.price_printed, packed)
            note_decimals(context + CONTEXT.quantity_printed, packed >> 16)
            price_factor = factor_of(signed_16(packed), price_exponent)
            quantity_factor = factor_of(signed_16(packed >> 16), quantity_exponent)
            price_limit = UNITS_MAX // max(price_factor, 1)
            quantity_limit = UNITS_MAX // max(quantity_factor, 1)
        price, quantity = load_i64(row + ROW.price), load_i64(row + ROW.quantity)
        if quantity < 0:
            return FIELD
        if price_factor != 0 and quantity_factor != 0 and abs(price) <= price_limit and quantity <= quantity_limit:
            store_i64(row + ROW.price, price * price_factor)
            store_i64(row + ROW.quantity, quantity * quantity_factor)
        else:
            reason = scale_row(row, packed, price_exponent, quantity_exponent)
            if reason != 0:
                return reason
        row += ROW_BYTES
    return 0


@kernel
def scale_row(row, packed, price_exponent, quantity_exponent):
    """scale_rows for one that is printed with more decimals than the units have, or very large."""
    apart()
    price, off_price = rescale(load_i64(row + ROW.price), signed_16(packed), price_exponent)
    quantity, off_quantity = rescale(load_i64(row + ROW.quantity), signed_16(packed >> 16), quantity_exponent)
    if off_price != EXACT or off_quantity != EXACT:
        return OFF_TICK if max(off_price, off_quantity) == 1 else FIELD
    store_i64(row + ROW.price, price)
    store_i64(row + ROW.quantity, quantity)
    return 0
