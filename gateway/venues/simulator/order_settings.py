"""What the simulated venue's order gateway over TCP is asked to be: where, for whom, and what goes wrong. Pure values.

Beside the corridor. Hard rule: every fault of the plan happens, is counted, and is drawn from nothing but the plan.
"""

from dataclasses import dataclass, field, fields

from gateway.errors import UsageError

COUNT_MAX, MILLISECONDS_MAX = 1_000, 60_000


@dataclass(frozen=True)
class SessionFaults:
    """What goes wrong with connections: counts over the day, and milliseconds."""

    cut: int = 0  # connections cut: reset, closed, reset in the middle of a packet, in turn
    duplicate: int = 0  # times the same user logs in elsewhere, which closes the connection before
    reject: int = 0  # logins answered with "not authorised", then they are taken
    busy: int = 0  # logins answered with "session not available", then they are taken
    delay_ms: int = 0  # by which reports are late
    stall_ms: int = 0  # once a second nothing is read for so long
    refuse_cancels: int = 0  # cancels and mass cancels answered with Cancel Reject, then they are taken
    mute_ms: int = 0  # from the first cancel on nothing is read and nothing is said for so long, once

    @classmethod
    def parse(cls, text: str) -> "SessionFaults":
        """A plan from "cut=3,delay_ms=20". Raises UsageError."""
        known = [row.name for row in fields(cls)]
        given: dict[str, int] = {}
        for word in filter(None, text.split(",")):
            name, equals, number = word.partition("=")
            if name not in known or not equals or not number.isdecimal() or name in given:
                raise UsageError(f"--session-faults: {word!r}; write NAME=NUMBER once each, of: {', '.join(known)}")
            most = MILLISECONDS_MAX if name.endswith("_ms") else COUNT_MAX
            if int(number) > most:
                raise UsageError(f"--session-faults: {name} lies between 0 and {most:,}")
            given[name] = int(number)
        return cls(**given)


@dataclass(frozen=True)
class OrderSettings:
    """An order gateway on a kernel socket."""

    host: str = "127.0.0.1"
    port: int = 41004  # 0: any that is free
    username: str = "GWSIM"
    password: str = field(default="simulated", repr=False)  # of a venue that holds nothing
    cancel_on_disconnect: bool = True
    drop_copy: tuple[str, int] | None = None  # where the same reports are read a second time; port 0: any that is free
    faults: SessionFaults = field(default_factory=SessionFaults)
