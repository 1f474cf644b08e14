"""The simulated venue on one screen: orders in from io_core, the market moves, ITCH and OUCH out through core_io.

Orders over TCP come in from session_core, and their reports leave by core_session instead: order_gateway.py is behind both.

    io_core ─ udp ─┬─ orders ─┐
                   │          ├─ matching ─ feed ─┬─ lines A, B under the fault plan ─┐
                   │ activity ┘     │ │         store                                 │
                   │                │ └ reports ──│───────────────────────────────────┼─ core_io
                   └─ requests ─────│─────────────┴─ replies ─────────────────────────┤
                                    └─ snapshots ─────────────────────────────────────┘

`turn` is the stage: C calls it, without the GIL, for ever. Hard rule: whatever begins in a step ends in it, and
nothing begins while frames of an earlier step wait for room in core_io; so no step can overfill the outbox.

    WAITING ── open_ns ──► OPENING ── all symbols said ──► OPEN ── close_ns ──► CLOSED ── end_ns ──► ENDED
"""

from functools import cache
from typing import Any

from numba import cfunc, njit, types

from gateway.core import ring
from gateway.core.counters import add_to
from gateway.core.kernel import inner
from gateway.core.memory import load_i64, load_u16, load_u32, store_i64
from gateway.layout import offsets, size, value
from gateway.protocols.udp import parse_frame
from gateway.venues.simulator.activity import act
from gateway.venues.simulator.faults import release_delayed, release_reordered
from gateway.venues.simulator.feed import say_directory, say_system, say_trading
from gateway.venues.simulator.frames import COUNTERS, VENUE, drain_outbox
from gateway.venues.simulator.letters import LETTERS
from gateway.venues.simulator.orders import on_message, on_session_lost
from gateway.venues.simulator.pacing import earn, may_act, pay, read_clock
from gateway.venues.simulator.packets import (
    COUNT_END,
    end_of_session,
    flush,
    heartbeat_feed,
    heartbeat_reports,
    heartbeat_snapshots,
)
from gateway.venues.simulator.requests import on_request
from gateway.venues.simulator.snapshots import say_snapshots

FRAME = offsets("frame_slot")
DATAGRAM = offsets("datagram")
FRAME_HEADER_BYTES = size("frame_slot")
SESSION_LOST = value("FRAME_SESSION")
NO_FRAME = value("FRAME_END_OF_INPUT") | value("FRAME_ORDER_REFUSED") | value("FRAME_TIME")
WAITING, OPENING = value("VENUE_WAITING"), value("VENUE_OPENING")
OPEN, CLOSED, ENDED = value("VENUE_OPEN"), value("VENUE_CLOSED"), value("VENUE_ENDED")
FOREVER = 0x7FFFFFFFFFFFFFFF
ORDERS_PER_STEP = 32
ACTIONS_PER_STEP = 32
ENDS = 3  # end-of-session packets at once; more follow instead of heartbeats


@inner
def _sent_to(datagram, address, port):
    return load_u32(datagram + DATAGRAM.destination) == address and load_u16(datagram + DATAGRAM.destination_port) == port


@inner
def _on_frame(venue, slot):
    """A datagram to our order port is an order message, one to the server's port a request; the rest is counted."""
    if load_u16(slot + FRAME.flags) & NO_FRAME:
        return
    counters, datagram = load_i64(venue + VENUE.counters), load_i64(venue + VENUE.datagram)
    add_to(counters + COUNTERS.frames_received, 1)
    frame, size_bytes = slot + FRAME_HEADER_BYTES, load_u32(slot + FRAME.size)
    reason = parse_frame(frame, size_bytes, load_u16(slot + FRAME.flags), datagram)
    if reason == 0 and _sent_to(datagram, load_i64(venue + VENUE.order_address), load_i64(venue + VENUE.order_port)):
        time_ns = load_i64(slot + FRAME.time_receive_ns)
        on_message(venue, load_i64(datagram + DATAGRAM.payload), load_u32(datagram + DATAGRAM.size), time_ns)
    elif (
        reason == 0
        and load_i64(venue + VENUE.store_messages) != 0
        and _sent_to(datagram, load_i64(venue + VENUE.request_address), load_i64(venue + VENUE.request_port))
    ):
        on_request(venue, frame, datagram)
    else:
        add_to(counters + COUNTERS.frames_foreign, 1)


@inner
def _receive(venue):
    """Orders and requests of the client, as long as their answers find room. Returns how many frames were read."""
    reader = load_i64(venue + VENUE.reader)
    if reader == 0:
        return 0
    read = 0
    while read < ORDERS_PER_STEP and load_i64(venue + VENUE.outbox_count) == 0:
        slot = ring.peek(reader)
        if slot == 0:
            break
        _on_frame(venue, slot)
        ring.advance(reader)
        read += 1
    if read > 0:
        ring.acknowledge(reader)
    return read


@inner
def _receive_session(venue):
    """Messages of the client's session over TCP, and the end of its connection. Returns how many were read."""
    reader = load_i64(venue + VENUE.session_reader)
    if reader == 0:
        return 0
    read = 0
    while read < ORDERS_PER_STEP and load_i64(venue + VENUE.outbox_count) == 0:
        slot = ring.peek(reader)
        if slot == 0:
            break
        if load_u16(slot + FRAME.flags) & SESSION_LOST:
            on_session_lost(venue)
        else:
            time_ns = load_i64(slot + FRAME.time_receive_ns)
            on_message(venue, slot + FRAME_HEADER_BYTES, load_u32(slot + FRAME.size), time_ns)
        ring.advance(reader)
        read += 1
    if read > 0:
        ring.acknowledge(reader)
    return read


