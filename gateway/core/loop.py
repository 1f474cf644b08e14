"""The corridor on one screen: from a frame in io_core to an order in core_io.

    ③ ring ─ udp ④ moldudp64 ─ arbitrate ─ itch50 ─ book ⑤ ─ strategy ⑥ ─ gate ⑦ ─ submit ⑧ ring

`turn` is the stage: C calls it, without the GIL, for ever. Hard rule: nothing here allocates, raises or reads a
clock other than the tick stamps; time enters with the records of the ring.
"""

from functools import cache
from typing import Any

from numba import cfunc, types

from gateway.core import arbitrate, ring
from gateway.core.admission import admit
from gateway.core.book import apply_event, begin_session, prefetch_ahead, prefetch_events
from gateway.core.counters import add_to, count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.memory import (
    call_strategy,
    load_be16,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    store_i64,
    store_u32,
    ticks,
)
from gateway.core.reports import apply_refusal, apply_report
from gateway.core.submit import submit_intents
from gateway.layout import offsets, size, value
from gateway.protocols.itch50_decode import decode_packet
from gateway.protocols.moldudp64 import HEADER_BYTES, count_of
from gateway.protocols.udp import parse_frame

CORE = offsets("core")
FRAME = offsets("frame_slot")
DATAGRAM = offsets("datagram")
FEED = offsets("feed")
EVENT = offsets("event")
COUNTERS = offsets("core_counters")
INTENTS = offsets("intents")
ACCOUNT = offsets("gate_account")
FRAME_BYTES, EVENT_BYTES, BOOK_BYTES = size("frame_slot"), size("event"), size("book")
END_OF_INPUT, ORDER_REFUSED = value("FRAME_END_OF_INPUT"), value("FRAME_ORDER_REFUSED")
FRAME_TIME = value("FRAME_TIME")
NOTHING, PACKET = value("READY_NOTHING"), value("READY_PACKET")
NOT_OURS = value("FEED_NOT_OURS")
EVENT_GAP, EVENT_INFORMATION = value("EVENT_GAP"), value("EVENT_INFORMATION")
EVENT_INSTRUMENT = value("EVENT_INSTRUMENT")
FRAMES_PER_TURN = 64


@kernel
def turn(core):
    """One turn: up to 64 records of io_core, each worked through to the end. Negative once the input has ended."""
    frames = core + CORE.frames
    worked = 0
    slot = ring.peek(frames)
    while slot != 0 and worked < FRAMES_PER_TURN:
        on_record(core, slot)
        ring.advance(frames)
        worked += 1
        slot = ring.peek(frames)
    if worked != 0:
        ring.acknowledge(frames)
        faults = load_u32(load_i64(core + CORE.intents) + INTENTS.faults)
        store_i64(load_i64(core + CORE.counters) + COUNTERS.strategy_faults, faults)
        return worked
    return -1 if load_i64(core + CORE.finished) != 0 else 0


@kernel
def on_record(core, slot):
    """A frame, or what io has to say instead of one."""
    flags = load_u16(slot + FRAME.flags) | load_i64(core + CORE.frame_flags)
    store_i64(core + CORE.now_ns, load_i64(slot + FRAME.time_receive_ns))
    store_i64(core + CORE.ticks_receive, load_i64(slot + FRAME.ticks_receive))
    store_i64(core + CORE.ticks_decode, ticks())
    if flags & ORDER_REFUSED:
        apply_refusal(load_i64(core + CORE.path), slot + FRAME_BYTES, load_i64(core + CORE.now_ns))
    elif flags & END_OF_INPUT:
        on_end_of_input(core)
    elif flags & FRAME_TIME:
        on_time(core)
    else:
        on_frame(core, slot + FRAME_BYTES, load_u32(slot + FRAME.size), flags)


@kernel
def on_frame(core, frame, size_bytes, flags):
    """④ Ethernet, IPv4 and UDP are believed or counted; the datagram goes to the feed or to the order session."""
    counters, datagram = load_i64(core + CORE.counters), load_i64(core + CORE.datagram)
    add_to(counters + COUNTERS.frames, 1)
    reason = parse_frame(frame, size_bytes, flags, datagram)
    if reason != 0:
        count_reason(counters, reason)
        return
    if load_u32(datagram + DATAGRAM.checksum_absent) != 0:
        add_to(counters + COUNTERS.checksum_absent, 1)
    payload, payload_bytes = load_i64(datagram + DATAGRAM.payload), load_u32(datagram + DATAGRAM.size)
    feed, reports = load_i64(core + CORE.feed), load_i64(core + CORE.reports)
    line = line_of(feed, datagram)
    if line >= 0:
        code = arbitrate.offer(feed, payload, payload_bytes, line, load_i64(core + CORE.now_ns), counters)
        drain_feed(core, feed, code)
    elif line_of(reports, datagram) >= 0:
        report_counters = load_i64(core + CORE.report_counters)
        code = arbitrate.offer(reports, payload, payload_bytes, 0, load_i64(core + CORE.now_ns), report_counters)
        drain_reports(core, reports, code)
    else:
        count_reason(counters, NOT_OURS)


@leaf
def line_of(feed, datagram):
    """Line 0 or 1 of this feed that the datagram was sent to; -1: neither."""
    address, port = load_u32(datagram + DATAGRAM.destination), load_u16(datagram + DATAGRAM.destination_port)
    if load_u32(feed + FEED.any_destination) != 0:
        return 0
    if address == load_u32(feed + FEED.line_address) and port == load_u16(feed + FEED.line_port):
        return 0
    if address == load_u32(feed + FEED.line_address + 4) and port == load_u16(feed + FEED.line_port + 2):
        return 1
    return -1


