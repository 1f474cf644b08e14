"""The latest quote of each instrument, and who has not been sent it: nobody is owed an older one.

Beside stream_server.py. Hard rule: at most one row an instrument is kept, and one key an instrument is owed to a subscriber.
"""

from collections.abc import Callable, Iterable

import numpy as np

from gateway.link.frames.wire import Flag, crc32
from gateway.link.streams import records
from gateway.link.streams.stream_request import CHANNELS, QUOTES
from gateway.link.streams.stream_subscriber import Subscriber


class Quotes:
    """The quotes of one source."""

    def __init__(self, pack: Callable[[int, bytes], bytes]):
        self._pack = pack
        self._latest: dict[int, bytes] = {}  # instrument → row

    def publish(self, rows: np.ndarray, subscribers: Iterable[Subscriber]) -> None:
        """Newer quotes; every subscriber of the stream is owed them."""
        instruments = rows["instrument"].tolist()
        for index, instrument in enumerate(instruments):
            self._latest[instrument] = rows[index].tobytes()
        for subscriber in subscribers:
            if QUOTES in subscriber.grants:
                subscriber.quotes.update(dict.fromkeys(instruments))

    def owe_all(self, subscriber: Subscriber) -> None:
        """It begins to read: every instrument's quote as it stands."""
        subscriber.quotes = dict.fromkeys(self._latest)

    def send(self, subscriber: Subscriber, now_ns: int) -> None:
        """Each instrument owed in a frame of its own, so that the channel replaces what has not left."""
        grant = subscriber.grants.get(QUOTES)
        if grant is None:
            return
        while subscriber.quotes:
            instrument = next(iter(subscriber.quotes))
            raw = self._latest[instrument]
            sent = subscriber.peer.send(
                CHANNELS[QUOTES],
                self._pack(records.SCHEMA_QUOTES, raw),
                now_ns=now_ns,
                schema=records.SCHEMA_QUOTES,
                token_id=grant.token_id,
                flags=int(Flag.COMPRESSED),
                raw_bytes=len(raw),
                body_crc=crc32(raw),
                key=instrument + 1,
            )
            if not sent:
                return
            del subscriber.quotes[instrument]
