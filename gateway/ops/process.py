"""One stage process of the appliance: `python -m gateway.ops.process FOLDER STAGE[,STAGE]`, started by the supervisor.

It attaches the instance, builds the stages it was named, runs them in one C loop until control says stop, and leaves.
Hard rule: it owns nothing that outlives it but what lies in shared memory, so that it may be killed at any instruction.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from gateway import layout, pipeline
from gateway.config import Configuration
from gateway.errors import GatewayError
from gateway.instance import PREFIX, Instance
from gateway.ops.appliance import CoreStage, io_stage
from gateway.ops.log import open_log
from gateway.ops.notification import Notification
from gateway.ops.privileges import bind_early, bind_for_good
from gateway.ops.producer import hold_rings
from gateway.ops.session_loop import SessionStage
from gateway.stages import Io, Placement, run_loop

CONFIGURATION_FILE = "configuration.json"
PROBLEM_FILE = "problem"  # control makes it: a stage may have no right to make files there
LINK_PROBLEM_FILE = "problem_link"  # nobody waits for the link: its own trouble must not look like another stage's
PROBLEM_FILES = (PROBLEM_FILE, LINK_PROBLEM_FILE)
MILLISECOND_NS = 1_000_000
# What each stage touches between a frame and its order: a page fault there costs more than the whole corridor.
POPULATED = {
    "io": ("io_core", "core_io", "control_io", "io_recorder"),
    "core": ("io_core", "core_io", "core_journal", "gate", "orders", "fills", "books", "levels", "book_orders")
    + ("holdings", "windows", "recent", "executions"),
    "session": ("core_session", "control_session", "session_core"),
    "link": ("core_link", "link_core"),
}
HEARTBEATS = {"io": "PROCESS_IO", "core": "PROCESS_CORE", "session": "PROCESS_SESSION", "link": "PROCESS_LINK"}


def problem_path(folder: Path, stage: str) -> Path:
    """Where a stage of the instance in `folder` says why it cannot run."""
    return folder / (LINK_PROBLEM_FILE if stage == pipeline.LINK.name else PROBLEM_FILE)


def problem_of(folder: Path, stage: str) -> str:
    """What it had to say when it could not run; '' where it said nothing."""
    path = problem_path(folder, stage)
    return path.read_text() if path.exists() else ""


def placement_of(configuration: Configuration, stages: list[str], notification: Notification) -> Placement:
    """Where this process's loop runs and whose silence it watches."""
    together = len(stages) > 1
    watch, place = configuration.watch, configuration.placement
    watches = [("PROCESS_CONTROL", "KILL_CONTROL_STALE", watch.control_stale_ms * MILLISECOND_NS)]
    if not together and stages[0] == "io":
        watches.append(("PROCESS_CORE", "KILL_CORE_STALE", watch.core_stale_ms * MILLISECOND_NS))
    return Placement(
        process=HEARTBEATS[stages[0]],
        cpu=place.io_cpu if stages[0] == "io" else place.core_cpu,
        idle=place.idle,
        sleep_ns=place.sleep_us * 1000,
        watches=tuple(watches),
        notify_socket=notification.file,
        notify_interval_ns=notification.interval_ns,
    )


def build(instance: Instance, configuration: Configuration, stages: list[str]) -> list[Io | CoreStage]:
    """The named stages, core first: its kernels are there before the port is open and frames wait."""
    makers: dict[str, Callable[[Instance, Configuration], Io | CoreStage]] = {"io": io_stage, "core": CoreStage}
    for name in stages:
        instance.populate(*POPULATED[name])
    built = {name: makers[name](instance, configuration) for name in sorted(stages)}
    return [built[name] for name in stages]


def run_link(instance: Instance, configuration: Configuration, notification: Notification) -> None:
    """The regional link, in Python as the session is; what it needs (ciphers, numba's codec) only this process loads."""
    from gateway.link.process import LinkStage

    instance.populate(*POPULATED["link"])
    log = open_log(configuration, "link", "link", configuration.link_state_folder)
    try:
        link = LinkStage(instance, configuration, notification, log)
        bind_for_good(configuration, ["link"])
        notification.watch_closely()
        link.run()
        notification.say("STOPPING=1")
    finally:
        log.close()


def main(words: list[str]) -> int:
    """Runs the named stages of the instance in `FOLDER`; when it cannot, leaves one line there for control to say."""
    folder, stages = Path(words[0]), words[1].split(",")
    notification = Notification()
    try:
        configuration = Configuration(**json.loads((folder / CONFIGURATION_FILE).read_text()))
        writable = pipeline.writable_by(*stages)
        instance = Instance.attach(folder.name.removeprefix(PREFIX), folder.parent, writable=writable)
        if not hold_rings(instance, stages):
            return 0
        beat = instance.control[0]["heartbeats"][layout.value(HEARTBEATS[stages[0]])]
        beat["state"] = layout.value("PROCESS_STARTING")
        bind_early(configuration, stages)
        if stages == ["session"]:  # a loop in Python: sockets of the kernel are waited for, rings are not
            instance.populate(*POPULATED["session"])
            session = SessionStage(instance, configuration, notification)
            bind_for_good(configuration, stages)
            notification.watch_closely()
            session.run()
            notification.say("STOPPING=1")
            return 0
        if stages == ["link"]:
            run_link(instance, configuration, notification)
            return 0
        built = build(instance, configuration, stages)
        bind_for_good(configuration, stages)
        notification.watch_closely()
        run_loop(instance, [row.stage() for row in built], placement_of(configuration, stages, notification))
        notification.say("STOPPING=1")
        for row in built:
            row.close()
    except GatewayError as problem:
        problem_path(folder, stages[0]).write_text(str(problem))
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
