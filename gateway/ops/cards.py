"""Network cards as PCI devices: what they are, who drives them, who uses them, and handing them from driver to driver.

    kernel driver ──bind──► vfio-pci | uio_pci_generic ──unbind──► the driver it had before

Binding goes through sysfs (`driver_override`, `unbind`, `drivers_probe`: Documentation/ABI/testing/sysfs-bus-pci).
Hard rule: a card whose interface has an address or a route is refused unless forced, and what was is written down before
anything changes.
"""

import json
import re
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gateway.errors import CapabilityError, UsageError
from gateway.ops.host import Host
from gateway.ops.pmd import drivers_of

DEVICES = "sys/bus/pci/devices"
NETWORK_CLASS = 0x02
USER_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")
PCI_ADDRESS = re.compile(r"(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")


@dataclass(frozen=True)
class Card:
    """One network card. `interfaces` are its kernel interfaces, `used` what makes it unfit to be taken away."""

    pci: str
    vendor: int
    device: int
    driver: str  # '' when none is bound
    interfaces: tuple[str, ...] = ()
    link: str = "unknown"  # up, down, or unknown when no kernel driver says
    node: int = -1
    used: tuple[str, ...] = ()
    poll_mode_drivers: tuple[str, ...] = field(default=())

    @property
    def identifier(self) -> str:
        """VENDOR:DEVICE, as lspci -n writes it."""
        return f"{self.vendor:04x}:{self.device:04x}"

    def row(self) -> dict[str, Any]:
        """Plain fields for printing."""
        return {**asdict(self), "identifier": self.identifier}


