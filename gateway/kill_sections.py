"""The section of the kill switch: what it does beyond the latch, who may pull it, how often it is rehearsed.

Part of gateway/sections.py, which tells the rules. Hard rule: nothing here can keep the latch from being set.
"""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gateway.sections import Section, endpoint

SLIPPAGE_STEPS_MAX = 8
SLIPPAGE_PPM_LAST = 500_000


def _loopback(text: str) -> str:
    if text and not ipaddress.IPv4Address(endpoint(text)[0]).is_loopback:
        raise ValueError("the HTTP trigger listens on loopback only: write 127.0.0.1:PORT")
    return text


def _rising(steps: list[int]) -> list[int]:
    if len(steps) > SLIPPAGE_STEPS_MAX or any(not 0 <= step <= SLIPPAGE_PPM_LAST for step in steps):
        raise ValueError(f"write at most {SLIPPAGE_STEPS_MAX} shares of 0 to {SLIPPAGE_PPM_LAST} ppm")
    if steps != sorted(steps):
        raise ValueError("every step is at least as far as the one before")
    return steps


Loopback = Annotated[str, AfterValidator(_loopback), Field(json_schema_extra={"range": "127.0.0.1:PORT, or empty"})]
Slippage = Annotated[list[int], AfterValidator(_rising), Field(json_schema_extra={"range": "up to 8 rising shares in ppm"})]


class Kill(Section):
    """What follows the kill latch, and what sets it: [kill.md](kill.md)."""

    flatten: bool = Field(True, description="Close every position once nothing is open any more; false: cancel only.")
    seconds: int = Field(60, ge=6, le=600, description="From the latch to the report, whatever is left by then.")
    touch_ms: int = Field(
        1_000, ge=0, le=30_000, description="How long the first order rests at its own side's best price; 0: no such step."
    )
    slippage_ppm: Slippage = Field(
        default_factory=lambda: [0, 1_000, 5_000],
        description="The steps behind it, each immediate or cancelled: so far through the other side's best price.",
    )
    market_ppm: int = Field(
        30_000,
        ge=0,
        le=SLIPPAGE_PPM_LAST,
        description="The last step, repeated until flat: OUCH has no market order in continuous trading, a limit so far "
        "through the market stands for one. 0: there is no such step.",
    )
    answer_ms: int = Field(
        1_000, ge=10, le=30_000, description="How long an order of the flattening may go unanswered before it is chased."
    )
    http: Loopback = Field("", description="Where control takes `POST /kill` with the token; empty: nowhere.")
    token_file: str = Field("", description="File of the HTTP trigger's token, 16 characters at least, mode 0600.")
    device: str = Field(
        "", description="Device whose key press kills: an input event device, a terminal line or a FIFO; empty: none."
    )
    drill_days: int = Field(31, ge=1, le=3_650, description="`gateway doctor` fails when the last good drill is older.")

    @model_validator(mode="after")
    def token_of_http(self) -> "Kill":
        """Nobody kills without a token."""
        if self.http and not self.token_file:
            raise ValueError("http listens for a token: write token_file")
        return self
