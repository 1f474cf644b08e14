"""The second factor ⑦: a time-based code (RFC 6238: 6 digits, 30 s) that a human gives before trading goes on.

    gateway totp CONFIG --new ─► secret file (0600) ─► the human's phone
    gateway resume, enable, kill --clear ─► require(configuration, code) ─► the file of used codes (synced) ─► allowed

Hard rule: a code counts once. Its step is written down and synced before anybody is allowed anything; where that cannot
be read or written, nobody is allowed anything.
"""

import fcntl
import hmac
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Configuration
from gateway.errors import GatewayError, UsageError
from gateway.ops import durable_file

STEP_SECONDS = 30  # RFC 6238, 4.1
DIGITS = 6
FAILURES_MAX = 5  # wrong codes after which none is looked at for a while (RFC 4226, 7.3)
REST_SECONDS = 300
SECRET_CHARACTERS_MIN = 32  # 160 bits in base 32 (RFC 4226, 4: R6)
SECRET_BYTES_MAX = 256


@dataclass(frozen=True)
class Used:
    """What outlives the process: the step of the last accepted code, and wrong codes since."""

    step: int = 0
    failures: int = 0
    failed_at: int = 0  # seconds, UTC


def secret_path(configuration: Configuration) -> Path:
    """Where the secret stands."""
    chosen = configuration.second_factor.secret_file
    return Path(chosen).expanduser() if chosen else configuration.state_folder / "second_factor"


def used_path(configuration: Configuration) -> Path:
    """Where the last used step stands."""
    return configuration.state_folder / "second_factor_used"


def is_set_up(configuration: Configuration) -> bool:
    """Whether there is a secret, or the configuration names a file for one: then nobody goes on without a code."""
    path = secret_path(configuration)
    return path.exists() or path.is_symlink() or bool(configuration.second_factor.secret_file)


def make(configuration: Configuration) -> tuple[str, str]:
    """Makes the secret; returns it and the otpauth address a phone reads. Refuses to write over one that is there."""
    import pyotp

    path = secret_path(configuration)
    secret = pyotp.random_base32(SECRET_CHARACTERS_MIN)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} holds a secret already; who may replace it removes that file first")
        durable_file.replace(path, secret.encode() + b"\n")
    except OSError as problem:
        raise GatewayError(f"{path}: {problem.strerror}; write second_factor.secret_file = another file") from None
    return secret, pyotp.TOTP(secret).provisioning_uri(name=configuration.instance.name, issuer_name="gateway")


def require(configuration: Configuration, code: str | None, now: float | None = None) -> None:
    """Returns when `code` is right and new; raises otherwise.

    UsageError     no code was given, or one that is not six digits: nothing was tried
    GatewayError   no secret here, a wrong code, one that was used before, too many wrong ones, a file out of order
    """
    if not code:
        raise UsageError("this needs the second factor: add --code with the six digits that the phone shows now")
    if not (code.isascii() and code.isdecimal() and len(code) == DIGITS):
        raise UsageError("--code: six digits, as the phone shows them now")
    with _locked_secret(secret_path(configuration)) as secret:
        at = int(time.time() if now is None else now)
        used = _read_used(used_path(configuration))
        if used.failures >= FAILURES_MAX and 0 <= at - used.failed_at < REST_SECONDS:
            wait = REST_SECONDS - (at - used.failed_at)
            raise GatewayError(f"second factor: {used.failures} wrong codes; the next one is looked at in {wait} s")
        step = _step_of(secret, code, at, configuration.second_factor.drift_steps)
        if step is None:
            failures = used.failures + 1 if used.failures < FAILURES_MAX else 1
            _write_used(used_path(configuration), Used(used.step, failures, at))
            raise GatewayError("second factor: wrong code; look at this host's and the phone's clock, take the next one")
        if step <= used.step:
            raise GatewayError("second factor: this code, or a later one, was used already; wait for the phone's next one")
        _write_used(used_path(configuration), Used(step))


def _step_of(secret: str, code: str, now: int, drift_steps: int) -> int | None:
    """The step whose code this is, the latest of those within the drift; None: none of them."""
    import pyotp

    totp, middle = pyotp.TOTP(secret), now // STEP_SECONDS
    steps = range(max(middle - drift_steps, 0), middle + drift_steps + 1)
    right = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
    return right[-1] if right else None


@contextmanager
def _locked_secret(path: Path) -> Iterator[str]:
    """The secret, its file locked meanwhile: two codes at the same moment are looked at one after the other."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise GatewayError(f"second factor: no secret in {path}; make one with: gateway totp CONFIG --new") from None
    except OSError as problem:
        raise GatewayError(f"second factor: {path}: {problem.strerror}; call this as the file's owner") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise GatewayError(f"second factor: others may read {path}; make a new secret, or: chmod 600 {path}")
        secret = os.read(file, SECRET_BYTES_MAX + 1).strip().decode("ascii", "replace")
        alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        if not SECRET_CHARACTERS_MIN <= len(secret) <= SECRET_BYTES_MAX or not set(secret) <= alphabet or len(secret) % 8:
            raise GatewayError(f"second factor: {path} holds no secret; remove it, then: gateway totp CONFIG --new")
        yield secret
    finally:
        os.close(file)


def _read_used(path: Path) -> Used:
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return Used()
    except (OSError, UnicodeDecodeError) as problem:
        raise GatewayError(f"second factor: {path} cannot be read ({type(problem).__name__}), so no code counts") from None
    try:
        used = Used(**json.loads(text))
        numbers = (used.step, used.failures, used.failed_at)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError
    except (ValueError, TypeError):
        raise GatewayError(f"second factor: {path} is damaged, so no code counts; who may do so removes it") from None
    return used


def _write_used(path: Path, used: Used) -> None:
    try:
        durable_file.replace(path, json.dumps(used.__dict__).encode())
    except OSError as problem:
        raise GatewayError(f"second factor: {path}: {problem.strerror}; no code counts until it can be written") from None
