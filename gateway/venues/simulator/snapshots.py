"""The snapshot channel of the simulated venue: symbol after symbol, its whole book in ITCH messages, as GLIMPSE 5.0 has it.

Beside the corridor, inside the venue.

    g begin ─ R directory ─ H trading action ─ A … one per resting order, best price first, oldest first ─ G end

Hard rule: a snapshot is written whole within one step, behind the step's feed, so that it holds exactly the messages up
to the sequence it names; its packets leave a few at a time behind the feed's, and only while no frame waits for room.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import load_i64, load_u32, store_be64, store_i64
from gateway.layout import value
from gateway.protocols.itch50 import SNAPSHOT_MESSAGES, offsets_of
from gateway.venues.simulator.faults import transmit_service
from gateway.venues.simulator.feed import (
    A_BYTES,
    H_BYTES,
    ORDER,
    R_BYTES,
    SIDE_BUY,
    SYMBOL,
    begin,
    symbol_at,
    write_add,
    write_directory,
    write_trading,
)
from gateway.venues.simulator.frames import COUNTERS, VENUE
from gateway.venues.simulator.ladder import LEVEL, LEVELS, level_at, next_above, next_below, order_at, price_of
from gateway.venues.simulator.letters import LETTERS
from gateway.venues.simulator.packets import HEADER_BYTES, PACKET, cut

BEGIN, END = offsets_of("g"), offsets_of("G")
BEGIN_BYTES, END_BYTES = SNAPSHOT_MESSAGES["g"].size, SNAPSHOT_MESSAGES["G"].size
BEGIN_LETTER, END_LETTER = ord("g"), ord("G")
SNAPSHOTS, OPEN = value("VENUE_SNAPSHOTS"), value("VENUE_OPEN")
SIDE_SELL = value("SIDE_SELL")
SECOND_NS = 1_000_000_000
PACKETS_PER_STEP = 4


@inner
def _say_queue(venue, symbol, side, level):
    """A for each order of a level, oldest first. Returns how many."""
    row = load_u32(level_at(symbol_at(venue, symbol), level) + LEVEL.head)
    price = price_of(symbol_at(venue, symbol), level)
    said = 0
    while row != 0:
        order = order_at(venue, row)
        message = begin(venue, venue + VENUE.snapshots, LETTERS.A, A_BYTES, symbol + 1)
        write_add(venue, message, symbol, load_i64(order + ORDER.order_id), side, load_u32(order + ORDER.quantity), price)
        row = load_u32(order + ORDER.next)
        said += 1
    return said


@inner
def _say_book(venue, symbol):
    """Bids from the best down, then asks from the best up. Returns the orders said."""
    ladder = symbol_at(venue, symbol)
    said = 0
    level = load_i64(ladder + SYMBOL.best_bid)
    while level >= 0:
        said += _say_queue(venue, symbol, SIDE_BUY, level)
        level = next_below(ladder, level)
    level = load_i64(ladder + SYMBOL.best_ask)
    while level < LEVELS:
        said += _say_queue(venue, symbol, SIDE_SELL, level)
        level = next_above(ladder, level)
    return said


@inner
def _gather(venue, symbol):
    """Writes the snapshot of one symbol; the feed's messages of this step must have left."""
    packet, locate = venue + VENUE.snapshots, symbol + 1
    sequence = load_i64(venue + VENUE.feed + PACKET.sequence) - 1
    message = begin(venue, packet, BEGIN_LETTER, BEGIN_BYTES, locate)
    store_i64(message + BEGIN.stock, load_i64(symbol_at(venue, symbol) + SYMBOL.word))
    store_be64(message + BEGIN.sequence_number, sequence)
    write_directory(venue, begin(venue, packet, LETTERS.R, R_BYTES, locate), symbol)
    write_trading(venue, begin(venue, packet, LETTERS.H, H_BYTES, locate), symbol)
    orders = _say_book(venue, symbol)
    message = begin(venue, packet, END_LETTER, END_BYTES, locate)
    store_be64(message + END.sequence_number, sequence)
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.snapshot_orders, orders)
    add_to(counters + COUNTERS.snapshots, 1)


@inner
def _gather_next(venue):
    """The next symbol's snapshot when its time has come; none before every symbol has been announced."""
    now_ns = load_i64(venue + VENUE.now_ns)
    if load_i64(venue + VENUE.phase) < OPEN or now_ns < load_i64(venue + VENUE.snapshot_ns):
        return
    symbol = load_i64(venue + VENUE.snapshot_cursor)
    _gather(venue, symbol)
    store_i64(venue + VENUE.snapshot_cursor, symbol + 1 if symbol + 1 < load_i64(venue + VENUE.symbols) else 0)
    store_i64(venue + VENUE.snapshot_ns, now_ns + SECOND_NS // load_i64(venue + VENUE.snapshot_rate))


@inner
def _send(venue):
    """The next packets of a gathered snapshot. Returns how many left."""
    packet, counters = venue + VENUE.snapshots, load_i64(venue + VENUE.counters)
    offset, end = load_i64(venue + VENUE.snapshot_sent), load_i64(packet + PACKET.blocks_size)
    sent = 0
    while offset < end and sent < PACKETS_PER_STEP:
        taken = cut(packet, offset)
        messages, size_bytes = taken >> 32, taken & 0xFFFFFFFF
        transmit_service(venue, SNAPSHOTS, packet + PACKET.payload, size_bytes)
        add_to(packet + PACKET.sequence, messages)
        offset += size_bytes - HEADER_BYTES
        sent += 1
    if offset == end:
        offset = 0
        store_i64(packet + PACKET.blocks_size, 0)
    store_i64(venue + VENUE.snapshot_sent, offset)
    if sent > 0:
        store_i64(packet + PACKET.time_sent_ns, load_i64(venue + VENUE.now_ns))
        add_to(counters + COUNTERS.snapshot_packets, sent)
        store_i64(counters + COUNTERS.snapshot_sequence, load_i64(packet + PACKET.sequence))
    return sent


@inner
def say_snapshots(venue):
    """Behind the step's feed: begins the next snapshot when it is due, and sends on what was begun. Returns packets sent."""
    if load_i64(venue + VENUE.snapshot_rate) == 0 or load_i64(venue + VENUE.outbox_count) != 0:
        return 0
    if load_i64(venue + VENUE.snapshots + PACKET.blocks_size) == 0:
        _gather_next(venue)
    return _send(venue)
