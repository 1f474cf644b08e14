"""`gateway capture --out FILE.pcapng`: records what a running instance sees and sends, without slowing it."""

import argparse
from pathlib import Path

from gateway.cli.output import print_json, print_note, print_table, progress
from gateway.errors import EXIT_DONE, UsageError
from gateway.instance import FOLDER, Instance
from gateway.ops.recorder import Recorder, Rotation, follow

HELP = "record what a running instance sees and sends to pcapng, with rotation"
REST_SECONDS = 0.001
MEBIBYTE = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="pcapng file; overwritten")
    parser.add_argument("--instance", default="gateway", metavar="NAME", help="which instance (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where its folder is (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long (default: when the instance ends)")
    parser.add_argument("--rotate-mib", type=float, default=0.0, metavar="MIB", help="begin a new file at this size")
    parser.add_argument("--rotate-seconds", type=float, default=0.0, metavar="SECONDS", help="begin a new file this often")
    parser.add_argument("--keep", type=int, default=0, metavar="FILES", help="with rotation: keep the newest FILES")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")


def run(arguments: argparse.Namespace) -> int:
    """Records until the instance ends, the time is over, or the user stops it."""
    if min(arguments.seconds, arguments.rotate_mib, arguments.rotate_seconds, arguments.keep) < 0:
        raise UsageError("--seconds, --rotate-mib, --rotate-seconds and --keep are 0 or more")
    rotation = Rotation(int(arguments.rotate_mib * MEBIBYTE), arguments.rotate_seconds, arguments.keep)
    if arguments.keep and not rotation.on:
        raise UsageError("--keep without --rotate-mib or --rotate-seconds; give one of them")
    instance = Instance.attach(arguments.instance, arguments.folder)
    with Recorder(instance, arguments.out, rotation) as recorder:
        print_note(f"gateway capture: recording {arguments.instance} to {recorder.paths[-1]}; Ctrl-C ends it")
        try:
            with progress("recording, frames") as update:
                for _ in follow(recorder, arguments.seconds, REST_SECONDS):
                    update(int(recorder.native.frames_in + recorder.native.frames_out))
        except KeyboardInterrupt:
            pass  # the usual way to end it
    show(recorder.counted(), arguments.json)
    return EXIT_DONE


def show(counted: dict[str, object], as_json: bool) -> None:
    """Prints what was recorded and what was missed."""
    if as_json:
        print_json(counted, indent=2)
    else:
        print_table(("", ""), [(name.replace("_", " "), number) for name, number in counted.items() if name != "files"])
