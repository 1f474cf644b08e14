"""The corridor on one screen: from a frame in io_core to an order in core_io.

    ③ ring ─ udp ④ line ─ arbitrate ─ decoder ─ book ⑤ ─ strategy ⑥ ─ gate ⑦ ─ submit ⑧ ring

`turn` is the stage: C calls it, without the GIL, for ever. Hard rule: nothing here allocates, raises or reads a
clock other than the tick stamps; time enters with the records of the ring.
"""

from functools import cache
from typing import Any

from numba import cfunc, types

from gateway import limits
from gateway.core import arbitrate, ring
from gateway.core.admission import admit
from gateway.core.book import apply_event, begin_session, prefetch_ahead, prefetch_events
from gateway.core.counters import add_to, count_reason
from gateway.core.kernel import kernel, leaf
from gateway.core.lines import find_line
from gateway.core.memory import (
    call_decoder,
    call_strategy,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    store_i64,
    store_u8,
    store_u32,
    ticks,
)
from gateway.core.messages import append_part
from gateway.core.quality import judge
from gateway.core.quality_sweep import sweep
from gateway.core.recovery import begin_run, examine_event, note_lost, replay_kept
from gateway.core.report_stream import take_reports
from gateway.core.reports import apply_refusal
from gateway.core.requests import send_request
from gateway.core.submit import submit_intents
from gateway.layout import offsets, size, value
from gateway.protocols.udp import parse_frame

CORE = offsets("core")
FRAME = offsets("frame_slot")
DATAGRAM = offsets("datagram")
LINE = offsets("line")
LINES = offsets("line_table")
MESSAGE = offsets("message_buffer")
FEED = offsets("feed")
DECODER = offsets("decoder")
EVENT = offsets("event")
COUNTERS = offsets("core_counters")
INTENTS = offsets("intents")
QUALITY = offsets("quality")
FRAME_BYTES, FEED_BYTES, EVENT_BYTES, BOOK_BYTES = size("frame_slot"), size("feed"), size("event"), size("book")
END_OF_INPUT, ORDER_REFUSED = value("FRAME_END_OF_INPUT"), value("FRAME_ORDER_REFUSED")
FRAME_TIME, FRAME_MESSAGE, FRAME_MORE = value("FRAME_TIME"), value("FRAME_MESSAGE"), value("FRAME_MORE")
LINE_REPORTS = value("LINE_REPORTS")
NOTHING, PACKET = value("READY_NOTHING"), value("READY_PACKET")
REQUEST, RECOVERED = value("READY_REQUEST"), value("READY_RECOVERED")
EVENT_RECOVERED, EVENT_LOST = value("EVENT_RECOVERED"), value("EVENT_LOST")
PATH = offsets("order_path")
STORE = offsets("book_store")
SNAPSHOTS = value("CHANNEL_SNAPSHOT")
HEAL_PASS, HEAL_APPLY, HEAL_DONE = value("HEAL_PASS"), value("HEAL_APPLY"), value("HEAL_DONE")
NOT_OURS = value("FEED_NOT_OURS")
EVENT_GAP, EVENT_INFORMATION = value("EVENT_GAP"), value("EVENT_INFORMATION")
EVENT_INSTRUMENT = value("EVENT_INSTRUMENT")
FRAMES_PER_TURN = 64
TIME_CHECK_NS = limits.TIME_CHECK_NS


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
    """A frame, a message of a session, or what io has to say instead of one."""
    flags = load_u16(slot + FRAME.flags) | load_i64(core + CORE.frame_flags)
    store_i64(core + CORE.now_ns, load_i64(slot + FRAME.time_receive_ns))
    store_i64(core + CORE.ticks_receive, load_i64(slot + FRAME.ticks_receive))
    store_i64(core + CORE.ticks_decode, ticks())
    if load_i64(core + CORE.now_ns) - load_i64(core + CORE.checked_ns) >= TIME_CHECK_NS:
        on_time(core)  # a quiet channel has its timers too while others are busy
    if flags & ORDER_REFUSED:
        apply_refusal(load_i64(core + CORE.path), slot + FRAME_BYTES, load_i64(core + CORE.now_ns))
    elif flags & END_OF_INPUT:
        on_end_of_input(core)
    elif flags & FRAME_TIME:
        on_time(core)
    elif flags & FRAME_MESSAGE:
        on_message(core, slot + FRAME_BYTES, load_u32(slot + FRAME.size), flags & FRAME_MORE)
    else:
        on_frame(core, slot + FRAME_BYTES, load_u32(slot + FRAME.size), flags)
    on_sweep(core)