@kernel
def drain_feed(core, feed, code):
    """Everything arbitration lets through now, in order; a gap before what follows it."""
    counters, store = load_i64(core + CORE.counters), load_i64(core + CORE.store)
    if load_u32(feed + FEED.joined) != 0:
        store_u32(feed + FEED.joined, 0)
        begin_session(store, load_i64(feed + FEED.first_sequence))
    while code != NOTHING:
        if code == PACKET:
            on_packet(core, feed)
        else:
            on_gap(core, load_i64(feed + FEED.gap_first), load_i64(feed + FEED.gap_count))
        code = arbitrate.next_ready(feed, load_i64(core + CORE.now_ns), counters)


@kernel
def on_packet(core, feed):
    """④ → ⑤ → ⑥ → ⑦ → ⑧ for each message of one packet, in the venue's order."""
    store, events = load_i64(core + CORE.store), load_i64(core + CORE.events)
    counters = load_i64(core + CORE.counters)
    count = decode_packet(
        load_i64(core + CORE.decode_table),
        load_i64(feed + FEED.ready_payload),
        load_u32(feed + FEED.ready_size),
        load_u32(feed + FEED.ready_skip),
        load_i64(feed + FEED.ready_time_ns),
        events,
        counters,
    )
    add_to(counters + COUNTERS.events, count)
    prefetch_events(store, events, count)
    for index in range(count):
        event = events + index * EVENT_BYTES
        prefetch_ahead(store, events, index, count)
        apply_event(store, event, counters)
        kind = load_u8(event + EVENT.kind)
        if kind == EVENT_INSTRUMENT:
            admit(load_i64(core + CORE.admission), load_i64(core + CORE.gate_rows), event)
        if kind != EVENT_INFORMATION:
            on_event(core, event)


@kernel
def on_event(core, event):
    """⑥ asks the strategy, ⑦ the gate judges what it intends, ⑧ what passes leaves."""
    book = load_i64(core + CORE.books) + load_u32(event + EVENT.instrument) * BOOK_BYTES
    intents = load_i64(core + CORE.intents)
    add_to(load_i64(core + CORE.counters) + COUNTERS.strategy_calls, 1)
    store_i64(intents + INTENTS.time_ns, load_i64(core + CORE.now_ns))
    call_strategy(load_i64(core + CORE.strategy), load_i64(core + CORE.strategy_state), event, book, intents)
    if load_u32(intents + INTENTS.count) != 0:
        submit_intents(
            load_i64(core + CORE.path),
            load_i64(core + CORE.now_ns),
            load_i64(core + CORE.ticks_receive),
            load_i64(core + CORE.ticks_decode),
        )


@kernel
def on_gap(core, first, count):
    """Messages are lost for good: every book is stale before anything else is read."""
    event = load_i64(core + CORE.events)
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(event + offset, 0)
    store_i64(event + EVENT.sequence, first)
    store_i64(event + EVENT.quantity, count)
    store_i64(event + EVENT.time_receive_ns, load_i64(core + CORE.now_ns))
    store_u32(event + EVENT.kind, EVENT_GAP)
    apply_event(load_i64(core + CORE.store), event, load_i64(core + CORE.counters))
    on_event(core, event)


@kernel
def drain_reports(core, reports, code):
    """The order session's reports, in order; a lost one makes positions uncertain and stops new risk."""
    account = load_i64(core + CORE.account)
    report_counters = load_i64(core + CORE.report_counters)
    if load_u32(reports + FEED.joined) != 0:
        store_u32(reports + FEED.joined, 0)
        if load_i64(reports + FEED.first_sequence) != 1:
            add_to(account + ACCOUNT.session_lost, 1)
    while code != NOTHING:
        if code == PACKET:
            on_reports(core, reports)
        else:
            add_to(account + ACCOUNT.session_lost, load_i64(reports + FEED.gap_count))
            add_to(load_i64(core + CORE.counters) + COUNTERS.report_gaps, 1)
        code = arbitrate.next_ready(reports, load_i64(core + CORE.now_ns), report_counters)


@kernel
def on_reports(core, reports):
    """Each message block of one report packet; a block that leaves the packet loses the rest."""
    block = load_i64(reports + FEED.ready_payload)
    end = block + load_u32(reports + FEED.ready_size)
    count, skip = count_of(block), load_u32(reports + FEED.ready_skip)
    block += HEADER_BYTES
    for index in range(count):
        if end - block < 2 or end - block - 2 < load_be16(block):
            add_to(load_i64(core + CORE.account) + ACCOUNT.session_lost, count - index)
            return
        message_bytes = load_be16(block)
        if index >= skip:
            apply_report(load_i64(core + CORE.path), block + 2, message_bytes, load_i64(core + CORE.now_ns))
        block += 2 + message_bytes


@kernel
def on_time(core):
    """Nothing came, but time went on: a hole may have waited long enough."""
    feed, reports = load_i64(core + CORE.feed), load_i64(core + CORE.reports)
    now_ns = load_i64(core + CORE.now_ns)
    drain_feed(core, feed, arbitrate.next_ready(feed, now_ns, load_i64(core + CORE.counters)))
    drain_reports(core, reports, arbitrate.next_ready(reports, now_ns, load_i64(core + CORE.report_counters)))


@kernel
def on_end_of_input(core):
    """A capture has ended: no hole will be filled any more."""
    arbitrate.flush(load_i64(core + CORE.feed))
    arbitrate.flush(load_i64(core + CORE.reports))
    on_time(core)
    store_i64(core + CORE.finished, 1)


def _step(core):
    return turn(core)


@cache
def core_step() -> Any:
    """The stage as a C function, int64 (int64 address of struct core); compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_step)
