"""Entry of the command `gateway VERB`: finds the verb's file, runs it, makes every error one line and an exit code.

A verb is one file `gateway/cli/VERB.py` with `HELP`, `configure(parser)` and `run(arguments) -> int`.
Hard rule: only the file of the verb in use is imported, so that `gateway VERB --help` answers at once.
"""

import argparse
import ast
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from gateway import __version__
from gateway.errors import EXIT_FAULT, EXIT_USAGE, GatewayError

VERBS = (
    "run",
    "demo",
    "decode",
    "replay",
    "book",
    "top",
    "capture",
    "kill",
    "link",
    "order",
    "enable",
    "resume",
    "totp",
    "doctor",
    "nic",
    "tune",
    "show-config",
    "bench",
    "venue",
    "link-token",
    "link-sign",
    "keyd",
    "link-keys",
)
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells write it
EXIT_PIPE = 141  # 128 + SIGPIPE
EPILOG = (
    "exit codes: 0 done, 1 failed check, 2 usage, 3 bad configuration, 4 missing host capability, 5 runtime fault.  "
    "GATEWAY_TRACEBACK=1 shows where an unexpected error comes from."
)


class OneLineParser(argparse.ArgumentParser):
    """Argparse whose errors are one line that names the help."""

    def error(self, message: str) -> NoReturn:
        """Prints the one line and leaves with the usage code."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def verb_file(verb: str) -> Path:
    """Where the verb's module stands."""
    return Path(__file__).resolve().parent / f"{verb.replace('-', '_')}.py"


def help_of(verb: str) -> str:
    """The verb's HELP text, read from its source without importing it; '' where there is none."""
    try:
        tree = ast.parse(verb_file(verb).read_text(encoding="utf-8"))
    except OSError:
        return ""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "HELP":
                return str(node.value.value)
    return ""


def import_verb(verb: str) -> ModuleType:
    """The verb's module; the only place that imports one."""
    return importlib.import_module(f"gateway.cli.{verb.replace('-', '_')}")


def make_parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser for these words, and the module of the verb they name; other verbs are listed by name only."""
    parser = OneLineParser(
        prog="gateway",
        description="Kernel-bypass market gateway that a quant programs in Python.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gateway {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=OneLineParser)
    used = next((word for word in words if not word.startswith("-")), None)
    module = None
    for verb in VERBS:
        text = help_of(verb)
        child = verbs.add_parser(verb, help=text, description=text, allow_abbrev=False)
        if verb == used:
            module = import_verb(verb)
            module.configure(child)
    return parser, module


def report(verb: str, problem: BaseException) -> int:
    """Prints one line for an error; returns its exit code."""
    message = " ".join(str(problem).split())
    if isinstance(problem, GatewayError):
        code = problem.exit_code
    else:
        code = EXIT_FAULT
        message = f"{type(problem).__name__}: {message}".rstrip(": ")
        if not isinstance(problem, OSError | MemoryError):
            message = f"unexpected {message}; GATEWAY_TRACEBACK=1 shows where"
    print(f"gateway {verb}: {message}", file=sys.stderr)
    return code


def silence_output() -> None:
    """Points stdout at nothing, so that the interpreter's last flush into a closed pipe stays quiet."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code (see gateway/errors.py)."""
    words = sys.argv[1:] if words is None else words
    verb = next((word for word in words if word in VERBS), "")
    try:
        parser, module = make_parser(words)
        arguments = parser.parse_args(words)
        code = int(module.run(arguments)) if module else EXIT_USAGE
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        silence_output()
        return EXIT_PIPE
    except Exception as problem:
        if os.environ.get("GATEWAY_TRACEBACK"):
            raise
        return report(verb, problem)


if __name__ == "__main__":
    sys.exit(main())
