"""The sections of the configuration file that say what control watches, and what a human needs to undo it.

Hard rule: every control is on unless somebody names it in `off`; a bound is a number in a range, and 0 is none.
"""

from typing import Literal, get_args

from pydantic import Field, model_validator

from gateway.risk_sections import PPM, Zone
from gateway.sections import RATE_LAST, Section, name

DAY_S = 86_400
Control = Literal["DRAWDOWN", "DAILY", "SIZE", "STRATEGY", "SLIPPAGE", "GAP", "BALANCE", "ORDERS", "UNKNOWN"]
CONTROLS = ", ".join(get_args(Control))


class PostTrade(Section):
    """Controls after the trade. What one of them halts stays halted until `gateway resume`; a day's halt, until the next."""

    drawdown_ppm: int = Field(
        50_000,
        ge=1,
        le=PPM,
        description="DRAWDOWN: fall of equity below its highest of `drawdown_s` that halts the account.",
    )
    drawdown_s: int = Field(3600, ge=1, le=7 * DAY_S, description="DRAWDOWN, SIZE, STRATEGY: length of the rolling window.")
    daily_ppm: int = Field(
        30_000, ge=1, le=PPM, description="DAILY: loss of equity since the day began that halts the account for the day."
    )
    zone: Zone = Field("UTC", description="DAILY: time zone in which a day begins at midnight.")
    size_ppm: int = Field(
        20_000,
        ge=1,
        le=PPM,
        description="SIZE: fall of a strategy's result below its highest, as a share of equity, that halves its sizes.",
    )
    strategy_ppm: int = Field(40_000, ge=1, le=PPM, description="STRATEGY: the same fall, further: the strategy is halted.")
    slippage_ppm: int = Field(
        10_000,
        ge=1,
        le=PPM,
        description="SLIPPAGE: a fill worse by more than this share of the price its decision saw halts the strategy.",
    )
    gap_ms: int = Field(
        1000, ge=1, le=3_600_000, description="GAP: how long a book may lack data before its instrument is halted."
    )
    silence_s: int = Field(
        120,
        ge=2,
        le=DAY_S,
        description="BALANCE: how long our account may go without a comparison with the venue's ([reconciliation]).",
    )
    unknown_ms: int = Field(5000, ge=1, le=600_000, description="UNKNOWN: how long the fate of an order may be unknown.")
    kill: list[Control] = Field(
        default_factory=list,
        description="Controls that set the kill latch besides, when they fire: everything is cancelled and closed.",
        json_schema_extra={"range": CONTROLS},
    )
    off: list[Control] = Field(
        default_factory=list,
        description="Controls that somebody has turned off.",
        json_schema_extra={"range": CONTROLS},
    )

    @model_validator(mode="after")
    def in_order(self) -> "PostTrade":
        """Sizes are reduced before a strategy is halted, and nothing is both off and deadly."""
        if self.size_ppm >= self.strategy_ppm:
            raise ValueError(f"size_ppm = {self.size_ppm} has to be below strategy_ppm = {self.strategy_ppm}")
        if both := sorted({*self.kill} & {*self.off}):
            raise ValueError(f"{both[0]} stands in kill and in off")
        return self


class Budget(Section):
    """What one address of this host may ask of one venue: a bucket that every process of the host shares."""

    folder: str = Field(
        "", description="Folder of the table, one for all instances of the host; empty: `budget` beside the state folder."
    )
    per_minute: int = Field(1200, ge=1, le=RATE_LAST, description="Weight that the venue allows in a minute.")
    burst: int = Field(100, ge=1, le=RATE_LAST, description="Weight that may be asked for at once.")
    cancel_percent: int = Field(20, ge=1, le=90, description="Part of the bucket that only cancels and kills may take.")
    reduce_percent: int = Field(
        10, ge=0, le=90, description="Further part that only reductions, cancels and kills may take."
    )

    @model_validator(mode="after")
    def something_left(self) -> "Budget":
        """The two reserves leave room for a new order."""
        if self.cancel_percent + self.reduce_percent > 95:
            raise ValueError("cancel_percent and reduce_percent together are 95 at most")
        return self


class SecondFactor(Section):
    """The code of a phone that a human gives before trading goes on after a halt or a kill."""

    secret_file: str = name(
        "",
        r"^[^\x00]*$",
        "text",
        "File that holds the secret, mode 0600; `gateway totp CONFIG --new` makes it. Empty: `second_factor` "
        "in the state folder.",
    )
    drift_steps: int = Field(
        1, ge=0, le=4, description="How far the phone's clock may be off, in steps of 30 s, to either side."
    )
