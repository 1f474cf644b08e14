"""Which periods keyd has revoked, and how often: a small signed file beside the root, replaced whole and synced.

    {"hourly/498123": 2, …} ─ JSON, one line ─ and HMAC-SHA256 of it under a key of the root, in hexadecimal, on the next

Hard rule: a revocation counts when it is on the disk, and keyd does not start without the file or with a changed one:
otherwise removing it would bring a revoked secret back. An older copy of the file is believed; keep it with the root.
"""

import hashlib
import hmac
import json
from pathlib import Path

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.keys import secret_file
from gateway.link.keys.key_service import CODES, KeyRefusal, KeyRefused
from gateway.ops import durable_file

FILE_BYTES_MAX = 64 * limits.KEY_REVOCATIONS_MAX
WHAT = "revocations"
SUFFIX = ".revocations"


def path_of(root: Path) -> Path:
    """Where the revocations of a root stand."""
    return root.with_name(root.name + SUFFIX)


class Revocations:
    """Generations by period; 1 where nothing was revoked."""

    def __init__(self, path: Path, key: bytes, generations: dict[tuple[str, int], int]):
        self._path, self._key, self._generations = path, key, generations

    @classmethod
    def create(cls, path: Path, key: bytes) -> "Revocations":
        """The file of a new root: nothing is revoked. Raises GatewayError where one stands already."""
        secret_file.create(path, _encode({}, key), WHAT)
        return cls(path, key, {})

    @classmethod
    def read(cls, path: Path, key: bytes) -> "Revocations":
        """Raises ConfigurationError (absent, readable by others) or GatewayError (changed)."""
        text, _, code = secret_file.read(path, WHAT, FILE_BYTES_MAX).partition(b"\n")
        if not hmac.compare_digest(code.strip(), _code(text, key)):
            raise GatewayError(f"{WHAT}: {path} was changed or is another root's; take it from the back-up of the root")
        generations = {}
        for words, generation in json.loads(text).items():
            name, _, period = words.partition("/")
            generations[(name, int(period))] = int(generation)
        return cls(path, key, generations)

    def generation(self, name: str, period: int) -> int:
        """The one that holds now."""
        return self._generations.get((name, period), 1)

    def __len__(self) -> int:
        return len(self._generations)

    def revoke(self, name: str, period: int, oldest: dict[str, int]) -> int:
        """The next generation, on the disk when it returns. Periods before `oldest` are forgotten: nobody gets them."""
        kept = {key: generation for key, generation in self._generations.items() if key[1] >= oldest[key[0]]}
        generation = kept.get((name, period), 1) + 1
        kept[(name, period)] = generation
        if len(kept) > limits.KEY_REVOCATIONS_MAX or generation > limits.KEY_GENERATION_MAX:
            raise KeyRefused(KeyRefusal.FULL)
        try:
            durable_file.replace(self._path, _encode(kept, self._key))
        except OSError as problem:
            raise KeyRefused(KeyRefusal.FAULT, f"{WHAT} cannot be written: {problem.strerror}") from None
        self._generations = kept
        return generation


def _encode(generations: dict[tuple[str, int], int], key: bytes) -> bytes:
    assert all(name in CODES for name, _ in generations)
    text = json.dumps({f"{name}/{period}": generation for (name, period), generation in sorted(generations.items())})
    return text.encode() + b"\n" + _code(text.encode(), key) + b"\n"


def _code(text: bytes, key: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).hexdigest().encode()
