"""What machine and what commit a result comes from; without it a figure is worth nothing."""

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.layout import LAYOUT_HASH

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("numba", "llvmlite", "numpy", "cffi")


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


def facts() -> dict[str, Any]:
    """Machine, kernel, toolchain, versions and commit."""
    memory = _read("/proc/meminfo")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _field(_read("/proc/cpuinfo"), "model name"),
        "cpu_count": os.cpu_count(),
        "cpu_usable": sorted(os.sched_getaffinity(0)),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not visible",
        "clocksource": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "kernel": platform.release(),
        "isolated_cpus": _read("/sys/devices/system/cpu/isolated"),
        "hugepages": _field(memory, "HugePages_Total"),
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load_average": os.getloadavg(),
        "cpu_seconds": cpu_seconds(),
        "python": sys.version.split()[0],
        "compiler": _output("gcc", "--version").partition("\n")[0],
        "packages": {name: metadata.version(name) for name in PACKAGES},
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
