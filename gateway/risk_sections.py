"""The sections of the configuration file that say what may be traded, by whom, and how much; the others are in sections.py.

Hard rule: no default lets an order out. Every required limit is unset until somebody writes it.
"""

import re
from datetime import time
from fractions import Fraction
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from gateway import layout
from gateway.sections import Section, Symbols, is_required, name, required

QUANTITY_LAST = 999_999  # OUCH 5.0: an order's quantity is less than 1,000,000
POSITION_LAST = 1_000_000_000
VALUE_LAST = 100_000_000_000
WEALTH_LAST = 5_000_000_000  # whole units; what one instrument may cost stays below the gate's bound
RATE_LAST = 1_000_000
PRICE_LAST = 200_000  # OUCH 5.0: a price is at most 199,999.9900
PPM = 1_000_000
REPEAT_LAST = layout.value("GATE_EXECUTIONS")
GROUPS_LAST = layout.value("GATE_GROUPS") - 1
CURRENCIES_LAST = layout.value("GATE_CURRENCIES") - 1
CURRENCY = r"[A-Z][A-Z0-9]{2,7}"
OWN_LIMITS = {"quantity_max": QUANTITY_LAST, "value_max": VALUE_LAST, "position_max": POSITION_LAST, "collar_ppm": PPM}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def members(group: str) -> tuple[tuple[str, Fraction], ...]:
    """`"AAPL MSFT@-0.5"` → ((AAPL, 1), (MSFT, -1/2)). Raises ValueError."""
    found = []
    for word in group.split():
        match = re.fullmatch(r"([!-?A-~]{1,8})(?:@(-?[0-9](?:\.[0-9]{1,6})?))?", word)
        weight = Fraction(match[2] or 1) if match else Fraction(0)
        if not match or not 0 < abs(weight) <= 1:
            raise ValueError(f"{word!r} is no SYMBOL or SYMBOL@WEIGHT with a weight from -1 to 1")
        found.append((match[1], weight))
    if len(found) < 2:
        raise ValueError(f"{group!r}: a group has 2 symbols at least")
    return tuple(found)