@kernel
def on_frame(core, frame, size_bytes, flags):
    """④ Ethernet, IPv4 and UDP are believed or counted; the datagram goes to its channel or to the order session."""
    counters, datagram = load_i64(core + CORE.counters), load_i64(core + CORE.datagram)
    add_to(counters + COUNTERS.frames, 1)
    reason = parse_frame(frame, size_bytes, flags, datagram)
    if reason != 0:
        count_reason(counters, reason)
        return
    if load_u32(datagram + DATAGRAM.checksum_absent) != 0:
        add_to(counters + COUNTERS.checksum_absent, 1)
    payload, payload_bytes = load_i64(datagram + DATAGRAM.payload), load_u32(datagram + DATAGRAM.size)
    address, port = load_u32(datagram + DATAGRAM.destination), load_u16(datagram + DATAGRAM.destination_port)
    line, now_ns = find_line(load_i64(core + CORE.lines), address, port), load_i64(core + CORE.now_ns)
    if line == 0:
        count_reason(counters, NOT_OURS)
    elif load_u32(line + LINE.role) == LINE_REPORTS:
        take_reports(core, payload, payload_bytes)
    else:
        feed = channel_at(core, load_u32(line + LINE.channel))
        code = arbitrate.offer(feed, payload, payload_bytes, load_u16(line + LINE.index), now_ns, counters)
        drain_feed(core, feed, code)


@kernel
def on_message(core, part, size_bytes, more):
    """④ A session over TCP numbers nothing: its messages go straight to their decoder."""
    message, counters = load_i64(core + CORE.message), load_i64(core + CORE.counters)
    if message == 0:
        count_reason(counters, NOT_OURS)
    elif append_part(message, part, size_bytes, more, counters) != 0:
        feed, now_ns = load_i64(core + CORE.message_channel), load_i64(core + CORE.now_ns)
        add_to(counters + COUNTERS.frames, 1)
        deliver(core, feed, load_i64(message + MESSAGE.bytes), load_i64(message + MESSAGE.size), 0, now_ns)


@leaf
def channel_at(core, index):
    """Address of a channel's struct feed."""
    return load_i64(core + CORE.channels) + index * FEED_BYTES


@kernel
def drain_feed(core, feed, code):
    """Everything arbitration lets through now, in order; a gap before what follows it."""
    counters = load_i64(core + CORE.counters)
    store_u32(load_i64(core + CORE.store) + STORE.channel, load_u32(feed + FEED.snapshot_of))
    if load_u32(feed + FEED.joined) != 0:
        store_u32(feed + FEED.joined, 0)
        on_run(core, feed)
    while code != NOTHING:
        if code == PACKET:
            payload, size_bytes = load_i64(feed + FEED.ready_payload), load_u32(feed + FEED.ready_size)
            deliver(core, feed, payload, size_bytes, load_u32(feed + FEED.ready_skip), load_i64(feed + FEED.ready_time_ns))
        elif code == REQUEST:
            path = load_i64(core + CORE.path)
            send_request(feed, load_i64(path + PATH.core_io), load_i64(path + PATH.epoch), load_i64(core + CORE.now_ns))
        elif code == RECOVERED:
            say(core, EVENT_RECOVERED, 0, 0, 0)
        else:
            on_gap(
                core, feed, load_i64(feed + FEED.gap_first), load_i64(feed + FEED.gap_count), load_i64(feed + FEED.gap_lost)
            )
        code = arbitrate.next_ready(feed, load_i64(core + CORE.now_ns), counters)


@kernel
def on_run(core, feed):
    """A channel begins: its books with it, unless it only says what theirs are."""
    first, healing = load_i64(feed + FEED.first_sequence), load_i64(core + CORE.healing)
    if healing != 0:
        begin_run(healing, load_u32(feed + FEED.channel), first)
    if load_u32(feed + FEED.role) != SNAPSHOTS or healing == 0:
        begin_session(load_i64(core + CORE.store), first)


@kernel
def on_gap(core, feed, first, count, lost):
    """Messages are missing: every book of the channel is stale before anything else is read."""
    healing = load_i64(core + CORE.healing)
    if healing != 0 and lost != 0:
        note_lost(healing, load_u32(feed + FEED.channel), first, count)
    if load_u32(feed + FEED.role) != SNAPSHOTS or healing == 0:
        say(core, EVENT_GAP, first, count, EVENT_LOST if lost != 0 else 0)


