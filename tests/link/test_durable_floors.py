"""Floors and counters on disk: they only rise, one process holds them, damage and full disks open nothing."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.link.rights import durable_floors
from gateway.link.rights.counter_file import CounterFile
from gateway.link.rights.durable_floors import DurableFloors
from gateway.link.rights.token_store import TokenStore
from tests.link import access_desk as desk


def test_floors_rise_only_and_outlive_the_process(tmp_path: Path) -> None:
    floors = DurableFloors(tmp_path / "floors.json", 8)
    floors.raise_to("roles", 7)
    floors.raise_to("roles", 3)
    floors.close()
    floors = DurableFloors(tmp_path / "floors.json", 8)
    assert (floors.floor("roles"), floors.floor("other")) == (7, 0)
    floors.close()


@settings(max_examples=30, deadline=None)
@given(raises=st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 99), st.integers(0, 40)), max_size=25))
def test_floors_of_too_many_names_never_fall(
    tmp_path_factory: pytest.TempPathFactory, raises: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("floors")
    floors, highest = DurableFloors(folder / "floors.json", 3), dict.fromkeys("abcdefg", 0)
    for name, value, others in raises:
        floors.raise_to(name, value, others)
        highest[name] = max(highest[name], value)
        assert all(floors.floor(other) >= highest[other] for other in highest)
    assert len(json.loads((folder / "floors.json").read_text())["floors"]) <= 3
    floors.close()


def test_a_file_of_floors_has_one_owner(tmp_path: Path) -> None:
    floors = DurableFloors(tmp_path / "floors.json", 8)
    with pytest.raises(GatewayError, match="used by another process"):
        DurableFloors(tmp_path / "floors.json", 8)
    floors.close()
    DurableFloors(tmp_path / "floors.json", 8).close()


def test_a_damaged_file_of_floors_opens_nothing(tmp_path: Path) -> None:
    path, chance = tmp_path / "floors.json", random.Random(5)
    floors = DurableFloors(path, 8)
    floors.raise_to("roles", 1234)
    floors.close()
    whole = path.read_bytes().rstrip()
    damaged = [
        b"",
        b"{}",
        b"[" * 60_000,
        b"null",
        b"7",
        whole[:-1],
        whole.replace(b"1234", b"1233"),
        whole.replace(b"1234", b"-1"),
    ]
    for _ in range(300):
        place = chance.randrange(len(whole))
        damaged.append(whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :])
    for data in damaged:
        path.write_bytes(data)
        try:
            floors = DurableFloors(path, 8)
        except GatewayError as problem:
            assert "\n" not in str(problem)
        else:
            assert floors.floor("roles") >= 1234, data  # blanks that became other blanks
            floors.close()


def test_a_full_disk_leaves_the_floor_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floors = DurableFloors(tmp_path / "floors.json", 8)
    floors.raise_to("roles", 5)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_floors.durable_file, "replace", full)
    with pytest.raises(OSError, match="No space"):
        floors.raise_to("roles", 6)
    assert floors.floor("roles") == 5
    floors.close()


def test_counters_go_on_where_the_last_process_stopped(tmp_path: Path) -> None:
    seen: set[tuple[bytes, int]] = set()
    for life in range(20):
        counter = CounterFile(tmp_path / "counter.json", bytes([life]) * 16)
        for _ in range(life * 7 + 1):
            use = (counter.boot_id, counter.next())
            assert use not in seen
            seen.add(use)
        with pytest.raises(GatewayError, match="used by another process"):
            CounterFile(tmp_path / "counter.json", bytes(16))
        counter.close()
    assert {boot_id for boot_id, _ in seen} == {bytes(16)}
    store = TokenStore(desk.Marks())
    ordered = sorted(number for _, number in seen)
    assert all(store.accept(desk.token(counter=number), desk.NOW) is None for number in ordered)


def test_a_damaged_counter_says_the_mend(tmp_path: Path) -> None:
    for text in ("", "{}", "[]", '{"boot_id": "00", "counter": 1}', '{"boot_id": "%s", "counter": -1}' % ("00" * 16)):
        (tmp_path / "counter.json").write_text(text)
        with pytest.raises(GatewayError, match="remove it"):
            CounterFile(tmp_path / "counter.json", bytes(16))
