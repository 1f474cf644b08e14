"""How the two ends of a latency run agree, over the wire they measure: before each run the venue's side hails, and the
answering side says that it is there.

    venue's side     hail:  number, mode, frames, session      every 50 ms until …
    answering side   ready: the same number, or that it does not serve that mode; said from inside its loop

Both are datagrams of HAIL_BYTES to where frames and orders go, shorter than any packet of a feed, so that an appliance which
meets one while it runs counts it as short and goes on. Hard rule: whoever hails has an answer or an error within a time.
"""

import struct
from dataclasses import dataclass

from gateway.errors import CapabilityError
from gateway.ops.bench.latency_frames import HEADER_BYTES, headed

MAGIC = b"GwLt"
ECHO, GATEWAY, STAMPED = 1, 2, 3  # who answers; STAMPED: the appliance, with stamps around what it calls
END, REFUSED = 8, 9
_FORM = struct.Struct(">4sHHII")  # magic, number, mode, frames, session
HAIL_BYTES = _FORM.size
assert HAIL_BYTES < 20  # a MoldUDP64 header


class NotServed(CapabilityError):
    """The other side is there and does not answer in the way that was asked for."""


@dataclass(frozen=True)
class Hail:
    """One run that is asked for, or the word that it may begin (`mode` REFUSED: not served here)."""

    number: int
    mode: int
    count: int
    session: int = 0  # the first characters of the feed's

    def payload(self) -> bytes:
        """The datagram."""
        return _FORM.pack(MAGIC, self.number & 0xFFFF, self.mode, self.count, self.session)

    def frame(self, like: bytes) -> bytes:
        """The datagram in a frame from and to where `like` goes."""
        return headed(like, self.payload())


def heard(frame: bytes) -> Hail | None:
    """The hail in a frame; None: it is something else. A network card may have padded it."""
    payload = frame[HEADER_BYTES : HEADER_BYTES + HAIL_BYTES]
    if len(payload) < HAIL_BYTES or not payload.startswith(MAGIC):
        return None
    _, number, mode, count, session = _FORM.unpack(payload)
    return Hail(number, mode, count, session)
