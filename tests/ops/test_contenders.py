"""Every contender in C and C++ compiles against today's headers: a suite that skips itself for that is no comparison."""

import shutil

import pytest

from gateway.errors import CapabilityError
from gateway.ops.bench import compiled

NAMES = sorted(path.stem for path in compiled.CONTENDERS.iterdir() if path.suffix in compiled.LANGUAGES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_contender_compiles_and_loads(name, tmp_path, monkeypatch):
    if shutil.which(compiled.LANGUAGES[compiled.source_of(name).suffix][0]) is None:
        pytest.skip("its compiler is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        assert compiled.load(name)._name.startswith(str(tmp_path))
    except CapabilityError as problem:
        if name not in compiled.PEERS or "not installed" not in str(problem):
            raise
        pytest.skip(str(problem))


def test_there_are_contenders():
    assert {"ring_hop", "ring_boost"} <= set(NAMES)
