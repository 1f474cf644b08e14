"""What a connection reads: frames in, each to its place; damage, stale fences and refusals answered. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: what a connection says that has not proved itself counts for nothing:
neither its damage nor its fences touch the session that stands.
"""

from typing import TYPE_CHECKING

from gateway import limits
from gateway.link.frames import bodies
from gateway.link.frames.wire import Damaged, Message, Refusal, Refused, Stale, Type
from gateway.link.peers.lane import ANSWERED, Lane

if TYPE_CHECKING:
    from gateway.link.peers.session import Session

GOAWAY = int(Type.GOAWAY)


def read(session: "Session", lane: Lane, data: bytes | memoryview, now_ns: int) -> None:
    """Frames of a lane that stands, or stands once its first frame has opened."""
    stream = lane.stream
    assert stream is not None
    stream.feed(data)
    while (found := stream.next()) is not None:
        if isinstance(found, Message):
            lane.frames_in += 1
            if not lane.heard_any and not proved(session, lane, now_ns):
                return
            session.damage.whole()
            if found.fence > session.fence_seen:
                session.saw_fence(found.fence)
            refusal = session.exchange.arrived(lane, found, now_ns)
            if found.type == GOAWAY and refusal is None:
                refusal = on_goaway(session, found, now_ns)
        else:
            refusal = unusual(session, lane, found, now_ns)
        if refusal is not None:
            session.refuse(lane, refusal, now_ns)
            return


def proved(session: "Session", lane: Lane, now_ns: int) -> bool:
    """The first frame of a lane has opened: whoever sent it holds the secret of this hour. Whether the lane may stand."""
    lane.heard_any = True
    return session.adopt(lane, now_ns) if lane.state == ANSWERED else True


def unusual(session: "Session", lane: Lane, found: Damaged | Stale | Refused, now_ns: int) -> Refusal | None:
    """What is no message; the reason where it ends the lane."""
    if isinstance(found, Refused):
        return found.reason
    if lane.state == ANSWERED:
        return None
    if isinstance(found, Damaged):
        session.exchange.acknowledger.damaged(lane)
        return Refusal.DAMAGE if session.damage.damaged(now_ns) else None
    session.exchange.answer_stale(max(session.fence_seen, session.exchange.fence), now_ns)
    return None


def on_goaway(session: "Session", message: Message, now_ns: int) -> Refusal | None:
    """The other side is about to close: how long to stay away, at most as long as a silence."""
    goaway = bodies.read_goaway(message.body)
    if goaway is None:
        return Refusal.BODY
    session.dialling.pause(now_ns + min(goaway.retry_ms * 1_000_000, limits.LINK_SILENCE_NS))
    return None
