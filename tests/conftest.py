"""What every test may need: where the recorded data is, whether we are root, and which tests stay in one process."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
# One worker runs everything that starts processes, makes interfaces or compiles the whole corridor: such tests take turns,
# nothing is measured beside another's load of the same kind, and no large kernel is compiled twice.
CORRIDOR_FOLDERS = ("cli", "integration", "native", "ops", "ports", "sim")
CORRIDOR_FILES = (
    "core/test_loop.py",
    "fuzz/test_corridor_fuzz.py",
    "protocols/test_golden.py",
    "venues/test_recovery_process.py",
    "venues/test_venue_process.py",
)


def group_of(path: Path) -> str:
    """The tests that take turns: all of the corridor, elsewhere those of one file (they share its fixtures)."""
    name = path.relative_to(TESTS).as_posix()
    folder = name.split("/")[0]
    return "corridor" if folder in CORRIDOR_FOLDERS or folder == name or name in CORRIDOR_FILES else name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under pytest-xdist (scripts/test) groups are spread over its workers."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group(group_of(item.path)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded exchange data beside the clone; skips where it is absent."""
    folder = Path(os.environ.get("GATEWAY_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"recorded exchange data is not at {folder}")
    return folder


@pytest.fixture
def as_root() -> None:
    """Skips, with the reason, where the test cannot make interfaces."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces, TAP and AF_PACKET")
