"""Numbers that only rise, by name, in one small file: nothing below them counts any more, also after a loss of power.

    {"least": 0, "floors": {"roles": 7, "addresses": 3}, "sum": "…SHA-256 of the two before…"}

Owner and only writer: the process that has opened it (a lock beside it says so). Hard rule: `raise_to` returns only when
the disk has it, and a file that is damaged opens nothing: what it forbade is not known.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ops import durable_file


class DurableFloors:
    """One file of floors. A name that is not in it has the floor `least`."""

    def __init__(self, path: Path, names_max: int, least: int = 0):
        """Opens it, or makes it with `least`. Raises GatewayError: damaged, not writable, used by another process."""
        self.path, self._names_max = path, names_max
        self._lock = -1
        try:
            durable_file.make_folder(path.parent)
            self._lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                self._least, self._floors = _read(path)
            else:
                self._least, self._floors = least, {}
                self._write(self._least, self._floors)
        except BlockingIOError:
            self.close()
            raise GatewayError(f"{path} is used by another process; one at a time, each its own state folder") from None
        except OSError as problem:
            self.close()
            raise GatewayError(f"{path}: {problem.strerror}; what was used could not be kept there") from None
        except GatewayError:
            self.close()
            raise

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
        least, floors = self._least, {other: max(floor, others) for other, floor in self._floors.items()} | {name: value}
        while len(floors) > self._names_max:
            lowest = min((other for other in floors if other != name), key=floors.__getitem__)
            least = max(least, floors.pop(lowest))
        self._write(least, floors)
        self._least, self._floors = least, floors

    def _write(self, least: int, floors: dict[str, int]) -> None:
        words = {"least": least, "floors": floors}
        durable_file.replace(self.path, json.dumps({**words, "sum": _sum(words)}).encode() + b"\n")

    def close(self) -> None:
        """Lets go of the file; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


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
