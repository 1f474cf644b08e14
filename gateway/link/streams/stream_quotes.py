"""The latest quote of each instrument, and who has not been sent it: nobody is owed an older one.

Beside stream_server.py. Hard rule: at most one row an instrument is kept, and one key an instrument is owed to a subscriber.
"""

from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np

from gateway import limits
from gateway.link.frames.wire import Flag, crc32
from gateway.link.streams import records
from gateway.link.streams.stream_request import CHANNELS, QUOTES
from gateway.link.streams.stream_subscriber import Subscriber


class Quotes:
    """The quotes of one source."""

    def __init__(self, pack: Callable[[int, bytes], bytes]):
        self._pack = pack
        self._latest: dict[int, bytes] = {}  # instrument → row
        self._packed: dict[
            int, tuple[bytes, int]
        ] = {}  # the same as it travels, and the CRC-32 of the row; once for all readers

    def publish(self, rows: np.ndarray, subscribers: Iterable[Subscriber]) -> None:
        """Newer quotes; every subscriber of the stream is owed them."""
        instruments = rows["instrument"].tolist()
        for index, instrument in enumerate(instruments):
            self._latest[instrument] = rows[index].tobytes()
            self._packed.pop(instrument, None)
        for subscriber in subscribers:
            if QUOTES in subscriber.grants:
                subscriber.quotes.update(dict.fromkeys(instruments))

    def owe_all(self, subscriber: Subscriber) -> None:
        """It begins to read: every instrument's quote as it stands."""
        subscriber.quotes = dict.fromkeys(self._latest)

    def send(self, subscriber: Subscriber, now_ns: int) -> None:
        """Each instrument owed in a frame of its own, so that the channel replaces what has not left.

        LINK_QUOTES_PER_TURN at most: a market that moves as a whole holds up no heartbeat.
        """
        grant = subscriber.grants.get(QUOTES)
        if grant is None:
            return
        for instrument in list(islice(subscriber.quotes, limits.LINK_QUOTES_PER_TURN)):
            body, body_crc = self._body_of(instrument)
            sent = subscriber.peer.send(
                CHANNELS[QUOTES],
                body,
                now_ns=now_ns,
                schema=records.SCHEMA_QUOTES,
                token_id=grant.token_id,
                flags=int(Flag.COMPRESSED),
                raw_bytes=len(self._latest[instrument]),
                body_crc=body_crc,
                key=instrument + 1,
            )
            if not sent:
                return
            del subscriber.quotes[instrument]

    def _body_of(self, instrument: int) -> tuple[bytes, int]:
        found = self._packed.get(instrument)
        if found is None:
            raw = self._latest[instrument]
            found = self._packed[instrument] = self._pack(records.SCHEMA_QUOTES, raw), crc32(raw)
        return found
