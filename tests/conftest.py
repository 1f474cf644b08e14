"""What every test may need: where the recorded data is, and whether we are root."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
