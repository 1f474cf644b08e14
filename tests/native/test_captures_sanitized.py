"""The C readers of recorded files under AddressSanitizer and UBSan, driven by a mutation fuzzer with a seed corpus.

The planted faults show that the fuzzer finds what it is there for: each takes one check out of a reader.
"""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from gateway.layout import LAYOUT_HASH
from tests import naive_capture as naive
from tests.naive_capture import Recorded
from tests.ports.test_binaryfile import message, record

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 30_000
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
FLAGS += ["-fno-sanitize-recover=all", f"-DGATEWAY_LAYOUT_HASH={LAYOUT_HASH:#x}ULL", "-DGATEWAY_WITH_DPDK=0"]
SOURCES = ["capture.c", "capture_blocks.c", "mapping.c", "option.c"]  # binaryfile.c is part of the fuzzer itself


def build(folder: Path, native: Path) -> Path:
    """The fuzzer, or a skip with the compiler's own reason where the sanitizers' libraries are not installed."""
    target = folder / "fuzz_captures"
    sources = [str(ROOT / "tests/native/fuzz_captures.c"), *(str(native / "ports" / name) for name in SOURCES)]
    made = subprocess.run(
        ["gcc", *FLAGS, f"-I{native}", *sources, "-o", str(target)], capture_output=True, text=True, timeout=60
    )
    if made.returncode and "cannot find" in made.stderr:
        pytest.skip(f"gcc cannot build with the sanitizers: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    return target


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> list[str]:
    """Small files of every kind and byte order: where the mutations begin."""
    frames = [Recorded(bytes(range(size)), 1_692_711_000 * 10**9 + size, size + size % 3) for size in (0, 14, 61, 200)]
    files = {"records_little": naive.pcap(frames, "<"), "records_big": naive.pcap(frames, ">", nanoseconds=False)}
    for name, order in (("blocks_little", "<"), ("blocks_big", ">")):
        data = naive.section(order) + naive.interface(order, snap_bytes=64, resolution=9, offset_seconds=-7)
        data += naive.interface(order, resolution=0x80 | 20) + naive.interface(order, link=113)
        for index, frame in enumerate(frames[:3]):
            data += naive.packet(order, index, 2**40, frame.data, frame.size_wire, rows=[(2, bytes(4)), (1, b"note")])
            data += naive.packet_old(order, index, 2**33, frame.data) + naive.packet_simple(order, frame.data[:64])
        files[name] = data + naive.block(order, 5, bytes(24)) + naive.section(order) + naive.packet(order)
    # what a file may end with: an interface whose last option claims more than is left, one too short to be one
    files["ends_in_option"] = naive.section() + naive.block("<", 1, struct.pack("<HHIHH", 1, 0, 0, 14, 8))
    files["ends_in_stump"] = naive.section() + naive.block("<", 1, b"\1\0\0\0")
    files["binary"] = b"".join(record(message(index, 12 + 9 * index)) for index in range(12)) + b"\0\0"
    folder = tmp_path_factory.mktemp("corpus")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [str(folder / name) for name in files]


def fuzz(program: Path, seed: int, rounds: int, corpus: list[str]) -> subprocess.CompletedProcess[str]:
    """One run; its output ends with what the fuzzer met."""
    return subprocess.run([str(program), str(seed), str(rounds), *corpus], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_the_readers_are_clean_on_mutated_files(tmp_path, corpus):
    program = build(tmp_path, ROOT / "native")
    for seed in (1, 2, 3):
        ran = fuzz(program, seed, ROUNDS, corpus)
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr[-3000:]
        words = ran.stdout.split()
        frames, refused, errors = int(words[1]), int(words[3]), int(words[5])
        assert frames > ROUNDS, "the fuzzer has to get past the headers"
        assert refused > ROUNDS / 50
        assert errors > ROUNDS / 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "check", "weaker"),
    [
        ("capture.c", "|| size > left - RECORD_HEADER_BYTES)", ")"),
        ("capture.c", "if (left < RECORD_HEADER_BYTES)", "if (left < 1)"),
        ("capture.c", "if (capture->size < FILE_HEADER_BYTES)", "if (capture->size < 8)"),
        ("capture_blocks.c", "|| size > room ||", "|| size > room + 64 ||"),
        ("capture_blocks.c", "|| length % 4 != 0 || length > left)", "|| length % 4 != 0)"),
        ("capture_blocks.c", "|| length > end - at - 4)", ")"),
        ("capture_blocks.c", "if (size > length - 16 ||", "if ("),
        ("capture_blocks.c", "if (length < INTERFACE_BYTES_MIN)", "if (length < 1)"),
        ("binaryfile.c", "|| *size > left - 2", ""),
        ("option.c", "if (length >= OPTION_TEXT_BYTES)", "if (length > OPTION_TEXT_BYTES * 2)"),
    ],
)
def test_the_fuzzer_finds_a_check_that_is_missing(tmp_path, corpus, name, check, weaker):
    native = tmp_path / "native"
    shutil.copytree(ROOT / "native", native, ignore=shutil.ignore_patterns("*.o"))
    path = native / "ports" / name
    text = path.read_text()
    assert check in text, "the check to take out has moved"
    path.write_text(text.replace(check, weaker, 1))
    ran = fuzz(build(tmp_path, native), 1, ROUNDS, corpus)
    assert ran.returncode != 0, "the planted fault was not found"
    assert "Sanitizer" in ran.stderr or "runtime error" in ran.stderr or "seed 1 round" in ran.stderr
