"""Marks of used tokens, written beside the loop: who asks is told "not yet" until the disk has them.

    token_store ─ raise_to ─┬─ the disk has it ──► True: the token counts
                            └─ else ─► one write, in a thread ─► False: asked again, and again, until it is True

Hard rule: a mark is in force only when the disk has it, and the loop alone puts it in force.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from gateway.link.rights.durable_floors import DurableFloors


class MarkWriter:
    """Floors whose writing nobody waits for. One thread asks."""

    def __init__(self, floors: DurableFloors):
        self._floors = floors
        self._disk = ThreadPoolExecutor(1, "marks")
        self._writing: Future[None] | None = None
        self._asked: tuple[str, int, int] = ("", 0, 0)

    def floor(self, name: str) -> int:
        """The floor of a name that is in force, and so on the disk."""
        return self._floors.floor(name)

    def as_they_stand(self) -> Callable[[str], int]:
        """The floors of now by name, whatever is raised later."""
        return self._floors.as_they_stand()

    def raise_to(self, name: str, value: int, others: int = 0) -> bool:
        """Whether the floor stands; if not, the disk is at it. Raises OSError when the last write has failed."""
        self._take()
        if value <= self.floor(name):
            return True
        if self._writing is None:
            self._asked = (name, value, others)
            self._writing = self._disk.submit(self._floors.keep, *self._asked)
        return False

    def _take(self) -> None:
        """Puts in force what has been written meanwhile."""
        if self._writing is not None and self._writing.done():
            written, self._writing = self._writing, None
            written.result()
            self._floors.raise_to(*self._asked)

    def close(self) -> None:
        """Waits for the write that is under way, and closes the file; a second call does nothing."""
        self._disk.shutdown()
        self._floors.close()
