"""The sections of the configuration file that say how orders travel, and how what became of them is found out.

Hard rule: no default lets an order out; a default here asks the venue rather than believes.
"""

from typing import Literal

from pydantic import Field, model_validator

from gateway.sections import Endpoint, NoEndpoint, Section, name


class Orders(Section):
    """How orders travel: in datagrams of the port, or by a session over TCP on a kernel socket."""

    carriage: Literal["udp", "soupbintcp"] = Field(
        "udp",
        description="`udp`: one OUCH message per datagram through the port, reports in MoldUDP64; `soupbintcp`: OUCH over "
        "SoupBinTCP in the process `session`.",
    )
    address: Endpoint = Field("127.0.0.1:41004", description="Where the venue's order gateway listens.")
    username: str = name("", r"^[!-~]{0,6}$", "up to 6 characters without blanks", "User of the login.")
    password_file: str = Field(
        "", description="File that holds the password of the login; empty: the environment's `GATEWAY_ORDERS_PASSWORD`."
    )
    session: str = name(
        "",
        r"^[A-Za-z0-9]{0,10}$",
        "up to 10 of A-Z a-z 0-9",
        "Session the first login asks for; empty: the one that runs.",
    )
    cancel_on_disconnect: bool = Field(
        True,
        description="The venue cancels our open orders when the connection is lost; it has to be set there too.",
    )
    retry_first_ms: int = Field(100, ge=1, le=60_000, description="Wait before the first attempt to connect again; doubled.")
    retry_last_ms: int = Field(5_000, ge=1, le=600_000, description="Longest wait between two attempts to connect.")

    drop_copy: NoEndpoint = Field(
        "", description="Where the venue repeats its reports, read-only (`soupbintcp`); empty: it does not."
    )
    drop_copy_username: str = name(
        "", r"^[!-~]{0,6}$", "up to 6 characters without blanks", "User of the drop copy's login; empty: `username`."
    )

    @model_validator(mode="after")
    def user_of_a_session(self) -> "Orders":
        """A login needs a name."""
        if self.carriage == "soupbintcp" and not self.username:
            raise ValueError('carriage = "soupbintcp" logs in: write username')
        return self


class Reconciliation(Section):
    """What is done about orders whose fate is not known, and how often our account is held against the venue's."""

    found: Literal["cancel", "adopt"] = Field(
        "cancel",
        description="Working orders that a start finds at the venue: `cancel` them, or `adopt` them as the strategy's own.",
    )
    unknown_ms: int = Field(
        2_000,
        ge=10,
        le=60_000,
        description="An order or a cancel without an answer for so long is UNKNOWN: reserved, and never sent again.",
    )
    resolve_ms: int = Field(
        5_000, ge=100, le=600_000, description="An order that is UNKNOWN for longer is flagged: a person must look."
    )
    every_s: int = Field(
        55,
        ge=1,
        le=86_400,
        description="Seconds between two comparisons of open orders and positions with the drop copy.",
    )
    confirm_ms: int = Field(
        1_000, ge=10, le=60_000, description="A difference is believed when a second look so much later finds it again."
    )