@inner
def _enter_phase(venue, phase):
    store_i64(venue + VENUE.phase, phase)
    store_i64(load_i64(venue + VENUE.counters) + COUNTERS.phase, phase)


@inner
def _opening_act(venue):
    """One start-of-day message: S(O), then R for each symbol, then H for each symbol, then S(S) and S(Q)."""
    cursor, symbols = load_i64(venue + VENUE.opening_cursor), load_i64(venue + VENUE.symbols)
    if cursor == 0:
        say_system(venue, LETTERS.O)
    elif cursor <= symbols:
        say_directory(venue, cursor - 1)
    elif cursor <= 2 * symbols:
        say_trading(venue, cursor - 1 - symbols)
    elif cursor == 2 * symbols + 1:
        say_system(venue, LETTERS.S)
    else:
        say_system(venue, LETTERS.Q)
        _enter_phase(venue, OPEN)
        store_i64(load_i64(venue + VENUE.counters) + COUNTERS.time_open_ns, load_i64(venue + VENUE.now_ns))
    store_i64(venue + VENUE.opening_cursor, cursor + 1)


@inner
def _trade_on(venue):
    """The start of day, then the flow, as far as the pace allows. Returns how many actions there were."""
    phase = load_i64(venue + VENUE.phase)
    if phase != OPENING and phase != OPEN:
        return 0
    earn(venue, load_i64(venue + VENUE.now_ns))
    counters = load_i64(venue + VENUE.counters)
    acted = 0
    while acted < ACTIONS_PER_STEP and may_act(venue) and load_i64(venue + VENUE.outbox_count) == 0:
        before = load_i64(counters + COUNTERS.feed_messages)
        if load_i64(venue + VENUE.phase) == OPENING:
            _opening_act(venue)
        else:
            act(venue)
        # an action that found nothing to do is charged too, so that the loop cannot spin for free
        pay(venue, max(1, load_i64(counters + COUNTERS.feed_messages) - before))
        acted += 1
    return acted


@inner
def _close(venue):
    """The day's last messages; the session itself ends with `_end`."""
    say_system(venue, LETTERS.M)
    say_system(venue, LETTERS.E)
    _enter_phase(venue, CLOSED)


@inner
def _end(venue):
    """The last message, everything that was held back, then the end of the session."""
    say_system(venue, LETTERS.C)
    flush(venue)
    release_reordered(venue, -1)
    release_delayed(venue, FOREVER)
    _enter_phase(venue, ENDED)
    for _ in range(ENDS):
        end_of_session(venue)


@inner
def _leave(venue, now_ns):
    """Asks the loop to stop when nobody else did for long."""
    leave_ns, word = load_i64(venue + VENUE.leave_ns), load_i64(venue + VENUE.stop_word)
    if word != 0 and leave_ns != 0 and now_ns >= leave_ns:
        store_i64(word, 1)


@inner
def _follow_the_day(venue, now_ns):
    """Phases by the clock. A day that closes before it opened ends without having traded."""
    phase = load_i64(venue + VENUE.phase)
    close_ns, end_ns = load_i64(venue + VENUE.close_ns), load_i64(venue + VENUE.end_ns)
    if phase == WAITING and now_ns >= load_i64(venue + VENUE.open_ns):
        store_i64(venue + VENUE.flow_ns, now_ns)
        _enter_phase(venue, OPENING)
    elif OPENING <= phase <= OPEN and close_ns != 0 and now_ns >= close_ns:
        _close(venue)
    elif phase == CLOSED and end_ns != 0 and now_ns >= end_ns:
        _end(venue)
    elif phase == ENDED:
        _leave(venue, now_ns)


@inner
def _heartbeats(venue):
    """Heartbeats on silent sessions; behind the end of the feed's session its end is said again instead."""
    messages = COUNT_END if load_i64(venue + VENUE.phase) == ENDED else 0
    return heartbeat_feed(venue, messages) + heartbeat_reports(venue) + heartbeat_snapshots(venue)


@njit(cache=True)
def turn(venue):
    """One turn over the struct venue at `venue`; returns how much was done. Never negative: control ends the day."""
    now_ns = read_clock(venue)
    store_i64(venue + VENUE.now_ns, now_ns)
    store_i64(load_i64(venue + VENUE.counters) + COUNTERS.time_ns, now_ns)
    worked = 0
    if load_i64(venue + VENUE.outbox_count) != 0:
        worked = drain_outbox(venue)
        if load_i64(venue + VENUE.outbox_count) != 0:
            add_to(load_i64(venue + VENUE.counters) + COUNTERS.steps_blocked, 1)
            return worked
    worked += release_delayed(venue, now_ns)
    worked += _receive(venue)
    worked += _receive_session(venue)
    _follow_the_day(venue, now_ns)
    worked += _trade_on(venue)
    flush(venue)
    worked += say_snapshots(venue)
    return worked + _heartbeats(venue)


@njit(cache=True)
def run_steps(venue, steps):
    """Turns from Python, for simulations on a clock that stands still meanwhile. Returns the work done."""
    worked = 0
    for _ in range(steps):
        worked += turn(venue)
    return worked


def _step(venue):
    return turn(venue)


@cache
def venue_step() -> Any:
    """The stage as a C function, int64 (int64 address of struct venue); compiled once, then loaded from the disk."""
    return cfunc(types.int64(types.int64), cache=True)(_step)
