"""Drivers by their embedded text: real ones where DPDK is installed, made-up ELF files everywhere."""

import json
import struct
from pathlib import Path

import pytest

from gateway.cli import main as command
from gateway.errors import EXIT_CHECK_FAILED, EXIT_DONE, EXIT_USAGE
from gateway.ops import pmd


def elf_with(data: bytes) -> bytes:
    """The smallest ELF file that has a section .rodata of these bytes."""
    names = b"\0.rodata\0.shstrtab\0"
    at_data, at_names = 64, 64 + len(data)
    at_table = at_names + len(names)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, 0, at_table, 0, 64, 0, 0, 64, 3, 2)
    sections = [
        bytes(64),
        struct.pack("<IIQQQQIIQQ", 1, 1, 2, 0, at_data, len(data), 0, 0, 1, 0),
        struct.pack("<IIQQQQIIQQ", 9, 3, 0, 0, at_names, len(names), 0, 0, 1, 0),
    ]
    return header + data + names + b"".join(sections)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder of drivers; the cache of what is installed begins and ends empty."""
    monkeypatch.setenv("DPDK_PMD_PATH", str(tmp_path))
    pmd.installed.cache_clear()
    yield tmp_path
    pmd.installed.cache_clear()


def driver(name: str, identifiers: list[list[int]], kmod: str = "* vfio-pci") -> bytes:
    """The embedded text of one driver."""
    return b"PMD_INFO_STRING= " + json.dumps({"name": name, "kmod": kmod, "pci_ids": identifiers}).encode() + b"\0"


def test_drivers_are_found_by_the_cards_they_list(folder: Path):
    first = driver("net_first", [[0x8086, 0x1572, 0xFFFF, 0xFFFF]]) + b"noise\0"
    second = driver("net_second", [[0x1AF4, 0x1041, 0x8086, 0x1A], [0x15B3, 0xFFFF, 0xFFFF, 0xFFFF]])
    (folder / "librte_net_both.so").write_bytes(elf_with(first + second))
    assert [found.name for found in pmd.drivers_of(0x8086, 0x1572)] == ["net_first"]
    assert [found.name for found in pmd.drivers_of(0x15B3, 0x1017)] == ["net_second"]
    assert [found.name for found in pmd.drivers_of(0x1AF4, 0x1041)] == ["net_second"]
    assert pmd.drivers_of(0x1AF4, 0x1041, 0x1AF4, 0x1100) == [], "another subsystem"
    assert pmd.drivers_of(0x10EE, 0x5004) == []
    assert pmd.installed()[0].kernel_modules == "vfio-pci"


def test_a_driver_is_found_without_the_names_that_development_packages_bring(folder: Path):
    (folder / "librte_net_x.so.23.0").write_bytes(elf_with(driver("net_x", [[0x1AF4, 0x1041, 65535, 65535]])))
    (folder / "librte_net_x.so.23").symlink_to("librte_net_x.so.23.0")
    assert [found.name for found in pmd.drivers_of(0x1AF4, 0x1041)] == ["net_x"]
    pmd.installed.cache_clear()
    (folder / "librte_net_x.so").symlink_to("librte_net_x.so.23")
    assert [found.file for found in pmd.installed()] == [str(folder / "librte_net_x.so")], "one driver, its shortest name"


def test_damaged_files_are_passed_over(folder: Path):
    good = elf_with(driver("net_good", [[1, 2, 65535, 65535]]))
    (folder / "librte_a.so").write_bytes(b"no ELF file")
    (folder / "librte_b.so").write_bytes(good[:80])
    (folder / "librte_c.so").write_bytes(elf_with(b"PMD_INFO_STRING= {\0PMD_INFO_STRING= []\0PMD_INFO_STRING="))
    (folder / "librte_d.so").write_bytes(good)
    assert [found.name for found in pmd.installed()] == ["net_good"]


def test_the_verb_says_which_driver_or_that_none_is_installed(folder: Path, capsys: pytest.CaptureFixture):
    (folder / "librte_x.so").write_bytes(elf_with(driver("net_x", [[0x8086, 0x159B, 65535, 65535]])))
    assert command.main(["nic", "which", "8086:159b"]) == EXIT_DONE
    assert "net_x" in capsys.readouterr().out
    assert command.main(["nic", "which", "10ee:5004"]) == EXIT_CHECK_FAILED
    assert "none installed" in capsys.readouterr().out
    assert command.main(["nic", "which", "8086"]) == EXIT_USAGE
    assert "VENDOR:DEVICE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("8086:1572", "net_i40e"),
        ("8086:159b", "net_ice"),
        ("15b3:1017", "mlx5_eth"),
        ("1af4:1041", "net_virtio"),
        ("1d0f:ec20", "net_ena"),
    ],
)
def test_the_drivers_debian_ships_are_known(identifier: str, name: str):
    if not pmd.installed():
        pytest.skip("no DPDK drivers are installed")
    assert name in [driver.name for driver in pmd.drivers_of(*pmd.parse_identifier(identifier))]
