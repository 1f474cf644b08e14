"""`gateway run CONFIG`: the appliance, until SIGTERM or Ctrl-C."""

import argparse
import signal
import time
from collections.abc import Callable
from types import FrameType

from gateway import kernel_cache
from gateway.cli.output import print_json, progress
from gateway.config import load
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE
from gateway.ops import kill
from gateway.ops.joined import join
from gateway.ops.privileges import hide
from gateway.ops.process import HEARTBEATS
from gateway.ops.summary import summary
from gateway.ops.supervisor import TICK_SECONDS, Supervisor
from gateway.port import check_port

HELP = "run the appliance that a configuration file describes, until SIGTERM or Ctrl-C"


def configure(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="CONFIG", help="configuration file (docs/operating/example.toml shows one)")
    parser.add_argument("--port", metavar="KIND:ARGUMENT", help="instead of port.name of the file")
    parser.add_argument("--seconds", type=float, help="stop after this time")
    parser.add_argument(
        "--process",
        choices=("control", *HEARTBEATS),
        help="run this process only; a service manager starts the others (docs/operating/bare-metal.md)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary at the end as one JSON object")


class StopRequest:
    """Turns SIGTERM and SIGINT into a flag, so that control always stops in order."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def goes_on(self, advance: Callable[..., None]) -> bool:
        """Moves the progress; whether nobody has asked yet."""
        advance(0)
        return not self.asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def run(arguments: argparse.Namespace) -> int:
    """Runs until asked to stop; exit code 1 when the latch was set on the way."""
    configuration = load(arguments.file, {"port.name": arguments.port})
    if arguments.process in HEARTBEATS:
        return join(configuration, arguments.process)
    if not arguments.process:
        check_port(configuration.port.name)
    elif configuration.privileges.drop:
        hide()  # core is the same user's, and the password of a drop copy is not for it
    stop = StopRequest()
    supervisor = Supervisor(configuration, joined=arguments.process == "control")
    signal.signal(signal.SIGUSR1, lambda number, frame: kill.latch(supervisor.instance, "KILL_SIGNAL"))
    name = configuration.instance.name
    try:
        text = "compiling kernels, once" if kernel_cache.is_cold() else "starting"
        with progress(text) as advance:
            supervisor.start(lambda: stop.goes_on(advance))
        if not stop.asked:
            supervisor.notification.say("READY=1", f"STATUS={name} is running on {configuration.port.name}")
            text = f"{name} is running on {configuration.port.name}; look: gateway top --instance {name}"
            supervisor.log.info("running", text, port=configuration.port.name)
        deadline = time.monotonic() + arguments.seconds if arguments.seconds else None
        while not stop.asked and supervisor.alive() and (deadline is None or time.monotonic() < deadline):
            supervisor.tick()
            time.sleep(TICK_SECONDS)
    finally:
        supervisor.notification.say("STOPPING=1")
        try:
            supervisor.stop()
        finally:
            result = summary(supervisor.instance)
            supervisor.log.info("stopped", latch=result["kill_latch"], records=supervisor.journal.records)
            supervisor.close()
    if arguments.json:
        print_json(result)
    return EXIT_CHECK_FAILED if result["kill_latch"] else EXIT_DONE
