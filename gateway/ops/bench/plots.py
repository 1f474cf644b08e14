"""Pictures of one result of the benchmark, as SVG: ratios to the others, percentiles, the stages of tick to order.

    ratios.svg        ours / theirs, round by round, by suite and metric; left of 1 we are faster
    percentiles.svg   one curve for each contender of a latency
    budget.svg        what each stage takes of the whole, and its quartiles
    growth.svg        a curve for each metric that was measured `at NUMBER WHAT`

Hard rule: only what the JSON file holds is drawn, and nothing of a contender whose result was wrong.
"""

import math
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.errors import CapabilityError
from gateway.ops.bench.compare import RATES
from gateway.ops.bench.report import short

INK, OURS, PEERS, GRID = "#1b1f24", "#0b6e4f", ("#7a8694", "#b0803c", "#5b6fa8", "#94567a", "#4f8a8b", "#a3a847"), "#e3e6ea"
PERCENTILE = re.compile(r"^(?P<what>.*?) ?p(?P<percent>[0-9.]+)$")
WIDTH, ORIGIN_INCHES = 9.0, 0.2
WIDE = 50  # times from end to end: beyond it powers of ten alone are named on an axis
DASHES = ("-", "--", ":")
BUDGET_SUITES, WHOLE = ("tick-to-order", "latency"), "tick → order"
LABEL_SHARE = 0.06  # of the whole: a narrower stage has no room for its figures
LEGEND_COLUMNS = 6


