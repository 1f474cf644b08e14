"""The second factor: RFC vectors, a code that counts once, and files that are out of order."""

import os
import subprocess
import sys

import pyotp
import pytest

from gateway.config import load
from gateway.errors import GatewayError, UsageError
from gateway.ops import durable_file, second_factor

# RFC 6238, appendix B: the ASCII secret 12345678901234567890, the last six of the eight digits
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC = [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")]
NOON = 1_700_000_000 // 30 * 30


@pytest.fixture
def configuration(tmp_path):
    return load(None, {"instance.state": str(tmp_path / "state")})


@pytest.fixture
def codes(configuration):
    """code(step): the code of a step, by another road than the one under test."""
    secret, _ = second_factor.make(configuration)
    return lambda step: pyotp.TOTP(secret).at(step * 30)


@pytest.mark.parametrize(("now", "code"), RFC)
def test_the_vectors_of_the_rfc_are_accepted(configuration, now, code):
    durable_file.replace(second_factor.secret_path(configuration), RFC_SECRET.encode())
    second_factor.require(configuration, code, now)


def test_a_code_counts_once(configuration, codes):
    step = NOON // 30
    second_factor.require(configuration, codes(step), NOON)
    for later in (0, 15, 30):
        with pytest.raises(GatewayError, match="used already"):
            second_factor.require(configuration, codes(step), NOON + later)


def test_an_earlier_code_never_counts_after_a_later_one(configuration, codes):
    step = NOON // 30
    second_factor.require(configuration, codes(step + 1), NOON)
    with pytest.raises(GatewayError, match="used already"):
        second_factor.require(configuration, codes(step), NOON)
    second_factor.require(configuration, codes(step + 2), NOON + 30)


@pytest.mark.parametrize("drift", [0, 1, 4])
def test_a_clock_may_be_off_by_exactly_the_drift(configuration, codes, drift):
    settings = configuration.model_copy(
        update={"second_factor": configuration.second_factor.model_copy(update={"drift_steps": drift})}
    )
    step = NOON // 30
    for off in (-drift - 1, drift + 1):
        with pytest.raises(GatewayError, match="wrong code"):
            second_factor.require(settings, codes(step + off), NOON)
    second_factor.require(settings, codes(step - drift), NOON)
    if drift:
        second_factor.require(settings, codes(step + drift), NOON)


@pytest.mark.parametrize("code", [None, "", "12345", "1234567", "12345a", "１２３４５６", "-12345", "12 345"])
def test_what_is_no_code_is_a_wrong_use_and_no_attempt(configuration, codes, code):
    for _ in range(10):
        with pytest.raises(UsageError, match="six digits"):
            second_factor.require(configuration, code, NOON)
    second_factor.require(configuration, codes(NOON // 30), NOON)


def test_after_five_wrong_codes_the_right_one_waits(configuration, codes):
    right = codes(NOON // 30)
    wrong = next(f"{number:06}" for number in range(9) if f"{number:06}" not in {codes(NOON // 30 + k) for k in (-1, 0, 1)})
    for _ in range(5):
        with pytest.raises(GatewayError, match="wrong code"):
            second_factor.require(configuration, wrong, NOON)
    with pytest.raises(GatewayError, match="looked at in 300 s"):
        second_factor.require(configuration, right, NOON)
    with pytest.raises(GatewayError, match="looked at in 1 s"):
        second_factor.require(configuration, codes(NOON // 30 + 9), NOON + 299)
    second_factor.require(configuration, codes(NOON // 30 + 10), NOON + 300)


def test_the_secret_is_made_once_and_is_nobody_elses(configuration, codes):
    path = second_factor.secret_path(configuration)
    assert path.stat().st_mode & 0o777 == 0o600 and len(path.read_text().strip()) == 32
    before = path.read_text()
    with pytest.raises(UsageError, match="holds a secret already"):
        second_factor.make(configuration)
    assert path.read_text() == before
    path.chmod(0o640)
    with pytest.raises(GatewayError, match="others may read"):
        second_factor.require(configuration, codes(NOON // 30), NOON)


@pytest.mark.parametrize("content", [b"", b"short", b"!" * 32, b"A" * 31, b"A" * 300, b"\xff" * 32])
def test_a_damaged_secret_lets_nobody_in(configuration, content):
    durable_file.replace(second_factor.secret_path(configuration), content)
    with pytest.raises(GatewayError, match="holds no secret"):
        second_factor.require(configuration, "123456", NOON)


@pytest.mark.parametrize(
    "content", [b"", b"{}x", b'{"step": -1}', b'{"step": 1.5}', b'{"step": true}', b"[]", b"\xff", b'{"no": 1}']
)
def test_a_damaged_file_of_used_codes_lets_nobody_in(configuration, codes, content):
    durable_file.replace(second_factor.used_path(configuration), content)
    with pytest.raises(GatewayError, match="no code counts"):
        second_factor.require(configuration, codes(NOON // 30), NOON)


def test_what_cannot_be_written_down_lets_nobody_in(configuration, codes, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_file, "replace", full)
    with pytest.raises(GatewayError, match="No space left"):
        second_factor.require(configuration, codes(NOON // 30), NOON)
    monkeypatch.undo()
    second_factor.require(configuration, codes(NOON // 30), NOON)


def test_no_secret_says_how_to_make_one(configuration):
    with pytest.raises(GatewayError, match="gateway totp CONFIG --new"):
        second_factor.require(configuration, "123456", NOON)


def test_the_secret_may_stand_elsewhere(configuration, tmp_path):
    chosen = tmp_path / "elsewhere" / "key"
    settings = load(None, {"instance.state": str(tmp_path / "state"), "second_factor.secret_file": str(chosen)})
    secret, address = second_factor.make(settings)
    assert chosen.read_text().strip() == secret and secret in address and address.startswith("otpauth://totp/gateway:")


def test_one_code_in_many_processes_counts_once(configuration, codes, tmp_path):
    code = codes(NOON // 30)
    program = (
        "import sys; from gateway.config import load; from gateway.ops import second_factor\n"
        f"second_factor.require(load(None, {{'instance.state': sys.argv[1]}}), sys.argv[2], {NOON})"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "state"), code]
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL, env=dict(os.environ)) for _ in range(4)]
    assert sorted(process.wait(60) for process in running) == [0, 1, 1, 1]


def test_a_crash_while_a_file_is_replaced_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    durable_file.replace(path, b"old")

    def fail(file):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        durable_file.replace(path, b"new")
    assert path.read_bytes() == b"old" and [row.name for row in tmp_path.iterdir()] == ["file"]
