"""Quotes to their readers: each instrument's latest, in portions, packed once for all who read it."""

import numpy as np

from gateway import limits
from gateway.link.compression import codec
from gateway.link.peers import channel
from gateway.link.peers.event import Delivered
from gateway.link.streams import records
from gateway.link.streams.stream_quotes import Quotes
from gateway.link.streams.stream_request import QUOTES
from gateway.link.streams.stream_subscriber import Subscriber
from tests.link.pair import Pair
from tests.link.stream_access import Grant

INSTRUMENTS = 1_000


class Reader:
    """A subscriber with a grant, and what arrives at the other end."""

    def __init__(self, seed):
        self.pair = Pair(seed=seed).up()
        self.subscriber = Subscriber(self.pair.peers[0], 2, "192.0.2.2")
        self.subscriber.grants[QUOTES] = Grant(7, QUOTES, bytes(32), 1 << 62)
        self.latest = {}

    def carry(self):
        self.pair.settle()
        for event in self.pair.of(1, Delivered):
            if event.channel == channel.QUOTES:
                row = np.frombuffer(event.message.body, records.QUOTE)[0]
                self.latest[int(row["instrument"])] = int(row["bid_price"])
        self.pair.events[1].clear()


def prices(of):
    rows = np.zeros(INSTRUMENTS, records.QUOTE)
    rows["instrument"], rows["bid_price"] = np.arange(INSTRUMENTS), np.arange(INSTRUMENTS) * 10 + of
    return rows


def test_a_market_that_moves_as_a_whole_goes_in_portions_and_everybody_has_the_latest():
    packed = []
    quotes = Quotes(lambda schema, raw: packed.append(raw) or codec.pack(schema, raw))
    readers = [Reader(1), Reader(2)]
    subscribers = [reader.subscriber for reader in readers]
    quotes.publish(prices(1), subscribers)
    quotes.send(subscribers[0], readers[0].pair.now_ns)
    assert len(subscribers[0].quotes) == INSTRUMENTS - limits.LINK_QUOTES_PER_TURN
    quotes.publish(prices(2), subscribers)
    for _ in range(2 * INSTRUMENTS // limits.LINK_QUOTES_PER_TURN + 2):
        for reader in readers:
            quotes.send(reader.subscriber, reader.pair.now_ns)
            reader.carry()
    wanted = {instrument: instrument * 10 + 2 for instrument in range(INSTRUMENTS)}
    assert [reader.latest for reader in readers] == [wanted, wanted]
    assert len(packed) == limits.LINK_QUOTES_PER_TURN + INSTRUMENTS, "once for all readers"