def _groups(groups: list[str]) -> list[str]:
    if len(groups) > GROUPS_LAST:
        raise ValueError(f"{len(groups)} groups: use at most {GROUPS_LAST}")
    symbols = [symbol for group in groups for symbol, _ in members(group)]
    twice = next((symbol for symbol in symbols if symbols.count(symbol) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} stands twice; a symbol belongs to one group")
    return groups


def _own(own: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    for symbol, limits in own.items():
        for key, number in limits.items():
            if key not in OWN_LIMITS:
                raise ValueError(f"{symbol}.{key} is no limit of an instrument; known are: {', '.join(OWN_LIMITS)}")
            if not 1 <= number <= OWN_LIMITS[key]:
                raise ValueError(f"{symbol}.{key} = {number} is out of range: 1 … {OWN_LIMITS[key]}")
    return own


def _rates(rates: dict[str, float]) -> dict[str, float]:
    if len(rates) > CURRENCIES_LAST:
        raise ValueError(f"{len(rates)} currencies: use at most {CURRENCIES_LAST}")
    for currency, rate in rates.items():
        if not re.fullmatch(CURRENCY, currency):
            raise ValueError(f"{currency!r} is no currency of 3 to 8 capital letters")
        if not 0 < rate <= 200:
            raise ValueError(f"{currency} = {rate}: a rate is above 0 and at most 200")
    return rates


def _positions(positions: dict[str, int]) -> dict[str, int]:
    for symbol, held in positions.items():
        if not re.fullmatch(r"[!-~]{1,8}", symbol):
            raise ValueError(f"{symbol!r} is no symbol of 1 to 8 characters")
        if abs(held) > POSITION_LAST:
            raise ValueError(f"{symbol} = {held} is out of range: {-POSITION_LAST} … {POSITION_LAST}")
    return positions


def _prices(prices: dict[str, float]) -> dict[str, float]:
    for symbol, price in prices.items():
        if not 0 < price <= PRICE_LAST:
            raise ValueError(f"{symbol} = {price}: a price is above 0 and at most {PRICE_LAST}")
    return prices


def _clock(text: str) -> str:
    if text:
        time.fromisoformat(text)
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, LookupError):
        raise ValueError("no such time zone; write for example Europe/Paris") from None
    return text


Groups = Annotated[list[str], AfterValidator(_groups), Field(json_schema_extra={"range": "SYMBOL or SYMBOL@WEIGHT"})]
Own = Annotated[
    dict[str, dict[str, int]], AfterValidator(_own), Field(json_schema_extra={"range": "tables of numbers by symbol"})
]
Rates = Annotated[dict[str, FiniteFloat], AfterValidator(_rates), Field(json_schema_extra={"range": "0 … 200 by currency"})]
Positions = Annotated[
    dict[str, int], AfterValidator(_positions), Field(json_schema_extra={"range": "signed quantities by symbol"})
]
Prices = Annotated[
    dict[str, FiniteFloat], AfterValidator(_prices), Field(json_schema_extra={"range": f"0 … {PRICE_LAST} by symbol"})
]
Texts = Annotated[dict[str, str], Field(json_schema_extra={"range": "currency by symbol"})]
Clock = Annotated[str, AfterValidator(_clock), Field(json_schema_extra={"range": "HH:MM, or empty"})]
Zone = Annotated[str, AfterValidator(_zone), Field(json_schema_extra={"range": "IANA time zone"})]


class Trader(Section):
    """What a strategy may do, wherever it runs."""

    name: str = name("main", r"^[a-z0-9][a-z0-9_-]{0,31}$", "1 to 32 of a-z 0-9 _ -", "Names the strategy.")
    instruments: Symbols = Field(
        default_factory=list,
        description='PERM: symbols it may trade, or `["*"]` for all that [risk] permits; empty permits none.',
        json_schema_extra={"required": True},
    )
    sides: Literal["both", "buy", "sell"] = Field("both", description="PERM: sides it may take.")
    position_max: int = Field(
        0,
        ge=0,
        le=POSITION_LAST,
        description="POSITION: its own largest position in an instrument; 0: as risk.position_max.",
    )
    repeat_max: int = Field(100, ge=1, le=REPEAT_LAST, description="REPEAT: executions within `repeat_s` that disable it.")
    repeat_s: int = Field(60, ge=1, le=86_400, description="REPEAT: seconds that executions count.")

    def unset(self) -> list[str]:
        """Names of the required keys that nobody wrote."""
        return [] if self.instruments else ["instruments"]


class Strategy(Trader):
    """The strategy that answers events."""

    file: str = Field("", description="Python file that defines `on_event`; empty: no strategy, nothing is sent.")
    parameters: dict[str, int | FiniteFloat] = Field(
        default_factory=dict, description="Table of numbers handed to the strategy; it refuses names it does not know."
    )


class External(Trader):
    """A strategy in another process: its orders come by the ring `external_core` and meet the same gate."""

    name: str = name("external", r"^[a-z0-9][a-z0-9_-]{0,31}$", "1 to 32 of a-z 0-9 _ -", "Names the strategy.")
    enabled: bool = Field(False, description="Whether it may trade at all.")


class Risk(Section):
    """Limits of the pre-trade gate. A strategy does not start while a required one is unset."""

    quantity_max: int | None = required(QUANTITY_LAST, "QTY: largest quantity of one order.")
    value_max: int | None = required(
        VALUE_LAST, "VALUE: largest price times quantity of one order, in whole units of its currency."
    )
    position_max: int | None = required(
        POSITION_LAST, "POSITION: largest position, open orders included, per instrument and side."
    )
    collar_ppm: int | None = required(
        1_000_000, "PRICE: distance from the reference price, in parts per million (50000 is 5 %)."
    )
    stale_ms: int | None = required(3_600_000, "STALE: age of the book an order may be based on.")
    rate_per_second: int | None = required(RATE_LAST, "RATE: messages per second.")
    rate_burst: int | None = required(RATE_LAST, "RATE: messages that may leave at once.")
    day_messages_max: int | None = required(1_000_000_000, "RATE: messages of one run.")
    capital: int | None = required(WEALTH_LAST, "Equity that the run starts with, in whole units of the account's currency.")
    gross_max: int | None = required(WEALTH_LAST, "EXPOSURE: largest gross exposure, open orders included, in whole units.")
    net_max: int | None = required(WEALTH_LAST, "EXPOSURE: largest net exposure in either direction, in whole units.")
    reserve_percent: int = Field(20, ge=0, le=90, description="RATE: part of the allowance kept for cancels.")
    instruments: Symbols = Field(
        default_factory=list,
        description='STATE: symbols that may be traded, or `["*"]` for all; empty permits none.',
        json_schema_extra={"required": True},
    )
    restricted: Symbols = Field(default_factory=list, description="STATE: symbols that may not be traded in any case.")
    auctions: bool = Field(False, description="STATE: orders may leave in an auction too.")
    window_ppm: int = Field(
        100_000, ge=1, le=PPM, description="PRICE: distance from the mean of the rolling window, in ppm."
    )
    window_s: int = Field(300, ge=10, le=86_400, description="PRICE: length of the rolling window.")
    last_age_ms: int = Field(
        1000, ge=1, le=3_600_000, description="PRICE: oldest last trade that is a reference, where a side is empty."
    )
    signal_ppm: int = Field(20_000, ge=1, le=PPM, description="VALUE: largest share of equity of one order, in ppm.")
    margin_ppm: int = Field(PPM, ge=1, le=PPM, description="MARGIN: what exposure requires, in ppm.")
    dup_ms: int = Field(1000, ge=1, le=3_600_000, description="DUP: how long the same order of the same signal is refused.")
    own: Own = Field(
        default_factory=dict,
        description="Limits of single symbols instead of those above: `[risk.own.AAPL]` with quantity_max, value_max, "
        "position_max, collar_ppm.",
    )

    def unset(self) -> list[str]:
        """Names of the required keys that nobody wrote."""
        fields = type(self).model_fields
        return [key for key, field in fields.items() if is_required(field) and getattr(self, key) in (None, [])]


class Portfolio(Section):
    """Currencies and correlated instruments."""

    currency: str = name("USD", f"^{CURRENCY}$", "3 to 8 capital letters", "The account's currency.")
    rates: Rates = Field(default_factory=dict, description="What one unit of another currency is worth in the account's.")
    rate_age_s: int = Field(86_400, ge=1, le=31_536_000, description="VALUE: oldest rate that an order may be valued with.")
    currencies: Texts = Field(default_factory=dict, description="Currency of single symbols; the others have the account's.")
    positions: Positions = Field(
        default_factory=dict, description="What is held from earlier days, signed, by symbol; each needs its price."
    )
    prices: Prices = Field(default_factory=dict, description="Average price of those positions, in the symbol's currency.")
    groups: Groups = Field(
        default_factory=list,
        description='EXPOSURE: correlated symbols, `"AAPL MSFT@0.8 PSQ@-1"`: SYMBOL or SYMBOL@WEIGHT, the weight of its '
        "exposure in the group's.",
    )
    group_ppm: int = Field(200_000, ge=1, le=PPM, description="EXPOSURE: largest share of equity of a group, in ppm.")

    @model_validator(mode="after")
    def known_currencies(self) -> "Portfolio":
        """A symbol's currency needs a rate."""
        for symbol, currency in self.currencies.items():
            if currency != self.currency and currency not in self.rates:
                raise ValueError(f"currencies.{symbol} = {currency!r} has no rate; write rates.{currency}")
        return self

    @model_validator(mode="after")
    def known_prices(self) -> "Portfolio":
        """A position that was carried over is worth something, else equity is wrong from the first mark on."""
        for symbol in self.positions:
            if symbol not in self.prices:
                raise ValueError(f"positions.{symbol} has no price; write prices.{symbol}, what was paid for it on average")
        return self

    def weights(self) -> dict[str, tuple[int, Fraction]]:
        """(group from 1 on, weight) by symbol."""
        rows = enumerate(self.groups, start=1)
        return {symbol: (number, weight) for number, group in rows for symbol, weight in members(group)}


class Hours(Section):
    """STATE: when orders may leave. Without `open` and `close` the venue's own trading states alone decide."""

    open: Clock = Field("", description="First moment of the day.")
    close: Clock = Field("", description="First moment that is too late; earlier than `open`: on the next day.")
    zone: Zone = Field("UTC", description="Time zone of both.")
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        ["mon", "tue", "wed", "thu", "fri"],
        description="Days on which `open` counts.",
        json_schema_extra={"range": ", ".join(DAYS)},
    )

    @model_validator(mode="after")
    def both_or_none(self) -> "Hours":
        """One without the other says nothing."""
        if bool(self.open) != bool(self.close) or (self.open and (self.open == self.close or not self.days)):
            raise ValueError("write open and close, and a day at least, or leave them out")
        return self
