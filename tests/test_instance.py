"""The instance folder: attach what this build made, refuse everything else with the reason."""

import os
import re
from pathlib import Path

import pytest

from gateway import layout, pipeline
from gateway.errors import AttachError, CapabilityError
from gateway.instance import Instance, folder_of
from tests.stage_bench import unique_name


@pytest.fixture
def instance():
    made = Instance.create(unique_name("instance"))
    yield made
    made.close(remove=True)


def test_a_second_process_attaches_what_the_first_made(instance):
    instance.control[0]["epoch"] = 42
    other = Instance.attach(instance.name)
    assert other.control[0]["epoch"] == 42
    assert {ring.name for ring in pipeline.RINGS} == set(other.rings)


def test_an_instance_that_runs_is_not_made_twice(instance):
    with pytest.raises(AttachError, match="already running"):
        Instance.create(instance.name)


def test_an_absent_instance_names_the_running_ones(instance):
    with pytest.raises(AttachError, match=instance.name):
        Instance.attach("test-no-such-instance")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("magic", 1, "magic differs"),
        ("version", 99, "version differs"),
        ("layout_hash", 7, "layout hash differs"),
        ("kind", 3, "kind differs"),
        ("size_bytes", 64, "size differs"),
        ("ready", 0, "not ready"),
    ],
)
def test_a_region_of_another_build_is_refused_with_the_reason(instance, field, value, reason):
    instance.regions["counters"].view("region_header")[0][field] = value
    with pytest.raises(AttachError, match=reason):
        Instance.attach(instance.name)


def test_a_truncated_region_is_refused(instance):
    os.truncate(instance.folder / "orders", 4096)
    with pytest.raises(AttachError, match="size differs"):
        Instance.attach(instance.name)
    os.truncate(instance.folder / "orders", 10)
    with pytest.raises(AttachError, match="shorter than a region header"):
        Instance.attach(instance.name)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 41])
def test_a_name_that_leaves_the_folder_is_refused(name):
    with pytest.raises(AttachError):
        folder_of(name)


def test_every_region_of_the_map_is_mapped_whole(instance):
    for region in pipeline.REGIONS:
        expected = layout.size(region.header) + region.rows * layout.size(region.struct)
        assert instance.regions[region.name].size_bytes == expected


def test_a_ring_begins_where_huge_pages_begin_and_populating_it_changes_no_byte(instance):
    mapping = instance.rings["io_core"]
    assert mapping.address % (2 << 20) == 0
    mapping.bytes[-4096:] = 7
    before = bytes(mapping.bytes[: 1 << 16]), bytes(mapping.bytes[-8192:])
    other = Instance.attach(instance.name, instance.folder.parent).rings["io_core"]
    mapping.populate()
    other.bytes[64 << 10] = 9
    assert (bytes(mapping.bytes[: 1 << 16]), bytes(mapping.bytes[-8192:])) == before
    assert mapping.bytes[64 << 10] == 9


def test_a_populated_ring_lies_on_huge_pages_where_the_kernel_makes_them(instance):
    mapping = instance.rings["io_core"]
    mapping.populate()
    told = Path("/proc/self/smaps").read_text().split(f"{mapping.address:x}-", 1)[1]
    kib = int(re.search(r"ShmemPmdMapped:\s+(\d+) kB", told)[1])
    if kib == 0:
        pytest.skip("this kernel makes no huge pages of shared memory on demand (Linux 6.1), or has none to spare")
    assert kib >= mapping.size_bytes // (2 << 20) * 2048


def test_what_is_mapped_read_only_is_not_written(instance):
    mapping = instance.read_only("control")
    with pytest.raises(ValueError, match="read-only"):
        mapping.bytes[0] = 1


def test_a_name_that_the_compiled_module_does_not_know_is_said_with_the_mend():
    with pytest.raises(CapabilityError, match="knows no GATE_OF_TOMORROW.*scripts/setup"):
        layout.value("GATE_OF_TOMORROW")
