"""What `gateway doctor` says about one thing: how it is, what that means, and the command that mends it."""

from dataclasses import dataclass

OK = "ok"
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; `mend` is empty when nothing needs mending."""

    name: str
    status: str  # OK, WARN: works, but slower or less provable; FAIL: the chosen port or the whole program cannot work
    found: str
    meaning: str
    mend: str = ""


def judge(name: str, good: bool, found: str, meaning: str, mend: str, required: bool = False) -> Finding:
    """A finding that is OK when `good`; otherwise FAIL where it is required, WARN elsewhere."""
    if good:
        return Finding(name, OK, found, meaning)
    return Finding(name, FAIL if required else WARN, found, meaning, mend)
