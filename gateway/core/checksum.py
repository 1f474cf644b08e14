"""The venue's checksum of its book, taken over ours ⑤: CRC-32 of the best levels as text, on EVENT_CHECKSUM.

    Kraken v1   asks then bids, ten a side, "price" "quantity" as printed, without point and leading zeros
    OKX v5      bid and ask by turns, 25 a side, "price:quantity" joined by ":", without zeros at the end of a fraction

The event carries what the text depends on (native/layout/event.h). Hard rule: only a valid book is judged; one that is not
the venue's is stale and at fault before the strategy is asked again, until a snapshot.
"""

import zlib

import numpy as np

from gateway.core.book_channels import mark_book
from gateway.core.book_depth import best_level, next_level
from gateway.core.book_rows import BOOK, fault
from gateway.core.decimals import POWERS
from gateway.core.kernel import kernel, leaf
from gateway.core.levels import LEVEL, level_at, price_of, side_of
from gateway.core.memory import apart, load_i64, load_u32
from gateway.layout import offsets, value

EVENT = offsets("event")
BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
VALID, SNAPSHOT, SKIPPING = value("BOOK_VALID"), value("BOOK_SNAPSHOT"), value("BOOK_SKIPPING")
KRAKEN, OKX = value("CHECKSUM_KRAKEN"), value("CHECKSUM_OKX")
LOST = value("EVENT_LOST")
FIELD, DIFFERS = value("FEED_MESSAGE_FIELD"), value("FEED_BOOK_CHECKSUM")
KRAKEN_LEVELS, OKX_LEVELS = 10, 25
ZERO, MINUS, POINT, COLON = (ord(sign) for sign in "0-.:")
START = LAST_XOR = 0xFFFFFFFF
DECIMALS_MAX = 18


def _crc_rows() -> np.ndarray:
    rows = np.zeros(256, np.int64)
    for byte in range(256):
        # undo the conditioning of zlib's start and end: what is left is the plain table
        rows[byte] = zlib.crc32(bytes([byte ^ 0xFF])) ^ LAST_XOR ^ (START >> 8)
    return rows


CRC_ROWS = _crc_rows()


@kernel
def check_book(store, book, event, counters):
    """EVENT_CHECKSUM: compares, and marks the book where it differs. 0: the top does not change by that."""
    apart()
    flags = load_u32(book + BOOK.flags)
    if flags & VALID == 0 or flags & (SNAPSHOT | SKIPPING) != 0:
        return 0
    printed, units = load_i64(event + EVENT.order_id), load_i64(event + EVENT.other_id)
    for word in (printed, units):
        if word & 0xFF > DECIMALS_MAX or (word >> 8) & 0xFF > DECIMALS_MAX:
            fault(book, counters, FIELD)
            return 0
    method = load_i64(event + EVENT.price)
    if method == KRAKEN:
        crc = kraken_crc(store, book, printed, units)
    elif method == OKX:
        crc = okx_crc(store, book, units)
    else:
        return 0
    if (crc ^ LAST_XOR) != load_i64(event + EVENT.quantity):
        fault(book, counters, DIFFERS)
        mark_book(store, book, LOST)
    return 0


@leaf
def add_byte(crc, sign):
    """One byte more."""
    return CRC_ROWS[(crc ^ sign) & 0xFF] ^ (crc >> 8)


@kernel
def add_digits(crc, number):
    """A number of zero or more, without leading zeros; 0 is one digit."""
    power = 0
    while power < DECIMALS_MAX and number >= POWERS[power + 1]:
        power += 1
    return add_places(crc, number, power)


@kernel
def add_places(crc, number, power):
    """The digits of a number from that of 10^power down to the last."""
    while power >= 0:
        digit = number // POWERS[power]
        number -= digit * POWERS[power]
        crc = add_byte(crc, ZERO + digit)
        power -= 1
    return crc


@kernel
def as_printed(units, decimals, printed):
    """Units of 10^-decimals as a whole number of 10^-printed."""
    if printed <= decimals:
        return units // POWERS[decimals - printed]
    return units * POWERS[min(printed - decimals, DECIMALS_MAX)]


@kernel
def kraken_crc(store, book, printed, units):
    """Before the last exclusive or. docs.kraken.com, "Book checksum (v1)"."""
    crc = START
    for number in (SELL, BUY):
        side = side_of(book, number)
        index = best_level(store, side, number)
        for _ in range(KRAKEN_LEVELS):
            if index == 0:
                break
            price, quantity = price_of(store, index), load_i64(level_at(store, index) + LEVEL.quantity)
            crc = add_digits(crc, as_printed(price, units & 0xFF, printed & 0xFF))
            crc = add_digits(crc, as_printed(quantity, units >> 8 & 0xFF, printed >> 8 & 0xFF))
            index = next_level(store, side, number, price)
    return crc


@kernel
def okx_crc(store, book, units):
    """Before the last exclusive or. OKX v5, "Checksum"."""
    crc, first = START, True
    bids, asks = side_of(book, BUY), side_of(book, SELL)
    bid, ask = best_level(store, bids, BUY), best_level(store, asks, SELL)
    for _ in range(OKX_LEVELS):
        if bid != 0:
            crc, first = add_okx_level(store, crc, bid, units, first), False
            bid = next_level(store, bids, BUY, price_of(store, bid))
        if ask != 0:
            crc, first = add_okx_level(store, crc, ask, units, first), False
            ask = next_level(store, asks, SELL, price_of(store, ask))
    return crc


@kernel
def add_okx_level(store, crc, index, units, first):
    """ "price:quantity", with a colon before it unless it is the first."""
    if not first:
        crc = add_byte(crc, COLON)
    crc = add_decimal(crc, price_of(store, index), units & 0xFF)
    return add_decimal(add_byte(crc, COLON), load_i64(level_at(store, index) + LEVEL.quantity), units >> 8 & 0xFF)


@kernel
def add_decimal(crc, number, decimals):
    """Units of 10^-decimals as the shortest decimal text."""
    if number < 0:
        crc, number = add_byte(crc, MINUS), -number
    whole = number // POWERS[decimals]
    fraction = number - whole * POWERS[decimals]
    crc = add_digits(crc, whole)
    if fraction == 0:
        return crc
    while fraction % 10 == 0:
        fraction, decimals = fraction // 10, decimals - 1
    return add_places(add_byte(crc, POINT), fraction, decimals - 1)
