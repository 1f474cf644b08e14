"""How long a start takes: `gateway run` until it is ready, with kernels on the disk and without, and `gateway --help`.

Ready is when io's and core's loops turn: both have their memory, their kernels and the port, and the next frame is worked
through. It is seen in the control block, as `gateway demo` sees it, every 20 ms.
Hard rule: what is started is ended and removed, and the user's own kernels stay as they are.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from gateway.errors import GatewayError
from gateway.ops.bench.suite import Row
from gateway.ops.demo import Demo, DemoOptions
from gateway.ops.wiring import wire

HELP, READY = "gateway --help", "gateway run"
TOLD = "until it has told"
WARM, COLD = "until io and core turn, warm", "until io and core turn, cold"
UNIT = "s"
HELP_SECONDS_MAX = 60
TOGETHER_BELOW_CPUS = 4  # as in `gateway demo`: io and core share a loop on a small machine


def help_seconds() -> float:
    """Of `gateway --help`, from the call to its end."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "--help"], capture_output=True, text=True, timeout=HELP_SECONDS_MAX
    )
    if done.returncode != 0 or "bench" not in done.stdout:
        raise GatewayError("gateway --help told something else")
    return time.monotonic() - begin


def ready_seconds(kernels: Path | None = None) -> float:
    """Of a whole appliance over `pair:`, from the call until it is ready; `kernels` is where its kernels are kept."""
    options = DemoOptions(together=(os.cpu_count() or 1) < TOGETHER_BELOW_CPUS)
    with wire("pair") as wiring, tempfile.TemporaryDirectory(prefix="gateway-start-") as folder:
        if kernels is not None:
            wiring = replace(wiring, prefix=["env", f"NUMBA_CACHE_DIR={kernels}"])
        demo = Demo(wiring, options, Path(folder))
        try:
            begin = time.monotonic()
            for _ in demo.start_appliance():
                pass
            spent = time.monotonic() - begin
            demo.stop_appliance()
            return spent
        finally:
            demo.close()


def cold_seconds() -> float:
    """The same with every kernel to compile."""
    with tempfile.TemporaryDirectory(prefix="gateway-kernels-") as folder:
        return ready_seconds(Path(folder))


def row(contender: str, metric: str, samples: list[float]) -> Row:
    """A row of this suite's."""
    return Row(contender, metric, UNIT, True, True, samples)
