"""Facts about this machine, read from /proc, /sys and /dev; nothing here judges or changes anything.

`Host(root)` reads the same files below another root, so that tests describe machines that are not here.
Hard rule: a file that is absent or unreadable is a fact like any other, never an error.
"""

import ctypes
import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path

CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14, "SYS_NICE": 23}  # linux/capability.h
CLOCK_UNSYNCHRONISED = 0x40  # STA_UNSYNC of timex.h


@dataclass(frozen=True)
class ClockState:
    """What the kernel knows of its own clock against UTC."""

    disciplined: bool
    error_us: int  # the kernel's bound on the offset


class Timex(ctypes.Structure):
    """The head of struct timex, adjtimex(2); the kernel fills what lies behind it too."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


class Host:
    """One machine."""

    def __init__(self, root: Path = Path("/")):
        self.root = root

    def read(self, path: str) -> str:
        """A small text file without its last line end; '' when it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def exists(self, path: str) -> bool:
        """Whether a path is there."""
        return (self.root / path).exists()

    def processor_flags(self) -> set[str]:
        """Feature flags of the first processor."""
        found = re.search(r"^flags\s*:\s*(.*)$", self.read("proc/cpuinfo"), flags=re.MULTILINE)
        return set(found.group(1).split()) if found else set()

    def processor_model(self) -> str:
        """The first processor's name."""
        found = re.search(r"^model name\s*:\s*(.*)$", self.read("proc/cpuinfo"), flags=re.MULTILINE)
        return found.group(1) if found else "unknown processor"

    def processors(self) -> int:
        """Processors this process may run on."""
        return len(os.sched_getaffinity(0))

    def isolated(self) -> str:
        """Processors kept free of other work (kernel option isolcpus), as the kernel writes the list."""
        return self.read("sys/devices/system/cpu/isolated")

    def tickless(self) -> str:
        """Processors without a timer tick (kernel option nohz_full)."""
        text = self.read("sys/devices/system/cpu/nohz_full")
        return "" if text == "(null)" else text

    def governors(self) -> set[str]:
        """Frequency governors in use; empty where the kernel does not scale."""
        paths = (self.root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
        return {self.read(str(path.relative_to(self.root))) for path in paths}

    def memory_kib(self, key: str) -> int:
        """A row of /proc/meminfo; 0 when absent."""
        found = re.search(rf"^{re.escape(key)}:\s*(\d+)", self.read("proc/meminfo"), flags=re.MULTILINE)
        return int(found.group(1)) if found else 0

    def transparent_huge_pages(self) -> str:
        """The mode in force: always, madvise, never, or ''."""
        found = re.search(r"\[(\w+)\]", self.read("sys/kernel/mm/transparent_hugepage/enabled"))
        return found.group(1) if found else ""

    def memory_nodes(self) -> int:
        """NUMA nodes."""
        return max(1, len(list((self.root / "sys/devices/system/node").glob("node[0-9]*"))))

    def has_iommu(self) -> bool:
        """Whether the kernel has put devices behind an IOMMU."""
        folder = self.root / "sys/kernel/iommu_groups"
        return folder.is_dir() and any(folder.iterdir())

    def idle_latency_us_max(self) -> int:
        """Exit latency of the deepest idle state that is not switched off; 0 where the kernel offers none."""
        deepest = 0
        for path in (self.root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpuidle/state[0-9]*/latency"):
            state = path.parent.relative_to(self.root)
            if self.read(f"{state}/disable") != "1":
                deepest = max(deepest, int(self.read(f"{state}/latency") or 0))
        return deepest

    def kernel_option(self, name: str) -> str:
        """The value of a kernel command line option; '' when it is not given."""
        found = re.search(rf"(?:^|\s){re.escape(name)}=(\S+)", self.read("proc/cmdline"))
        return found.group(1) if found else ""

    def interrupts_on(self, processors: set[int]) -> list[str]:
        """Interrupts that may be delivered to one of these processors, by number."""
        found = []
        for path in (self.root / "proc/irq").glob("[0-9]*/smp_affinity_list"):
            parts = [part.split("-") for part in self.read(str(path.relative_to(self.root))).split(",") if part]
            allowed = {number for part in parts for number in range(int(part[0]), int(part[-1]) + 1)}
            if allowed & processors:
                found.append(path.parent.name)
        return sorted(found, key=int)

    def capabilities(self) -> set[str]:
        """Of CAPABILITIES, those this process has in effect."""
        found = re.search(r"^CapEff:\s*([0-9a-f]+)", self.read("proc/self/status"), flags=re.MULTILINE)
        mask = int(found.group(1), 16) if found else 0
        return {name for name, bit in CAPABILITIES.items() if mask >> bit & 1}

    def shared_memory_free_bytes(self) -> int:
        """Free space of /dev/shm; 0 when it is absent."""
        try:
            state = os.statvfs(self.root / "dev/shm")
        except OSError:
            return 0
        return state.f_bavail * state.f_frsize

    def can_open_tun(self) -> bool:
        """Whether /dev/net/tun opens for reading and writing."""
        try:
            os.close(os.open(self.root / "dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def interfaces(self) -> list[str]:
        """Network interfaces."""
        try:
            return sorted(path.name for path in (self.root / "sys/class/net").iterdir())
        except OSError:
            return []


def locked_memory_limit_bytes() -> int:
    """How much memory this process may lock; -1 without a limit."""
    return resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]


def clock_state() -> ClockState:
    """Asks the kernel (adjtimex, reading only) whether anything disciplines the clock."""
    timex = Timex()
    outcome = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    disciplined = outcome >= 0 and not timex.status & CLOCK_UNSYNCHRONISED
    return ClockState(disciplined, int(timex.maxerror))
