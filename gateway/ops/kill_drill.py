"""A kill drill: a simulated venue, an appliance of its own under load, `gateway kill`, and the venue's account of it.

    venue ═══ appliance (quotes, positions, orders open) ◄── gateway kill        evidence.py ◄── what the venue says of it

Hard rule: what is checked comes from the venue's side: its list of orders, its positions, its stamps of what came in. The
appliance's own report is kept beside it, and believed in nothing.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway import __version__, clock, layout
from gateway.config import Configuration
from gateway.core.order_frames import DIGITS, EPOCH_CHARACTERS
from gateway.errors import AttachError, GatewayError
from gateway.instance import Instance
from gateway.ops import evidence
from gateway.ops.control_orders import CONTROL_STRATEGY, STRATEGY_SHIFT
from gateway.ops.demo import PASSWORD, USERNAME, Demo, DemoOptions
from gateway.ops.drop_copy import DropCopy
from gateway.ops.wiring import wire

STRATEGY = Path(__file__).resolve().parent.parent / "strategies" / "quotes.py"
BLOCKED_MS = 10.0  # from the latch to the last new order at the venue
CLOSED_SECONDS, SETTLE_SECONDS = 5.0, 1.0
LOAD_SECONDS = 60.0  # until orders rest and positions are held
ORDERS_MIN = 20
SYMBOLS, RATE = 8, 4_000
STEPS = ("seconds", "touch_ms", "slippage_ppm", "market_ppm", "answer_ms")  # of the caller's configuration
MILLION = 1_000_000


def drill(configuration: Configuration, seed: int = 1) -> tuple[dict[str, Any], Path]:
    """Runs one drill and stores its evidence in the configuration's state folder. Raises GatewayError."""
    began = int(time.time())
    kill = configuration.kill
    keys = {f"KILL__{key.upper()}": json.dumps(getattr(kill, key)) for key in STEPS}
    keys |= {"KILL__FLATTEN": "true", "KILL__HTTP": "", "KILL__DEVICE": ""}
    options = DemoOptions(
        seconds=10 * LOAD_SECONDS,
        seed=seed,
        symbols=SYMBOLS,
        rate=RATE,
        faults="",
        strategy=STRATEGY,
        orders="soupbintcp",
        keys=keys,
    )
    with wire("pair") as wiring, tempfile.TemporaryDirectory(prefix="gateway-drill-") as folder:
        rehearsal = Rehearsal(Demo(wiring, options, Path(folder), instance_name=f"demo-{os.getpid()}"))
        try:
            facts = rehearsal.run(kill.seconds)
        finally:
            rehearsal.demo.close()
    result = {
        "time": began,
        "instance": configuration.instance.name,
        "host": platform.node(),
        "version": __version__,
        "layout": f"{layout.LAYOUT_HASH:016x}",
        "settings": {key: getattr(kill, key) for key in STEPS},
        "ok": all(facts["checks"].values()),
        **facts,
    }
    return result, evidence.store(configuration.state_folder, result)


class Rehearsal:
    """One run of venue and appliance."""

    def __init__(self, demo: Demo):
        self.demo = demo
        self.copy = DropCopy(demo.drop_copy_address, USERNAME, PASSWORD)

    def run(self, kill_seconds: int) -> dict[str, Any]:
        """Load, kill, and what the venue says; `checks` by name."""
        demo = self.demo
        demo.compile_venue()
        for _ in demo.start_appliance():
            pass
        assert demo.instance is not None
        demo.start_venue()
        self._load()
        report = self._kill(kill_seconds)
        time.sleep(SETTLE_SECONDS)  # an order after the latch would have come by now
        self.copy.renew()
        if not self.copy.connect(CLOSED_SECONDS):
            raise GatewayError(f"the drill's venue does not answer any more: {demo.log('venue')}")
        ahead_ns = self._venue_ahead_ns(demo.instance)
        account = self.copy.account
        self.copy.close()
        venue = demo.stop_venue()
        return self._judge(report, account, venue, int(report["latched_ns"]) + ahead_ns)

    def _load(self) -> None:
        """Until orders rest and positions are held, by the venue's account."""
        deadline = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < deadline:
            self.copy.connect(0.1)
            account = self.copy.account
            if len(account.orders) >= ORDERS_MIN and account.open_orders and account.positions and self.copy.current:
                return
            self.demo._require_alive("venue", self.demo.venue)  # type: ignore[arg-type]
            time.sleep(0.01)
        raise GatewayError(f"the drill came under no load within {LOAD_SECONDS:.0f} s: {self.demo.log('appliance')}")

    def _kill(self, seconds: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "gateway.cli.main", "kill", "--instance", self.demo.instance_name, "--json"]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=seconds + LOAD_SECONDS)
        try:
            return dict(json.loads(outcome.stdout))
        except ValueError:
            raise GatewayError(f"the drill's kill left no report: {outcome.stderr.strip()[-200:]}") from None

    def _venue_ahead_ns(self, instance: Instance) -> int:
        """By how much the venue's clock is ahead of ours: each instance has its own calibration."""
        from gateway.venues.simulator.process import REGIONS, RINGS

        with contextlib.suppress(AttachError):
            venue = Instance.attach(f"{self.demo.instance_name}-venue", rings=RINGS, regions=REGIONS, writable=())
            before = clock.now_ns(instance.clock_address)
            theirs = clock.now_ns(venue.clock_address)
            return theirs - (before + clock.now_ns(instance.clock_address)) // 2
        return 0

    def _judge(self, report: dict[str, Any], account: Any, venue: dict[str, Any], latched_ns: int) -> dict[str, Any]:
        """The venue's account at the end of its day, and when each order came in."""
        held = {row["symbol"]: row["position"] for row in venue["instruments"] if row["position"]}
        spans = [
            (row[0] - latched_ns) / MILLION for row in venue["arrivals"] if row[1] in "OU" and not is_of_control(row[3])
        ]
        last_ms, late = max(spans, default=0.0), sum(span > BLOCKED_MS for span in spans)
        checks = {
            "there was something to kill: orders open, positions held": report["open_before"] > 0
            and bool(report["positions_before"]),
            f"no new order at the venue later than {BLOCKED_MS:g} ms after the latch": late == 0,
            "no order open at the venue": not venue["open_orders"] and not account.open_orders,
            f"and none {CLOSED_SECONDS:g} s after the latch": 0 <= report["closed_after_ms"] <= 1000 * CLOSED_SECONDS,
            "flat, or every residual named": set(held) <= {row["symbol"] for row in report["residuals"]},
            "the report came in time": report["took_ms"] <= 1000 * self._seconds(),
        }
        figures = {
            "last_new_order_ms": round(last_ms, 3),
            "orders_before": len(spans),
            "orders_open_at_latch": report["open_before"],
            "positions_at_latch": report["positions_before"],
            "positions_left": held,
            "closed_after_ms": report["closed_after_ms"],
            "flat_after_ms": report["flat_after_ms"],
            "took_ms": report["took_ms"],
            "flatten_orders": report["flatten_orders"],
            "residuals": report["residuals"],
        }
        return {"checks": checks, "figures": figures}

    def _seconds(self) -> float:
        return float(self.demo.options.keys["KILL__SECONDS"])


def is_of_control(client_order_id: str) -> bool:
    """Whether an order was control's own, by the strategy in its client order id."""
    digits = client_order_id[1 + EPOCH_CHARACTERS :]
    try:
        number = sum(DIGITS.index(digit) << (5 * place) for place, digit in enumerate(reversed(digits)))
    except ValueError:
        return False
    return number >> STRATEGY_SHIFT == CONTROL_STRATEGY
