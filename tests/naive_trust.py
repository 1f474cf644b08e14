"""The twin's rows and what may be believed of them: channels, gaps, healing, snapshots, sequences; plain loops over all."""

from dataclasses import dataclass, field

from gateway.layout import value

BUY, SELL = value("SIDE_BUY"), value("SIDE_SELL")
VALID, STALE, CROSSED = value("BOOK_VALID"), value("BOOK_STALE"), value("BOOK_CROSSED")
FAULT, KNOWN, NAMED = value("BOOK_FAULT"), value("BOOK_KNOWN"), value("BOOK_NAMED")
RECOVERABLE, SKIPPING = value("BOOK_RECOVERABLE"), value("BOOK_SKIPPING")
LEVELS, SNAPSHOT, BOUND = value("BOOK_LEVELS"), value("BOOK_SNAPSHOT"), value("BOOK_BOUND")
GAP, RECOVERED = value("EVENT_GAP"), value("EVENT_RECOVERED")
LOST, ONE_INSTRUMENT = value("EVENT_LOST"), value("EVENT_ONE_INSTRUMENT")
OF_SNAPSHOT = value("EVENT_OF_SNAPSHOT")
SEQUENCE = value("EVENT_INSTRUMENT_SEQUENCE")
SNAPSHOT_BEGIN, SNAPSHOT_END = value("EVENT_SNAPSHOT_BEGIN"), value("EVENT_SNAPSHOT_END")
INFORMATION, STATUS, INSTRUMENT = value("EVENT_INFORMATION"), value("EVENT_STATUS"), value("EVENT_INSTRUMENT")
LEVEL, OVERLAY = value("EVENT_LEVEL"), value("EVENT_LEVEL_OVERLAY")
MOVING = {*range(1, 7), value("EVENT_CLEAR"), *range(LEVEL, OVERLAY + 1), SNAPSHOT_BEGIN, SNAPSHOT_END, SEQUENCE}
MOVING.add(value("EVENT_SET"))
SILENT = {value("EVENT_NONE"), value("EVENT_SYSTEM"), INFORMATION}
SEQUENCE_MAX = 1 << 62
CHANNEL_LAST = 255


@dataclass
class NaiveBook:
    flags: int
    channel: int
    tick: int
    depth: int
    symbol: int = 0
    trading: int = 0
    last_price: int = 0
    time_ns: int = 0
    sequence: int = 0
    snapshot_sequence: int = 0
    tick_next: int = 0
    crossed_wrongly: bool = False
    sides: dict[int, dict[int, list[int]]] = field(default_factory=lambda: {BUY: {}, SELL: {}})

    def best(self, side: int) -> tuple[int, int]:
        """(price, quantity), (0, 0) for an empty side."""
        levels = self.sides[side]
        if not levels:
            return 0, 0
        price = max(levels) if side == BUY else min(levels)
        return price, levels[price][0]

    def top(self) -> tuple[int, int, int, int]:
        return (*self.best(BUY), *self.best(SELL))

    def prices(self, side: int) -> list[int]:
        """Best first."""
        return sorted(self.sides[side], reverse=side == BUY)

    def levels(self, side: int) -> list[tuple[int, int, int]]:
        """(price, quantity, orders), best first."""
        return [(price, *self.sides[side][price]) for price in self.prices(side)]

    def name(self, symbol: int) -> None:
        if symbol:
            self.symbol, self.flags = symbol, self.flags | NAMED

    def flag(self, on: int = 0, off: int = 0) -> None:
        self.flags = (self.flags | on) & ~off


def gapped(flags: int, lost: int) -> int:
    """Flags of a book, or of the books to come, when something is missing."""
    hopeful = flags & (VALID | RECOVERABLE) and not lost
    flags = flags & ~VALID & ~RECOVERABLE & ~SNAPSHOT | STALE
    return flags | RECOVERABLE if hopeful else flags


