"""Finds in a journal the orders that an id means, and everything that was written about them.

    ID   12                  a reference; else a venue order id; else a signal id
         A0000100000012      a client order id
         reference:12  venue:900  signal:4611686018427387905  client:A0000100000012

References and signals begin anew with a run of a fresh account of the venue, so an id means the newest run that has it. A
restarted core hears the venue's day again: an order that its own run never decided belongs to the last run that did.
Hard rule: nothing is written, and what control is writing meanwhile does no harm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway import layout
from gateway.core.order_frames import DIGITS, EPOCH_CHARACTERS
from gateway.errors import UsageError

DECISION, REPORT = layout.value("JOURNAL_DECISION"), layout.value("JOURNAL_REPORT")
NEW, REPLACE = layout.value("INTENT_NEW"), layout.value("INTENT_REPLACE")
REPLACED = ord("U")
REFERENCE_MASK = layout.value("ORDER_REFERENCE_MAX")
WORD_MAX = (1 << 64) - 1
CHAIN_MAX = 1000  # orders of one answer: a signal's, and those that replaced each other
CLIENT_CHARACTERS = 14
MEANINGS = ("reference", "venue", "signal")
PREFIXES = (*MEANINGS, "client")


@dataclass(frozen=True)
class Found:
    """What an id means: run (from 0) and references, oldest first; `runs` are all that have the id."""

    meaning: str
    run: int
    runs: tuple[int, ...]
    references: tuple[int, ...]


class JournalIndex:
    """Records of a journal (`gateway.ops.journal.read`) with the runs that its context names."""

    def __init__(self, records: np.ndarray, context: list[dict[str, Any]]):
        self.records = records
        self.starts = [int(row["record"]) for row in context if row["kind"] == "run"] or [0]
        if self.starts[0] > 0:
            self.starts.insert(0, 0)  # written before there was a context

    def run_of(self, record: int) -> int:
        """The run that record number `record` belongs to."""
        return int(np.searchsorted(self.starts, record, side="right")) - 1

    def span(self, run: int) -> tuple[int, int]:
        """First record of a run, and the one behind its last."""
        end = self.starts[run + 1] if run + 1 < len(self.starts) else len(self.records)
        return min(self.starts[run], len(self.records)), min(end, len(self.records))

    # ---- what an id means --------------------------------------------------------------------------------------------

    def find(self, text: str, run: int | None = None) -> Found | None:
        """What `text` means, in its newest run or in `run`; None: nothing in this journal. Raises UsageError."""
        for meaning, number in candidates(text):
            runs = sorted({self.run_of(int(record)) for record in np.flatnonzero(self._hits(meaning, number))})
            if not runs or (run is not None and run not in runs):
                continue
            chosen = runs[-1] if run is None else run
            first, end = self.span(chosen)
            hits = np.unique(self.records["reference"][first:end][self._hits(meaning, number)[first:end]])
            return Found(meaning, chosen, tuple(runs), tuple(self._chain(chosen, hits.tolist())))
        return None

    def _hits(self, meaning: str, number: int) -> np.ndarray:
        records = self.records
        if meaning == "reference":
            return np.asarray((records["reference"] == number) & (records["kind"] != 0))
        if meaning == "venue":
            return np.asarray((records["venue_order_id"] == number) & (records["kind"] == REPORT))
        return np.asarray((records["intent"]["signal_id"] == number) & (records["kind"] == DECISION))

    def _chain(self, run: int, references: list[int]) -> list[int]:
        """`references` and every order that one of them replaced or was replaced by."""
        pairs = self._replacements(run)
        found, fresh = set(references[:CHAIN_MAX]), set(references)
        while fresh and len(found) < CHAIN_MAX:
            near = {old for old, new in pairs if new in fresh} | {new for old, new in pairs if old in fresh}
            fresh = near - found
            found |= fresh
        return sorted(found)

    def _replacements(self, run: int) -> list[tuple[int, int]]:
        """(order replaced, order that takes its place), as was asked for and as the venue says."""
        first, end = self.span(run)
        rows = self.records[first:end]
        asked = (rows["kind"] == DECISION) & (rows["intent"]["kind"] == REPLACE)
        said = (rows["kind"] == REPORT) & (rows["reasons"] == REPLACED)
        chosen = rows[asked | said]
        pairs = zip(chosen["intent"]["order_reference"].tolist(), chosen["reference"].tolist(), strict=True)
        return [(old, new) for old, new in pairs if old > 0]

    # ---- what was written about an order -----------------------------------------------------------------------------

    def story(self, run: int, reference: int) -> list[int]:
        """Numbers of the records about one order, in the order written; over restarts, what was heard again only once."""
        chosen = self._about(run, reference)
        earlier = run
        while not self._opened(chosen) and earlier > 0:
            earlier -= 1
            before = self._about(earlier, reference)
            if self._names(before) and self._names(chosen) and not self._names(before) & self._names(chosen):
                break  # another day's order of the same reference
            chosen = before + chosen
        return self._heard_once(chosen)

    def _about(self, run: int, reference: int) -> list[int]:
        first, end = self.span(run)
        return [first + int(record) for record in np.flatnonzero(self.records["reference"][first:end] == reference)]

    def _opened(self, numbers: list[int]) -> bool:
        """Whether the decision that made the order is among them."""
        rows = self.records[numbers]
        return bool(np.any((rows["kind"] == DECISION) & np.isin(rows["intent"]["kind"], (NEW, REPLACE))))

    def _names(self, numbers: list[int]) -> set[int]:
        """What the venue called the order."""
        return set(self.records["venue_order_id"][numbers].tolist()) - {0}

    def _heard_once(self, numbers: list[int]) -> list[int]:
        """Without the reports that a later run heard again: the same words with the same stamp of the venue."""
        seen: dict[tuple[int, ...], int] = {}
        kept = []
        for number in numbers:
            row = self.records[number]
            facts = ("reasons", "time_venue_ns", "match", "quantity", "price", "flags")
            words = tuple(int(row[name]) for name in facts)
            run = self.run_of(number)
            again = row["kind"] == REPORT and row["time_venue_ns"] > 0 and seen.get(words, run) != run
            seen.setdefault(words, run)
            if not again:
                kept.append(number)
        return kept


def candidates(text: str) -> list[tuple[str, int]]:
    """What an id may mean, the likeliest first. Raises UsageError for what is no id."""
    prefix, colon, rest = text.partition(":")
    if colon and prefix in PREFIXES:
        if prefix == "client":
            return [("reference", reference_of(rest))]
        return [(prefix, _number(rest))]
    if len(text) == CLIENT_CHARACTERS and not text.isdecimal():
        return [("reference", reference_of(text))]
    number = _number(text)
    plain = [(meaning, number) for meaning in MEANINGS]
    return plain + [("reference", reference_of(text))] if len(text) == CLIENT_CHARACTERS else plain


def reference_of(client_order_id: str) -> int:
    """The reference in a client order id of ours (core/order_frames.py). Raises UsageError."""
    digits = client_order_id[1 + EPOCH_CHARACTERS :].upper()
    if len(client_order_id) != CLIENT_CHARACTERS or not set(digits) <= set(DIGITS):
        raise UsageError(f"{client_order_id!r} is no client order id of ours: site, epoch, reference, 14 characters")
    return int(digits, 32) & REFERENCE_MASK


def _number(text: str) -> int:
    try:
        number = int(text, 0) if text[:2].lower() == "0x" else int(text)
    except ValueError:
        number = -1
    if not 0 < number <= WORD_MAX:
        raise UsageError(f"{text!r} is no id; give a reference, a client order id, venue:NUMBER or signal:NUMBER")
    return number
