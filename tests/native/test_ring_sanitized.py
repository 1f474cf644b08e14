"""The ring under ThreadSanitizer, AddressSanitizer and UBSan."""

import os
import subprocess
from pathlib import Path

import pytest

from gateway.layout import LAYOUT_HASH

ROOT = Path(__file__).resolve().parents[2]
NOT_BUILT = "gcc cannot build with {}: {}"


def build(folder: Path, sanitizers: str) -> Path:
    """The program, or a skip with the compiler's own reason where the sanitizer's library is not installed."""
    target = folder / "ring_sanitized"
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", f"-fsanitize={sanitizers}"]
    flags += [
        "-fno-sanitize-recover=all",
        "-Wno-tsan",
        f"-DGATEWAY_LAYOUT_HASH={LAYOUT_HASH:#x}ULL",
        f"-I{ROOT / 'native'}",
    ]
    sources = [str(ROOT / "tests/native/ring_sanitized.c"), str(ROOT / "native/ring.c")]
    made = subprocess.run(["gcc", *flags, *sources, "-o", str(target)], capture_output=True, text=True, timeout=60)
    if made.returncode and "cannot find" in made.stderr:
        pytest.skip(NOT_BUILT.format(sanitizers, made.stderr.strip().splitlines()[-1]))
    assert made.returncode == 0, made.stderr
    return target


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sanitizers", "part"), [("thread", "threads"), ("address,undefined", "memory"), ("address,undefined", "threads")]
)
def test_the_ring_is_clean_under(tmp_path, sanitizers, part):
    program = build(tmp_path, sanitizers)
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=1"}
    ran = subprocess.run([str(program), part], capture_output=True, text=True, timeout=60, env=environment)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stderr == ""
