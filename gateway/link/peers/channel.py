"""What a channel of the regional link is: its connection, policy, weight and bounds. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: both sides hold the same table; nothing of it is negotiated.
"""

from dataclasses import dataclass
from enum import Enum

from gateway import limits


class Connection:
    """The connections of a session; the numbers stand in the handshake and in the key derivation."""

    CONTROL, BULK, LIVENESS = 0, 1, 2


class ChannelPolicy(Enum):
    """What a sender does that has no room: see the words behind each."""

    ORDERED = "ordered"  # `send` returns 0: the caller keeps the message
    LATEST = "latest"  # an unsent message of the same key is replaced
    BULK = "bulk"  # as ORDERED; the scheduler serves it behind the others' weight


@dataclass(frozen=True)
class ChannelSettings:
    """One row of the table of channels.

    `weight` 0 has strict priority on its connection, by number. `capacity_bytes` bounds what a sender holds (unsent and
    unacknowledged) and what a receiver lets it send ahead of the application. `manual_credit`: the application says
    `peer.consumed`; otherwise a message counts as consumed when it is taken from `peer.events`.
    """

    number: int
    name: str
    connection: int
    policy: ChannelPolicy
    weight: int
    capacity_bytes: int
    capacity_frames: int
    manual_credit: bool = False

    @property
    def message_bytes_max(self) -> int:
        """The charge of one message, fragments together: a receiver speaks of credit once a quarter of it has come back."""
        return self.capacity_bytes * 3 // 4


MIB = 1 << 20
CHANNELS = (
    ChannelSettings(0, "control", Connection.CONTROL, ChannelPolicy.ORDERED, 0, 2 * MIB, 4096),
    ChannelSettings(1, "executions", Connection.CONTROL, ChannelPolicy.ORDERED, 60, 8 * MIB, 16384, True),
    ChannelSettings(2, "market_data", Connection.BULK, ChannelPolicy.ORDERED, 60, 16 * MIB, 16384, True),
    ChannelSettings(3, "snapshots", Connection.BULK, ChannelPolicy.BULK, 25, 8 * MIB, 4096, True),
    ChannelSettings(4, "quotes", Connection.BULK, ChannelPolicy.LATEST, 15, 4 * MIB, 16384, True),
    ChannelSettings(5, "answers", Connection.CONTROL, ChannelPolicy.ORDERED, 40, 4 * MIB, 4096),
)
CONTROL, EXECUTIONS, MARKET_DATA, SNAPSHOTS, QUOTES, ANSWERS = range(6)
BODY_BYTES_MAX = limits.LINK_BODY_BYTES_MAX
