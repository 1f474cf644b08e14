"""Generated modules on the disk: written once, whole or not at all, compiled only when asked, loaded by the next start."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import kernel_cache
from gateway.protocols.sbe import generator, generator_encoders, modules
from gateway.protocols.sbe.schema import load_schema, parse_schema
from tests.protocols.sbe_messages import EVERYTHING, everything

ROOT = Path(__file__).resolve().parents[2]
START = """
import time
from gateway.protocols.sbe import modules
from tests.protocols.sbe_messages import everything
schema = everything(False)
kernels = modules.compile_kernels(modules.readers(schema), ["read_Flat", "read_Nested"])
hits = sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels.values())
print(hits, len(list(kernels["read_Flat"].signatures)))
"""
DRIVER = "from gateway.core.kernel import cached\n\n\n@cached\ndef twice(number):\n    return 2 * number\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A kernel folder of this test's own."""
    monkeypatch.setattr(kernel_cache, "prepare", lambda: tmp_path)
    return tmp_path / modules.FOLDER


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    outputs = []
    for _ in range(2):
        child = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, timeout=120)
        assert child.returncode == 0, child.stderr
        outputs.append(child.stdout.split())
    assert outputs == [["0", "1"], ["2", "1"]]


def test_a_file_is_named_after_schema_digest_and_generator_version(folder):
    schema = everything(False)
    path = Path(str(modules.readers(schema).__file__))
    assert path == folder / f"read-everything-{schema.digest[:16]}-{generator.VERSION}.py"
    assert [name.name for name in folder.glob("*.part")] == []


def test_another_schema_has_another_file(folder):
    changed = parse_schema(
        EVERYTHING.format(order="littleEndian").replace('blockLength="32"', 'blockLength="40"'), "changed.xml"
    )
    assert modules.readers(everything(False)).__file__ != modules.readers(changed).__file__


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "binary"])
def test_a_file_that_is_not_what_was_written_is_written_again(folder, harm):
    made = []

    def make() -> str:
        made.append(1)
        return DRIVER

    path = Path(str(modules.load("driver", "0123", make).__file__))
    whole = path.read_bytes()
    damage = {"cut": whole[:-9], "changed": whole.replace(b"2 *", b"3 *"), "empty": b"", "binary": b"\xff\xfe" * 40}
    path.write_bytes(damage[harm])
    del sys.modules["gateway_generated_driver_0123_1".replace("_1", f"_{generator.VERSION}")]
    module = modules.load("driver", "0123", make)
    assert path.read_bytes() == whole
    assert len(made) == 2
    assert module.twice(4) == 8
    assert modules.load("driver", "0123", make) is module
    assert len(made) == 2


def test_a_text_that_cannot_be_made_leaves_no_file(folder):
    with pytest.raises(ZeroDivisionError):
        modules.load("broken", "0123", lambda: str(1 // 0))
    assert not list(folder.glob("*"))
    with pytest.raises(SyntaxError):
        modules.load("nonsense", "0123", lambda: "def (")
    assert "gateway_generated_nonsense_0123_1" not in sys.modules


def test_only_the_kernels_asked_for_are_compiled_and_progress_is_told(folder):
    module = modules.readers(everything(True))
    told = []
    modules.compile_kernels(module, ["read_Book"], lambda done, total, name: told.append((done, total, name)))
    assert told == [(0, 1, "read_Book"), (1, 1, "")]
    assert module.read_Book.signatures
    assert not module.read_Nested.signatures


def test_names_that_python_does_not_know_become_names_it_does(folder):
    text = EVERYTHING.format(order="littleEndian").replace('name="Flat"', 'name="Flat-1 x"')
    schema = parse_schema(text, "names.xml")
    assert generator.reader_name(schema.messages[1]) == "read_Flat_1_x"
    assert hasattr(modules.readers(schema), "read_Flat_1_x")


def test_the_largest_schema_is_generated_within_five_seconds(shared_data):
    largest = max((shared_data / "schemas").glob("*.xml"), key=lambda path: path.stat().st_size)
    schema = load_schema(largest)
    begin = time.process_time()
    kernels = [*generator.readers(schema).values(), *generator_encoders.writers(schema).values()]
    assert time.process_time() - begin < 5
    assert len(kernels) == 2 * len(schema.messages)
    for text in kernels:
        compile(text, "generated", "exec")
