"""`gateway bench --guard`: instructions counted by callgrind beside the stored ones."""

import argparse
from pathlib import Path

from gateway.cli.output import print_json, print_note, print_table, progress, to_json
from gateway.cli.termination import leave_in_order
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, UsageError

OTHERS = ("suite", "quick", "data", "source", "compare", "plots", "markdown", "day")  # options that measure or show suites


def run(arguments: argparse.Namespace) -> int:
    """Counts and compares; exit code 1 when something takes more instructions than it did."""
    from gateway.ops.bench.guard import check

    others = [name for name in OTHERS if getattr(arguments, name)]
    if others or not arguments.guard:
        raise UsageError(
            "--guard measures no suite; beside it stand --write and --json FILE only, and --write beside --guard only"
        )
    leave_in_order()
    stored = None if arguments.write else check.load()
    with progress("guard", total=1.0) as update:
        told = check.count(lambda share, what: update(share, f"guard: {what}"))
    if arguments.write:
        check.store(told)
        stored = check.load()
        print_note(f"stored: {check.STORED}")
    assert stored is not None
    lines = check.compare(stored, told)
    document = check.to_data(told, lines)
    if arguments.json == "-":
        print_json(document)
    else:
        print("Instructions for one unit of work, by callgrind")
        print_table(check.COLUMNS, check.table_rows(lines), check.NUMERIC)
        for line in check.remarks(stored, told):
            print(f"note    {line}")
        if arguments.json:
            Path(arguments.json).write_text(to_json(document, indent=1) + "\n", encoding="utf-8")
    return EXIT_DONE if document["ok"] else EXIT_CHECK_FAILED
