"""What control and long-running verbs say: a line for people on stderr, and the same as JSON in the state folder.

    log.warning("process_ended", "process io ended (signal SIGKILL)", ended="io")
      stderr              gateway run: process io ended (signal SIGKILL)
      log/control.jsonl   {"time": "2026-01-05T09:30:00.123456Z", "level": "warning", "event": "process_ended",
                           "ended": "io", "text": …, "instance": "gateway", "process": "control"}

Ids have one name everywhere: instance, process, reference, signal. Hard rule: nothing of this runs in a stage's loop, and
a log that cannot be written never stops who writes it: it is said once on stderr, and the lines that were lost are counted.
"""

import contextlib
import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog

from gateway.config import Configuration

FOLDER = "log"
MEBIBYTE = 1 << 20


class Log:
    """The log of one process; without a file it only speaks to people."""

    def __init__(self, verb: str, file: "LogFile | None" = None, out: TextIO | None = None, **bound: Any):
        """`verb` begins every line for people, `bound` stands in every line of the file; `out` defaults to stderr."""
        self._verb, self._file, self._out, self._bound = verb, file, out, bound

    @property
    def lost(self) -> int:
        """Lines that the file did not take."""
        return self._file.lost if self._file else 0

    def bind(self, **bound: Any) -> "Log":
        """The same log, with more that stands in every line."""
        return Log(self._verb, self._file, self._out, **self._bound, **bound)

    def info(self, event: str, text: str = "", **ids: Any) -> None:
        """Something went as it should. Without `text` people hear nothing of it."""
        self._say("info", event, text, ids)

    def warning(self, event: str, text: str = "", **ids: Any) -> None:
        """Something a person should look at."""
        self._say("warning", event, text, ids)

    def error(self, event: str, text: str = "", **ids: Any) -> None:
        """Something that stopped what was asked for."""
        self._say("error", event, text, ids)

    def _say(self, level: str, event: str, text: str, ids: dict[str, Any]) -> None:
        if text:
            tell(f"gateway {self._verb}: {text}", self._out)
        if self._file is None:
            return
        said = {"text": text} if text else {}
        problem = self._file.write(level, event, {**ids, **said, **self._bound})
        if problem:
            tell(f"gateway {self._verb}: log {self._file.path}: {problem}; it goes on without", self._out)

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._file is not None:
            self._file.close()


class LogFile:
    """One file of JSON lines that gives way to a new one when it is full. One process writes it."""

    def __init__(self, path: Path, size_bytes: int, kept: int):
        """Raises OSError when the folder cannot be made or the file not be opened."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path, self.lost = path, 0
        # without a file that is kept, the handler would never begin a new one
        self._handler = _Handler(path, maxBytes=size_bytes, backupCount=max(kept, 1), encoding="utf-8", delay=False)
        self._handler.setFormatter(logging.Formatter("%(message)s"))
        path.chmod(0o600)
        if kept == 0:
            self._handler.namer, self._handler.rotator = str, _drop
        logger = logging.Logger(path.stem)
        logger.addHandler(self._handler)
        self._logger: Any = structlog.wrap_logger(
            logger,
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, key="time"),
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
        )

    def write(self, level: str, event: str, said: dict[str, Any]) -> str:
        """One line; returns why it was lost, the first time that one is, else ''."""
        self._handler.problem = ""
        getattr(self._logger, level)(event, **said)
        if not self._handler.problem:
            return ""
        self.lost += 1
        return self._handler.problem if self.lost == 1 else ""

    def close(self) -> None:
        """Closes the file; a line after this opens it again."""
        self._handler.close()


class _Handler(RotatingFileHandler):
    """The standard library's, but a failure is kept instead of printed with its traceback."""

    problem = ""

    def handleError(self, record: logging.LogRecord) -> None:
        self.problem = str(sys.exc_info()[1] or "cannot be written")
        with contextlib.suppress(OSError, ValueError):
            self.close()  # opened afresh by the next line: what failed may have been the file itself


def _drop(source: str, target: str) -> None:
    Path(source).unlink(missing_ok=True)


def open_log(configuration: Configuration, process: str, verb: str = "run", state: Path | None = None) -> Log:
    """The log of `process` in the state folder of the instance, or in another one.

    When it cannot be opened, people are told and it goes on.
    """
    settings, path = configuration.log, (state or configuration.state_folder) / FOLDER / f"{process}.jsonl"
    file = None
    try:
        file = LogFile(path, settings.file_mib * MEBIBYTE, settings.files)
    except OSError as problem:
        tell(f"gateway {verb}: log {path}: {problem.strerror}; it goes on without")
    return Log(verb, file, instance=configuration.instance.name, process=process)


def tell(text: str, out: TextIO | None = None) -> None:
    """A line for people on stderr; a reader that has gone away is no reason to end."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=out or sys.stderr, flush=True)
