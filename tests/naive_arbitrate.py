"""The slow, obvious twin of gateway/core/arbitrate.py: dicts and lists, one packet at a time."""

from collections import Counter
from dataclasses import dataclass, field

from gateway import limits

HELD_MAX = limits.REORDER_PACKETS_MAX
KEPT_MAX = limits.RECOVERY_PACKETS_MAX


@dataclass
class Row:
    """A packet that waits."""

    sequence: int
    messages: list[bytes]
    since_ns: int
    time_ns: int
    lines: list[tuple[int, int]]  # (line, arrival): the first is whose it is


@dataclass
class NaiveFeed:
    """Delivers (sequence, message) once each and in order, or a ('gap', first, count, lost) before what follows it."""

    window_ns: int
    recoverable: bool = False
    next_sequence: int = 0
    held: list[Row] = field(default_factory=list)
    output: list[tuple] = field(default_factory=list)
    hole_end: int = 0  # of the gap being filled; 0: none
    partly: bool = False
    give_up_ns: int = 0
    seen: list[tuple[int, list[tuple[int, int]]]] = field(default_factory=list)
    requests: list[tuple[int, int]] = field(default_factory=list)

    def offer(self, sequence: int, messages: list[bytes], now_ns: int, line: int = 0) -> None:
        if self.next_sequence == 0:
            self.next_sequence = sequence
        if sequence > self.next_sequence:
            self._hold(sequence, messages, now_ns, line)
        elif sequence + len(messages) > self.next_sequence:
            self._deliver(sequence, messages, [(line, now_ns)])
        elif messages:
            for known, lines in self.seen:
                if known == sequence:
                    lines.append((line, now_ns))
        self.drain(now_ns)

    def drain(self, now_ns: int) -> None:
        while True:
            while self.held and self.held[0].sequence <= self.next_sequence:
                row = self.held.pop(0)
                if row.sequence + len(row.messages) > self.next_sequence:
                    self._deliver(row.sequence, row.messages, row.lines)
            if self.hole_end and self.next_sequence >= self.hole_end:
                self.hole_end = 0
                if not self.partly:
                    self.output.append(("recovered",))
            if not self.held:
                return
            first, count = self.next_sequence, self.held[0].sequence - self.next_sequence
            if self.hole_end:
                if now_ns < self.give_up_ns:
                    return
                self.partly = True
                self._lose(first, count)
                continue
            if 0 < self.window_ns and now_ns - self.held[0].since_ns <= self.window_ns:
                return
            if self.recoverable and count <= limits.RECOVERY_MESSAGES_MAX and len(self.held) < KEPT_MAX:
                self.output.append(("gap", first, count, 0))
                self.hole_end, self.partly, self.give_up_ns = first + count, False, now_ns + limits.RECOVERY_DEADLINE_NS
                return
            self._lose(first, count)

    def _lose(self, first: int, count: int) -> None:
        self.output.append(("gap", first, count, 1))
        self.next_sequence = first + count

    def _hold(self, sequence: int, messages: list[bytes], now_ns: int, line: int) -> None:
        for row in self.held:
            if row.sequence == sequence and len(row.messages) >= len(messages):
                row.lines += [(line, now_ns)] if messages else []
                return
        is_full = len(self.held) >= (KEPT_MAX if self.hole_end else HELD_MAX)
        self.held.append(Row(sequence, messages, now_ns, now_ns, [(line, now_ns)]))
        self.held.sort(key=lambda row: (row.sequence, len(row.messages)))
        for before, behind in reversed(list(zip(self.held, self.held[1:], strict=False))):
            before.since_ns = min(before.since_ns, behind.since_ns)
        if is_full:
            self.held[0].since_ns, self.give_up_ns = now_ns - self.window_ns - 1, now_ns

    def _deliver(self, sequence: int, messages: list[bytes], lines: list[tuple[int, int]]) -> None:
        first = max(sequence, self.next_sequence)
        for index, message in enumerate(messages):
            if sequence + index >= self.next_sequence:
                self.output.append((sequence + index, message))
        self.next_sequence = sequence + len(messages)
        self.seen.append((first, lines))

    def statistics(self) -> dict[int, Counter]:
        """What each of lines 0 and 1 brought, of every packet delivered."""
        counts: dict[int, Counter] = {0: Counter(), 1: Counter()}
        for _, lines in self.seen:
            leader, first_ns = lines[0]
            counts[leader]["first"] += 1
            for line in (0, 1):
                arrivals = [time_ns for brought, time_ns in lines if brought == line]
                if not arrivals:
                    counts[line]["missed"] += 1
                    continue
                counts[line]["repeated"] += len(arrivals) - 1
                if line != leader:
                    counts[line]["second"] += 1
                    counts[leader]["lead_sum_ns"] += arrivals[0] - first_ns
                    counts[leader]["lead_max_ns"] = max(counts[leader]["lead_max_ns"], arrivals[0] - first_ns)
        return counts
