"""The slow, obvious twin of gateway/core/arbitrate.py: dicts and lists, one packet at a time."""

from dataclasses import dataclass, field

from gateway import limits

HELD_MAX = limits.REORDER_PACKETS_MAX


@dataclass
class NaiveFeed:
    """Delivers (sequence, message) once each and in order, or a ('gap', first, count) before what follows it."""

    window_ns: int
    next_sequence: int = 0
    held: list[tuple[int, int, list[bytes]]] = field(default_factory=list)
    hold_since_ns: int = 0
    output: list[tuple] = field(default_factory=list)

    def offer(self, sequence: int, messages: list[bytes], now_ns: int) -> None:
        if self.next_sequence == 0:
            self.next_sequence = sequence
        if sequence > self.next_sequence:
            self._hold(sequence, messages, now_ns)
        elif sequence + len(messages) > self.next_sequence:
            self._deliver(sequence, messages)
        self.drain(now_ns)

    def drain(self, now_ns: int) -> None:
        while self.held:
            row = min(self.held, key=lambda row: row[0])
            if row[0] > self.next_sequence:
                if 0 < self.window_ns and now_ns - self.hold_since_ns <= self.window_ns:
                    return
                self.output.append(("gap", self.next_sequence, row[0] - self.next_sequence))
                self.next_sequence = row[0]
            self.held.remove(row)
            self.hold_since_ns = now_ns
            if row[0] + row[1] > self.next_sequence:
                self._deliver(row[0], row[2])

    def _hold(self, sequence: int, messages: list[bytes], now_ns: int) -> None:
        if any(row[0] == sequence and row[1] >= len(messages) for row in self.held):
            return
        if len(self.held) == HELD_MAX:
            self.hold_since_ns = now_ns - self.window_ns - 1
            return
        if not self.held:
            self.hold_since_ns = now_ns
        self.held.append((sequence, len(messages), messages))

    def _deliver(self, sequence: int, messages: list[bytes]) -> None:
        for index, message in enumerate(messages):
            if sequence + index >= self.next_sequence:
                self.output.append((sequence + index, message))
        self.next_sequence = sequence + len(messages)
