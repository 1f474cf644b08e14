"""What a peer tells its application, in the order in which it happened. docs/protocols/link.md, "Peer and channels"

Beside the corridor. Hard rule: a message becomes an event once, authenticated, whole and in its channel's order.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gateway.link.frames.wire import Message


class Up(NamedTuple):
    """The control connection stands and both sides have proved their keys. `resumed`: every channel goes on where it was."""

    session_id: bytes
    resumed: bool


class Down(NamedTuple):
    """The session has ended; what is unacknowledged is kept for the next one."""

    reason: str


class Joined(NamedTuple):
    """A connection of the session stands (CONTROL, then BULK)."""

    connection: int


class Parted(NamedTuple):
    """A connection was lost."""

    connection: int
    reason: str


class Delivered(NamedTuple):
    """One message of a channel, exactly once, in order. `message.body` is uncompressed."""

    channel: int
    message: "Message"


class Alarm(NamedTuple):
    """Somebody must look: what the line cannot do by accident. At most one of a reason per second."""

    reason: str
    detail: str


class Suspect(NamedTuple):
    """No valid heartbeat for so long, the detector's own stall subtracted."""

    silence_ns: int


class Trusted(NamedTuple):
    """A valid heartbeat after Suspect, or the first one."""


class Writable(NamedTuple):
    """A channel on which `send` has returned 0 has room again."""

    channel: int


class Restarted(NamedTuple):
    """The other process is another one: what was unsent or unacknowledged is forgotten, sequences begin at 1 both ways."""

    remote_boot_id: bytes


class Fenced(NamedTuple):
    """The other side has seen a higher fence epoch than ours and drops our frames until `peer.fence` is at least this."""

    fence: int


Event = Up | Down | Joined | Parted | Delivered | Alarm | Suspect | Trusted | Writable | Restarted | Fenced
