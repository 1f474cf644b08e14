"""Captures of link records: what was written comes back, a torn tail is cut off, damage is found at its place, fuzzed."""

import random

import numpy as np
import pytest

from gateway.link.client import LinkError
from gateway.link.streams import record_file, records
from gateway.link.streams.record_file import MAGIC, RecordFileReader, RecordFileWriter
from gateway.link.streams.record_layouts import layouts
from tests.link.stream_core import NaiveCore

SOURCE = (7, bytes(range(16)))


def rows_of(seed=1, turns=60):
    core = NaiveCore(random.Random(seed), 20)
    core.request_scan()
    for _ in range(turns):
        core.step(3, 4)
    return core.take()


def write(path, rows, source=SOURCE, step=37):
    with RecordFileWriter(path) as writer:
        for at in range(0, len(rows), step):
            writer.write(rows[at : at + step], source)
        return writer.torn_bytes


def read(path):
    reader = RecordFileReader(path)
    blocks = list(reader)
    return (np.concatenate([block.rows for block in blocks]) if blocks else records.rows(0)), blocks, reader


def test_what_was_written_comes_back_byte_for_byte(tmp_path):
    rows = rows_of()
    write(tmp_path / "a", rows)
    found, blocks, reader = read(tmp_path / "a")
    assert found.tobytes() == rows.tobytes() and {block.source for block in blocks} == {SOURCE}
    assert reader.torn_bytes == 0 and reader.end == (tmp_path / "a").stat().st_size


def test_another_life_of_the_source_is_told_apart(tmp_path):
    rows, other = rows_of(), (7, bytes(16))
    write(tmp_path / "a", rows[:50])
    write(tmp_path / "a", rows[:20], other)
    _, blocks, _ = read(tmp_path / "a")
    assert [block.source for block in blocks] == [SOURCE, SOURCE, other]


def test_every_torn_tail_is_tolerated_and_writing_goes_on_behind_it(tmp_path):
    rows = rows_of()
    write(tmp_path / "a", rows[:74])
    whole = (tmp_path / "a").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "b").write_bytes(whole[:size])
        found, _, reader = read(tmp_path / "b")
        assert found.tobytes() == rows[: len(found)].tobytes() and len(found) in (0, 37)
        assert reader.end + reader.torn_bytes == size
        torn = write(tmp_path / "b", rows[len(found) :])
        assert torn == (reader.torn_bytes if size > 0 else 0)
        assert read(tmp_path / "b")[0].tobytes() == rows.tobytes()


def test_a_tail_of_pages_that_were_never_written_is_torn(tmp_path):
    rows = rows_of()
    write(tmp_path / "a", rows[:74])
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[-20:] = bytes(20)
    (tmp_path / "a").write_bytes(whole)
    found, _, reader = read(tmp_path / "a")
    assert len(found) == 37 and reader.torn_bytes > 20


def test_damage_in_the_middle_is_one_line_with_its_place(tmp_path):
    write(tmp_path / "a", rows_of())
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[len(MAGIC) + 60] ^= 1
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(LinkError, match=r"damaged at byte \d+: a block's CRC is wrong; read it up to there") as caught:
        read(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_a_length_that_nobody_wrote_is_damage_and_nothing_behind_it_is_cut_off(tmp_path):
    write(tmp_path / "a", rows_of())
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[len(MAGIC) + 7] ^= 0x40  # the highest byte of the first block's length
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(LinkError, match="damaged at byte 8: a block of"):
        RecordFileWriter(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == whole


def test_a_capture_of_another_build_is_neither_read_nor_written_on(tmp_path, monkeypatch):
    write(tmp_path / "a", rows_of())
    before = (tmp_path / "a").read_bytes()
    monkeypatch.setattr(record_file, "layouts", lambda: layouts() ^ 1)
    for use in (read, RecordFileWriter):
        with pytest.raises(LinkError, match=r"/a: of a build that lays records out otherwise; read it with that build"):
            use(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before


def test_what_is_no_capture_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"a pcap, perhaps, or a letter")
    with pytest.raises(LinkError, match="is no capture of link records"):
        RecordFileReader(tmp_path / "a")
    with pytest.raises(LinkError, match="name a capture of link records"):
        RecordFileReader(tmp_path / "none")


def test_no_bytes_crash_the_reader_or_give_rows_that_were_not_written(tmp_path):
    rows = rows_of()
    write(tmp_path / "a", rows)
    whole = (tmp_path / "a").read_bytes()
    chance = random.Random(11)
    known = {row.tobytes() for row in rows}
    refused = shorter = 0
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(MAGIC), len(data))
            if chance.random() < 0.7:
                data[at] = chance.randrange(256)
            elif chance.random() < 0.5:
                del data[at : at + chance.randrange(1, 40)]
            else:
                data[at:at] = chance.randbytes(chance.randrange(1, 40))
        (tmp_path / "b").write_bytes(data)
        found = []
        try:
            for block in RecordFileReader(tmp_path / "b"):
                found += [row.tobytes() for row in block.rows]
            shorter += len(found) < len(rows)
        except LinkError:
            refused += 1
        assert set(found) <= known
    assert refused > 300 and shorter > 0
