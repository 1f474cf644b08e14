"""One channel of a feed ④: what arbitration lets through goes to the decoder, and its words about gaps to the books.

Between arbitrate.py and events.py. Hard rule: whatever is missing is said before anything behind it is delivered.
"""

from gateway.core import arbitrate
from gateway.core.book import begin_session
from gateway.core.events import on_events, say
from gateway.core.kernel import kernel, leaf
from gateway.core.link_tap import tell_run
from gateway.core.memory import call_decoder, load_i64, load_u32, store_i64, store_u32
from gateway.core.recovery import begin_run, note_lost
from gateway.core.requests import send_request
from gateway.layout import offsets, size, value

CORE = offsets("core")
FEED = offsets("feed")
STORE = offsets("book_store")
PATH = offsets("order_path")
DECODER = offsets("decoder")
FEED_BYTES = size("feed")
SNAPSHOTS = value("CHANNEL_SNAPSHOT")
NOTHING, PACKET = value("READY_NOTHING"), value("READY_PACKET")
REQUEST, RECOVERED = value("READY_REQUEST"), value("READY_RECOVERED")
EVENT_GAP, EVENT_RECOVERED, EVENT_LOST = value("EVENT_GAP"), value("EVENT_RECOVERED"), value("EVENT_LOST")


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
            send_request(feed, load_i64(path + PATH.requests_out), load_i64(path + PATH.epoch), load_i64(core + CORE.now_ns))
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
        tell_run(load_i64(core + CORE.tap), first)


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


@leaf
def channel_at(core, index):
    """Address of a channel's struct feed."""
    return load_i64(core + CORE.channels) + index * FEED_BYTES
