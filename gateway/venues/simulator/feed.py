"""TotalView-ITCH 5.0 messages of the simulated venue, written straight into the feed's packet.

Beside the corridor, inside the venue. Hard rule: layouts come from the protocol's table; this file only says which
message a thing that happened in the market becomes. Stock locate is the symbol's index plus one.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import (
    load_i64,
    load_u32,
    store_be16,
    store_be32,
    store_be64,
    store_i64,
    store_u8,
)
from gateway.layout import offsets, size, value
from gateway.protocols.itch50 import LENGTHS, offsets_of
from gateway.venues.simulator.frames import COUNTERS, VENUE
from gateway.venues.simulator.letters import LETTERS
from gateway.venues.simulator.packets import reserve

SYMBOL = offsets("venue_symbol")
ORDER = offsets("venue_order")
SYMBOL_BYTES = size("venue_symbol")
SIDE_BUY = value("SIDE_BUY")

SYSTEM, DIRECTORY, ACTION, ADD = (offsets_of(letter) for letter in "SRHA")
EXECUTED, CANCEL, DELETE, REPLACE = (offsets_of(letter) for letter in "EXDU")
S_BYTES, R_BYTES, H_BYTES, A_BYTES, E_BYTES, X_BYTES, D_BYTES, U_BYTES = (LENGTHS[letter] for letter in "SRHAEXDU")


@inner
def symbol_at(venue, symbol):
    """Address of a symbol's row."""
    return load_i64(venue + VENUE.symbols_rows) + symbol * SYMBOL_BYTES


@inner
def begin(venue, packet, letter, size_bytes, locate):
    """A message with its header: type, locate, tracking number 0, nanoseconds since midnight in six bytes."""
    message = reserve(venue, packet, size_bytes)
    time_ns = load_i64(venue + VENUE.now_ns) - load_i64(venue + VENUE.midnight_ns)
    store_u8(message, letter)
    store_be16(message + ADD.stock_locate, locate)
    store_be16(message + ADD.tracking_number, 0)
    store_be16(message + ADD.timestamp, time_ns >> 32)
    store_be32(message + ADD.timestamp + 2, time_ns & 0xFFFFFFFF)
    return message


@inner
def _begin(venue, letter, size_bytes, locate):
    """A message of the feed, counted."""
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.feed_messages, 1)
    add_to(counters + COUNTERS.messages_by_type + letter * 8, 1)
    return begin(venue, venue + VENUE.feed, letter, size_bytes, locate)


@inner
def say_system(venue, event_code):
    """S: system event, section 1.1."""
    message = _begin(venue, LETTERS.S, S_BYTES, 0)
    store_u8(message + SYSTEM.event_code, event_code)


@inner
def say_directory(venue, symbol):
    """R: a symbol exists."""
    write_directory(venue, _begin(venue, LETTERS.R, R_BYTES, symbol + 1), symbol)


@inner
def write_directory(venue, message, symbol):
    """The body of R: a round-lot common stock of 100, section 1.2.1."""
    store_i64(message + DIRECTORY.stock, load_i64(symbol_at(venue, symbol) + SYMBOL.word))
    store_u8(message + DIRECTORY.market_category, LETTERS.Q)
    store_u8(message + DIRECTORY.financial_status_indicator, LETTERS.N)
    store_be32(message + DIRECTORY.round_lot_size, 100)
    store_u8(message + DIRECTORY.round_lots_only, LETTERS.N)
    store_u8(message + DIRECTORY.issue_classification, LETTERS.C)
    store_u8(message + DIRECTORY.issue_sub_type, LETTERS.Z)
    store_u8(message + DIRECTORY.issue_sub_type + 1, LETTERS.BLANK)
    store_u8(message + DIRECTORY.authenticity, LETTERS.T)  # a test issue: the venue is simulated
    store_u8(message + DIRECTORY.short_sale_threshold_indicator, LETTERS.N)
    store_u8(message + DIRECTORY.ipo_flag, LETTERS.BLANK)
    store_u8(message + DIRECTORY.luld_reference_price_tier, LETTERS.ONE)
    store_u8(message + DIRECTORY.etp_flag, LETTERS.N)
    store_be32(message + DIRECTORY.etp_leverage_factor, 0)
    store_u8(message + DIRECTORY.inverse_indicator, LETTERS.N)


@inner
def say_trading(venue, symbol):
    """H: a symbol trades."""
    write_trading(venue, _begin(venue, LETTERS.H, H_BYTES, symbol + 1), symbol)


@inner
def write_trading(venue, message, symbol):
    """The body of H: trading on Nasdaq, section 1.2.2."""
    store_i64(message + ACTION.stock, load_i64(symbol_at(venue, symbol) + SYMBOL.word))
    store_u8(message + ACTION.trading_state, LETTERS.T)
    store_u8(message + ACTION.reserved, LETTERS.BLANK)
    for index in range(4):
        store_u8(message + ACTION.reason + index, LETTERS.BLANK)


@inner
def say_add(venue, symbol, order_id, side, quantity, price):
    """A: an order came to rest."""
    write_add(venue, _begin(venue, LETTERS.A, A_BYTES, symbol + 1), symbol, order_id, side, quantity, price)


@inner
def write_add(venue, message, symbol, order_id, side, quantity, price):
    """The body of A: an order that rests, section 1.3.1."""
    store_be64(message + ADD.order_reference_number, order_id)
    store_u8(message + ADD.buy_sell_indicator, LETTERS.B if side == SIDE_BUY else LETTERS.S)
    store_be32(message + ADD.shares, quantity)
    store_i64(message + ADD.stock, load_i64(symbol_at(venue, symbol) + SYMBOL.word))
    store_be32(message + ADD.price, price)


@inner
def say_executed(venue, order, quantity, match_number):
    """E: a resting order traded at its own price, section 1.4.1. The last execution removes it: no D follows."""
    message = _begin(venue, LETTERS.E, E_BYTES, load_u32(order + ORDER.symbol) + 1)
    store_be64(message + EXECUTED.order_reference_number, load_i64(order + ORDER.order_id))
    store_be32(message + EXECUTED.executed_shares, quantity)
    store_be64(message + EXECUTED.match_number, match_number)


@inner
def say_cancel(venue, order, quantity):
    """X: a resting order lost part of its shares and kept its place, section 1.4.3."""
    message = _begin(venue, LETTERS.X, X_BYTES, load_u32(order + ORDER.symbol) + 1)
    store_be64(message + CANCEL.order_reference_number, load_i64(order + ORDER.order_id))
    store_be32(message + CANCEL.canceled_shares, quantity)


@inner
def say_delete(venue, order):
    """D: a resting order is gone, section 1.4.4."""
    message = _begin(venue, LETTERS.D, D_BYTES, load_u32(order + ORDER.symbol) + 1)
    store_be64(message + DELETE.order_reference_number, load_i64(order + ORDER.order_id))


@inner
def say_replace(venue, symbol, old_id, new_id, quantity, price):
    """U: an order was replaced by one at the end of its queue, section 1.4.5."""
    message = _begin(venue, LETTERS.U, U_BYTES, symbol + 1)
    store_be64(message + REPLACE.original_order_reference_number, old_id)
    store_be64(message + REPLACE.new_order_reference_number, new_id)
    store_be32(message + REPLACE.shares, quantity)
    store_be32(message + REPLACE.price, price)
