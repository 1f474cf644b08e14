"""The sections of the configuration file that say what is written down, where, and in whose name.

Hard rule: nothing here changes what may be traded; a field left empty is shown as empty, never guessed.
"""

from typing import Literal

from pydantic import Field

from gateway.sections import Section, name

SYNC_LAST_MS = 60_000
LOG_LAST_MIB = 1024


class Journal(Section):
    """Where intents, decisions and reports are written down, and how long a power cut may reach back."""

    folder: str = Field("", description="Folder of the journal; empty: the instance's state folder.")
    sync_ms: int = Field(
        1_000,
        ge=0,
        le=SYNC_LAST_MS,
        description="Longest time between what is written and its place on the disk (fdatasync); 0: after every batch.",
    )


class Records(Section):
    """Who stands behind the orders of this instance: what order-record rules ask for and no message carries."""

    firm: str = name("", r"^([A-Z0-9]{20})?$", "a LEI of 20 characters, or empty", "Executing firm: its LEI.")
    client: str = name("", r"^[!-~ ]{0,64}$", "up to 64 characters", "Client the orders are for; empty: own account.")
    decision_maker: str = name(
        "", r"^[!-~ ]{0,64}$", "up to 64 characters", "Person or algorithm that decides to invest, by its identifier."
    )
    execution_algorithm: str = name(
        "",
        r"^[!-~ ]{0,64}$",
        "up to 64 characters",
        "Algorithm that executes, by its identifier; empty: the name of the order's strategy.",
    )


class Log(Section):
    """What control, the order session and long-running verbs say, as JSON lines in `log/` of the state folder."""

    file_mib: int = Field(16, ge=1, le=LOG_LAST_MIB, description="Size at which a log file gives way to a new one.")
    files: int = Field(4, ge=0, le=100, description="Full files that are kept beside the one in use, per process.")
    orders: Literal["none", "ends", "all"] = Field(
        "ends",
        description="Lines of orders: `ends` fills, rejections and refusals, `all` every decision and report; "
        "the journal has all of them in any case.",
    )
