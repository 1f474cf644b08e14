"""Counts the works under valgrind, in a process of its own: python -m gateway.ops.bench.guard.counting LIBRARY FOLDER.

    first    the process natively: kernels are compiled and kept on the disk, every work computes what it must
    then     the same under callgrind, which looks only while the works run; one dump for each run of a work

The process writes one JSON line to stdout. Hard rule: code is compiled for x86-64-v2 in both, the library functions of the C
library are those of x86-64-v2, and the machine's own CPU is asked nowhere, so that the counts are the same everywhere.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gateway import kernel_cache
from gateway.errors import CapabilityError, GatewayError

ENVIRONMENT = {
    "NUMBA_CPU_NAME": "x86-64-v2",
    "NUMBA_CPU_FEATURES": "",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load,-Prefer_ERMS",
    "PYTHONHASHSEED": "0",
}
NATIVE_SECONDS_MAX, COUNTED_SECONDS_MAX = 400, 200  # the first one may compile every kernel
SUMMARY = re.compile(r"^(?:summary|totals): (\d+)$", re.MULTILINE)
ROW = np.dtype([("function", "i8"), ("state", "i8"), ("times", "i8"), ("result", "i8")])


def count(library: Path, folder: Path, report: Callable[[float, str], None]) -> list[dict[str, Any]]:
    """Every work with its instructions for one unit. Raises CapabilityError, GatewayError on a wrong result."""
    report(0.0, "compiling, computing")
    native = _run([sys.executable], library, folder, NATIVE_SECONDS_MAX)
    report(0.4, "counting")
    dumps = folder / "callgrind.out"
    options = ["--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={dumps}", "--quiet"]
    told = _run(["valgrind", *options, sys.executable], library, folder, COUNTED_SECONDS_MAX)
    if [row["results"] for row in told] != [row["results"] for row in native]:
        raise GatewayError("the guard's works computed something else under valgrind; run it again, then report it")
    for index, row in enumerate(told):
        once, twice = (instructions(dumps.with_name(f"{dumps.name}.{2 * index + turn}")) for turn in (1, 2))
        row["instructions"] = (twice - once) / row.pop("divisor")
    return told


def _run(command: list[str], library: Path, folder: Path, seconds_max: float) -> list[dict[str, Any]]:
    """The rows that the process tells."""
    arguments = [*command, "-m", "gateway.ops.bench.guard.counting", str(library), str(folder)]
    try:
        done = subprocess.run(arguments, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=seconds_max)
    except FileNotFoundError:
        raise CapabilityError("the guard counts under valgrind: apt-get install valgrind") from None
    except subprocess.TimeoutExpired:
        raise GatewayError(f"the guard's works did not end within {seconds_max} s; try on a quieter machine") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise GatewayError(f"the guard's process ended early: {last}")
    return list(json.loads(done.stdout.splitlines()[-1]))


def instructions(path: Path) -> int:
    """What one dump of callgrind counted."""
    found = SUMMARY.search(path.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise GatewayError(f"{path.name}: no count; valgrind is too old or its output has changed")
    return int(found[1])


def main() -> None:
    """Runs every work with N and with 2 N pieces."""
    kernel_cache.prepare()
    from gateway.ops.bench.guard import library
    from gateway.ops.bench.guard.works import make_works

    loaded = library.load(Path(sys.argv[1]))
    works = make_works(loaded, Path(sys.argv[2]))
    rows = np.zeros(2 * len(works), ROW)
    for index, work in enumerate(works):
        rows[2 * index] = (work.function, work.first, work.times, 0)
        rows[2 * index + 1] = (work.function, work.second, 2 * work.times, 0)
    loaded.count_all(rows.ctypes.data, len(rows))
    told = []
    for index, work in enumerate(works):
        results = rows["result"][2 * index : 2 * index + 2].tolist()
        if work.expected is not None and results[0] != work.expected:
            raise GatewayError(f"{work.name} ({work.side}): computed {results[0]}, not {work.expected}")
        divisor = work.times * work.units
        told.append({"work": work.name, "side": work.side, "unit": work.unit, "results": results, "divisor": divisor})
    print(json.dumps(told))


if __name__ == "__main__":
    main()
