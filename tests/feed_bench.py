"""One channel with its memory, delivering into a list as the naive twin does; used by the tests of arbitration."""

import ctypes

import numpy as np

from gateway import limits
from gateway.core import arbitrate
from gateway.core.feed_rows import make_feeds
from gateway.core.line_statistics import read_channel
from gateway.core.memory import address_of
from gateway.layout import dtype, value
from gateway.protocols import moldudp64

SESSION = "0123456789"
WINDOW_NS = 1000


class Feed:
    """The kernel with its memory, delivering into a list like the twin does."""

    def __init__(self, window_ns=WINDOW_NS, form=None, **settings):
        self.form = moldudp64.moldudp64_format() if form is None else form
        settings = {"expected": 3, "restart_ns": limits.RESTART_NS, "silence_ns": limits.SESSION_SILENCE_NS} | settings
        self.feed, self.keep = make_feeds(1, address_of(self.form), window_ns=window_ns, **settings)
        self.counters = np.zeros(1, dtype=dtype("core_counters"))
        self.output, self.requests, self.joins = [], [], []
        self.spans = []  # what left, in order: ("run" | "gap" | "packet", first number, the one behind it)

    @property
    def statistics(self):
        return read_channel(self.keep[-1][0])

    def offer(self, sequence, messages, now_ns, line=0, session=SESSION, count=None):
        packet = bytearray(moldudp64.encode(session, sequence, messages))
        if count is not None:
            packet[18:20] = count.to_bytes(2, "big")
        self.raw(bytes(packet), now_ns, line)

    def raw(self, packet, now_ns, line=0):
        buffer = np.frombuffer(packet, dtype=np.uint8).copy()
        addresses = address_of(self.feed), address_of(self.counters)
        self.drain(arbitrate.offer(addresses[0], address_of(buffer), len(buffer), line, now_ns, addresses[1]), now_ns)

    def drain(self, code, now_ns):
        while code != arbitrate.NOTHING:
            row = self.feed[0]
            if row["joined"]:
                row["joined"] = 0
                self.joins.append(int(row["first_sequence"]))
                self.spans.append(("run", self.joins[-1], self.joins[-1]))
            if code == arbitrate.GAP:
                end = int(row["gap_first"]) + int(row["gap_count"])
                self.spans += [("gap", int(row["gap_first"]), end)] if row["gap_lost"] else []
                self.output.append(("gap", int(row["gap_first"]), int(row["gap_count"]), int(row["gap_lost"])))
            elif code == arbitrate.REQUEST:
                self.requests.append((int(row["request_first"]), int(row["request_count"]), now_ns))
            elif code == arbitrate.RECOVERED:
                self.output.append(("recovered",))
            else:
                self.spans.append(("packet", int(row["ready_sequence"]), int(row["next_sequence"])))
                self._deliver(row)
            code = arbitrate.next_ready(address_of(self.feed), now_ns, address_of(self.counters))

    def tick(self, now_ns):
        self.drain(arbitrate.next_ready(address_of(self.feed), now_ns, address_of(self.counters)), now_ns)

    def _deliver(self, row):
        if self.form["header_bytes"][0] != moldudp64.HEADER_BYTES:
            self.output.append(
                (int(row["ready_sequence"]), ctypes.string_at(int(row["ready_payload"]), int(row["ready_size"])))
            )
            return
        packet = moldudp64.decode(ctypes.string_at(int(row["ready_payload"]), int(row["ready_size"])))
        for index, message in enumerate(packet.messages):
            if index >= row["ready_skip"]:
                self.output.append((packet.sequence + index, message))

    def reason(self, name):
        return int(self.counters[0]["reasons"][value(name)])


def messages_of(first, count):
    return [f"m{sequence}".encode() for sequence in range(first, first + count)]
