"""Lines of the log about orders and about the order session, with the ids that the journal has.

    journal ─► OrderLines ─► log      fills, rejections, refusals; or every decision and report
    session_state ─► SessionWatch ─► log

Hard rule: a burst of orders costs control a bounded time: lines above LINES_PER_SECOND are counted, and the count is said.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gateway import layout
from gateway.instance import Instance
from gateway.ops.log import Log
from gateway.protocols.ouch50 import MESSAGES, OUTBOUND

LINES_PER_SECOND = 200
DECISION, REPORT = layout.value("JOURNAL_DECISION"), layout.value("JOURNAL_REPORT")
ENDS = {ord(letter) for letter in "EBJ"}  # executed, broken, rejected
REFUSALS = layout.names("refusal_reason", "REFUSAL_")
OWN_WORDS = {"UNKNOWN": "no answer in time", "WORKING": "found working at the venue"}
REASONS = layout.names("gate_reason", "GATE_")
INTENTS = layout.names("intent_kind", "INTENT_")
PHASES, LOSSES = layout.names("session_phase", "SESSION_"), layout.names("session_loss", "LOSS_")
LOGIN_REFUSED = "the venue refused the login of the order session; check orders.username and the password, then start again"


def reason_names(mask: int) -> list[str]:
    """The names of a gate mask's bits, in the order of the gate's table."""
    return [name for bit, name in sorted(REASONS.items()) if mask >> bit & 1 and name != "REASONS"]


def report_name(kind: int) -> str:
    """What a report is called: the venue's message, or the refusal of our own side."""
    if kind in REFUSALS:
        return OWN_WORDS.get(REFUSALS[kind], f"not sent: {REFUSALS[kind]}")
    message = MESSAGES[OUTBOUND].get(chr(kind)) if kind < 128 else None
    return message.name if message else f"report {kind}"


class OrderLines:
    """An observer of the journal."""

    def __init__(self, log: Log, everything: bool = False, now: Callable[[], float] = time.monotonic):
        self._log, self._everything, self._now = log, everything, now
        self._second, self._left, self._suppressed = 0, LINES_PER_SECOND, 0

    def __call__(self, records: np.ndarray) -> None:
        """One batch of struct journal_slot."""
        chosen = records
        if not self._everything:
            ends = (records["reasons"] <= max(REFUSALS)) | np.isin(records["reasons"], list(ENDS))
            chosen = records[(records["kind"] == REPORT) & ends]
        self._begin_second()
        for record in chosen[: self._left]:
            self._say(record)
        self._suppressed += max(len(chosen) - self._left, 0)
        self._left = max(self._left - len(chosen), 0)

    def _begin_second(self) -> None:
        second = int(self._now())
        if second == self._second:
            return
        if self._suppressed:
            self._log.warning("order_lines_suppressed", count=self._suppressed)
        self._second, self._left, self._suppressed = second, LINES_PER_SECOND, 0

    def _say(self, record: Any) -> None:
        intent, kind = record["intent"], int(record["reasons"])
        ids: dict[str, Any] = {"reference": int(record["reference"]), "signal": int(intent["signal_id"])}
        ids |= {"instrument": int(intent["instrument"]), "strategy": int(intent["strategy"])}
        if record["kind"] == DECISION:
            asked = INTENTS[int(intent["kind"])].lower()
            self._log.info("decision", **ids, intent=asked, refused_by=reason_names(kind))
            return
        ids |= {name: int(record[name]) for name in ("price", "quantity", "match") if record[name]}
        self._log.info("report", **ids, report=report_name(kind))


class SessionWatch:
    """What became of the order session since it was last looked at."""

    def __init__(self) -> None:
        self._phase = self._connections = self._losses = 0

    def follow(self, instance: Instance, log: Log) -> None:
        """One look at struct session_state; cheap while nothing changes."""
        state = instance.regions["session"].view("session_state")[0]
        phase, connections, losses = (int(state[name]) for name in ("phase", "connections", "losses"))
        if connections != self._connections:
            replayed = int(state["reports_replayed"])
            log.info("session_up", connection=connections, next_sequence=int(state["next_sequence"]), replayed=replayed)
        if losses != self._losses:
            log.warning("session_lost", losses=losses, loss=LOSSES.get(int(state["last_loss"]), "?"))
        if phase != self._phase and PHASES.get(phase) == "REFUSED":
            log.error("session_refused", LOGIN_REFUSED)
        self._phase, self._connections, self._losses = phase, connections, losses
