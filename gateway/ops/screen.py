"""The live terminal view of an instance: `gateway top` shows it, `gateway demo` shows it while it runs.

    Live(get_renderable=Screen(instance).render)

Hard rule: it draws a snapshot and nothing else; a number that is not in snapshot.py is not on the screen.
"""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.instance import Instance
from gateway.ops.snapshot import rates, take

BOOKS = 10
SILENT_MS = 1_000  # a heartbeat older than this is drawn in red
FULL_SHARE = 0.5  # a ring fuller than this is drawn in red
IO_LOSSES = (
    *("exception_throttled", "exception_failed", "drop_port", "drop_no_buffer", "drop_oversized", "drop_truncated"),
    *("checksum_bad", "link_flaps", "buffers_lost"),
)
LINK_DOWN = 2  # enum port_link
SPANS = {
    "receive_decode_ns": "io → core",
    "decode_order_ns": "core → order",
    "order_transmit_ns": "order → port",
    "tick_to_order_ns": "tick to order",
}


class Screen:
    """Draws an instance again and again; rates are taken between two drawings."""

    def __init__(self, instance: Instance, books: int = BOOKS):
        self.instance = instance
        self.books = books
        self._before: dict[str, Any] | None = None

    def render(self) -> RenderableType:
        """One picture of now."""
        now = take(self.instance, self.books)
        picture = draw(now, self._before)
        if self._before is None or now["time_ns"] - self._before["time_ns"] > 200_000_000:
            self._before = now
        return picture


def render(instance: Instance) -> RenderableType:
    """A single picture, without rates."""
    return draw(take(instance, BOOKS), None)


def draw(now: dict[str, Any], before: dict[str, Any] | None) -> RenderableType:
    """The picture of one snapshot; `before` is an earlier one, for rates."""
    panes = Table.grid(padding=(0, 3))
    panes.add_row(
        Group(traffic(now, before), Text(), processes(now, before)),
        Group(latency(now), Text(), rings(now), Text(), orders(now)),
    )
    return Group(headline(now), Text(), panes, Text(), books(now))


def sheet(*columns: str) -> Table:
    """An empty table: the first column on the left, numbers on the right."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def headline(now: dict[str, Any]) -> Text:
    """Who, and whether the kill latch is set."""
    line = Text.assemble((f"gateway {now['instance']}", "bold"), "   ")
    if now["kill_latch"]:
        line.append(f" KILLED: {now['kill_latch']} ", style="bold white on red")
    else:
        line.append("kill latch clear", style="green")
    if session := now["order_session"]:
        style = "green" if session["phase"] == "up" else "bold red"
        line.append(f"   order session {session['phase']}", style=style)
        line.append(f" {session['session']} connection {session['connections']}", style="dim")
    if now["io"]["link_state"] == LINK_DOWN:
        line.append("   LINK DOWN", style="bold red")
    line.append(f"   epoch {now['epoch']}   positions {now['positions']}", style="dim")
    return line


def traffic(now: dict[str, Any], before: dict[str, Any] | None) -> Table:
    """Counts and rates of what passes, and what was lost on the way."""
    table = sheet("traffic", "total", "per second")
    speed = rates(now, before) if before else {}
    rows = [("frames in", "io", "frames_received"), ("messages", "core", "messages"), ("events", "core", "events")]
    rows += [("strategy calls", "core", "strategy_calls"), ("orders sent", "core", "orders_sent")]
    rows += [("fills", "core", "fills"), ("frames out", "io", "frames_transmitted")]
    for label, block, name in rows:
        table.add_row(label, f"{now[block][name]:,}", f"{speed[name]:,.0f}" if name in speed else "–")
    rows = [("exception in", "io", "exception_in"), ("exception out", "io", "exception_out")]
    for label, block, name in rows:
        if now[block][name]:
            table.add_row(label, f"{now[block][name]:,}", f"{speed[name]:,.0f}" if name in speed else "–")
    losses = {"gap messages": now["core"]["gap_messages"], "ring full": now["io"]["drop_ring_full"]}
    losses |= {name: now["io"][name] for name in IO_LOSSES}
    losses |= {name: now["quality"][name] for name in ("outliers", "quiet", "divergences")}
    for label, count in {**losses, **now["feed_reasons"]}.items():
        if count and label not in ("duplicate", "ok"):
            table.add_row(Text(label.replace("_", " "), style="yellow"), f"{count:,}", "")
    return table


def processes(now: dict[str, Any], before: dict[str, Any] | None) -> Table:
    """Heartbeats: who lives, how old its last sign is, how busy its loop is."""
    table = sheet("process", "pid", "state", "silent ms", "busy")
    earlier = {beat["process"]: beat for beat in before["heartbeats"]} if before else {}
    for beat in now["heartbeats"]:
        last = earlier.get(beat["process"], {"turns": 0, "turns_busy": 0})
        turns = beat["turns"] - last["turns"]
        busy = f"{100 * (beat['turns_busy'] - last['turns_busy']) / turns:.0f} %" if turns > 0 else "–"
        style = "red" if beat["age_ms"] > SILENT_MS or beat["state"] != "running" else "green"
        state = Text(beat["state"], style=style)
        table.add_row(beat["process"], str(beat["pid"]), state, f"{beat['age_ms']:,}", busy)
    return table


def latency(now: dict[str, Any]) -> Table:
    """Percentiles of every span in nanoseconds."""
    table = sheet("latency ns", "p50", "p99", "p99.9", "max", "count")
    for key, label in SPANS.items():
        span = now[key]
        table.add_row(label, *[f"{span[name]:,}" for name in ("p50", "p99", "p999", "max", "count")])
    return table


def rings(now: dict[str, Any]) -> Table:
    """How full every ring is."""
    table = sheet("ring", "waiting", "depth", "refused")
    for ring in now["rings"]:
        style = "red" if ring["waiting"] > FULL_SHARE * ring["depth"] else ""
        refused = Text(f"{ring['shed']:,}", style="yellow" if ring["shed"] else "")
        table.add_row(ring["ring"], Text(f"{ring['waiting']:,}", style=style), f"{ring['depth']:,}", refused)
    return table


def orders(now: dict[str, Any]) -> Table:
    """Own orders by state, and what the gate refused, by reason."""
    table = sheet("orders", "", "rejects", "")
    states = [(name, f"{count:,}") for name, count in now["orders"].items()] or [("none", "")]
    refusals = [(name.upper(), f"{count:,}") for name, count in now["rejects"].items()] or [("none", "")]
    for index in range(max(len(states), len(refusals))):
        left = states[index] if index < len(states) else ("", "")
        right = refusals[index] if index < len(refusals) else ("", "")
        table.add_row(*left, Text(right[0], style="yellow" if now["rejects"] else ""), right[1])
    return table


def books(now: dict[str, Any]) -> Table:
    """The tops of the busiest books."""
    table = sheet("book", "quantity", "bid", "ask", "quantity", "orders", "state")
    for book in now["books"]:
        state = [flag for flag in book["flags"] if flag != "valid"]
        table.add_row(
            book["symbol"] or str(book["instrument"]),
            f"{book['bid_quantity']:,}",
            Text(book["bid"] or "–", style="cyan"),
            Text(book["ask"] or "–", style="magenta"),
            f"{book['ask_quantity']:,}",
            f"{book['orders']:,}",
            Text(" ".join(state) or "good", style="red" if state else "green"),
        )
    return table
