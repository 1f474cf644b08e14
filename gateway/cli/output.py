"""What verbs print with: JSON for programs, tables and progress for people.

Hard rule: data goes to stdout, everything that moves or comments goes to stderr.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

WIDTH = 160  # columns of a table that goes into a file or a pipe
LINE_SECONDS = 2.0  # between progress lines where stderr is no terminal


def _plain(value: Any) -> Any:
    """JSON form of values that json does not know: numpy scalars, decimals, paths, bytes."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def to_json(data: Any, indent: int | None = None) -> str:
    """One JSON text; a single line unless `indent` says otherwise."""
    return json.dumps(data, default=_plain, indent=indent, ensure_ascii=False)


def print_json(data: Any, indent: int | None = None) -> None:
    """Prints one JSON value and a line end to stdout."""
    sys.stdout.write(to_json(data, indent) + "\n")


def print_note(text: str) -> None:
    """Prints a remark for people to stderr."""
    print(text, file=sys.stderr, flush=True)


def tell_left_overs() -> None:
    """Removes what killed demos and benchmarks left behind, and says so."""
    from gateway.ops.left_overs import remove_left_overs

    for name in remove_left_overs():
        print_note(f"removed {name}, left by a demo or a benchmark that was killed")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numeric: Sequence[str] = ()) -> None:
    """Prints a table to stdout; the columns named in `numeric` stand on the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row])
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


class LineProgress:
    """Progress for a stderr that is no terminal: one line every two seconds."""

    def __init__(self, text: str, total: float | None) -> None:
        self.text = text
        self.total = total
        self.began = self.said = time.monotonic()

    def update(self, done: float, text: str | None = None) -> None:
        """Says how far the work is, when the last line is old enough."""
        self.text = text or self.text
        now = time.monotonic()
        if now - self.said < LINE_SECONDS:
            return
        self.said = now
        if self.total:
            share = f"{100 * done / self.total:.0f} %"
        else:
            share = f"{done:,.0f}" if done else f"{now - self.began:.0f} s"
        print_note(f"{self.text}: {share}")


@contextmanager
def progress(text: str, total: float | None = None) -> Iterator[Callable[..., None]]:
    """Progress of work that may take longer than two seconds.

    Yields `update(done, text=None)`, cheap enough to call a few hundred times a second. With `total` None the bar
    pulses. Nothing is shown of work that is over within LINE_SECONDS when stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield LineProgress(text, total).update
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    share = TextColumn("{task.percentage:>3.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), share, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)

        def update(done: float, text: str | None = None) -> None:
            bar.update(task, completed=done, description=text)

        yield update


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner around one long call (the first kernel compilation); one line where stderr is no terminal."""
    if not sys.stderr.isatty():
        print_note(f"{text} …")
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{text} …"):
        yield
