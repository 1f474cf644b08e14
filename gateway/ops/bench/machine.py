"""What machine and what commit a result comes from; without it a figure is worth nothing."""

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway import __version__, kernel_cache
from gateway.layout import LAYOUT_HASH
from gateway.native import lib

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("numba", "llvmlite", "numpy", "cffi")
PEERS = ("hftbacktest", "itchcpp", "itchfeed", "meatpy", "msgspec", "nautilus-trader", "orjson", "sbedecoder")
BOOT_WORDS = ("isolcpus", "nohz_full", "rcu_nocbs", "mitigations", "intel_pstate", "idle", "hugepages", "default_hugepagesz")
HUGEPAGES, CACHES = Path("/sys/kernel/mm/hugepages"), Path("/sys/devices/system/cpu/cpu0/cache")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        if key.strip() == name:
            return rest.strip()
    return ""


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def cpu_seconds() -> dict[str, float]:
    """Seconds all CPUs together spent since boot: busy, idle, and stolen by the hypervisor."""
    words = _read("/proc/stat").splitlines()[:1]
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words[0].split()[1:9]] if words else [0.0] * 8
    return {"busy": sum(ticks[:3]) + sum(ticks[5:7]), "idle": ticks[3] + ticks[4], "steal": ticks[7]}


def _hugepages() -> dict[str, dict[str, int]]:
    """By size: how many there are, and how many are free."""
    return {
        folder.name.removeprefix("hugepages-"): {
            name: int(_read(str(folder / f"{word}_hugepages")) or 0) for name, word in (("all", "nr"), ("free", "free"))
        }
        for folder in sorted(HUGEPAGES.glob("hugepages-*"))
    }


def _caches() -> dict[str, str]:
    """Of CPU 0, by level and kind."""
    folders = sorted(CACHES.glob("index*"))
    return {f"L{_read(str(one / 'level'))} {_read(str(one / 'type'))}": _read(str(one / "size")) for one in folders}


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    """Of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def facts() -> dict[str, Any]:
    """Machine, kernel, toolchain, versions and commit."""
    return {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **_hardware(), **_system(), **_software()}


def _hardware() -> dict[str, Any]:
    cpu = _read("/proc/cpuinfo")
    return {
        "cpu": _field(cpu, "model name"),
        "microcode": _field(cpu, "microcode"),
        "virtual": "hypervisor" in _field(cpu, "flags").split(),
        "caches": _caches(),
        "threads_per_core": len(
            _read("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").replace("-", ",").split(",")
        ),
        "memory": _field(_read("/proc/meminfo"), "MemTotal"),
        "cpu_count": os.cpu_count(),
        "cpu_usable": sorted(os.sched_getaffinity(0)),
    }


def _system() -> dict[str, Any]:
    memory = _read("/proc/meminfo")
    words = [word for word in _read("/proc/cmdline").split() if word.partition("=")[0] in BOOT_WORDS]
    return {
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not visible",
        "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "kernel": platform.release(),
        "boot": " ".join(words),
        "isolated_cpus": _read("/sys/devices/system/cpu/isolated"),
        "hugepages": _field(memory, "HugePages_Total"),
        "hugepages_by_size": _hugepages(),
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "transparent_hugepages_shared": _read("/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
        "load_average": os.getloadavg(),
        "cpu_seconds": cpu_seconds(),
    }


def _software() -> dict[str, Any]:
    dpdk = _output("pkg-config", "--modversion", "libdpdk")
    return {
        "python": sys.version.split()[0],
        "libc": " ".join(platform.libc_ver()),
        "compiler": _output("gcc", "--version").partition("\n")[0],
        "packages": _versions(PACKAGES),
        "peers": _versions(PEERS),
        "dpdk": (dpdk or "version not known") if lib.GATEWAY_WITH_DPDK else "not in this build",
        "kernels_for": kernel_cache.processor(),
        "gateway": __version__,
        "layout_hash": f"{LAYOUT_HASH:#018x}",
        "commit": _output("git", "rev-parse", "HEAD") or "not a checkout",
        "changed_files": len(_output("git", "status", "--porcelain").splitlines()),
    }


def noise(before: dict[str, float]) -> dict[str, float]:
    """Shares of CPU time since `before` (of cpu_seconds): stolen by the hypervisor, and spent by anybody at all."""
    now = cpu_seconds()
    passed = {key: now[key] - before[key] for key in now}
    total = sum(passed.values()) or 1.0
    return {"steal_share": passed["steal"] / total, "busy_share": (passed["busy"] + passed["steal"]) / total}
