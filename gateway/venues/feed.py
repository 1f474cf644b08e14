"""What a feed needs to be followed: its decoder, how its packets are numbered, its channels and their lines.

Every protocol of market data becomes one `Feed`; the appliance knows nothing else of it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateway.core.lines import Rule
from gateway.core.memory import address_of
from gateway.layout import value
from gateway.protocols.itch50_decode import itch50_decoder, make_table
from gateway.protocols.moldudp64 import moldudp64_format

Destination = tuple[int, int]  # IPv4 in host order, UDP port
LINK_FEED = "link"  # the feed of an appliance that mirrors another region


@dataclass
class Feed:
    """One feed of one venue.

    `function` is the C address of int64 decode(struct decoder *), `context` the protocol's own table, `format` a struct
    packet_format (array of one). `channels` lists each channel's lines: A, B, and the address where retransmissions come;
    `rules` make further channels of destinations that are not listed.
    """

    name: str
    function: int
    context: int = 0
    format: np.ndarray | None = None
    channels: list[tuple[Destination, ...]] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)  # enum channel_role of each channel; none: all incremental
    contexts: list[int] = field(default_factory=list)  # the decoder's table by channel; none: `context` for all
    snapshot_of: list[int] = field(default_factory=list)  # whose books a channel says; none: nothing heals from snapshots
    rules: tuple[Rule, ...] = ()  # for destinations that no channel lists
    any_destination: bool = False  # every other datagram is line A of the first channel: for captures
    unsequenced: bool = False
    window_ns: int = 0
    exponents: tuple[int, int] | None = (
        None  # of price and quantity of a new instrument; None: the decoder numbers rows itself
    )
    tick: int = 0  # of a new instrument; 0: not known
    lot: int = 0
    depth: int = 0  # price levels a side that the venue keeps; 0: all
    layer_depths: tuple[int, ...] = ()  # the same for layers 1, 2, …; 0: as `depth`
    instruments_file: str = ""
    type_names: dict[int, str] = field(default_factory=dict)  # of messages by the low byte of their number; none: letters
    snapshots: bool = False  # snapshots may come, in band or on a channel that is found while it runs
    mirrored: bool = False  # the books of another region: no lines, no decoder
    messages: bool = False  # a session over TCP: its messages have no packets and no numbers
    keep: list[Any] = field(default_factory=list)


def itch50(lines: tuple[Destination, ...], window_ns: int, snapshots: Destination | None = None, **options: Any) -> Feed:
    """Nasdaq TotalView-ITCH 5.0 over MoldUDP64; options `any_destination`, `unsequenced`.

    `snapshots` is where a channel of whole books comes, as the simulated venue sends it.
    """
    table, of_snapshots, decoder = make_table(), make_table(snapshot=True), itch50_decoder()
    context = address_of(table)
    if snapshots is not None:
        options |= {"roles": [0, value("CHANNEL_SNAPSHOT")], "snapshot_of": [0, 0]}
        options |= {"contexts": [context, address_of(of_snapshots)]}
    return Feed(
        "itch50",
        decoder.address,
        context,
        moldudp64_format(),
        channels=[lines] if snapshots is None else [lines, (snapshots,)],
        window_ns=window_ns,
        keep=[table, of_snapshots, decoder],
        **options,
    )


def link_feed() -> Feed:
    """The books of another region: their events come by link_core as they were decoded there."""
    return Feed(LINK_FEED, 0, mirrored=True)
