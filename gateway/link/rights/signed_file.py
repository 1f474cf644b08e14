"""A text file with a signature as its last line: who may what, and from where, is believed only as its signer wrote it.

    version = 7
    …
    # ed25519 roles aG9…=          over "gateway link file" ‖ kind ‖ 0 ‖ every byte before this line

The line is a comment of TOML, so the file is read and edited as one. Hard rule: no byte is parsed before the signature has
passed, and a file signed as one kind is never another.
"""

import base64
import binascii
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway import limits
from gateway.errors import GatewayError

KINDS = ("roles", "addresses")
DOMAIN = b"gateway link file"
KEY_BYTES = 32
VERSION_MAX = (1 << 63) - 1
_LAST_LINE = re.compile(rb"(?:\A|\n)# ed25519 ([a-z]{1,16}) ([A-Za-z0-9+/]{86}==)\n?\Z")
_TAIL_BYTES = 256
SHOWN_MAX = 96  # characters of a file that an error repeats at once


class FileRefused(GatewayError):
    """A signed file that is not believed; the message says why and what mends it."""


class Floors(Protocol):
    """Versions that only rise: durable_floors.DurableFloors."""

    def floor(self, name: str) -> int:
        """The lowest version that counts."""

    def raise_to(self, name: str, value: int) -> None:
        """Raises OSError when it cannot be kept."""

    def keep(self, name: str, value: int) -> None:
        """Has the disk hold what is raised later. Raises OSError."""


class Words(BaseModel):
    """What a file may say: nothing but its fields, each in its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Said = TypeVar("Said", bound=Words)
Believed = TypeVar("Believed")


def covered(kind: str, content: bytes) -> bytes:
    """What the signature is over."""
    return DOMAIN + kind.encode("ascii") + b"\0" + content


def sign(kind: str, content: bytes, key: Ed25519PrivateKey) -> bytes:
    """The file with its signature; one that it already has is replaced. Raises FileRefused when it becomes too large."""
    found = _LAST_LINE.search(content, max(len(content) - _TAIL_BYTES, 0))
    content = content[: found.start()] if found else content
    content = content if content.endswith(b"\n") or not content else content + b"\n"
    signature = base64.b64encode(key.sign(covered(kind, content)))
    signed = content + b"# ed25519 " + kind.encode("ascii") + b" " + signature + b"\n"
    if len(signed) > limits.SIGNED_FILE_BYTES_MAX:
        raise FileRefused(f"{len(signed)} bytes: a signed file has at most {limits.SIGNED_FILE_BYTES_MAX}; name fewer")
    return signed


def content_of(kind: str, data: bytes, public_key: bytes) -> bytes:
    """The bytes before the signature. Raises FileRefused: too large, no signature, another kind, another signer."""
    if len(data) > limits.SIGNED_FILE_BYTES_MAX:
        raise FileRefused(f"larger than {limits.SIGNED_FILE_BYTES_MAX} bytes")
    found = _LAST_LINE.search(data, max(len(data) - _TAIL_BYTES, 0))
    if not found:
        raise FileRefused("its last line is no signature; gateway link-sign signs it")
    if found[1].decode("ascii") != kind:
        raise FileRefused(f"signed as {found[1].decode('ascii')}, not as {kind}; gateway link-sign --kind {kind} signs it")
    begin = found.start() + (1 if data[found.start() : found.start() + 1] == b"\n" else 0)
    content = data[:begin]
    try:
        signature = base64.b64decode(found[2], validate=True)
        if base64.b64encode(signature) != found[2]:
            raise InvalidSignature  # bits that base 64 leaves unused: one signature, one text
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, covered(kind, content))
    except (InvalidSignature, binascii.Error):
        raise FileRefused("its signature is not that of the pinned key over these bytes; sign it again") from None
    return content


def words_of(content: bytes) -> dict[str, Any]:
    """The TOML of a file whose signature has passed. Raises FileRefused."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise FileRefused(f"no TOML: {_line(str(problem))}") from None
    except RecursionError:
        raise FileRefused("no TOML: nested too deeply") from None


class Form(Generic[Said, Believed]):
    """One kind of signed file: what it may say, and what it becomes once it is believed (roles.py, addresses.py)."""

    def __init__(self, kind: str, words: type[Said], believed: Callable[[Said, bytes], Believed]):
        """`words` is the model of its TOML; `believed` makes of that and of the content what others ask."""
        self.kind, self._words, self._believed = kind, words, believed

    def parse(self, content: bytes) -> Believed:
        """What the content of such a file says. Raises FileRefused with the first thing that is wrong."""
        try:
            return self._believed(self._words(**words_of(content)), content)
        except ValidationError as problem:
            raise FileRefused(first_problem(problem)) from None
        except TypeError:
            raise FileRefused(f"no {self.kind}: every key is a name") from None

    def verified(self, data: bytes, public_key: bytes) -> Believed:
        """What a signed file says; nothing is in force by that. Raises FileRefused."""
        return self.parse(content_of(self.kind, data, public_key))


def raise_floor(floors: Floors, kind: str, version: int) -> None:
    """Makes a file's version the lowest that counts. Raises FileRefused: it is below; GatewayError: it cannot be kept."""
    _raise_by(floors.raise_to, floors.floor(kind), kind, version)


def keep_floor(floors: Floors, kind: str, version: int) -> None:
    """Has the disk hold it beforehand, from a thread: `raise_floor` then waits for no disk. Raises as that does."""
    _raise_by(floors.keep, floors.floor(kind), kind, version)


def _raise_by(raises: Callable[[str, int], None], floor: int, kind: str, version: int) -> None:
    if version < floor:
        raise FileRefused(f"version {version} is below {floor}, which was in force already; sign a higher one")
    try:
        raises(kind, version)
    except OSError as problem:
        raise GatewayError(f"version {version} cannot be kept as the floor ({problem.strerror}); free the disk") from None


def first_problem(problem: ValidationError) -> str:
    """The first thing that is wrong with a file, in one line."""
    error = problem.errors(include_url=False)[0]
    place = ".".join(_line(str(part)) for part in error["loc"]) or "the file"
    return f"{place}: {_line(error['msg'].removeprefix('Value error, '))}"


def _line(text: str) -> str:
    """What a file says, fit for one line of ours."""
    return " ".join(text.split())[:SHOWN_MAX]


def read(path: Path) -> bytes:
    """A file's bytes, one more than allowed at most. Raises GatewayError."""
    try:
        with path.open("rb") as file:
            return file.read(limits.SIGNED_FILE_BYTES_MAX + 1)
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}") from None


def public_key_of(text: bytes) -> bytes:
    """The 32 bytes of a public key file (base64, one line). Raises FileRefused."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise FileRefused("a public key is 32 bytes in base64; gateway link-sign --new-key writes one")
    return key
