"""The latch on disk: the first reason stays, what cannot be read is set, clearing is explicit."""

import os

import pytest

from gateway.ops import kill_file


def test_without_a_file_the_latch_is_clear_and_prepare_makes_it_at_full_size(tmp_path):
    state = tmp_path / "deep" / "state"
    assert kill_file.reason(state) is None
    kill_file.prepare(state)
    assert kill_file.reason(state) is None and kill_file.path_in(state).stat().st_size == kill_file.SIZE_BYTES
    assert kill_file.path_in(state).stat().st_mode & 0o077 == 0


def test_the_first_reason_stays_until_it_is_cleared(tmp_path):
    kill_file.prepare(tmp_path)
    kill_file.set_latch(tmp_path, "COMMAND")
    first = kill_file.reason(tmp_path)
    kill_file.set_latch(tmp_path, "SIGNAL")
    assert first.startswith("COMMAND 2") and kill_file.reason(tmp_path) == first
    kill_file.prepare(tmp_path)
    assert kill_file.reason(tmp_path) == first, "preparing again clears nothing"
    kill_file.clear(tmp_path)
    assert kill_file.reason(tmp_path) is None


def test_it_is_set_without_a_folder_too(tmp_path):
    kill_file.set_latch(tmp_path / "new", "COMMAND")
    assert kill_file.reason(tmp_path / "new").startswith("COMMAND")


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"clea", b"cleared", b"\xff\xfe garbage", b" clear"])
def test_what_does_not_say_clear_is_set(tmp_path, content):
    kill_file.path_in(tmp_path).write_bytes(content)
    assert kill_file.reason(tmp_path)


def test_what_cannot_be_read_is_set(tmp_path):
    kill_file.path_in(tmp_path).mkdir()
    assert "cannot be read" in kill_file.reason(tmp_path)
    (tmp_path / "file").write_text("")
    assert "cannot be read" in kill_file.reason(tmp_path / "file")


def test_a_reason_longer_than_the_file_is_cut(tmp_path):
    kill_file.set_latch(tmp_path, "x" * 10_000)
    assert kill_file.path_in(tmp_path).stat().st_size == kill_file.SIZE_BYTES
    assert set(kill_file.reason(tmp_path)) == {"x"}


def test_set_by_root_it_stays_readable_for_the_user_whose_folder_it_is(as_root, tmp_path):
    os.chown(tmp_path, 65534, 65534)
    kill_file.set_latch(tmp_path, "COMMAND")
    found = kill_file.path_in(tmp_path).stat()
    assert (found.st_uid, found.st_gid) == (65534, 65534)
