"""Every contender in plain C compiles against today's headers: a suite that skips itself for that is no comparison."""

import shutil

import pytest

from gateway.ops.bench import compiled

NAMES = sorted(path.stem for path in compiled.CONTENDERS.glob("*.c"))


@pytest.mark.parametrize("name", NAMES)
def test_a_contender_compiles_and_loads(name, tmp_path, monkeypatch):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled.load(name)._name.startswith(str(tmp_path))


def test_there_are_contenders():
    assert "ring_hop" in NAMES
