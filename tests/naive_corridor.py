"""The slow, obvious twin of the corridor up to the books: frames in, books and every count out, from the headers' text.

Frame reasons, arbitration and decoding are written down a second time; only the naive books are shared with other tests.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field

from gateway import limits
from gateway.layout import names, value
from tests.naive import NaiveBooks
from tests.naive_packets import FIELDS, decode_packet
from tests.naive_trust import BUY, FAULT, NAMED, SELL

HELD_MAX, JUMP_MAX, SEQUENCE_MAX = limits.REORDER_PACKETS_MAX, 1 << 40, 1 << 62
GAP, LOST = value("EVENT_GAP"), value("EVENT_LOST")
REASON = {name.lower(): number for number, name in names("feed_reason", "FEED_").items()}


def word(data: bytes, offset: int, size: int = 2) -> int:
    return int.from_bytes(data[offset : offset + size], "big")


def ones_sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def parse(frame: bytes) -> tuple[str, bytes, bool]:
    """(reason or "", UDP payload, whether the IP checksum was absent)."""
    if len(frame) < 14:
        return "frame_short", b"", False
    at = 12
    for _ in range(2):
        if word(frame, at) in (0x8100, 0x88A8) and len(frame) >= at + 2:
            at += 4
            if len(frame) < at + 2:
                return "frame_short", b"", False
    if word(frame, at) != 0x0800:
        return "not_ipv4", b"", False
    ip = frame[at + 2 :]
    if len(ip) < 20:
        return "frame_short", b"", False
    header_bytes, total = (ip[0] & 15) * 4, word(ip, 2)
    if ip[0] >> 4 != 4 or header_bytes < 20 or total < header_bytes:
        return "ip_header", b"", False
    if total > len(ip):
        return "frame_short", b"", False
    absent = word(ip, 10) == 0
    if not absent and ones_sum(ip[:header_bytes]) != 0xFFFF:
        return "ip_checksum", b"", False
    if ip[9] != 17:
        return "not_udp", b"", False
    if word(ip, 6) & 0x3FFF:
        return "fragment", b"", False
    udp = ip[header_bytes:total]
    if len(udp) < 8 or not 8 <= word(udp, 4) <= len(udp):
        return "udp_length", b"", False
    udp = udp[: word(udp, 4)]
    pseudo = ip[12:20] + bytes([0, 17]) + udp[4:6]
    if word(udp, 6) != 0 and ones_sum(pseudo + udp) != 0xFFFF:
        return "udp_checksum", b"", False
    return "", udp[8:], absent


@dataclass
class Held:
    sequence: int
    count: int
    end: bool
    payload: bytes
    time_ns: int
    since_ns: int = 0


@dataclass
class NaiveCorridor:
    """Every datagram is line A, as in a replay without line B; compare `books`, `counts`, `reasons`, `types`."""

    window_ns: int = 2_000_000
    unsequenced: bool = True
    books: NaiveBooks = field(default_factory=NaiveBooks)
    counts: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    types: Counter = field(default_factory=Counter)
    session: bytes = b""
    next_sequence: int = 0
    ended: bool = False
    gap: range = range(0)
    held: list[Held] = field(default_factory=list)
    checked_ns: int = 0
    began_ns: int = 0
    heard_ns: int = 0
    seen: list[int] = field(default_factory=list)  # where delivered packets began
    candidate: tuple[bytes, int, int] = (b"", 0, 0)  # session, next sequence, packets in sequence

    def frame(self, data: bytes, time_ns: int) -> None:
        self.counts["frames"] += 1
        if time_ns - self.checked_ns >= limits.TIME_CHECK_NS:
            self.checked_ns = time_ns
            self.drain(time_ns)
        reason, payload, absent = parse(data)
        if reason:
            self.reasons[reason] += 1
            return
        self.counts["checksum_absent"] += absent
        self.offer(payload, time_ns)

    def offer(self, payload: bytes, now_ns: int) -> None:
        if len(payload) < 20:
            self.reasons["packet_short"] += 1
            return
        self.counts["packets"] += 1
        sequence, count = word(payload, 10, 8), word(payload, 18)
        end = count == 0xFFFF
        self.counts["end_of_session"] += end
        self.counts["heartbeats"] += count == 0
        count = 0 if end else count
        if sequence == 0 and self.unsequenced:
            self.counts["unsequenced"] += 1
            self.deliver(payload, 0, now_ns)
        elif not self.follow(payload[:10], sequence, count, now_ns):
            return
        elif sequence > self.next_sequence:
            self.hold(Held(sequence, count, end, payload, now_ns), now_ns)
        elif count == 0:
            self.ended |= end and sequence == self.next_sequence
            self.heard_ns = now_ns if sequence == self.next_sequence else self.heard_ns
        elif sequence + count <= self.next_sequence and self.begins_anew(sequence, count, now_ns):
            self.reasons["sequence_reset"] += 1
            self.adopt(self.session, sequence, now_ns)
            self.counts["line_a_first"] += 1
            self.next_sequence = sequence + count
            self.seen.append(sequence)
            self.deliver(payload, 0, now_ns)
        elif sequence + count <= self.next_sequence:
            lost = sequence in self.gap and sequence + count - 1 in self.gap
            self.reasons["late" if lost else "duplicate"] += 1
        elif self.ended:
            self.reasons["end_of_session"] += 1
        else:
            self.counts["line_a_first"] += 1
            self.seen.append(self.next_sequence)
            self.heard_ns = now_ns
            skip, self.next_sequence = self.next_sequence - sequence, sequence + count
            self.deliver(payload, skip, now_ns)
        self.drain(now_ns)

    def follow(self, session: bytes, sequence: int, count: int, now_ns: int) -> bool:
        if not 0 < sequence < SEQUENCE_MAX:
            self.reasons["sequence_invalid"] += 1
            return False
        if self.session == session and self.session:
            if sequence - self.next_sequence > JUMP_MAX:
                self.reasons["sequence_invalid"] += 1
                return False
            return True
        if self.session and not self.ended:
            if not self.persists(session, sequence, count, now_ns):
                self.reasons["session_other"] += 1
                return False
            self.reasons["sequence_reset"] += 1
        self.counts["sessions"] += 1
        self.adopt(session, sequence, now_ns)
        return True

    def adopt(self, session: bytes, sequence: int, now_ns: int) -> None:
        self.session, self.next_sequence, self.ended = session, sequence, False
        self.gap, self.held, self.seen, self.candidate = range(0), [], [], (b"", 0, 0)
        self.began_ns = self.heard_ns = now_ns
        self.books.begin_session(sequence)

    def begins_anew(self, sequence: int, count: int, now_ns: int) -> bool:
        if sequence == 1 and now_ns - self.began_ns > limits.RESTART_NS:
            return True
        if sequence in self.seen[-limits.SEEN_PACKETS_MAX :]:
            self.heard_ns = now_ns
            return False
        return self.persists(self.session, sequence, count, now_ns)

    def persists(self, session: bytes, sequence: int, count: int, now_ns: int) -> bool:
        packets = self.candidate[2] + 1 if self.candidate[:2] == (session, sequence) else 1
        self.candidate = (session, sequence + count, packets)
        return packets >= limits.CANDIDATE_PACKETS and now_ns - self.heard_ns > limits.SESSION_SILENCE_NS

    def hold(self, row: Held, now_ns: int) -> None:
        self.heard_ns = now_ns
        if any(other.sequence == row.sequence and other.count >= row.count for other in self.held):
            self.reasons["duplicate"] += 1
        else:
            is_full = len(self.held) == HELD_MAX
            self.reasons["reorder_full"] += is_full
            row.since_ns = now_ns
            self.held.append(row)
            self.held.sort(key=lambda held: (held.sequence, held.count))
            for other in self.held[: self.held.index(row)]:
                other.since_ns = min(other.since_ns, now_ns)
            row.since_ns = min([now_ns] + [other.since_ns for other in self.held[self.held.index(row) :]])
            self.counts["reordered"] += 1
            if is_full:
                self.held[0].since_ns = now_ns - self.window_ns - 1

    def drain(self, now_ns: int, over: bool = False) -> None:
        while self.held:
            row = self.held[0]
            if row.sequence > self.next_sequence:
                if not over and 0 < self.window_ns and now_ns - row.since_ns <= self.window_ns:
                    return
                self.gap = range(self.next_sequence, row.sequence)
                self.counts["gaps"] += 1
                self.counts["gap_messages"] += len(self.gap)
                self.next_sequence = row.sequence
                self.books.apply({"kind": GAP, "instrument": 0, "flags": LOST})
            self.held.remove(row)
            self.ended |= row.end
            if row.sequence + row.count > self.next_sequence:
                self.seen.append(self.next_sequence)
                skip, self.next_sequence = self.next_sequence - row.sequence, row.sequence + row.count
                self.deliver(row.payload, skip, row.time_ns)

    def deliver(self, payload: bytes, skip: int, time_ns: int) -> None:
        events, counts = decode_packet(payload, skip, time_ns)
        self.counts["messages"] += counts["messages"]
        self.types.update({chr(kind): number for kind, number in counts["by_type"].items()})
        self.reasons.update({names("feed_reason", "FEED_")[key].lower(): n for key, n in counts["reasons"].items()})
        for row in events:
            self.books.apply(dict(zip(FIELDS, row, strict=True)))

    def end(self, now_ns: int) -> None:
        self.drain(now_ns, over=True)

    def all_reasons(self) -> dict[str, int]:
        """Reasons of frames, packets, messages and books together."""
        mine = Counter({key.removeprefix("FEED_").lower(): n for key, n in self.books.reasons.items()})
        return {key: n for key, n in (mine + self.reasons).items() if n}

    def all_books(self) -> dict[int, dict]:
        """In the form of corridor_bench.full_books."""
        result = {}
        for instrument, book in self.books.books.items():
            symbol = book.symbol.to_bytes(8, "little", signed=book.symbol < 0).split(b"\0")[0]
            bid_price, bid_quantity, ask_price, ask_quantity = book.top()
            orders = sum(level[1] for side in (BUY, SELL) for level in book.sides[side].values())
            result[instrument] = {
                "symbol": symbol.decode("ascii", "replace").rstrip(),
                "flags": book.flags,
                "trading": book.trading,
                "orders": orders,
                "last_price": book.last_price,
                "bid_price": bid_price,
                "bid_quantity": bid_quantity,
                "ask_price": ask_price,
                "ask_quantity": ask_quantity,
                "bids": book.levels(BUY),
                "asks": book.levels(SELL),
            }
        return result


__all__ = ["FAULT", "NAMED", "NaiveCorridor", "REASON", "parse"]