@kernel
def deliver(core, feed, payload, size_bytes, skip, time_receive_ns):
    """④ The feed's decoder turns a packet into events, a batch at a time."""
    decoder = load_i64(feed + FEED.decoder)
    store_i64(decoder + DECODER.sequence, load_i64(feed + FEED.ready_sequence))
    store_i64(decoder + DECODER.payload, payload)
    store_u32(decoder + DECODER.size, size_bytes)
    store_u32(decoder + DECODER.skip, skip)
    store_i64(decoder + DECODER.time_receive_ns, time_receive_ns)
    store_u32(decoder + DECODER.channel, load_u32(feed + FEED.channel))
    store_i64(decoder + DECODER.cursor, 0)
    store_u32(decoder + DECODER.more, 1)
    while load_u32(decoder + DECODER.more) != 0:
        store_u32(decoder + DECODER.more, 0)
        on_events(
            core, feed, load_i64(decoder + DECODER.events), call_decoder(load_i64(decoder + DECODER.function), decoder)
        )


@kernel
def on_events(core, feed, events, count):
    """⑤ → ⑥ → ⑦ → ⑧ for each event, in the venue's order."""
    store, counters = load_i64(core + CORE.store), load_i64(core + CORE.counters)
    quality, healing = load_i64(core + CORE.quality), load_i64(core + CORE.healing)
    add_to(counters + COUNTERS.events, count)
    prefetch_events(store, events, count)
    for index in range(count):
        event = events + index * EVENT_BYTES
        prefetch_ahead(store, events, index, count)
        if healing != 0 and not goes_on(core, feed, event, counters):
            continue
        changed = apply_event(store, event, counters)
        if quality != 0:
            judge(quality, event, changed)
        kind = load_u8(event + EVENT.kind)
        if kind == EVENT_INSTRUMENT:
            admit(load_i64(core + CORE.admission), load_i64(core + CORE.gate_rows), event)
        if kind != EVENT_INFORMATION:
            on_event(core, event)


@kernel
def goes_on(core, feed, event, counters):
    """Whether an event takes the common way: not what waits for a snapshot, nor what is part of one."""
    healing, store = load_i64(core + CORE.healing), load_i64(core + CORE.store)
    of_snapshot = load_u32(feed + FEED.role) == SNAPSHOTS
    if load_u8(event + EVENT.kind) == EVENT_GAP:
        # the decoder could not read it, and nobody sends it again
        note_lost(healing, load_u32(feed + FEED.channel), load_i64(event + EVENT.sequence), load_i64(event + EVENT.quantity))
        store_u8(event + EVENT.flags, load_u8(event + EVENT.flags) | EVENT_LOST)
        return not of_snapshot
    verdict = examine_event(healing, feed, event, counters)
    if verdict == HEAL_APPLY and not of_snapshot:
        return True
    if verdict != HEAL_PASS:
        apply_event(store, event, counters)
    if verdict == HEAL_DONE:
        replay_kept(healing, feed, load_u32(event + EVENT.instrument), counters)
        on_event(core, event)
    return False


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
def say(core, kind, first, count, flags):
    """A gap: every book is stale before anything else is read; or that all of it has come after all."""
    event = load_i64(core + CORE.events)
    for offset in range(0, EVENT_BYTES, 8):
        store_i64(event + offset, 0)
    store_i64(event + EVENT.sequence, first)
    store_i64(event + EVENT.quantity, count)
    store_i64(event + EVENT.time_receive_ns, load_i64(core + CORE.now_ns))
    store_u32(event + EVENT.kind, kind | flags << 16)
    apply_event(load_i64(core + CORE.store), event, load_i64(core + CORE.counters))
    on_event(core, event)


@kernel
def on_time(core):
    """Time went on: a hole may have waited long enough, a request may be due."""
    now_ns, counters = load_i64(core + CORE.now_ns), load_i64(core + CORE.counters)
    store_i64(core + CORE.checked_ns, now_ns)
    for index in range(load_u32(load_i64(core + CORE.lines) + LINES.channels_used)):
        feed = channel_at(core, index)
        drain_feed(core, feed, arbitrate.next_ready(feed, now_ns, counters))
    take_reports(core, 0, 0)


@leaf
def on_sweep(core):
    """Time went on: strategies hear of the books that nothing feeds any more."""
    quality = load_i64(core + CORE.quality)
    if quality == 0:
        return
    events = load_i64(quality + QUALITY.events)
    for index in range(sweep(quality, load_i64(core + CORE.now_ns))):
        on_event(core, events + index * EVENT_BYTES)


@kernel
def on_end_of_input(core):
    """A capture has ended: no hole will be filled any more."""
    for index in range(load_u32(load_i64(core + CORE.lines) + LINES.channels_used)):
        arbitrate.flush(channel_at(core, index))
    arbitrate.flush(load_i64(core + CORE.reports))
    on_time(core)
    store_i64(core + CORE.finished, 1)


def _step(core):
    return turn(core)


@cache
def core_step() -> Any:
    """The stage as a C function, int64 (int64 address of struct core); compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_step)
