"""A result as Markdown: what was to be reached, then every figure of every suite beside its peers. See docs/performance.md.

Hard rule: whatever is in the result is in the page: missed targets, contenders that were wrong, and who was skipped and why.
"""

from collections.abc import Iterator
from typing import Any

from gateway.ops.bench.report import short

FACTS = (("cpu", "CPU"), ("cpu_count", "CPUs"), ("kernel", "kernel"), ("commit", "commit"))


def page(told: dict[str, Any]) -> str:
    """The whole page of a loaded result (report.load), headings from the second level on."""
    lines = [*_machine(told), "", "## Targets", "", *_targets(told["suites"]), ""]
    for suite in told["suites"]:
        lines += [f"## `{suite['suite']}`: {suite['title']}", "", *_suite(suite), ""]
    return "\n".join(lines).rstrip() + "\n"


def _machine(told: dict[str, Any]) -> Iterator[str]:
    facts = [f"{name} {told['machine'][key]}" for key, name in FACTS if told["machine"].get(key)]
    noise = told.get("noise", {})
    yield "; ".join(facts) + "."
    kind, busy, stolen = "Quick" if told.get("quick") else "Full", noise.get("busy_share", 0), noise.get("steal_share", 0)
    yield f"{kind} run. CPUs were {busy:.0%} busy, this run included, {stolen:.1%} of the time was stolen."


def _targets(suites: list[dict[str, Any]]) -> Iterator[str]:
    yield "| suite | figure | measured | target | |"
    yield "|---|---|---|---|---|"
    for suite in suites:
        for target in suite["targets"]:
            said = "met" if target["met"] else "**missed**"
            figures = f"{short(target['value'])} {target['unit']} | ≤ {target['limit']:,.4g} {target['unit']}"
            yield f"| `{suite['suite']}` | {_cell(target['what'])} | {figures} | {said} |"


def _suite(suite: dict[str, Any]) -> Iterator[str]:
    if suite["rows"]:
        yield "| contender | metric | median | quartiles | to ours | |"
        yield "|---|---|---|---|---|---|"
        ours = _ours(suite["rows"])
        for row in suite["rows"]:
            low, high = row["quartiles"]
            said = "" if row["correct"] else "**differs: does not count**"
            yield (
                f"| {_cell(row['contender'])} | {_cell(row['metric'])} ({_cell(row['unit'])}) | {row['median']:,.2f}"
                f" | {low:,.2f} – {high:,.2f} | {_ratio(row, ours)} | {said} |"
            )
        yield ""
    for name, reason in suite["skipped"].items():
        yield f"- skipped {name}: {reason}"
    for note in [*suite["notes"], *(f"**failed**: {failure}" for failure in suite["failures"])]:
        yield f"- {note}"
    yield f"- `gateway bench --suite {suite['suite']}`, {suite.get('seconds', 0):.0f} s"


def _ours(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Metric → our median, where one contender of the metric is ours, and only one."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["ours"] and row["correct"]:
            found.setdefault(row["metric"], []).append(row["median"])
    return {metric: medians[0] for metric, medians in found.items() if len(medians) == 1}


def _ratio(row: dict[str, Any], ours: dict[str, float]) -> str:
    base = ours.get(row["metric"])
    return "" if row["ours"] or not base else f"{row['median'] / base:,.2f} ×"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
