"""Which installed DPDK driver drives which network card: read from the drivers' own embedded text.

Every driver carries `PMD_INFO_STRING= {json}` in its read-only data (DPDK, buildtools/pmdinfogen): name, kernel modules
it can be bound to, and PCI identifiers. Hard rule: a file that is no driver, or a damaged one, is passed over.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

FOLDERS = (
    "/usr/lib/x86_64-linux-gnu/dpdk",
    "/usr/local/lib/x86_64-linux-gnu/dpdk",
    "/usr/lib64/dpdk",
    "/usr/local/lib64/dpdk",
)
MARK = b"PMD_INFO_STRING="
ANY = 0xFFFF  # RTE_PCI_ANY_ID
IDENTIFIER = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Driver:
    """One poll-mode driver: `kernel_modules` as the driver writes them, `identifiers` as rows of four numbers."""

    name: str
    file: str
    kernel_modules: str
    parameters: str
    identifiers: frozenset[tuple[int, int, int, int]]

    def drives(self, *card: int) -> bool:
        """Whether the driver lists this card, given by up to four numbers; 0xFFFF is any, there and here."""
        return any(
            all(ours == listed or ANY in (ours, listed) for ours, listed in zip(card, row, strict=False))
            for row in self.identifiers
        )


def folders() -> list[Path]:
    """Where drivers are installed: DPDK's own plug-in folders, or those of DPDK_PMD_PATH (colons between them)."""
    chosen = os.environ.get("DPDK_PMD_PATH")
    named = chosen.split(":") if chosen else FOLDERS
    return [Path(name) for name in named if Path(name).is_dir()]


def descriptions(path: Path) -> Iterator[dict[str, Any]]:
    """The texts embedded in one ELF file; none when it is no ELF file or holds none."""
    try:
        with path.open("rb") as file:
            section = ELFFile(file).get_section_by_name(".rodata")
            data = section.data() if section is not None else b""
    except (OSError, ELFError):
        return
    begin = data.find(MARK)
    while begin >= 0:
        end = data.find(b"\0", begin)
        try:
            found = json.loads(data[begin + len(MARK) : end])
            if isinstance(found, dict) and isinstance(found.get("name"), str):
                yield found
        except ValueError:
            pass
        begin = data.find(MARK, begin + 1)


def files_in(folder: Path) -> list[Path]:
    """Drivers below a folder, each once under its shortest name: only development packages bring names without a version."""
    names = {path.resolve(): path for path in sorted(folder.rglob("librte_*.so*"), reverse=True)}
    return sorted(names.values())


@cache
def installed() -> tuple[Driver, ...]:
    """Every driver found, by name; one file may hold several."""
    found: dict[str, Driver] = {}
    for folder in folders():
        for path in files_in(folder):
            for text in descriptions(path):
                found.setdefault(text["name"], _driver(text, path))
    return tuple(found[name] for name in sorted(found))


def _driver(text: dict[str, Any], path: Path) -> Driver:
    rows = [row for row in text.get("pci_ids") or [] if isinstance(row, list) and len(row) == 4]
    identifiers = frozenset((int(row[0]), int(row[1]), int(row[2]), int(row[3])) for row in rows)
    modules = str(text.get("kmod", "")).lstrip("* ").strip()
    return Driver(text["name"], str(path), modules, str(text.get("params", "")).strip(), identifiers)


def drivers_of(*card: int) -> list[Driver]:
    """The installed drivers that list this card: vendor, device and, where they are known, the subsystem's two."""
    return [driver for driver in installed() if driver.drives(*card)]


def parse_identifier(text: str) -> tuple[int, int]:
    """`"8086:1572"` → (0x8086, 0x1572). Raises ValueError."""
    found = IDENTIFIER.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no VENDOR:DEVICE; write two groups of four hexadecimal digits, for example 8086:1572")
    return int(found.group(1), 16), int(found.group(2), 16)
