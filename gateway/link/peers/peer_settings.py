"""What a peer is given: who it is, whom it speaks to, its channels and its times. docs/protocols/link.md

Beside the corridor. Hard rule: no time, key or bound of a peer comes from anywhere else.
"""

from dataclasses import dataclass, field
from typing import Protocol

from gateway import limits
from gateway.link.peers.channel import CHANNELS, ChannelSettings


class Secrets(Protocol):
    """Where hourly secrets come from; the keyring implements it."""

    def hourly(self, hour: int) -> bytes | None:
        """The secret of this hour (unix seconds // 3600), or None: not known, or revoked."""


@dataclass(frozen=True)
class RekeySettings:
    """When a direction of a connection takes its next key: whichever comes first, and when the hour changes."""

    frames: int = limits.LINK_REKEY_FRAMES
    bytes: int = limits.LINK_REKEY_BYTES
    age_ns: int = limits.LINK_REKEY_NS


@dataclass(frozen=True)
class PeerSettings:
    """One side of one pair. All times are nanoseconds of one clock: unix time that never steps back."""

    node: int
    remote_node: int
    initiator: bool
    boot_id: bytes  # 16 random bytes of this process's life
    private_key: bytes  # X25519, 32 bytes
    remote_public_key: bytes
    layouts: int = 0  # u32: records of both sides are laid out alike where it is equal; record_layouts.py
    channels: tuple[ChannelSettings, ...] = CHANNELS
    rekey: RekeySettings = field(default_factory=RekeySettings)
    handshake_ns: int = limits.LINK_HANDSHAKE_NS  # from the connection to the first valid frame
    silence_ns: int = limits.LINK_SILENCE_NS  # a connection that says nothing for so long is dead
    keepalive_ns: int = limits.LINK_KEEPALIVE_NS  # a connection that had nothing to say says so
    heartbeat_ns: int = limits.LINK_HEARTBEAT_NS
    suspect_ns: int = limits.LINK_SUSPECT_NS
    retry_first_ns: int = limits.LINK_RETRY_FIRST_NS
    retry_last_ns: int = limits.LINK_RETRY_LAST_NS
    acknowledge_frames: int = limits.LINK_ACKNOWLEDGE_FRAMES
    acknowledge_ns: int = limits.LINK_ACKNOWLEDGE_NS
