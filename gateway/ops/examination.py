"""Judges the facts of host.py for one port kind: what the doctor says. Order of the report: build, processors, memory,
privilege, clock, port, cards.

Hard rule: FAIL only for what the chosen port or the whole program cannot do without; the rest warns.
"""

import importlib.metadata
import platform
import shutil
import sys
from pathlib import Path

from gateway.ops.card_examination import examine_cards
from gateway.ops.finding import FAIL, OK, Finding, judge
from gateway.ops.host import Host, clock_state, locked_memory_limit_bytes
from gateway.ops.tuning import parse_processors, processors_text

MEBIBYTE = 1 << 20
PORTABLE_FLAGS = {"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"}  # x86-64-v2, what the default build is compiled for


def examine(host: Host, port: str) -> list[Finding]:
    """Every finding, for a port name such as `pair:gateway`."""
    kind = port.partition(":")[0]
    return [
        *examine_build(kind),
        *examine_processors(host),
        *examine_memory(host),
        *examine_privilege(host, kind),
        examine_clock(),
        *examine_port(host, port),
        *examine_cards(host, port),
    ]


def examine_build(kind: str) -> list[Finding]:
    """Python, numba, the compiled module and what it was built with."""
    python = judge(
        "python",
        sys.version_info >= (3, 11),
        f"{platform.python_version()} at {sys.executable}",
        "the control plane and the compiler of kernels",
        "install python3 3.11 or later and run scripts/setup",
        required=True,
    )
    return [python, *_examine_kernels(), *_examine_native(kind)]


