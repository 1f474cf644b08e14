"""Bodies of the frames that the link says to itself: HEARTBEAT, EPOCH, FENCE, KILL, GOAWAY.

Beside wire.py; the peer and the opener read them, always behind a good tag. A body that does not fit its layout
is `None`, which refuses the connection with BODY.
Hard rule: lengths are exact; what is longer than it says is as wrong as what is shorter.
"""

import struct
from typing import NamedTuple

from gateway import limits

HEARTBEAT = struct.Struct("<QQq")
EPOCH = struct.Struct("<II")
FENCE = struct.Struct("<I")
KILL = struct.Struct("<HHQ")
GOAWAY = struct.Struct("<HHI")


class Heartbeat(NamedTuple):
    """Its number, the highest number heard of the other side, and the sender's time."""

    beat: int
    echo: int
    now_ns: int


class NextEpoch(NamedTuple):
    """The key epoch that begins with the next frame, and whose hour's secret it takes."""

    epoch: int
    hour: int


class Kill(NamedTuple):
    """A latched kill: the node where it began, a cause, the time, and words."""

    node: int
    cause: int
    since_ns: int
    text: str


class GoAway(NamedTuple):
    """The sender closes: a `Refusal` or 0, how long to stay away, and words."""

    reason: int
    retry_ms: int
    text: str


def pack_heartbeat(heartbeat: Heartbeat) -> bytes:
    """The body of a HEARTBEAT."""
    return HEARTBEAT.pack(*heartbeat)


def read_heartbeat(body: bytes) -> Heartbeat | None:
    """The body of a HEARTBEAT."""
    return Heartbeat._make(HEARTBEAT.unpack(body)) if len(body) == HEARTBEAT.size else None


def pack_epoch(epoch: NextEpoch) -> bytes:
    """The body of an EPOCH."""
    return EPOCH.pack(*epoch)


def read_epoch(body: bytes) -> NextEpoch | None:
    """The body of an EPOCH."""
    return NextEpoch._make(EPOCH.unpack(body)) if len(body) == EPOCH.size else None


def pack_fence(fence: int) -> bytes:
    """The body of a FENCE: the highest fence epoch that its sender knows."""
    return FENCE.pack(fence)


def read_fence(body: bytes) -> int | None:
    """The fence epoch of a FENCE."""
    return FENCE.unpack(body)[0] if len(body) == FENCE.size else None


def pack_kill(kill: Kill) -> bytes:
    """The body of a KILL; words beyond the bound are cut."""
    return KILL.pack(kill.node, kill.cause, kill.since_ns) + pack_text(kill.text)


def read_kill(body: bytes) -> Kill | None:
    """The body of a KILL."""
    text = read_text(body, KILL.size)
    if text is None:
        return None
    node, cause, since_ns = KILL.unpack_from(body)
    return Kill(node, cause, since_ns, text)


def pack_goaway(goaway: GoAway) -> bytes:
    """The body of a GOAWAY; words beyond the bound are cut."""
    return GOAWAY.pack(goaway.reason, 0, goaway.retry_ms) + pack_text(goaway.text)


def read_goaway(body: bytes) -> GoAway | None:
    """The body of a GOAWAY."""
    text = read_text(body, GOAWAY.size)
    if text is None:
        return None
    reason, zero, retry_ms = GOAWAY.unpack_from(body)
    return None if zero else GoAway(reason, retry_ms, text)


def pack_text(text: str) -> bytes:
    """UTF-8, cut at the bound between two characters."""
    return text.encode()[: limits.LINK_TEXT_BYTES_MAX].decode(errors="ignore").encode()


def read_text(body: bytes, begin: int) -> str | None:
    """The words behind a fixed part; not longer than the bound, and UTF-8."""
    if not begin <= len(body) <= begin + limits.LINK_TEXT_BYTES_MAX:
        return None
    try:
        return bytes(body[begin:]).decode()
    except UnicodeDecodeError:
        return None
