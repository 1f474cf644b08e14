"""Network cards on a machine that is not here: a folder that looks like sysfs, with a kernel that answers writes."""

import json
from pathlib import Path

import pytest

from gateway.errors import CapabilityError, UsageError
from gateway.ops import cards as cards_module
from gateway.ops.cards import Cards
from gateway.ops.host import Host

PCI = "0000:3b:00.0"


class Kernel:
    """A sysfs with one card; `probe` does what the kernel does when drivers_probe is written."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch):
        self.root = root
        self.writes: list[tuple[str, str]] = []
        self.takes = {"i40e", "vfio-pci", "uio_pci_generic"}
        for name, text in (("vendor", "0x8086"), ("device", "0x1572"), ("class", "0x020000"), ("numa_node", "1")):
            self.write(f"sys/bus/pci/devices/{PCI}/{name}", text)
        self.write(f"sys/bus/pci/devices/{PCI}/iommu_group/x", "")
        self.write("sys/bus/pci/devices/0000:00:1f.2/class", "0x010601")
        for driver in self.takes:
            (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
        self.bind("i40e")
        original = Path.write_text

        def write_text(path: Path, text: str, *rest, **named):
            if root not in path.parents or "sys/" not in str(path.relative_to(root)):
                return original(path, text, *rest, **named)
            self.writes.append((path.name, text.strip()))
            if path.name == "unbind":
                self.release()
            elif path.name == "drivers_probe":
                self.probe()
            else:
                original(path, text, *rest, **named)
            return len(text)

        monkeypatch.setattr(Path, "write_text", write_text)
        self.addresses: list[str] = []
        monkeypatch.setattr(cards_module, "usage_of", lambda name: list(self.addresses))

    @property
    def device(self) -> Path:
        return self.root / "sys/bus/pci/devices" / PCI

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        with (self.root / path).open("w") as file:
            file.write(text)

    def bind(self, driver: str) -> None:
        (self.device / "driver").symlink_to(self.root / "sys/bus/pci/drivers" / driver)
        if driver == "i40e":
            (self.device / "net" / "ens1").mkdir(parents=True)

    def release(self) -> None:
        (self.device / "driver").unlink()
        if (self.device / "net").exists():
            (self.device / "net" / "ens1").rmdir()
            (self.device / "net").rmdir()

    def probe(self) -> None:
        wanted = (self.device / "driver_override").read_text().strip() or "i40e"
        if wanted in self.takes and not (self.device / "driver").exists():
            self.bind(wanted)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path / "root", monkeypatch)


@pytest.fixture
def cards(kernel: Kernel, tmp_path: Path) -> Cards:
    return Cards(Host(kernel.root), tmp_path / "state")


def test_only_network_cards_are_listed_with_their_facts(cards: Cards):
    (card,) = cards.list()
    assert (card.pci, card.identifier, card.driver, card.interfaces, card.node) == (PCI, "8086:1572", "i40e", ("ens1",), 1)


def test_a_bound_card_goes_back_to_the_driver_it_had(cards: Cards):
    assert cards.bind(PCI, "vfio-pci").driver == "vfio-pci"
    assert cards.remembered() == {PCI: "i40e"}
    assert cards.bind(PCI, "uio_pci_generic").driver == "uio_pci_generic"
    assert cards.remembered() == {PCI: "i40e"}, "what was first is what counts"
    card = cards.unbind(PCI)
    assert (card.driver, card.interfaces) == ("i40e", ("ens1",))
    assert cards.remembered() == {}


def test_a_card_in_use_is_refused_unless_forced(cards: Cards, kernel: Kernel):
    kernel.addresses = ["ens1 has address 192.0.2.7/24"]
    with pytest.raises(CapabilityError, match=r"192\.0\.2\.7/24; choose another card, or add --force"):
        cards.bind(PCI, "vfio-pci")
    assert kernel.writes == [], "nothing was touched"
    assert cards.bind(PCI, "vfio-pci", force=True).driver == "vfio-pci"


def test_a_driver_that_does_not_take_the_card_leaves_it_where_it_was(cards: Cards, kernel: Kernel):
    kernel.takes.discard("vfio-pci")
    with pytest.raises(CapabilityError, match="stays with i40e"):
        cards.bind(PCI, "vfio-pci")
    (card,) = cards.list()
    assert card.driver == "i40e"


def test_without_an_iommu_vfio_is_refused_with_the_other_way(cards: Cards, kernel: Kernel):
    (kernel.device / "iommu_group/x").unlink()
    (kernel.device / "iommu_group").rmdir()
    with pytest.raises(CapabilityError, match="uio_pci_generic"):
        cards.bind(PCI, "vfio-pci")
    assert cards.bind(PCI, "uio_pci_generic").driver == "uio_pci_generic"


def test_a_driver_the_kernel_does_not_have_names_its_module(cards: Cards, kernel: Kernel):
    (kernel.root / "sys/bus/pci/drivers/vfio-pci").rmdir()
    with pytest.raises(CapabilityError, match="modprobe vfio_pci"):
        cards.bind(PCI, "vfio-pci")


@pytest.mark.parametrize(
    ("pci", "text"),
    [("eth0", "is no PCI address"), ("0000:99:00.0", f"network cards here: {PCI}"), ("00:1f.2", "is no network card")],
)
def test_what_is_no_card_is_named(cards: Cards, pci: str, text: str):
    with pytest.raises(UsageError, match=text):
        cards.find(pci)


def test_a_torn_memory_of_drivers_is_no_obstacle(cards: Cards):
    cards.state.parent.mkdir(parents=True)
    cards.state.write_text("{")
    assert cards.bind(PCI, "vfio-pci").driver == "vfio-pci"
    assert json.loads(cards.state.read_text()) == {PCI: "i40e"}


def test_a_memory_that_cannot_be_written_says_who_may(cards: Cards, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(CapabilityError, match="Permission denied; run it as root"):
        cards.bind(PCI, "vfio-pci")
    assert cards.find(PCI).driver == "i40e"
