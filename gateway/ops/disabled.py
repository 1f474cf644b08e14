"""Strategies that REPEAT disabled, on disk: they stay disabled over restarts until a human enables them.

    gate_strategy.repeated ─► follow ─► the file ─► restore, at the next start ─► gate_strategy.repeated

Hard rule: the file is synced before anybody is told, and one that cannot be read disables every strategy.
"""

from pathlib import Path
from typing import Any

from gateway.config import Configuration
from gateway.instance import Instance
from gateway.ops import durable_file
from gateway.ops.limit_block import traders

EVERYBODY = "*"


def path_in(state: Path) -> Path:
    """Where the names stand, one a line."""
    return state / "disabled"


def names(state: Path) -> set[str]:
    """Names of the disabled strategies; `*` where the file cannot be read."""
    try:
        return set(path_in(state).read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError):
        return {EVERYBODY}


def restore(instance: Instance, configuration: Configuration) -> None:
    """Disables before a core starts whoever was disabled when the last one ended."""
    disabled = names(configuration.state_folder)
    rows = _rows(instance)
    for row, trader in traders(configuration).items():
        if disabled & {trader.name, EVERYBODY}:
            rows["repeated"][row] = 1


def follow(instance: Instance, configuration: Configuration) -> list[str]:
    """Writes down who was disabled since; returns the names that are new."""
    rows = _rows(instance)
    if not rows["repeated"].any():
        return []
    now = {trader.name for row, trader in traders(configuration).items() if rows["repeated"][row]}
    known = names(configuration.state_folder)
    fresh = sorted(now - known)
    if fresh and EVERYBODY not in known:
        _write(configuration.state_folder, now | known)
    return fresh


def enable(state: Path, name: str) -> bool:
    """A human's decision, for the next start; false when the strategy was not disabled."""
    known = names(state)
    if not known & {name, EVERYBODY}:
        return False
    _write(state, known - {name, EVERYBODY})
    return True


def _rows(instance: Instance) -> Any:
    return instance.regions["gate"].view("gate_account")[0]["strategies"]


def _write(state: Path, disabled: set[str]) -> None:
    durable_file.replace(path_in(state), "".join(f"{name}\n" for name in sorted(disabled)).encode())
