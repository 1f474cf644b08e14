"""From events to orders: book ⑤, strategy ⑥, gate ⑦, submit ⑧, for each event in the venue's order.

Called by channels.py with what a decoder gave. Hard rule: an event changes its book before anybody is asked about it.
"""

from gateway.core.admission import admit
from gateway.core.book import prefetch_ahead, prefetch_events
from gateway.core.carried import carry
from gateway.core.counters import add_to
from gateway.core.kernel import kernel, leaf
from gateway.core.link_tap import QUIET, apply_and_tell, tell_news
from gateway.core.memory import call_strategy, load_i64, load_u8, load_u32, store_i64, store_u8, store_u32
from gateway.core.order_prefetch import prefetch_gate
from gateway.core.quality import judge
from gateway.core.recovery import examine_event, note_lost, replay_kept
from gateway.core.submit import submit_intents
from gateway.layout import offsets, size, value

CORE = offsets("core")
PATH = offsets("order_path")
ADOPTION = offsets("adoption")
NAMED_ANEW = -1  # of adoption.listed: reports that wait for a name are looked at again
FEED = offsets("feed")
EVENT = offsets("event")
COUNTERS = offsets("core_counters")
INTENTS = offsets("intents")
EVENT_BYTES, BOOK_BYTES = size("event"), size("book")
SIGNAL_OF_CALL = 1 << 62  # tells the signals that core numbers from those that a strategy names
SNAPSHOTS = value("CHANNEL_SNAPSHOT")
HEAL_PASS, HEAL_APPLY, HEAL_DONE = value("HEAL_PASS"), value("HEAL_APPLY"), value("HEAL_DONE")
EVENT_GAP, EVENT_INFORMATION = value("EVENT_GAP"), value("EVENT_INFORMATION")
EVENT_INSTRUMENT, EVENT_LOST = value("EVENT_INSTRUMENT"), value("EVENT_LOST")


@kernel
def on_events(core, feed, events, count):
    """⑤ → ⑥ → ⑦ → ⑧ for each event, in the venue's order. Whether there is a link is asked once for all of them."""
    add_to(load_i64(core + CORE.counters) + COUNTERS.events, count)
    prefetch_events(load_i64(core + CORE.store), events, count)
    prefetch_gate(load_i64(core + CORE.path), load_i64(core + CORE.intents), events, count)
    tap = load_i64(core + CORE.tap)
    if tap == 0:
        work_through(core, feed, events, count, 0)
    else:
        work_through(core, feed, events, count, tap)


@leaf
def work_through(core, feed, events, count, tap):
    """Each event: to its book, to the link where there is one, to quality and strategy."""
    store, counters = load_i64(core + CORE.store), load_i64(core + CORE.counters)
    quality, healing = load_i64(core + CORE.quality), load_i64(core + CORE.healing)
    for index in range(count):
        event = events + index * EVENT_BYTES
        prefetch_ahead(store, events, index, count)
        if healing != 0 and not goes_on(core, feed, event, counters):
            continue
        changed = apply_and_tell(tap, store, event, counters, 0)
        if quality != 0:
            judge(quality, event, changed)
        kind = load_u8(event + EVENT.kind)
        if kind == EVENT_INSTRUMENT:
            name_instrument(core, event)
        if kind != EVENT_INFORMATION:
            on_event(core, event)


@kernel
def name_instrument(core, event):
    """The directory, or the snapshot of one who joined late, names an instrument: limits, what is carried, what waited."""
    path, admission = load_i64(core + CORE.path), load_i64(core + CORE.admission)
    admit(admission, load_i64(core + CORE.gate_rows), event)
    carry(path, admission, event)
    store_i64(load_i64(path + PATH.adoption) + ADOPTION.listed, NAMED_ANEW)


@kernel
def goes_on(core, feed, event, counters):
    """Whether an event takes the common way: not what waits for a snapshot, nor what is part of one."""
    healing, tap = load_i64(core + CORE.healing), load_i64(core + CORE.tap)
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
        apply_and_tell(tap, load_i64(core + CORE.store), event, counters, QUIET)
        if load_u8(event + EVENT.kind) == EVENT_INSTRUMENT:
            name_instrument(core, event)
    if verdict == HEAL_DONE:
        replay_kept(healing, feed, load_u32(event + EVENT.instrument), counters, tap)
        tell_news(tap, event)
        on_event(core, event)
    return False


@kernel
def on_event(core, event):
    """⑥ asks the strategy, ⑦ the gate judges what it intends, ⑧ what passes leaves."""
    book = load_i64(core + CORE.books) + load_u32(event + EVENT.instrument) * BOOK_BYTES
    intents = load_i64(core + CORE.intents)
    calls = load_i64(core + CORE.counters) + COUNTERS.strategy_calls
    add_to(calls, 1)
    store_i64(intents + INTENTS.signal_id, SIGNAL_OF_CALL | load_i64(calls))
    store_i64(intents + INTENTS.time_ns, load_i64(core + CORE.now_ns))
    call_strategy(load_i64(core + CORE.strategy), load_i64(core + CORE.strategy_state), event, book, intents)
    if load_u32(intents + INTENTS.count) != 0:
        submit_intents(
            load_i64(core + CORE.path),
            intents,
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
    apply_and_tell(load_i64(core + CORE.tap), load_i64(core + CORE.store), event, load_i64(core + CORE.counters), 0)
    on_event(core, event)