def library() -> Any:
    """matplotlib. Raises CapabilityError where it is missing: asked for before a long run, not behind it."""
    try:
        import matplotlib
    except ImportError:
        raise CapabilityError("pictures need matplotlib: pip install 'bypass-gateway[plots]'") from None
    return matplotlib


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """The pictures that the result has figures for. Raises CapabilityError where the library is missing."""
    matplotlib = library()
    matplotlib.use("svg")
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "gateway", "font.size": 9, "font.family": "sans-serif"}
    style |= {"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID, "xtick.color": INK, "ytick.color": INK}
    style |= {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": GRID}
    style |= {"axes.axisbelow": True, "legend.frameon": False}
    from gateway.ops.bench import growth_plot

    pictures: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
        ("ratios", _ratios),
        ("percentiles", _percentiles),
        ("budget", _budget),
        ("growth", growth_plot.picture),
    ]
    written = []
    with matplotlib.rc_context(style):
        for name, picture in pictures:
            figure = picture(document)
            if figure is not None:
                share = ORIGIN_INCHES / figure.get_figheight()
                figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
                figure.text(0.01, share / 4, _origin(document), fontsize=7, color="#7a8694")
                path = folder / f"{name}.svg"
                figure.savefig(path, metadata={"Date": None})
                written.append(path)
    return written


def _origin(document: dict[str, Any]) -> str:
    """Where the figures come from."""
    machine = document["machine"]
    mode = "gateway bench --quick" if document.get("quick") else "gateway bench"
    return f"{mode}, commit {str(machine.get('commit', '?'))[:10]}, {machine.get('cpu', '?')}, {machine.get('time', '?')}"


def correct_rows(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(suite, row) of everything that may be drawn."""
    for suite in document["suites"]:
        for row in suite["rows"]:
            if row["correct"] and row["samples"] and min(row["samples"]) > 0:
                yield suite["suite"], row


def ratios(document: dict[str, Any]) -> list[tuple[str, str, list[float]]]:
    """(what, whom, shares round by round) of ours to each peer in the same metric; below 1 we take less."""
    rows = list(correct_rows(document))
    found = []
    for suite, own in rows:
        for other_suite, other in rows:
            same = (suite, own["metric"], len(own["samples"])) == (other_suite, other["metric"], len(other["samples"]))
            if not (own["ours"] and not other["ours"] and same):
                continue
            pairs = list(zip(own["samples"], other["samples"], strict=True))
            shares = [theirs / mine if own["unit"].endswith(RATES) else mine / theirs for mine, theirs in pairs]
            name = "" if own["contender"] == "gateway" else f", {own['contender']}"
            found.append((f"{suite} {own['metric']}{name}", other["contender"], shares))
    return found


def _ratios(document: dict[str, Any]) -> Any:
    """Bars from 1 to the median, whiskers over the quartiles."""
    from matplotlib.figure import Figure

    found = ratios(document)
    if not found:
        return None
    figure = Figure(figsize=(WIDTH, 0.9 + 0.28 * len(found)), layout="constrained")
    axes = figure.subplots()
    for place, (_, _, shares) in enumerate(found):
        low, middle, high = quartiles(shares)
        axes.barh(place, middle - 1, left=1, height=0.6, color=OURS if middle <= 1 else PEERS[1])
        axes.plot([low, high], [place, place], color=INK, linewidth=1)
        beside = min(low, 1) / 1.04 if middle <= 1 else max(high, 1) * 1.04
        axes.text(beside, place, short(middle), ha="right" if middle <= 1 else "left", va="center", fontsize=8)
    log_axis(axes, "x")
    axes.margins(x=0.12, y=0.01)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_yticks(range(len(found)), [f"{what}  ÷  {whom}" for what, whom, _ in found])
    axes.invert_yaxis()
    axes.set_xlabel("ours / theirs: median, quartiles of rounds; left of 1 is faster")
    return figure


Curves = dict[str, list[tuple[float, float]]]


def curves_of(document: dict[str, Any]) -> tuple[dict[str, Curves], set[str]]:
    """Title of a panel → name of a curve → (percent, median of the samples); and the names that are ours."""
    found = [(suite, row, PERCENTILE.match(row["metric"])) for suite, row in correct_rows(document)]
    kept = [(suite, row, match) for suite, row, match in found if match]
    contenders = {suite: {row["contender"] for other, row, _ in kept if other == suite} for suite, _, _ in kept}
    panels: dict[str, Curves] = {}
    ours = set()
    for suite, row, match in kept:
        what, whose = match["what"], row["contender"]
        title, name = (f"{suite} {what}", whose) if len(contenders[suite]) > 1 else (f"{suite}, {whose}", what)
        curve = panels.setdefault(f"{title} ({row['unit']})", {}).setdefault(name, [])
        curve.append((float(match["percent"]), statistics.median(row["samples"])))
        ours |= {name} if row["ours"] else set()
    return panels, ours


def log_axis(axes: Any, which: str) -> None:
    """A logarithmic axis with plain numbers on it."""
    from matplotlib.ticker import LogLocator, NullFormatter

    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    wide = high > low * WIDE if low > 0 else True
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _percentiles(document: dict[str, Any]) -> Any:
    """A panel for each latency, a curve for each contender; of a suite without others a curve for each latency."""
    from matplotlib.figure import Figure

    panels, ours = curves_of(document)
    if not panels:
        return None
    across = min(2, len(panels))
    down = math.ceil(len(panels) / across)
    figure = Figure(figsize=(WIDTH, 2.9 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        peers, dashes = iter(PEERS * 4), iter(DASHES * 4)
        alone = len(curves) > 1 and ours.issuperset(curves)
        for name, points in curves.items():
            own = name in ours and not alone
            look = {"color": OURS, "linestyle": next(dashes)} if own else {"color": next(peers)}
            spots = sorted((-math.log10(1 - percent / 100), value) for percent, value in points)
            axes.plot(*zip(*spots, strict=True), marker="o", markersize=3, label=name, zorder=3 + own, **look)
        marks = sorted({percent for points in curves.values() for percent, _ in points})
        axes.set_xticks([-math.log10(1 - percent / 100) for percent in marks], [f"p{percent:g}" for percent in marks])
        log_axis(axes, "y")
        axes.set_title(title, fontsize=9, loc="left")
        axes.legend(fontsize=7)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    return figure


def _budget(document: dict[str, Any]) -> Any:
    """The stages' means end to end, the whole below."""
    from matplotlib.figure import Figure

    rows = [
        row
        for suite, row in correct_rows(document)
        if suite in BUDGET_SUITES and row["ours"] and row["metric"].endswith(" mean")
    ]
    means = {
        row["metric"].removesuffix(" mean"): quartiles(row["samples"])
        for row in rows
        if row["contender"] == rows[0]["contender"]  # the first wire's
    }
    whole = means.pop(WHOLE, None)
    if whole is None or not means:
        return None
    figure = Figure(figsize=(WIDTH, 2.0), layout="constrained")
    axes = figure.subplots()
    begin = 0.0
    shades = ("#0b6e4f", "#3d9a78", "#7fc3a8", "#b9dfd0")
    for index, (stage, (low, middle, high)) in enumerate(means.items()):
        axes.barh(0, middle, left=begin, height=0.6, color=shades[index % len(shades)], label=stage)
        text = f"{middle:,.0f} ns" + (f"\n({low:,.0f} – {high:,.0f})" if high > low else "")
        if middle >= LABEL_SHARE * whole[1]:
            color = "white" if index % len(shades) < 2 else INK
            axes.text(begin + middle / 2, 0, text, ha="center", va="center", fontsize=7, color=color)
        begin += middle
    axes.plot([whole[0], whole[2]], [0.5, 0.5], color=INK, linewidth=2)
    axes.text(whole[0], 0.5, f"{WHOLE} {whole[1]:,.0f} ns ", ha="right", va="center", fontsize=8)
    axes.set_ylim(-0.5, 1)
    axes.set_yticks([])
    axes.set_xlabel("mean of a stage, ns: median over repeats (quartiles)")
    axes.legend(fontsize=7, ncols=min(len(means), LEGEND_COLUMNS), loc="upper left")
    return figure


def quartiles(samples: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(samples) < 2:
        return samples[0], samples[0], samples[0]
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, middle, high
