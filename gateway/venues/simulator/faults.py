"""The fault plan: drop, duplicate, reorder, delay on each stream, and drop on both lines of the feed at once.

Beside the corridor, inside the venue. Hard rule: every fault applied is counted, and every sequence that left on neither
line is named in the list of lost ranges, whether the plan or chance took it. Heartbeats, ends of session and the
client's reports are never touched. Streams: lines A and B, replies to requests, snapshots.
"""

from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import copy_bytes, load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, size, value
from gateway.venues.simulator.draws import below
from gateway.venues.simulator.frames import COUNTERS, TEMPLATE_BYTES, VENUE, build, payload_sum, place

HELD = offsets("venue_held")
LOST = offsets("venue_lost")
HELD_BYTES = size("venue_held")
LOST_BYTES = size("venue_lost")
HELD_MAX = value("VENUE_HELD_MAX")
LOST_MAX = value("VENUE_LOST_MAX")
LINES = value("VENUE_LINES")
FAULTS = value("VENUE_FAULTS")
DROP = value("VENUE_FAULT_DROP")
DUPLICATE = value("VENUE_FAULT_DUPLICATE")
REORDER = value("VENUE_FAULT_REORDER")
DELAY = value("VENUE_FAULT_DELAY")
MILLION = 1_000_000


@inner
def _decide(venue, line, generator):
    """The fault of the next packet on one stream; VENUE_FAULTS: none."""
    drawn = below(generator, MILLION)
    for fault in range(FAULTS):
        drawn -= load_i64(venue + VENUE.fault_ppm + (line * FAULTS + fault) * 8)
        if drawn < 0:
            return fault
    return FAULTS


@inner
def _hold(venue, line, size_bytes, release_ns):
    """Keeps the scratch frame back; 0 when there is no room."""
    held = load_i64(venue + VENUE.held_count)
    counters = load_i64(venue + VENUE.counters)
    if held >= HELD_MAX:
        add_to(counters + COUNTERS.held_full, 1)
        return 0
    row = load_i64(venue + VENUE.held) + held * HELD_BYTES
    store_i64(row + HELD.release_ns, release_ns)
    store_u32(row + HELD.line, line)
    store_u32(row + HELD.size, size_bytes)
    copy_bytes(row + HELD.frame, venue + VENUE.scratch, size_bytes)
    store_i64(venue + VENUE.held_count, held + 1)
    return 1


@inner
def _send(venue, line, frame, size_bytes):
    place(venue, frame, size_bytes, 0)
    add_to(load_i64(venue + VENUE.counters) + COUNTERS.line_frames + line * 8, 1)


@inner
def _keep(rows, kept, index):
    """Moves a held row down to its place among those that stay."""
    if kept != index:
        copy_bytes(rows + kept * HELD_BYTES, rows + index * HELD_BYTES, HELD_BYTES)


@inner
def release_reordered(venue, line):
    """Sends what waited for a packet of `line` to overtake it; line -1: of every line."""
    rows = load_i64(venue + VENUE.held)
    held = load_i64(venue + VENUE.held_count)
    kept = 0
    for index in range(held):
        row = rows + index * HELD_BYTES
        own = load_u32(row + HELD.line)
        if load_i64(row + HELD.release_ns) == 0 and (line < 0 or own == line):
            _send(venue, own, row + HELD.frame, load_u32(row + HELD.size))
        else:
            _keep(rows, kept, index)
            kept += 1
    store_i64(venue + VENUE.held_count, kept)


@inner
def release_delayed(venue, until_ns):
    """Sends what was delayed until `until_ns` or earlier. Returns how many frames left."""
    rows = load_i64(venue + VENUE.held)
    held = load_i64(venue + VENUE.held_count)
    kept = 0
    for index in range(held):
        row = rows + index * HELD_BYTES
        release_ns = load_i64(row + HELD.release_ns)
        if 0 < release_ns <= until_ns:
            _send(venue, load_u32(row + HELD.line), row + HELD.frame, load_u32(row + HELD.size))
        else:
            _keep(rows, kept, index)
            kept += 1
    store_i64(venue + VENUE.held_count, kept)
    return held - kept


@inner
def _transmit(venue, line, fault, payload, size_bytes, total):
    """One packet on one line under its fault. Returns 1 when the line lost it."""
    counters = load_i64(venue + VENUE.counters)
    if fault == DROP:
        add_to(counters + COUNTERS.line_dropped + line * 8, 1)
        return 1
    size_frame = build(venue, venue + VENUE.templates + line * TEMPLATE_BYTES, payload, size_bytes, total)
    if fault == REORDER and _hold(venue, line, size_frame, 0) != 0:
        add_to(counters + COUNTERS.line_reordered + line * 8, 1)
        return 0
    if fault == DELAY:
        release_ns = load_i64(venue + VENUE.now_ns) + load_i64(venue + VENUE.delay_ns)
        if _hold(venue, line, size_frame, release_ns) != 0:
            add_to(counters + COUNTERS.line_delayed + line * 8, 1)
            return 0
    _send(venue, line, venue + VENUE.scratch, size_frame)
    if fault == DUPLICATE:
        _send(venue, line, venue + VENUE.scratch, size_frame)
        add_to(counters + COUNTERS.line_duplicated + line * 8, 1)
    release_reordered(venue, line)
    return 0


@inner
def _note_lost(venue, sequence, messages):
    """Names a range that left on neither line; it grows the last range when it follows on."""
    counters = load_i64(venue + VENUE.counters)
    add_to(counters + COUNTERS.lost_packets, 1)
    add_to(counters + COUNTERS.lost_messages, messages)
    ranges = load_i64(counters + COUNTERS.lost_ranges)
    if ranges > 0:
        last = load_i64(venue + VENUE.lost) + (ranges - 1) * LOST_BYTES
        if ranges <= LOST_MAX and load_i64(last + LOST.sequence) + load_i64(last + LOST.count) == sequence:
            add_to(last + LOST.count, messages)
            return
    if ranges < LOST_MAX:
        row = load_i64(venue + VENUE.lost) + ranges * LOST_BYTES
        store_i64(row + LOST.sequence, sequence)
        store_i64(row + LOST.count, messages)
        store_i64(counters + COUNTERS.lost_ranges, ranges + 1)


@inner
def transmit_lines(venue, sequence, messages, payload, size_bytes, total):
    """One packet of the feed on lines A and B, under the plan."""
    both = below(venue + VENUE.random_fault, MILLION) < load_i64(venue + VENUE.drop_both_ppm)
    if both:
        add_to(load_i64(venue + VENUE.counters) + COUNTERS.drop_both, 1)
    lost = 0
    for line in range(LINES):
        drawn = _decide(venue, line, venue + VENUE.random_fault)
        lost += _transmit(venue, line, DROP if both else drawn, payload, size_bytes, total)
    if lost == LINES:
        _note_lost(venue, sequence, messages)


@inner
def transmit_service(venue, stream, payload, size_bytes):
    """One packet of the replies or of the snapshots, under the plan."""
    drawn = _decide(venue, stream, venue + VENUE.random_service)
    _transmit(venue, stream, drawn, payload, size_bytes, payload_sum(payload, size_bytes))
