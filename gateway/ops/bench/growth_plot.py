"""The curves of a result: metrics of the suite `growth` at a number of something, a panel each, a line for each contender.

Hard rule: the lower end of a linear axis is zero, and points are joined only within one contender of one suite.
"""

import math
import re
from typing import Any

from gateway.ops.bench.plots import OURS, WIDTH, correct_rows, log_axis, quartiles

SUITE = "growth"
POINT = re.compile(r"^(?P<what>.+?)(?: at |, )(?P<number>[0-9,]+) (?P<axis>.+)$")
Panel = tuple[str, str, str]  # title, name of the axis, unit
Spots = list[tuple[float, float, float, float]]  # number, lower quartile, median, upper quartile
SHADES = (OURS, "#b0803c", "#5b6fa8", "#94567a", "#4f8a8b", "#7a8694")
STEEP = 8.0  # times from the lowest to the highest point: more than that wants a logarithmic axis
ACROSS, PANEL_INCHES = 2, 2.9


def panels_of(document: dict[str, Any]) -> dict[Panel, dict[str, Spots]]:
    """Panel → contender → its points by number; contenders with a single point have no curve."""
    panels: dict[Panel, dict[str, Spots]] = {}
    for suite, row in correct_rows(document):
        match = POINT.match(row["metric"])
        if suite == SUITE and match:
            panel = panels.setdefault((f"{suite}: {match['what']}", match["axis"], row["unit"]), {})
            spot = (float(match["number"].replace(",", "")), *quartiles(row["samples"]))
            panel.setdefault(row["contender"], []).append(spot)
    return {panel: {name: sorted(spots) for name, spots in curves.items()} for panel, curves in panels.items()}


def picture(document: dict[str, Any]) -> Any:
    """A figure, or None where nothing was measured at more than one place."""
    from matplotlib.figure import Figure

    panels = {
        panel: curves for panel, curves in panels_of(document).items() if any(len(spots) > 1 for spots in curves.values())
    }
    if not panels:
        return None
    down = math.ceil(len(panels) / ACROSS)
    figure = Figure(figsize=(WIDTH, PANEL_INCHES * down), layout="constrained")
    grid = figure.subplots(down, min(ACROSS, len(panels)), squeeze=False)
    for axes, (panel, curves) in zip(grid.flat, panels.items(), strict=False):
        _draw(axes, panel, curves)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Any, panel: Panel, curves: dict[str, Spots]) -> None:
    """Medians joined, quartiles as a band."""
    title, axis, unit = panel
    for index, (name, spots) in enumerate(curves.items()):
        numbers, low, middle, high = (list(column) for column in zip(*spots, strict=True))
        color = SHADES[index % len(SHADES)]
        axes.plot(numbers, middle, marker="o", markersize=3, label=name, color=color, zorder=3)
        axes.fill_between(numbers, low, high, color=color, alpha=0.18, linewidth=0)
    places = sorted({spot[0] for spots in curves.values() for spot in spots})
    middles = [spot[2] for spots in curves.values() for spot in spots]
    axes.set_xscale("log" if places[0] > 0 else "linear")
    axes.set_xticks(*_marks(places), minor=False)
    axes.set_xticks([], minor=True)
    if max(middles) > STEEP * min(middles):
        log_axis(axes, "y")
    else:
        axes.set_ylim(0, max(spot[3] for spots in curves.values() for spot in spots) * 1.25)
    axes.set_title(f"{title} ({unit})", fontsize=9, loc="left")
    axes.set_xlabel(axis)
    axes.legend(fontsize=7)


def _marks(places: list[float]) -> tuple[list[float], list[str]]:
    """Ticks where something was measured, so many that their numbers do not touch: at least a factor of 1.9 apart."""
    kept: list[float] = []
    for place in places:
        if not kept or place >= 1.9 * kept[-1]:
            kept.append(place)
    step = math.ceil(len(kept) / 8)
    kept = kept[::-step][::-1]  # the last one always
    return kept, [_short(place) for place in kept]


def _short(number: float) -> str:
    """1,000,000 as 1 M; 100,000 as 100 k; smaller ones whole."""
    for size, letter in ((1e6, " M"), (1e5, " k")):
        if number >= size:
            return f"{number / (1e6 if letter == ' M' else 1e3):g}{letter}"
    return f"{number:,.0f}"
