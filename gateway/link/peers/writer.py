"""What a connection writes next: handshake, then frames, an EPOCH before the first of its epoch. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: a message is sealed when its socket has room for it and not before, so that
what is urgent is never behind what was sealed early.
"""

from gateway.link.frames.wire import Refusal
from gateway.link.peers.exchange import Exchange
from gateway.link.peers.lane import OPEN, Lane


def write(lane: Lane, exchange: Exchange, room_bytes: int, now_ns: int) -> bytes | Refusal:
    """About `room_bytes`, at most one frame more; a reason when the lane may seal nothing more."""
    parts, size = [], 0
    if lane.out:
        parts.append(lane.out)
        size = len(lane.out)
        lane.out = b""
    while lane.state == OPEN and size < room_bytes:
        frame = lane.next_epoch(now_ns, exchange.fence)
        if isinstance(frame, Refusal):
            return frame
        if not frame:
            found = exchange.next_message(lane, now_ns)
            if found is not None:
                frame = lane.seal(*found)
            elif lane.must_speak and not parts:
                frame = lane.seal(exchange.heartbeat(now_ns), None)
            else:
                break
        lane.must_speak = False
        parts.append(frame)
        size += len(frame)
    if parts:
        lane.said_ns = now_ns
        lane.bytes_out += size
    return parts[0] if len(parts) == 1 else b"".join(parts)


def has_output(lane: Lane, exchange: Exchange) -> bool:
    """Whether `write` would give anything."""
    return bool(lane.out) or (lane.state == OPEN and (lane.must_speak or exchange.ready(lane.connection)))
