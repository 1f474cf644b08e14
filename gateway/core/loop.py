"""The corridor on one screen: from a frame in io_core to an order in core_io.

    ③ ring ─ udp ④ line ─ arbitrate ─ decoder ─ book ⑤ ─ strategy ⑥ ─ gate ⑦ ─ submit ⑧ ring
    └─────────── here ──────────┘ └─ channels.py ─┘ └──────────── events.py ────────────┘

`turn` is the stage: C calls it, without the GIL, for ever. Hard rule: nothing here allocates, raises or reads a
clock other than the tick stamps; time enters with the records of the ring.
"""

from functools import cache
from typing import Any

from numba import cfunc, types

from gateway import limits
from gateway.core import arbitrate, ring
from gateway.core.adoption import open_new_risk, use_up
from gateway.core.book_link import take_link
from gateway.core.channels import channel_at, deliver, drain_feed
from gateway.core.counters import add_to, count_reason
from gateway.core.events import on_event
from gateway.core.external import take_external
from gateway.core.kernel import kernel, leaf
from gateway.core.lines import find_line
from gateway.core.link_scan import scan_turn
from gateway.core.marks import sweep_marks
from gateway.core.memory import (
    load_i64,
    load_u16,
    load_u32,
    relaxed,
    store_i64,
    ticks,
)
from gateway.core.messages import append_part
from gateway.core.order_prefetch import prefetch_recent
from gateway.core.quality_sweep import sweep
from gateway.core.report_stream import take_reports
from gateway.core.reports import apply_refusal, take_parked
from gateway.core.resolution import sweep_unanswered, take_resolutions
from gateway.core.session_news import on_session_up
from gateway.core.unattended import cancel_unattended
from gateway.layout import offsets, size, value
from gateway.protocols.udp import parse_frame

CORE = offsets("core")
PATH = offsets("order_path")
CONTROL = offsets("control_block")
FRAME = offsets("frame_slot")
DATAGRAM = offsets("datagram")
LINE = offsets("line")
LINES = offsets("line_table")
MESSAGE = offsets("message_buffer")
COUNTERS = offsets("core_counters")
INTENTS = offsets("intents")
QUALITY = offsets("quality")
STORE = offsets("book_store")
FRAME_BYTES, EVENT_BYTES = size("frame_slot"), size("event")
END_OF_INPUT, ORDER_REFUSED = value("FRAME_END_OF_INPUT"), value("FRAME_ORDER_REFUSED")
FRAME_TIME, FRAME_MESSAGE, FRAME_MORE = value("FRAME_TIME"), value("FRAME_MESSAGE"), value("FRAME_MORE")
FRAME_REPORTS, FRAME_SESSION = value("FRAME_REPORTS"), value("FRAME_SESSION")
LINE_REPORTS = value("LINE_REPORTS")
NOT_OURS = value("FEED_NOT_OURS")
FRAMES_PER_TURN = 64
TIME_CHECK_NS = limits.TIME_CHECK_NS


@kernel
def turn(core):
    """One turn: up to 64 records of each ring, worked through to the end. Negative once the input has ended."""
    worked = take_records(core, core + CORE.frames) + take_records(core, core + CORE.session)
    if load_i64(core + CORE.mirror) != 0:
        worked += take_link(core)
    if worked != 0:
        faults = load_u32(load_i64(core + CORE.intents) + INTENTS.faults)
        store_i64(load_i64(core + CORE.counters) + COUNTERS.strategy_faults, faults)
    worked += take_external(core)
    if load_i64(core + CORE.tap) != 0:
        worked += scan_turn(load_i64(core + CORE.tap), worked)
    if worked != 0:
        return worked
    add_to(core + CORE.idle_turns, 1)
    prefetch_recent(load_i64(core + CORE.path), load_i64(core + CORE.idle_turns))
    return -1 if load_i64(core + CORE.finished) != 0 else 0


@kernel
def take_records(core, reader):
    """Up to 64 records of io_core, or of session_core. Returns how many there were."""
    worked = 0
    slot = ring.peek(reader)
    while slot != 0 and worked < FRAMES_PER_TURN:
        on_record(core, slot)
        ring.advance(reader)
        worked += 1
        slot = ring.peek(reader)
    if worked != 0:
        ring.acknowledge(reader)
    return worked


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
    elif flags & FRAME_REPORTS:
        take_reports(core, slot + FRAME_BYTES, load_u32(slot + FRAME.size))
    elif flags & FRAME_SESSION:
        on_session_up(core, slot + FRAME_BYTES)
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


@kernel
def on_time(core):
    """Time went on: a hole may have waited long enough, a request may be due."""
    now_ns, counters = load_i64(core + CORE.now_ns), load_i64(core + CORE.counters)
    store_i64(core + CORE.checked_ns, now_ns)
    for index in range(load_u32(load_i64(core + CORE.lines) + LINES.channels_used)):
        feed = channel_at(core, index)
        drain_feed(core, feed, arbitrate.next_ready(feed, now_ns, counters))
    take_reports(core, 0, 0)
    path = load_i64(core + CORE.path)
    use_up(path, relaxed(load_i64(path + PATH.control) + CONTROL.reference_used))
    take_resolutions(path, core + CORE.resolutions, now_ns)
    sweep_unanswered(path, now_ns)
    cancel_unattended(core, now_ns)
    take_parked(path, now_ns)
    open_new_risk(path, now_ns)
    sweep_marks(path, load_i64(load_i64(core + CORE.store) + STORE.used), now_ns)


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
