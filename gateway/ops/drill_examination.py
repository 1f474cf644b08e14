"""What the doctor says about kill drills: the newest good one, how old it is, and whether evidence was changed.

Hard rule: evidence that does not verify counts as none, and is mentioned.
"""

import time

from gateway.config import Configuration
from gateway.ops import evidence
from gateway.ops.finding import FAIL, OK, WARN, Finding

MEANING = "a kill switch that is not rehearsed is a hope"


def examine_drill(configuration: Configuration, now: float | None = None) -> Finding:
    """OK within `kill.drill_days`; FAIL when it is longer ago, or there is none."""
    now = time.time() if now is None else now
    newest, tampered = evidence.newest(configuration.state_folder, now)
    mend = "gateway kill --drill CONFIG"
    noted = f"; {tampered} files of evidence do not verify and count as none" if tampered else ""
    if newest is None:
        return Finding("kill drill", FAIL, f"none that passed{noted}", MEANING, mend)
    days = max(0.0, now - newest["time"]) / evidence.DAY_SECONDS
    limit = configuration.kill.drill_days
    when = time.strftime("%Y-%m-%d", time.gmtime(newest["time"]))
    if days > limit:
        return Finding(
            "kill drill", FAIL, f"overdue: the last one was {days:.0f} days ago, {limit} allowed{noted}", MEANING, mend
        )
    status = WARN if tampered else OK
    return Finding(
        "kill drill", status, f"passed on {when}, {limit - days:.0f} days left{noted}", MEANING, mend if tampered else ""
    )
