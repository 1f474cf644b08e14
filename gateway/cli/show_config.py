"""`gateway show-config`: the resolved configuration as TOML that loads again, as JSON, or every key as Markdown."""

import argparse
import json
from typing import Any

from gateway.cli.output import print_json
from gateway.config import Configuration, load, range_text, sections
from gateway.errors import EXIT_DONE
from gateway.sections import is_required

HELP = "print the resolved configuration, or describe every key"

INTRODUCTION = """# Configuration

One TOML file configures an instance. A key may be left out; one marked *required* must be written before a strategy
starts. The environment variable `GATEWAY__SECTION__KEY` overrides the file (lists as `["A", "B"]`), and an option of
the command overrides both. An unknown key or a value out of range is refused with one line that says the mend, and exit
code 3.

`gateway show-config FILE` prints what holds in the end; [example.toml](example.toml) is a whole file that runs.
This page is made from the program: `gateway show-config --markdown`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the words of the verb."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="configuration file; without it the defaults")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="describe every key: type, range, default, meaning")


def run(arguments: argparse.Namespace) -> int:
    """Prints the configuration in the form asked for."""
    if arguments.markdown:
        print(markdown(), end="")
        return EXIT_DONE
    configuration = load(arguments.file)
    if arguments.json:
        print_json(configuration.model_dump(by_alias=True), indent=2)
    else:
        print(toml(configuration), end="")
    return EXIT_DONE


def toml_value(value: Any) -> str:
    """One value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def toml(configuration: Configuration) -> str:
    """The configuration as TOML; keys that are unset stand in comments with their range."""
    parts = []
    for section, model in sections().items():
        lines = [f"[{section}]"]
        for key, field in model.model_fields.items():
            value = getattr(getattr(configuration, section), key)
            if value is None:
                lines.append(f"# {key} is unset and required: {range_text(field)}")
            else:
                lines.append(f"{field.alias or key} = {toml_value(value)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def markdown() -> str:
    """docs/operating/configuration.md."""
    parts = [INTRODUCTION]
    for section, model in sections().items():
        lines = [f"## [{section}]", "", (model.__doc__ or "").strip(), ""]
        lines += ["| key | range | default | meaning |", "|---|---|---|---|"]
        for key, field in model.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = "*required*" if is_required(field) else f"`{toml_value(default)}`"
            lines.append(f"| `{field.alias or key}` | {range_text(field)} | {shown} | {field.description} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
