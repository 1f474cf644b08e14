"""Lays out what core needs to follow a feed: channels, the table of lines, decoders and their scratch.

Hard rule: nothing here runs while frames flow; it fills structs with addresses and keeps what they point to alive.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gateway import layout, limits
from gateway.core.feed_rows import make_feeds
from gateway.core.lines import REPORTS, Line, make_lines
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError
from gateway.protocols.moldudp64 import moldudp64_format
from gateway.venues.feed import Destination, Feed

LINES_AB = 2  # of a channel; line 2 brings retransmissions, which nobody misses


class Channels:
    """The channels of one feed and the order session's stream of reports, as arrays core reads."""

    def __init__(self, feed: Feed, reports: Destination, counters: int, instruments: int = 0):
        listed, most = len(feed.channels), limits.CHANNELS_MAX
        if listed > most or not (listed or feed.rules or feed.messages or feed.mirrored):
            raise ConfigurationError(f"feed {feed.name}: {listed} channels; list 1 to {most} of them")
        self._keep: list[Any] = [feed]
        self.decoder = self._make_decoder(feed, feed.context, counters, instruments)
        self._decoders = [self._make_decoder(feed, context, counters, instruments) for context in feed.contexts]
        self._make_rows(feed, most if feed.rules else max(listed, 1))
        lines, fallback = _lines(feed, reports)
        self.lines, keep = make_lines(lines, fallback, feed.rules, self.rows, max(listed, 1 if feed.messages else 0))
        self._keep += keep
        self.message = self._make_message() if feed.messages else None

    def _make_rows(self, feed: Feed, count: int) -> None:
        settings = {"window_ns": feed.window_ns, "unsequenced": feed.unsequenced, "decoder": address_of(self.decoder)}
        settings |= {"restart_ns": limits.RESTART_NS, "silence_ns": limits.SESSION_SILENCE_NS}
        self.rows, keep = make_feeds(count, int(self.decoder["format"][0]), **settings)
        self.reports_format = moldudp64_format()
        self.reports, keep_reports = make_feeds(
            1, address_of(self.reports_format), packets=limits.REORDER_PACKETS_MAX, window_ns=feed.window_ns
        )
        self._keep += keep + keep_reports
        self.statistics = keep[-1]
        for row in self.rows[len(feed.channels) :]:
            row["expected"] = _bits(rule.index for rule in feed.rules)
        for row, destinations in zip(self.rows, feed.channels, strict=False):
            row["key_address"], row["key_port"] = destinations[0]
            row["expected"] = _bits(range(len(destinations)))
        for row, role in zip(self.rows, feed.roles, strict=False):
            row["role"] = role
        for row, decoder, books in zip(self.rows, self._decoders, feed.snapshot_of, strict=False):
            row["decoder"], row["snapshot_of"] = address_of(decoder), books

    def fill(self, core: Any) -> None:
        """Writes the addresses into struct core."""
        core.channels, core.lines = address_of(self.rows), address_of(self.lines)
        core.reports = address_of(self.reports)
        if self.message is not None:
            core.message, core.message_channel = address_of(self.message), address_of(self.rows)

    def _kept(self, array: np.ndarray) -> int:
        self._keep.append(array)
        return address_of(array)

    def _make_decoder(self, feed: Feed, context: int, counters: int, instruments: int) -> np.ndarray:
        decoder = np.zeros(1, layout.dtype("decoder"))
        decoder["function"], decoder["context"] = feed.function, context
        decoder["format"] = address_of(feed.format) if feed.format is not None else 0
        decoder["events"] = self._kept(np.zeros(limits.EVENTS_MAX, layout.dtype("event")))
        decoder["counters"], decoder["instruments"] = counters, instruments
        return decoder

    def _make_message(self) -> np.ndarray:
        message = np.zeros(1, layout.dtype("message_buffer"))
        message["bytes"] = self._kept(np.zeros(limits.MESSAGE_BYTES_MAX, np.uint8))
        message["capacity"] = limits.MESSAGE_BYTES_MAX
        return message


def _bits(lines: Iterable[int]) -> int:
    """Bit per line on which a copy of every packet comes."""
    return sum(1 << line for line in set(lines) if line < LINES_AB)


def _lines(feed: Feed, reports: Destination) -> tuple[list[Line], Line | None]:
    lines = [
        Line(address, port, channel, index)
        for channel, destinations in enumerate(feed.channels)
        for index, (address, port) in enumerate(destinations)
    ]
    lines.append(Line(*reports, channel=0, role=REPORTS))
    return lines, Line(0, 0, 0) if feed.any_destination else None