class Cards:
    """The cards of one machine, below the root of `host`."""

    def __init__(self, host: Host, state: Path):
        self.host = host
        self.state = state / "cards.json"

    def list(self) -> list[Card]:
        """Every PCI device of class network, in the order of its address."""
        folder = self.host.root / DEVICES
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return [self._card(path) for path in paths if self._number(path, "class") >> 16 == NETWORK_CLASS]

    def find(self, pci: str) -> Card:
        """The card at a PCI address; raises UsageError with what is there instead."""
        if not PCI_ADDRESS.fullmatch(pci):
            raise UsageError(f"{pci!r} is no PCI address; write it as 0000:3b:00.0")
        name = pci.lower() if pci.count(":") == 2 else f"0000:{pci.lower()}"
        path = self.host.root / DEVICES / name
        if not path.exists():
            there = ", ".join(card.pci for card in self.list()) or "none"
            raise UsageError(f"no device at {name}; network cards here: {there}")
        if self._number(path, "class") >> 16 != NETWORK_CLASS:
            raise UsageError(f"{name} is no network card (class {self.host.read(f'{DEVICES}/{name}/class')})")
        return self._card(path)

    def bind(self, pci: str, driver: str, force: bool = False) -> Card:
        """Hands a card to a user-space driver; remembers the one it had. Returns the card as it is then."""
        if driver not in USER_DRIVERS:
            raise UsageError(f"driver {driver}: choose one of {', '.join(USER_DRIVERS)}")
        card = self.find(pci)
        if card.used and not force:
            raise CapabilityError(f"{card.pci} is in use: {'; '.join(card.used)}; choose another card, or add --force")
        if card.driver == driver:
            return card
        if not (self.host.root / "sys/bus/pci/drivers" / driver).exists():
            raise CapabilityError(f"the kernel has no driver {driver}; load it with: modprobe {driver.replace('-', '_')}")
        if driver == "vfio-pci" and not self._has_iommu(card.pci):
            raise CapabilityError(
                f"{card.pci} is behind no IOMMU: boot with intel_iommu=on or amd_iommu=on, or use --driver uio_pci_generic"
            )
        if card.driver not in USER_DRIVERS:
            self._remember(card)
        return self._hand_over(card, driver)

    def unbind(self, pci: str) -> Card:
        """Gives a card back to the driver it had before `bind`, or to the one the kernel chooses."""
        card = self.find(pci)
        if card.driver and card.driver not in USER_DRIVERS:
            return card
        card = self._hand_over(card, "")
        self._forget(card.pci)
        return card

    def _hand_over(self, card: Card, driver: str) -> Card:
        """Overrides, releases, probes; puts the old driver back when the new one does not take the card."""
        before = card.driver
        self._steer(card.pci, driver)
        after = self.find(card.pci)
        if after.driver == before or (driver and after.driver != driver):
            self._steer(card.pci, before if before in USER_DRIVERS else "")
            raise CapabilityError(f"{card.pci} stays with {before or 'no driver'}: the kernel log says why (dmesg | tail)")
        return after

    def _steer(self, pci: str, driver: str) -> None:
        self._write(f"{DEVICES}/{pci}/driver_override", driver + "\n")
        if (self.host.root / DEVICES / pci / "driver").exists():
            self._write(f"{DEVICES}/{pci}/driver/unbind", pci)
        self._write("sys/bus/pci/drivers_probe", pci)

    def _write(self, path: str, text: str) -> None:
        try:
            (self.host.root / path).write_text(text)
        except OSError as problem:
            mend = "run it as root" if isinstance(problem, PermissionError) else "the kernel log says why (dmesg | tail)"
            raise CapabilityError(f"/{path}: {problem.strerror}; {mend}") from problem

    def _card(self, path: Path) -> Card:
        driver = path / "driver"
        vendor, device = self._number(path, "vendor"), self._number(path, "device")
        subsystem = self._number(path, "subsystem_vendor"), self._number(path, "subsystem_device")
        interfaces = tuple(sorted(item.name for item in path.glob("**/net/*") if item.is_dir()))
        return Card(
            pci=path.name,
            vendor=vendor,
            device=device,
            driver=driver.resolve().name if driver.exists() else "",
            interfaces=interfaces,
            link=self._link(interfaces),
            node=int(self.host.read(f"{DEVICES}/{path.name}/numa_node") or -1),
            used=tuple(text for name in interfaces for text in usage_of(name)),
            poll_mode_drivers=tuple(found.name for found in drivers_of(vendor, device, *subsystem)),
        )

    def _link(self, interfaces: tuple[str, ...]) -> str:
        states = {self.host.read(f"sys/class/net/{name}/operstate") for name in interfaces}
        return states.pop() if len(states) == 1 else "unknown"

    def _number(self, path: Path, name: str) -> int:
        text = self.host.read(f"{DEVICES}/{path.name}/{name}")
        return int(text, 16) if re.fullmatch(r"0x[0-9a-fA-F]+", text) else 0

    def _has_iommu(self, pci: str) -> bool:
        return self.host.exists(f"{DEVICES}/{pci}/iommu_group")

    def remembered(self) -> dict[str, str]:
        """PCI address → kernel driver before `bind`."""
        try:
            found = json.loads(self.state.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, card: Card) -> None:
        self._save({**self.remembered(), card.pci: card.driver})

    def _forget(self, pci: str) -> None:
        self._save({name: driver for name, driver in self.remembered().items() if name != pci})

    def _save(self, rows: dict[str, str]) -> None:
        try:
            self.state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.state.write_text(json.dumps(rows))
        except OSError as problem:
            raise CapabilityError(f"{self.state}: {problem.strerror}; run it as root") from problem


def usage_of(interface: str) -> list[str]:
    """Why an interface may not be taken away: its addresses and routes, as text; nothing when it has none."""
    try:
        addresses = [row for link in _ip_json("addr", "show", "dev", interface) for row in link.get("addr_info", [])]
        routes = [row for family in ("-4", "-6") for row in _ip_json(family, "route", "show", "dev", interface)]
    except OSError as problem:
        return [f"{interface}: nobody can tell what it carries ({problem})"]
    found = [f"{interface} has address {row['local']}/{row['prefixlen']}" for row in addresses if row.get("scope") != "link"]
    own = [str(row["dst"]) for row in routes if not str(row["dst"]).startswith(("fe80::", "ff00::"))]
    return found + [f"{interface} carries the route {destination}" for destination in dict.fromkeys(own)]


def _ip_json(*words: str) -> list[dict[str, Any]]:
    """What `ip -json` prints; OSError when it cannot tell."""
    try:
        outcome = subprocess.run(["ip", "-json", *words], capture_output=True, text=True, timeout=10)
    except FileNotFoundError:
        raise OSError("the command ip is missing: apt-get install iproute2") from None
    if outcome.returncode != 0:
        raise OSError(outcome.stderr.strip() or "ip failed")
    return [row for row in json.loads(outcome.stdout or "[]") if row]
