"""The order session's reports ⑧ as they arrive: sequenced packets like a feed's, each message applied to our own orders.

Hard rule: a report that is lost makes positions uncertain: it is counted, and new risk stops.
"""

from gateway.core import arbitrate
from gateway.core.counters import add_to
from gateway.core.kernel import kernel
from gateway.core.memory import load_be16, load_i64, load_u32, store_u32
from gateway.core.reports import apply_report
from gateway.layout import offsets, value
from gateway.protocols.moldudp64 import HEADER_BYTES, count_of

CORE = offsets("core")
FEED = offsets("feed")
COUNTERS = offsets("core_counters")
ACCOUNT = offsets("gate_account")
NOTHING, PACKET = value("READY_NOTHING"), value("READY_PACKET")


@kernel
def take_reports(core, payload, size_bytes):
    """One packet of the order session and whatever it lets through; without a packet (0) what time alone lets through."""
    reports, counters = load_i64(core + CORE.reports), load_i64(core + CORE.report_counters)
    now_ns = load_i64(core + CORE.now_ns)
    if payload != 0:
        drain_reports(core, reports, arbitrate.offer(reports, payload, size_bytes, 0, now_ns, counters))
    else:
        drain_reports(core, reports, arbitrate.next_ready(reports, now_ns, counters))


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
