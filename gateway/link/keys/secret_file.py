"""A small file that only its owner may read: keys, passphrases, tokens, the sealed root.

Hard rule: a secret that others could have read is refused, and none is ever written over another.
"""

import os
import stat
from pathlib import Path

from gateway.errors import ConfigurationError, GatewayError
from gateway.ops import durable_file

PRIVATE = 0o600


def read(path: Path, what: str, bytes_max: int) -> bytes:
    """The file whole; `what` names it in errors. Raises ConfigurationError: absent, readable by others, too long."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe of that name must not hang us
    except OSError as problem:
        raise ConfigurationError(f"{what}: {path}: {problem.strerror}") from None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{what}: {path} is no regular file")
        if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
            raise ConfigurationError(f"{what}: others may read {path}, or it is not ours; mend: chmod 600 {path}")
        data = os.read(file, bytes_max + 1)
    except OSError as problem:
        raise ConfigurationError(f"{what}: {path}: {problem.strerror}") from None
    finally:
        os.close(file)
    if len(data) > bytes_max:
        raise ConfigurationError(f"{what}: {path} is longer than {bytes_max} bytes")
    return data


def read_line(path: Path, what: str, bytes_max: int) -> str:
    """The one line of printable ASCII in a file. Raises ConfigurationError."""
    text = read(path, what, bytes_max).decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ConfigurationError(f"{what}: {path} does not hold one line of printable characters")
    return text


def create(path: Path, content: bytes, what: str) -> None:
    """Writes a new file, mode 0600, synced. Raises GatewayError; a file that stands there is left as it is."""
    try:
        durable_file.make_folder(path.parent)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
    except FileExistsError:
        raise GatewayError(f"{what}: {path} is there already; who may replace it removes that file first") from None
    except OSError as problem:
        raise GatewayError(f"{what}: {path}: {problem.strerror}") from None
    try:
        os.fchmod(file, PRIVATE)  # whatever the umask left
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
        durable_file.sync_folder(path.parent)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise GatewayError(f"{what}: {path}: {problem.strerror}") from None
    finally:
        os.close(file)
