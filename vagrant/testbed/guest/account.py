"""Watches an appliance in the guest and accounts for it: `python3 account.py INSTANCE [kill-io FRAMES]`.

Prints JSON lines: {"state": "attached"}, "running", with kill-io "restarted" and "cancelled", then "flowed" once the venue's
session has ended and nothing moves any more; on SIGTERM the whole account (summary, books, positions) as its last line.
"""

import json
import os
import signal
import sys
import time

from gateway import layout
from gateway.errors import AttachError
from gateway.instance import Instance

POLL_SECONDS, QUIET_SECONDS, HEAL_SECONDS, REST_SECONDS = 0.05, 2.0, 20.0, 1.0
AFTER_RESTART_FRAMES = 300
RUNNING, ABSENT = layout.value("PROCESS_RUNNING"), layout.value("PROCESS_ABSENT")


def say(state, **more):
    """One line for the host."""
    print(json.dumps({"state": state, **more}), flush=True)


def until(condition):
    """Waits; the host bounds how long."""
    while not (found := condition()):
        time.sleep(POLL_SECONDS)
    return found


def attach(name):
    """The instance, or None while it is not there."""
    try:
        return Instance.attach(name)
    except AttachError:
        return None


def beat(instance, process):
    """The heartbeat of a process."""
    return instance.control[0]["heartbeats"][layout.value(process)]


def is_running(instance):
    """Whether io and core both turn; core starts before io, or in the same process."""
    return beat(instance, "PROCESS_IO")["state"] == RUNNING and beat(instance, "PROCESS_CORE")["state"] in (RUNNING, ABSENT)


def io_counts(instance):
    """What io has done, to compare before with after."""
    io = instance.counters[0]["io"]
    names = ("frames_received", "frames_published", "orders_transmitted", "cancels_transmitted")
    return {name: int(io[name]) for name in names}


def kill_io(instance, frames):
    """Ends io the hard way amid traffic, and waits until another one carries traffic and orders."""
    until(lambda: io_counts(instance)["frames_published"] >= frames and io_counts(instance)["orders_transmitted"] > 0)
    victim = int(beat(instance, "PROCESS_IO")["pid"])
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: int(beat(instance, "PROCESS_IO")["pid"]) != victim and is_running(instance))
    before = io_counts(instance)
    seconds = round(time.monotonic() - began, 1)
    until(
        lambda: (
            io_counts(instance)["frames_published"] >= before["frames_published"] + AFTER_RESTART_FRAMES
            and io_counts(instance)["orders_transmitted"] > before["orders_transmitted"]
        )
    )
    say("restarted", killed=victim, by=int(beat(instance, "PROCESS_IO")["pid"]), seconds=seconds, before=before)


def cancel_all(instance):
    """What `gateway kill` does, while an order rests; then waits for the venue's answers: emulated, they take their time."""
    from gateway.cli.kill import stored_configuration
    from gateway.core.orders import open_references
    from gateway.ops import kill

    configuration = stored_configuration(instance)
    until(lambda: open_references(instance.rows("orders")))
    report = kill.kill(instance, configuration, keep_positions=True)
    until(lambda: not open_references(instance.rows("orders")))
    say("cancelled", report=report.as_json(), after=io_counts(instance))


def wait_until_quiet(instance):
    """Returns once the session has ended and reports and healing are over."""
    core = instance.counters[0]["core"]
    until(lambda: core["end_of_session"])
    since, seen = time.monotonic(), None
    while True:
        stale = int((instance.rows("books")["flags"] & layout.value("BOOK_STALE") != 0).sum())
        now = (*(int(core[name]) for name in ("reports", "gap_messages", "healed")), stale)
        if now != seen:
            since, seen = time.monotonic(), now
        if time.monotonic() - since > (HEAL_SECONDS if stale else QUIET_SECONDS):
            return
        time.sleep(POLL_SECONDS)


def take_the_rest(instance):
    """Returns once io and core have worked off what still lies in port and ring."""
    counters = instance.counters[0]
    since, seen = time.monotonic(), -1
    while time.monotonic() - since < REST_SECONDS:
        if (now := int(counters["core"]["frames"]) + int(counters["io"]["frames_received"])) != seen:
            since, seen = time.monotonic(), now
        time.sleep(POLL_SECONDS)


def main(words):
    """The whole watch."""
    instance = until(lambda: attach(words[0]))
    say("attached")
    from gateway.ops.demo import appliance_books, appliance_positions  # numba: as long as the appliance starts
    from gateway.ops.summary import summary

    until(lambda: is_running(instance))
    say("running")
    if words[1:2] == ["kill-io"]:
        kill_io(instance, int(words[2]))
        cancel_all(instance)
    wait_until_quiet(instance)
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    say("flowed")
    until(lambda: asked)
    take_the_rest(instance)
    print(
        json.dumps(
            {
                "summary": summary(instance),
                "books": appliance_books(instance),
                "positions": appliance_positions(instance),
            },
            default=int,
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
