"""Numbers that only rise, by name, in one small file: nothing below them counts any more, also after a loss of power.

    {"least": 0, "floors": {"roles": 7, "addresses": 3}, "sum": "…SHA-256 of the two before…"}

Owner and only writer: the process that has opened it (a lock beside it says so). Hard rule: `raise_to` returns only when
the disk has it, and a file that is damaged opens nothing: what it forbade is not known.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from gateway.errors import GatewayError
from gateway.link.rights import file_lock
from gateway.ops import durable_file

Floors = tuple[int, dict[str, int]]  # least, floors by name


class DurableFloors:
    """One file of floors. A name that is not in it has the floor `least`."""

    def __init__(self, path: Path, names_max: int, least: int = 0):
        """Opens it, or makes it with `least`. Raises GatewayError: damaged, not writable, used by another process."""
        self.path, self._names_max = path, names_max
        held, unusable = "one at a time, each its own state folder", "what was used could not be kept there"
        with file_lock.opening(path, held, unusable) as self._lock:
            self._least, self._floors = _read(path) if path.exists() else (least, {})
            self._kept: Floors = self._least, self._floors  # what the disk has: that, or more
            if not path.exists():
                self._write(self._least, self._floors)

    def floor(self, name: str) -> int:
        """The floor of a name."""
        return self._floors.get(name, self._least)

    def as_they_stand(self) -> Callable[[str], int]:
        """The floors of now by name, whatever is raised later."""
        floors, least = self._floors, self._least  # raising makes new ones
        return lambda name: floors.get(name, least)

    def raise_to(self, name: str, value: int, others: int = 0) -> None:
        """Raises a floor, and with it those of all other names to `others`; a lower value changes nothing.

        Raises OSError, and then every floor is what it was.

        Of too many names the lowest gives way, and `least` becomes its floor: nothing that was forbidden is allowed again.
        """
        if value <= self.floor(name):
            return
        least, floors = self._raised((self._least, self._floors), name, value, others)
        if not self._is_kept(least, floors):
            self._write(least, floors)
        self._least, self._floors = least, floors

    def keep(self, name: str, value: int, others: int = 0) -> None:
        """Has the disk hold a floor before it is in force: `raise_to` of the same then waits for no disk. Raises OSError.

        A thread beside the one that asks may do so; only one at a time.
        """
        least, floors = self._raised(self._kept, name, value, others)
        if not self._is_kept(least, floors):
            self._write(least, floors)

    def _raised(self, before: Floors, name: str, value: int, others: int) -> Floors:
        least, floors = before[0], {other: max(floor, others) for other, floor in before[1].items()}
        floors[name] = max(value, floors.get(name, least))
        while len(floors) > self._names_max:
            lowest = min((other for other in floors if other != name), key=floors.__getitem__)
            least = max(least, floors.pop(lowest))
        return least, floors

    def _is_kept(self, least: int, floors: dict[str, int]) -> bool:
        """Whether the disk forbids all that these do."""
        kept_least, kept = self._kept
        return kept_least >= least and all(kept.get(name, kept_least) >= floor for name, floor in floors.items())

    def _write(self, least: int, floors: dict[str, int]) -> None:
        words = {"least": least, "floors": floors}
        durable_file.replace(self.path, json.dumps({**words, "sum": _sum(words)}).encode() + b"\n")
        self._kept = least, floors

    def close(self) -> None:
        """Lets go of the file; a second call does nothing."""
        self._lock.close()


def _sum(words: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> tuple[int, dict[str, int]]:
    try:
        words = json.loads(path.read_bytes())
        if words.pop("sum") != _sum(words):
            raise ValueError
        least, floors = words["least"], words["floors"]
        if not all(type(number) is int and number >= 0 for number in (least, *floors.values())):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise GatewayError(
            f"{path} is damaged, so nothing is let in; who may do so removes it: older files and tokens then count again"
        ) from None
    return least, floors
