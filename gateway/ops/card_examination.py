"""Judges what DPDK needs of a host for real network cards: IOMMU, user-space drivers, cards, their nodes, interrupts.

Hard rule: as in examination.py, FAIL only for what the chosen port cannot do without.
"""

from pathlib import Path

from gateway.ops.cards import PCI_ADDRESS, USER_DRIVERS, Card, Cards
from gateway.ops.finding import OK, Finding, judge
from gateway.ops.host import Host
from gateway.ops.pmd import installed
from gateway.ops.tuning import parse_or_none

STATE = Path("/var/lib/gateway")
BIFURCATED = ("mlx5_core", "mlx4_core", "mana")  # drivers that DPDK shares a card with
IDLE_LATENCY_US = 10


def examine_cards(host: Host, port: str) -> list[Finding]:
    """Everything about cards, for a port name."""
    kind, _, argument = port.partition(":")
    name = argument.split(",")[0]
    wanted = name.lower() if kind == "dpdk" and PCI_ADDRESS.fullmatch(name) else ""
    if wanted.count(":") == 1:
        wanted = f"0000:{wanted}"
    cards = Cards(host, STATE).list()
    return [
        _examine_iommu(host, bool(wanted)),
        _examine_drivers(kind),
        *[_examine_card(card, card.pci == wanted) for card in cards],
        *_examine_wanted(wanted, cards),
        _examine_idle(host),
        _examine_interrupts(host),
    ]


def _examine_iommu(host: Host, required: bool) -> Finding:
    good = host.has_iommu()
    uio = host.exists("sys/bus/pci/drivers/uio_pci_generic")
    return judge(
        "iommu",
        good,
        "in use" if good else "none" + (", uio_pci_generic loaded" if uio else ""),
        "vfio-pci hands a card to DPDK safely only behind an IOMMU",
        "kernel command line: intel_iommu=on iommu=pt (AMD: amd_iommu=on); without one: modprobe uio_pci_generic",
        required=required and not uio,
    )


def _examine_drivers(kind: str) -> Finding:
    count = len(installed())
    cards = sum(bool(driver.identifiers) for driver in installed())
    return judge(
        "dpdk drivers",
        count > 0,
        f"{count} installed, {cards} of them for PCI cards" if count else "none installed",
        "what DPDK can drive; gateway nic which VENDOR:DEVICE asks for one card",
        "apt-get install dpdk libdpdk-dev",
        required=kind == "dpdk",
    )


def _examine_card(card: Card, wanted: bool) -> Finding:
    drivers = ", ".join(card.poll_mode_drivers) or "no installed DPDK driver"
    node = f", node {card.node}" if card.node >= 0 else ""
    names = f" ({', '.join(card.interfaces)})" if card.interfaces else ""
    found = f"{card.identifier} bound to {card.driver or 'nothing'}{names}, link {card.link}{node}; {drivers}"
    if not wanted:
        return Finding(f"card {card.pci}", OK, found, "a network card of this machine")
    ready = card.driver in USER_DRIVERS + BIFURCATED
    mend = f"gateway nic bind {card.pci}" if card.poll_mode_drivers else "choose a card that an installed driver lists"
    if card.used and not ready:
        mend = f"choose another card: this one is in use ({card.used[0]})"
    meaning = "the card that the port names must be bound to a user-space driver, and a DPDK driver must list it"
    return judge(f"card {card.pci}", ready and bool(card.poll_mode_drivers), found, meaning, mend, required=True)


def _examine_wanted(wanted: str, cards: list[Card]) -> list[Finding]:
    if not wanted or any(card.pci == wanted for card in cards):
        return []
    there = ", ".join(card.pci for card in cards) or "none"
    return [judge("card", False, f"{wanted} absent", "the card that the port names", f"cards here: {there}", required=True)]


def _examine_idle(host: Host) -> Finding:
    latency = host.idle_latency_us_max()
    return judge(
        "idle states",
        latency <= IDLE_LATENCY_US,
        f"deepest takes {latency} µs to leave" if latency else "none offered",
        "a processor that sleeps deeply wakes late; loops that spin never sleep",
        "kernel command line: processor.max_cstate=1 intel_idle.max_cstate=0, or: cpupower idle-set -D 10",
    )


def _examine_interrupts(host: Host) -> Finding:
    isolated = parse_or_none(host.isolated()) or set()
    there = host.interrupts_on(isolated) if isolated else []
    none = "none reach isolated processors" if isolated else "no processor is isolated from them"
    return judge(
        "interrupts",
        not there,
        f"{len(there)} may reach the isolated processors" if there else none,
        "an interrupt on a loop's processor delays the frame at hand",
        f"gateway tune --apply --quiet {host.isolated()}",
    )
