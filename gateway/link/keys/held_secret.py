"""A secret while it is held: shown by no repr, copied by no pickle, overwritten when it is dropped.

Python copies bytes where it likes, and the copies that `read` hands out live until their last reader is done; what this
guarantees is that the held one is zero after `drop`. Hard rule: nobody reads zeros as a key, whichever thread drops it when.
"""

from typing import NoReturn


class HeldSecret:
    """One secret of one generation. One thread drops, any thread reads."""

    __slots__ = ("_bytes", "_dropped", "generation")

    def __init__(self, secret: bytearray, generation: int):
        """Takes `secret` over: nobody else may keep it."""
        self._bytes, self._dropped, self.generation = secret, False, generation

    def read(self) -> bytes | None:
        """A copy; None once it was dropped."""
        copy = bytes(self._bytes)
        return None if self._dropped else copy  # looked at behind the copy: drop says so before it writes zeros

    def drop(self) -> None:
        """Overwrites it; a second call does nothing."""
        self._dropped = True
        zero(self._bytes)

    def __repr__(self) -> str:
        return f"HeldSecret(generation={self.generation}{', dropped' if self._dropped else ''})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a held secret is not copied")


def zero(secret: bytearray) -> None:
    """Overwrites a secret where it stands."""
    secret[:] = bytes(len(secret))
