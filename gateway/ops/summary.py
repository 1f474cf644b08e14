"""What an instance has done so far, as one plain dictionary: what `run --json`, `replay` and `demo` print comes from it.

Hard rule: every number is a counter of native/layout/counters.h or of the gate, under the same name.
"""

from typing import Any

import numpy as np

from gateway import layout
from gateway.instance import Instance
from gateway.ops.histogram import percentile
from gateway.port import words_of

MILLION = 1_000_000
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p999": 0.999}
NOT_ROOM = ("reserved",)
QUALITY = ("judged", "outliers", "accepted", "quiet", "divergences", "groups_apart")
POST_TRADE = ("equity", "equity_high", "day_base", "comparisons")
PORTFOLIO = ("equity", "gross_value", "net_long", "net_short", "margin_value", "free_value")  # in price units
REPORT_PACKETS = ("packets", "heartbeats", "sessions", "reordered", "gaps", "gap_messages", "end_of_session")


def plain(record: np.void, struct: str) -> dict[str, int]:
    """The scalar fields of a record, without room kept for later."""
    fields = [name for name in layout.offsets(struct)._fields if not name.startswith(NOT_ROOM)]
    return {name: int(record[name]) for name in fields if np.ndim(record[name]) == 0 and record.dtype[name].kind in "iu"}


def reasons(record: np.ndarray, enum: str, prefix: str) -> dict[str, int]:
    """Counts by reason name; reasons that never happened are left out."""
    names = layout.names(enum, prefix)
    return {names[index].lower(): int(count) for index, count in enumerate(record) if count and index in names}


def rejects_by_control(account: np.void) -> dict[str, int]:
    """How often each control refused, those that never did included, by the id of the specification."""
    names = layout.names("gate_reason", "GATE_")
    return {name: int(account["rejects"][index]) for index, name in sorted(names.items()) if name != "REASONS"}


def post_trade(instance: Instance) -> dict[str, Any]:
    """What the controls after the trade have found, in price units; how often each fired, by its id."""
    seen = instance.regions["post_trade"].view("post_trade_account")[0]
    names = {
        number: name for number, name in layout.names("post_trade_control", "POST_TRADE_").items() if name != "CONTROLS"
    }
    halted = int(seen["halted"])
    return {
        "fired_by_control": {name: int(seen["fired"][number]) for number, name in sorted(names.items())},
        "account_halted": [name for number, name in sorted(names.items()) if halted >> number & 1],
        "max_drawdown": int(seen["drawdown_max_ppm"]) / MILLION,
        "max_drawdown_units": int(seen["drawdown_max"]),
        **{name: int(seen[name]) for name in POST_TRADE},
    }


def messages_by_type(core: np.void) -> dict[str, int]:
    """Decoded messages by the venue's type letter."""
    counts = core["messages_by_type"]
    return {chr(index): int(counts[index]) for index in range(256) if counts[index]}


def span(histogram: np.void) -> dict[str, int]:
    """Percentiles of one latency histogram in ns, with its maximum and count."""
    if histogram["count"] == 0:
        return {**dict.fromkeys(PERCENTILES, 0), "max": 0, "count": 0}
    values = {name: int(percentile(histogram, share)) for name, share in PERCENTILES.items()}
    return {**values, "max": int(histogram["max_ns"]), "count": int(histogram["count"])}


def spans(counters: np.void) -> dict[str, dict[str, int]]:
    """Every stage's latency, by name."""
    names = layout.names("stage_span", "SPAN_")
    return {names[index].lower() + "_ns": span(counters["spans"][index]) for index in range(len(counters["spans"]))}


def carrier_counters(instance: Instance) -> np.void:
    """struct counters of whoever transmits orders: io, or the order session."""
    state: np.void = instance.regions["session"].view("session_state")[0]
    if int(state["phase"]) == layout.value("SESSION_ABSENT"):
        return instance.counters[0]
    counters: np.void = instance.regions["session_counters"].view("counters")[0]
    return counters


def order_session(instance: Instance) -> dict[str, Any] | None:
    """The order session over TCP as its process left it; None where orders travel in datagrams."""
    state = instance.regions["session"].view("session_state")[0]
    phase = int(state["phase"])
    if phase == layout.value("SESSION_ABSENT"):
        return None
    losses = layout.names("session_loss", "LOSS_")
    figures = plain(state, "session_state")
    for name in ("phase", "last_loss", "cancel_on_disconnect"):
        del figures[name]
    return {
        "phase": layout.names("session_phase", "SESSION_")[phase].lower(),
        "session": state["session"].decode(errors="replace"),
        "last_loss": losses[int(state["last_loss"])].lower(),
        "cancel_on_disconnect": bool(state["cancel_on_disconnect"]),
        **figures,
        "losses_by_reason": reasons(state["losses_by_reason"], "session_loss", "LOSS_"),
        "orders_lost": int(instance.counters[0]["core"]["orders_lost"]),
        "io": plain(carrier_counters(instance)["io"], "io_counters"),
    }


def summary(instance: Instance) -> dict[str, Any]:
    """The whole picture of an instance."""
    counters = instance.counters[0]
    account = instance.regions["gate"].view("gate_account")[0]
    quality = instance.regions["quality"].view("quality_account")[0]
    latch = int(instance.control[0]["kill_latch"])
    carrier = carrier_counters(instance)
    return {
        "instance": instance.name,
        "kill_latch": "" if latch == 0 else layout.names("kill_reason", "KILL_")[latch],
        "io": plain(counters["io"], "io_counters"),
        "port": words_of(bytes(counters["port"]).split(b"\0")[0].decode()),
        "core": plain(counters["core"], "core_counters"),
        "messages": messages_by_type(counters["core"]),
        "feed_reasons": reasons(counters["core"]["reasons"], "feed_reason", "FEED_"),
        "report_packets": {name: int(counters["reports"][name]) for name in REPORT_PACKETS},
        "report_reasons": reasons(counters["reports"]["reasons"], "feed_reason", "FEED_"),
        "decisions": int(account["decisions"]),
        "accepted": int(account["accepted"]),
        "cancels": int(account["cancels"]),
        "rejects": reasons(account["rejects"], "gate_reason", "GATE_"),
        "rejects_by_control": rejects_by_control(account),
        "portfolio": {name: int(account[name]) for name in PORTFOLIO},
        "post_trade": post_trade(instance),
        "quality": {name: int(quality[name]) for name in QUALITY},
        "order_session": order_session(instance),
        "reconciliation": plain(instance.regions["reconciliation"].view("reconciliation_state")[0], "reconciliation_state"),
        "orders_transmitted": int(carrier["io"]["orders_transmitted"]),
        "cancels_transmitted": int(carrier["io"]["cancels_transmitted"]),
        **spans(carrier),
        "stale_ns": span(counters["stale"]),
    }
