"""A cursor: which record of whose stream comes next. The same value serves a local ring, a capture file and the network.

    0003-9f2c…(32 hex digits)…-184467        source node, boot id of the source, ring sequence of the next record
    0003-9f2c…-184467+scan                   the same in the middle of a scan that began before: its reader is not whole yet

Hard rule: sequences of two boot ids have nothing to do with each other; a cursor of another life is too old, always.
"""

import re
from typing import NamedTuple

import numpy as np

from gateway.errors import UsageError
from gateway.link.streams import records

BOOT_ID_BYTES = 16
NODE_LAST, SEQUENCE_LAST = (1 << 16) - 1, (1 << 63) - 1
_TEXT = re.compile(r"(\d{1,5})-([0-9a-f]{32})-(\d{1,19})(\+scan)?")


class Cursor(NamedTuple):
    """The next record wanted. `synchronised` is false in the middle of a scan."""

    node: int
    boot_id: bytes
    sequence: int
    synchronised: bool = True

    def __str__(self) -> str:
        """The text form; `parse` is its other half."""
        return f"{self.node:04}-{self.boot_id.hex()}-{self.sequence}{'' if self.synchronised else '+scan'}"

    def follows(self, other: "Cursor") -> bool:
        """Whether this one stands behind `other` in the same life of the same source."""
        return self[:2] == other[:2] and self.sequence > other.sequence


def parse(text: str) -> Cursor:
    """The cursor that `str` wrote. Raises UsageError."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UsageError(f"{text[:64]!r} is no cursor; write NODE-BOOT-SEQUENCE as a cursor prints itself")
    node, sequence = int(found[1]), int(found[3])
    if node > NODE_LAST or sequence > SEQUENCE_LAST:
        raise UsageError(f"{text[:64]!r}: a node is at most {NODE_LAST}, a sequence at most {SEQUENCE_LAST}")
    return Cursor(node, bytes.fromhex(found[2]), sequence, found[4] is None)


class Place:
    """Where a reader stands behind the rows that it has taken; `cursor` is None while it has nothing to go on from.

    `joined`: its books are whole from a SCAN_END on, until a LOST.
    """

    def __init__(self, cursor: Cursor | None = None, joined: bool = True):
        self.cursor, self._joined = cursor, joined

    def take(self, rows: np.ndarray, source: tuple[int, bytes]) -> None:
        """These rows of that source were taken, the last ones of link records or executions."""
        if len(rows) == 0:
            return
        before = self.cursor
        whole = not self._joined or (before is not None and before.synchronised and before[:2] == source)
        known = not self._joined or (before is not None and before[:2] == source)
        if self._joined:
            kinds = rows["kind"]
            marks = kinds[(kinds == records.LOST) | (kinds == records.SCAN_BEGIN) | (kinds == records.SCAN_END)]
            if len(marks):
                known, whole = int(marks[-1]) != records.LOST, int(marks[-1]) == records.SCAN_END
        last = int(rows[-1]["sequence"])
        self.cursor = Cursor(*source, last + 1, whole) if known and last else None
