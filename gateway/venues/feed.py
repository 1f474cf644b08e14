"""What a feed needs to be followed: its decoder, how its packets are numbered, its channels and their lines.

Every protocol of market data becomes one `Feed`; the appliance knows nothing else of it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateway.core.lines import Rule
from gateway.core.memory import address_of
from gateway.protocols.itch50_decode import itch50_decoder, make_table
from gateway.protocols.moldudp64 import moldudp64_format

Destination = tuple[int, int]  # IPv4 in host order, UDP port


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
    rules: tuple[Rule, ...] = ()  # for destinations that no channel lists
    any_destination: bool = False  # every other datagram is line A of the first channel: for captures
    unsequenced: bool = False
    window_ns: int = 0
    exponents: tuple[int, int] | None = None  # of price and quantity of a new instrument; None: the decoder numbers rows itself
    tick: int = 0  # of a new instrument; 0: not known
    lot: int = 0
    depth: int = 0  # price levels a side that the venue keeps; 0: all
    instruments_file: str = ""
    messages: bool = False  # a session over TCP: its messages have no packets and no numbers
    keep: list[Any] = field(default_factory=list)


def itch50(lines: tuple[Destination, ...], window_ns: int, **options: Any) -> Feed:
    """Nasdaq TotalView-ITCH 5.0 over MoldUDP64; options `any_destination`, `unsequenced`."""
    table, decoder = make_table(), itch50_decoder()
    context = address_of(table)
    return Feed(
        "itch50",
        decoder.address,
        context,
        moldudp64_format(),
        channels=[lines],
        window_ns=window_ns,
        keep=[table, decoder],
        **options,
    )
