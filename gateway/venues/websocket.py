"""Crypto venues over WebSocket JSON as feeds, by name: the decoder, what it must know of the venue, its units and depth.

Hard rule: a venue is a row of VENUES; what a message means stands in its decoder alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from gateway import limits
from gateway.core.memory import address_of
from gateway.errors import ConfigurationError
from gateway.protocols.websocket.shape import Context
from gateway.venues.feed import Feed

UNITS = (-8, -8)  # exponents of price and quantity until an instrument file says otherwise
SOME_LEVELS = (1 << 31) - 1  # the venue keeps more levels than it shows: the removal of an unknown one contradicts nothing


@dataclass(frozen=True)
class Venue:
    """Module of the decoder in protocols/websocket, its function there, and fields of struct json_context."""

    module: str
    depth: int = SOME_LEVELS
    settings: dict[str, int] = field(default_factory=dict)


VENUES = {
    "binance_spot": Venue("binance", settings={"numbered": 1}),
    "binance_usdm": Venue("binance", settings={"numbered": 1}),
    "coinbase": Venue("coinbase", settings={"levels_named": 1}),
    "kraken": Venue("kraken", settings={"levels_timed": 1}),
    "okx": Venue("okx", settings={"levels_counted": 1}),
    "deribit_json": Venue("deribit", depth=0, settings={"numbered": 1, "levels_named": 1}),
}


def websocket_feed(name: str, instruments_file: str = "") -> Feed:
    """The feed of this name in VENUES; raises ConfigurationError for another."""
    venue = VENUES.get(name)
    if venue is None:
        raise ConfigurationError(f"feed {name}: no such venue over WebSocket; write one of: {' '.join(VENUES)}")
    context, keep = make_context(venue)
    decoder = decoder_of(venue)()
    return Feed(
        name,
        decoder.address,
        context.address,
        exponents=UNITS,
        depth=venue.depth,
        messages=True,
        snapshots=True,
        instruments_file=instruments_file,
        keep=[context, decoder, keep],
    )


def decoder_of(venue: Venue) -> Callable[[], Any]:
    """The function that compiles, or loads, the venue's decoder as a C function."""
    module = import_module(f"gateway.protocols.websocket.{venue.module}")
    function: Callable[[], Any] = getattr(module, f"{venue.module}_decoder")
    return function


def make_context(venue: Venue) -> tuple[Context, np.ndarray]:
    """What the decoder of one feed remembers, and the array of announced rows to be kept alive with it."""
    announced = np.zeros(limits.INSTRUMENTS_MAX, np.uint8)
    shapes = import_module(f"gateway.protocols.websocket.{venue.module}").SHAPES
    return Context(shapes, announced=address_of(announced), **venue.settings), announced
