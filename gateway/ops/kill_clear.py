"""Whether the kill latch may be cleared: what the venue has open and what we hold, against what we know of both.

    drop copy ─► open orders: none?   positions: as ours?        ours: the kill's report, else the memory a dead run left
    no drop copy ─► the kill's report: clean?

Hard rule: what nobody can answer is unresolved. Unresolved is cleared by force only, and that is written down first.
"""

from gateway.config import Configuration
from gateway.errors import AttachError, GatewayError
from gateway.instance import Instance
from gateway.ops import kill_file, kill_report
from gateway.ops.drop_copy import read_account
from gateway.ops.venue_truth import TableTruth

ACCOUNT_SECONDS = 10.0
LINES_MAX = 20


def unresolved(configuration: Configuration) -> list[str]:
    """What a person has not been told to be in order, a line each; empty: a clean reconciliation."""
    if kill_file.reason(configuration.state_folder) is None:
        return []
    orders = configuration.orders
    if orders.carriage == "udp" or not orders.drop_copy:
        return _by_report(configuration)
    try:
        account = read_account(configuration, ACCOUNT_SECONDS)
    except GatewayError as problem:
        return [f"the venue's drop copy cannot be asked: {problem}"]
    if account is None:
        return [f"the venue's drop copy at {orders.drop_copy} does not answer: nobody knows what is open there"]
    rows = account.open_orders.values()
    lines = [f"the venue has order {row.reference} open: {row.side} {row.open} {row.symbol}" for row in rows]
    lines += _differences(account.positions, _our_positions(configuration))
    return lines[:LINES_MAX] + [f"and {len(lines) - LINES_MAX} more"] * (len(lines) > LINES_MAX)


def _differences(theirs: dict[str, int], ours: dict[str, int] | None) -> list[str]:
    if ours is None:
        return [f"the venue has {held:+d} {symbol}, and nobody here knows ours" for symbol, held in theirs.items()]
    pairs = {symbol: (theirs.get(symbol, 0), ours.get(symbol, 0)) for symbol in sorted({*ours, *theirs})}
    return [f"{symbol}: the venue has {one:+d}, we have {two:+d}" for symbol, (one, two) in pairs.items() if one != two]


def _by_report(configuration: Configuration) -> list[str]:
    """Without the venue's account the kill's own report is all there is."""
    document = kill_report.last(configuration.state_folder)
    if document is None:
        return ["no kill has left a report, and there is no drop copy: nobody here knows what is open at the venue"]
    try:
        report = kill_report.as_report(document)
    except (TypeError, KeyError):
        return [f"{configuration.state_folder / kill_report.REPORT_FILE} is of another build"]
    lines = report.residual_lines()
    if not report.confirmed and not lines:
        lines = [f"{len(report.still_open)} orders were not confirmed closed"]
    return lines[:LINES_MAX]


def _our_positions(configuration: Configuration) -> dict[str, int] | None:
    """As the kill left them; else as the memory of a run that died has them; None: nobody knows."""
    document = kill_report.last(configuration.state_folder)
    if document is not None and isinstance(document.get("positions_after"), dict):
        return {str(symbol): int(held) for symbol, held in document["positions_after"].items()}
    try:
        return TableTruth(Instance.attach(configuration.instance.name, configuration.shared_folder.parent)).positions()
    except AttachError:
        return None


def clear(configuration: Configuration, lines: list[str], forced: bool) -> str | None:
    """Clears the latch on disk; returns what it was set by. Raises GatewayError where that cannot be written down."""
    state = configuration.state_folder
    why = kill_file.reason(state)
    try:
        if why is not None:
            kill_report.note(state, {"event": "clear", "reason": why, "forced": forced, "unresolved": lines})
        (state / kill_report.REPORT_FILE).unlink(missing_ok=True)  # the log keeps it
        kill_file.clear(state)
    except OSError as problem:
        raise GatewayError(f"{problem.filename or state}: {problem.strerror}; nothing is cleared") from None
    return why
