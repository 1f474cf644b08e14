"""The sections of the configuration file that say what control watches, and what a human needs to undo it.

Hard rule: every control is on unless somebody turns it off by name; a bound is a number in a range, never a blank.
"""

from pydantic import Field

from gateway.sections import Section


class SecondFactor(Section):
    """The code of a phone that a human gives before trading goes on after a halt or a kill."""

    secret_file: str = Field(
        "",
        description="File that holds the secret, mode 0600; `gateway totp CONFIG --new` makes it. Empty: `second_factor` "
        "in the state folder.",
    )
    drift_steps: int = Field(
        1, ge=0, le=4, description="How far the phone's clock may be off, in steps of 30 s, to either side."
    )
