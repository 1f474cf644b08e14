"""The root secret of keyd, sealed in a file: nothing is in the clear on a disk, a back-up or a stolen machine.

      0  8  magic "GWROOT" 1 0      9  1  r     12  32  salt      56  48  AES-256-GCM of the 32-byte root: ciphertext and
      8  1  log2 of scrypt's N     10  1  p     44  12  nonce             tag; bytes 0–55 are its associated data
                                   11  1  0

The key that seals comes from a passphrase by scrypt (RFC 7914). The passphrase comes from a file or from the environment,
never from the command line. Hard rule: a wrong passphrase and a changed file look alike and give nothing.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.errors import ConfigurationError, GatewayError
from gateway.link.keys import secret_file

HEAD = struct.Struct("<8sBBBB32s12s")
MAGIC = b"GWROOT\x01\x00"
ROOT_BYTES, TAG_BYTES = 32, 16
BYTES = HEAD.size + ROOT_BYTES + TAG_BYTES
LOG_N, R, P = 16, 8, 1  # 64 MiB and about a quarter of a second for each guess
LOG_N_MIN, LOG_N_MAX, P_MAX = 14, 20, 4  # of a file that is read: 1 GiB at most
VARIABLE = "GATEWAY_KEYD_PASSPHRASE"
PASSPHRASE_MIN, PASSPHRASE_MAX = 12, 1024
WHAT = "sealed root"


def create(path: Path, passphrase: bytes, log_n: int = LOG_N) -> None:
    """Makes a root and seals it into a new file. Raises GatewayError where one stands already."""
    secret_file.create(path, seal(os.urandom(ROOT_BYTES), passphrase, log_n), WHAT)


def seal(root: bytes, passphrase: bytes, log_n: int = LOG_N) -> bytes:
    """The bytes of the file."""
    head = HEAD.pack(MAGIC, log_n, R, P, 0, os.urandom(32), os.urandom(12))
    return head + AESGCM(_stretch(head, passphrase)).encrypt(head[-12:], root, head)


def open_sealed(path: Path, passphrase: bytes) -> bytearray:
    """The root, 32 bytes; the caller zeroes it. Raises ConfigurationError or GatewayError, one line each."""
    data = secret_file.read(path, WHAT, BYTES)
    head = data[: HEAD.size]
    if len(data) != BYTES or not data.startswith(MAGIC) or not _sound(head):
        raise ConfigurationError(f"{WHAT}: {path} is none; make one with: gateway link-keys root FILE")
    try:
        return bytearray(AESGCM(_stretch(head, passphrase)).decrypt(head[-12:], data[HEAD.size :], head))
    except InvalidTag:
        raise GatewayError(f"{WHAT}: wrong passphrase for {path}, or the file was changed") from None


@contextmanager
def held(path: Path) -> Iterator[None]:
    """This process alone serves the root: two would write each other's revocations over. Raises GatewayError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        raise ConfigurationError(f"{WHAT}: {path}: {problem.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise GatewayError(f"{WHAT}: another keyd serves {path} already") from None
    finally:
        os.close(file)


def passphrase_of(path: Path | None, remove: bool = True) -> bytes:
    """From the file (mode 0600), or from the environment, which then forgets it. Raises ConfigurationError."""
    if path is not None:
        text, where = secret_file.read_line(path, "passphrase", PASSPHRASE_MAX), str(path)
    else:
        text, where = (os.environ.pop(VARIABLE, "") if remove else os.environ.get(VARIABLE, "")), VARIABLE
    if not text:
        raise ConfigurationError(f"the root needs its passphrase: --passphrase-file FILE, or {VARIABLE} in the environment")
    passphrase = text.encode()
    if not PASSPHRASE_MIN <= len(passphrase) <= PASSPHRASE_MAX:
        wrong = f"{where}: a passphrase has {PASSPHRASE_MIN} to {PASSPHRASE_MAX} bytes"
        raise ConfigurationError(f"{wrong}; mend: head -c 24 /dev/urandom | base64")
    return passphrase


def _sound(head: bytes) -> bool:
    """Bounds before any work: a forged head must not ask for a day of scrypt, or for all memory."""
    _, log_n, r, p, reserved, _, _ = HEAD.unpack(head)
    return LOG_N_MIN <= log_n <= LOG_N_MAX and r == R and 1 <= p <= P_MAX and reserved == 0


def _stretch(head: bytes, passphrase: bytes) -> bytes:
    _, log_n, r, p, _, salt, _ = HEAD.unpack(head)
    return Scrypt(salt=salt, length=32, n=1 << log_n, r=r, p=p).derive(passphrase)