class NaiveTrust:
    def __init__(self, instruments: int, tick: int, depth: int):
        self.instruments, self.tick, self.depth = instruments, tick, depth
        self.books: dict[int, NaiveBook] = {}
        self.flags_new: dict[int, int] = {}
        self.channel_now = 0
        self.healed = 0
        self.reasons: dict[str, int] = {}

    @property
    def channel(self) -> int:
        return min(self.channel_now, CHANNEL_LAST)

    def count(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def fault(self, book: NaiveBook, reason: str) -> None:
        book.flag(FAULT)
        self.count(reason)

    def of_channel(self) -> list[NaiveBook]:
        return [book for book in self.books.values() if book.channel == self.channel]

    def open(self, instrument: int) -> NaiveBook:
        if instrument not in self.books:
            flags = self.flags_new.get(self.channel, 0) | KNOWN
            self.books[instrument] = NaiveBook(flags, self.channel, self.tick, self.depth)
        return self.books[instrument]

    def concerns_a_channel(self, event: dict[str, int]) -> bool:
        """Events of no instrument: done here."""
        kind, flags = event["kind"], event["flags"]
        if kind == GAP and not flags & ONE_INSTRUMENT:
            self.flags_new[self.channel] = gapped(self.flags_new.get(self.channel, 0), flags & LOST)
            for book in self.of_channel():
                book.flags = gapped(book.flags, flags & LOST)
            return True
        if kind == RECOVERED:
            if self.flags_new.get(self.channel, 0) & RECOVERABLE:
                self.flags_new[self.channel] = VALID
            for book in self.of_channel():
                if book.flags & RECOVERABLE:
                    self.heal(book)
            return True
        return kind in SILENT

    def heal(self, book: NaiveBook) -> None:
        book.flag(VALID, STALE | RECOVERABLE | SNAPSHOT)
        self.healed += 1

    def is_news(self, book: NaiveBook, event: dict[str, int]) -> bool:
        """Binds the book, follows its sequence; False for what was applied before, or says nothing else."""
        kind = event["kind"]
        if kind not in MOVING:
            return True
        if not book.flags & BOUND:
            book.channel = self.channel
            book.flag(0, VALID | STALE | RECOVERABLE)
            book.flag(self.flags_new.get(self.channel, 0) & (VALID | STALE | RECOVERABLE) | BOUND)
        if kind == SEQUENCE:
            self._sequence(book, event)
            return False
        if kind in (SNAPSHOT_BEGIN, SNAPSHOT_END):
            return True
        if kind in range(LEVEL, OVERLAY + 1) and event["other_id"]:
            return bool(event["flags"] & OF_SNAPSHOT) or self._own_sequence(book, event)
        if book.flags & SKIPPING:
            event["kind"] = INFORMATION
            return False
        if kind in range(LEVEL, OVERLAY + 1) and not event["flags"] & OF_SNAPSHOT:
            self._move(book)
        return True

    def _sequence(self, book: NaiveBook, event: dict[str, int]) -> None:
        number = event["other_id"]
        if not 0 < number <= SEQUENCE_MAX:
            return self.count("FEED_MESSAGE_FIELD")
        first = event["price"] if event["price"] > 0 else number
        if self._follows(book, number, event["order_id"], first):
            return book.flag(0, SKIPPING)
        return book.flag(SKIPPING)

    def _own_sequence(self, book: NaiveBook, event: dict[str, int]) -> bool:
        number = event["other_id"]
        if number > SEQUENCE_MAX:
            self.count("FEED_MESSAGE_FIELD")
            return False
        if not self._follows(book, number, number - 1, number):
            event["kind"] = INFORMATION
            return False
        book.flag(0, SKIPPING)
        return True

    def _follows(self, book: NaiveBook, number: int, previous: int, first: int) -> bool:
        if book.flags & SNAPSHOT:
            return True
        self._move(book)
        last = book.sequence
        if (last and previous == last) or first <= last + 1 <= number:
            if book.flags & RECOVERABLE:
                self.heal(book)
        elif number <= last:
            return False
        elif last:
            self.count("FEED_INSTRUMENT_GAP")
            book.flags = gapped(book.flags, LOST)
        book.sequence = number
        return True

    def _move(self, book: NaiveBook) -> None:
        if book.channel != self.channel:
            book.channel = self.channel
            if self.flags_new.get(self.channel, 0) & STALE:
                book.flags = gapped(book.flags, 0)

    def begin_snapshot(self, book: NaiveBook, sequence: int) -> None:
        book.snapshot_sequence = sequence if sequence <= SEQUENCE_MAX else 0
        book.flag(STALE | SNAPSHOT, VALID | RECOVERABLE | SKIPPING | FAULT)

    def end_snapshot(self, book: NaiveBook) -> None:
        if not book.flags & SNAPSHOT:
            return self.count("FEED_SNAPSHOT_USELESS")
        book.sequence = book.snapshot_sequence
        return self.heal(book)

    def learn_tick(self, book: NaiveBook, tick: int) -> None:
        if not 1 <= tick <= 1 << 40:
            self.count("FEED_MESSAGE_FIELD")
        elif book.sides[BUY] or book.sides[SELL]:
            book.tick_next = tick
        else:
            book.tick, book.tick_next = tick, 0
