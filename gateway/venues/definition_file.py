"""Reads a feed definition: a shipped one by its name, or a TOML file by its path.

    definition = load_definition("cme_mdp3")
    definition = load_definition("my_venue.toml")

Hard rule: what is wrong is one line that names the file, the key and the mend (ConfigurationError).
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gateway.errors import ConfigurationError, UsageError
from gateway.venues.definition import Definition

FOLDER = Path(__file__).resolve().parent / "feeds"
PAGE = "docs/protocols/adding-a-venue.md"


def shipped() -> list[str]:
    """Names of the definitions that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def is_file(name: str) -> bool:
    """Whether a feed's name is the path of a definition."""
    return name.endswith(".toml") or "/" in name


def load_definition(name: str) -> Definition:
    """The definition of this name, or of the file at this path. Raises UsageError or ConfigurationError."""
    path = Path(name).expanduser() if is_file(name) else FOLDER / f"{name}.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no feed {name!r}; {suggest(name, shipped())}, or give the path of a .toml file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path}: cannot be read ({problem})") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: no valid TOML: {problem}") from None
    tables.setdefault("name", path.stem.lower().replace("-", "_").replace(".", "_"))
    try:
        definition = Definition(**tables)
    except ValidationError as problem:
        raise ConfigurationError(f"{path}: {explain(problem)}") from None
    if not definition.instruments.file:
        return definition
    # a file beside the definition is named by the definition, wherever the command runs
    instruments = definition.instruments.model_copy(update={"file": str(path.parent / definition.instruments.file)})
    return definition.model_copy(update={"instruments": instruments})


def suggest(word: str, known: list[str]) -> str:
    """The nearest known word, or all of them while they are few."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    folded = {name.lower(): name for name in known}
    close = close or [folded[name] for name in difflib.get_close_matches(word.lower(), list(folded), n=3, cutoff=0.5)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    listed = ", ".join(known[:20])
    return f"known are: {listed}{' …' if len(known) > 20 else ''}" if known else "there are none"


def explain(problem: ValidationError) -> str:
    """One line for the first thing that is wrong, and how many more there are."""
    errors = problem.errors(include_url=False)
    first = errors[0]
    location = place(first["loc"])
    if first["type"] == "extra_forbidden":
        line = f"unknown key {location}; {suggest(str(first['loc'][-1]), _keys_of(first['loc'][:-1]))}"
    elif first["type"] == "missing":
        line = f"{location} is missing; {PAGE} has every key"
    else:
        line = f"{location} = {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"
        if isinstance(first["input"], dict):
            line = f"{location}: {first['msg'].removeprefix('Value error, ')}"
    return line + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else "")


def place(location: tuple[int | str, ...]) -> str:
    """A location as a person writes it: `map[3].price`, rows counted from 1."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        elif part.endswith("]") or part in ("Number", "Text", "str"):
            continue  # pydantic's own name for one branch of a union
        else:
            text += f".{part}" if text else part
    return text or "the file"


def _keys_of(location: tuple[int | str, ...]) -> list[str]:
    """Keys of the table at a location."""
    model: Any = Definition
    for part in location:
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The table type inside a list, a dict or an optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