def _examine_kernels() -> list[Finding]:
    versions = []
    for package in ("numba", "llvmlite", "numpy"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            mend = "scripts/setup, or: pip install -e ."
            return [Finding("numba", FAIL, f"{package} is missing", "compiles the data plane", mend)]
    return [Finding("numba", OK, ", ".join(versions), "compiles the data plane")]


def _examine_native(kind: str) -> list[Finding]:
    try:
        from gateway.native import lib, text
    except Exception as problem:
        return [Finding("native", FAIL, str(problem), "ports, rings and loops in C", "scripts/setup")]
    kinds = text(lib.port_kinds()).split()
    found = f"layout {lib.GATEWAY_LAYOUT_HASH:016x}, ports {' '.join(kinds)}"
    native = Finding("native", OK, found, "ports, rings and loops in C")
    dpdk = judge(
        "dpdk",
        "dpdk" in kinds,
        "built in" if "dpdk" in kinds else "not built in",
        "drives network cards without the kernel",
        "apt-get install libdpdk-dev pkg-config && scripts/setup",
        required=kind == "dpdk",
    )
    return [native, dpdk]


def examine_processors(host: Host) -> list[Finding]:
    """Count, instructions, the time stamp counter, and what disturbs a loop."""
    count, flags = host.processors(), host.processor_flags()
    virtual = ", virtual machine" if "hypervisor" in flags else ""
    return [
        judge(
            "processors",
            count >= 2,
            f"{count} × {host.processor_model()}{virtual}",
            "io and core each want one to themselves",
            "set [placement] together = true, or give the machine a second processor",
        ),
        judge(
            "instructions",
            flags >= PORTABLE_FLAGS,
            "x86-64-v2" if flags >= PORTABLE_FLAGS else f"without {' '.join(sorted(PORTABLE_FLAGS - flags))}",
            "what the compiled module is made of",
            "use a processor made since 2009, or a virtual machine type that shows its host's instructions",
            required=True,
        ),
        judge(
            "tsc",
            {"constant_tsc", "nonstop_tsc"} <= flags,
            " ".join(sorted(flags & {"constant_tsc", "nonstop_tsc", "tsc_known_freq"})) or "not constant",
            "every stamp is taken with the time stamp counter; it must tick evenly",
            "choose a virtual machine type with an invariant TSC (qemu: -cpu host,+invtsc)",
            required=True,
        ),
        *_examine_quiet(host),
    ]


def _spare(host: Host) -> str:
    """The processors to take for the loops, as the kernel command line writes them: the last ones, one at least stays."""
    online = sorted(parse_processors(host.read("sys/devices/system/cpu/online") or "0-3"))
    return processors_text(online[1:][-2:]) or "none: this machine has one processor"


def _examine_quiet(host: Host) -> list[Finding]:
    spare = _spare(host)
    isolated, tickless, governors = host.isolated(), host.tickless(), host.governors()
    return [
        judge(
            "isolated",
            bool(isolated),
            isolated or "none",
            "other work interrupts the loops and shows up in p99.9",
            f"kernel command line: isolcpus={spare} and [placement] io_cpu, core_cpu on them",
        ),
        judge(
            "tickless",
            bool(tickless),
            tickless or "none",
            "the timer tick interrupts the loops some hundred times a second",
            f"kernel command line: nohz_full={spare} rcu_nocbs={spare}",
        ),
        judge(
            "governor",
            governors <= {"performance"},
            ", ".join(sorted(governors)) or "no frequency scaling",
            "a processor that slows down when idle answers late",
            "cpupower frequency-set --governor performance",
        ),
    ]


def shared_memory_needed_bytes() -> int:
    """Size of one instance's folder and of a pair port beside it."""
    from gateway import layout, pipeline

    rings = sum(layout.size("ring_header") + ring.depth * ring.slot_bytes for ring in pipeline.RINGS)
    regions = sum(layout.size(region.header) + region.rows * layout.size(region.struct) for region in pipeline.REGIONS)
    pair = 2 * (rings // len(pipeline.RINGS))
    return rings + regions + pair


def examine_memory(host: Host) -> list[Finding]:
    """Shared memory, the limit on locking, pages and nodes."""
    free, needed, locked = host.shared_memory_free_bytes(), shared_memory_needed_bytes(), locked_memory_limit_bytes()
    return [
        judge(
            "shared memory",
            free >= needed,
            f"{free // MEBIBYTE} MiB free in /dev/shm, one instance needs {needed // MEBIBYTE} MiB",
            "rings, books and orders live there",
            "mount -o remount,size=2G /dev/shm (docker: --shm-size=2g)",
            required=True,
        ),
        judge(
            "locked memory",
            locked < 0 or locked >= needed,
            "no limit" if locked < 0 else f"{locked // MEBIBYTE} MiB",
            "memory that may not be locked can be paged out under a running loop",
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service",
        ),
        *_examine_pages(host),
    ]


def _examine_pages(host: Host) -> list[Finding]:
    huge, nodes, transparent = host.memory_kib("HugePages_Total"), host.memory_nodes(), host.transparent_huge_pages()
    return [
        judge(
            "huge pages",
            huge > 0,
            f"{huge} reserved" if huge else "none reserved",
            "DPDK uses them; without them name the port with huge=no and pay in address translation",
            "sysctl vm.nr_hugepages=512",
        ),
        judge(
            "transparent pages",
            transparent in ("always", "madvise"),
            transparent or "not offered by this kernel",
            "large tables cost fewer address translations",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        judge(
            "memory nodes",
            nodes == 1,
            str(nodes),
            "a ring between two nodes costs twice the hop",
            "pin io_cpu and core_cpu to the node of the network card: /sys/class/net/NAME/device/numa_node",
        ),
    ]


def examine_privilege(host: Host, kind: str) -> list[Finding]:
    """Capabilities, the TUN device and the ip command, as the port kind needs them."""
    held = host.capabilities()
    tun = host.can_open_tun()
    return [
        judge(
            "raw sockets",
            "NET_RAW" in held,
            "CAP_NET_RAW held" if "NET_RAW" in held else "CAP_NET_RAW missing",
            "af_packet: receives and sends whole frames",
            "run as root, or: setcap cap_net_raw,cap_net_admin+ep on the Python interpreter",
            required=kind == "af_packet",
        ),
        judge(
            "interfaces",
            "NET_ADMIN" in held,
            "CAP_NET_ADMIN held" if "NET_ADMIN" in held else "CAP_NET_ADMIN missing",
            "tap: makes an interface; demo on af_packet: makes a veth pair",
            "run as root, or: setcap cap_net_raw,cap_net_admin+ep on the Python interpreter",
            required=kind == "tap",
        ),
        judge(
            "tun device",
            tun,
            "/dev/net/tun opens" if tun else "/dev/net/tun does not open",
            "tap: frames to and from the kernel",
            "modprobe tun (docker: --device /dev/net/tun --cap-add NET_ADMIN)",
            required=kind == "tap",
        ),
        judge(
            "ip command",
            shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin") is not None,
            shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin") or "missing",
            "demo and tests make their interfaces with it",
            "apt-get install iproute2",
        ),
    ]


def examine_clock() -> Finding:
    """Whether time stamps can be shown to be near UTC."""
    state = clock_state()
    found = f"disciplined, offset within {state.error_us} µs" if state.disciplined else "UNPROVEN: nothing disciplines it"
    return judge(
        "clock",
        state.disciplined,
        found,
        "stamps are compared with UTC; without discipline their offset cannot be proven",
        "apt-get install chrony, or run ptp4l and phc2sys on a card with a hardware clock",
    )


def examine_port(host: Host, port: str) -> list[Finding]:
    """Whether the thing that the port names is there."""
    kind, _, argument = port.partition(":")
    name = argument.split(",")[0]
    if kind == "af_packet":
        interfaces = host.interfaces()
        meaning, mend = "the interface that the port names", f"choose one of: {' '.join(interfaces)}"
        found = "present" if name in interfaces else "absent"
        return [judge("interface", name in interfaces, f"{name} {found}", meaning, mend, required=True)]
    if kind in ("pcap", "binaryfile"):
        good = Path(name).is_file()
        found = f"{name} {'present' if good else 'absent'}"
        return [judge("capture", good, found, "the file that the port reads", "check the path", required=True)]
    return []
