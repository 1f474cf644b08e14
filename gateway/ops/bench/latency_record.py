"""What latencies come to: percentiles by an HDR histogram, and the budget of an order's stages by its stamps.

    wire and ports │ receive │ ring in │ checks │ decode │ book │ strategy │ gate │ encode │ ring out │ transmit
                   └───────────────────────── stamped inside the appliance ─────────────────────────┘

Hard rule: samples are kept as they are while a run goes on, and counted afterwards; stages and stamps are the whole.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gateway.errors import CapabilityError

LOWEST_NS, HIGHEST_NS, FIGURES = 1, 60_000_000_000, 3
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99)
WIRE, STAMP = "wire and ports", "stamps"
STAGES = ("receive", "ring in", "checks", "decode", "book", "strategy", "gate", "encode", "ring out", "transmit")
ADDED = ("checks", "decode", "book", "strategy", "gate", "ring out")  # end with a stamp that only a stamped run has


def library() -> Any:
    """Module hdrh.histogram. Raises CapabilityError where it is missing: asked for before a run, not behind it."""
    try:
        import_module("hdrh.histogram")
        import_module("hdrh.log")
        return import_module("hdrh")
    except ImportError:
        raise CapabilityError("the latency histogram needs hdrhistogram: pip install 'bypass-gateway[bench]'") from None


def histogram_of(ns: np.ndarray) -> Any:
    """An HDR histogram of nanoseconds, three significant figures."""
    histogram = library().histogram.HdrHistogram(LOWEST_NS, HIGHEST_NS, FIGURES)
    for number, count in zip(*np.unique(np.clip(ns, LOWEST_NS, HIGHEST_NS), return_counts=True), strict=True):
        histogram.record_value(int(number), int(count))
    return histogram


def figures(histogram: Any) -> dict[str, float]:
    """p50 … p99.99 and the maximum, in nanoseconds."""
    told = {f"p{share:g}": float(histogram.get_value_at_percentile(share)) for share in PERCENTILES}
    return told | {"max": float(histogram.get_max_value())}


def write_log(path: Path, histograms: dict[str, list[tuple[float, float, Any]]]) -> None:
    """The HDR log: under each tag one interval for each run, (seconds since the epoch of its begin and end, histogram)."""
    with path.open("w", encoding="utf-8") as file:
        writer = library().log.HistogramLogWriter(file)
        writer.output_log_format_version()
        writer.output_legend()
        for tag, intervals in histograms.items():
            for begin_s, end_s, histogram in intervals:
                file.write(f"Tag={tag},")
                writer.output_interval_histogram(histogram, begin_s, end_s)


def middle(totals: np.ndarray) -> np.ndarray:
    """Which values lie between the quartiles: their mean is near the median, and means of parts add up."""
    low, high = np.percentile(totals, (25, 75))
    return np.asarray((totals >= low) & (totals <= high))


@dataclass(frozen=True)
class Budget:
    """Nanoseconds by stage, stamps taken out; the last ones are what the stamps took, and the whole as the venue saw it."""

    stages: dict[str, float]
    orders: int

    @property
    def whole(self) -> float:
        """All of it."""
        return sum(self.stages.values())


def budget_of(ticks: np.ndarray, ns_per_tick: float, stamp_ns: float, venue_ns: np.ndarray) -> Budget | None:
    """The budget of stamped runs: `ticks` has a row for each order, `venue_ns` what the venue saw of them. None: too few.

    Of all orders the middle half counts: by what they took inside, and by what the venue saw.
    """
    if len(ticks) < 4 or len(venue_ns) < 4:
        return None
    kept = ticks[middle(ticks.sum(axis=1))].mean(axis=0) * ns_per_tick
    raw = dict(zip(STAGES, (float(number) for number in kept), strict=True))
    stages = {name: max(number - stamp_ns, 0.0) if name in ADDED else number for name, number in raw.items()}
    inside = sum(raw.values())
    outside = float(venue_ns[middle(venue_ns)].mean()) - inside
    return Budget({WIRE: outside, **stages, STAMP: inside - sum(stages.values())}, len(ticks))
