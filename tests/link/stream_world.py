"""One source, one reader, a line between them, in virtual time: what tests of the streams drive.

    NaiveCore ─► StreamServer ─► Line ─► StreamReader ─► application ─► Book, compared record by record

`turn` is one millisecond. Hard rule: chance comes from the seed alone.
"""

import random

from gateway.link.streams import records
from gateway.link.streams.stream_reader import Item, StreamReader
from gateway.link.streams.stream_server import StreamServer
from tests.link.stream_access import Desk
from tests.link.stream_core import Book, NaiveCore
from tests.link.stream_wire import Line

MILLISECOND_NS = 1_000_000
READER_NODE = 9
START_NS = 1_700_000_000_000_000_000


class World:
    """Everything; `seed` alone decides."""

    def __init__(self, seed: int = 1, retained_bytes: int = 1 << 20, capacities: dict | None = None, rows: int = 24):
        self.random = random.Random(seed)
        self.now_ns = START_NS
        self.core = NaiveCore(self.random, rows)
        self.desk = Desk()
        self.retained_bytes = retained_bytes
        self.line = Line(self.random, capacities)
        self.book = Book(self.core)
        self.waiting: list[Item] = []  # items that the application has not taken
        self.slow = 0.0  # chance that it takes nothing in a turn
        self.events, self.scanned, self.moves = 3, 4, 40
        self.notices: list = []
        self.executions: list[int] = []
        self.execution_number = 0
        self.published_executions: list = []
        self.quotes: dict[int, int] = {}
        self.new_server()
        self.new_reader()

    def new_server(self) -> None:
        """The source's process is another one; core and its ring go on."""
        self.server = StreamServer(self.core, self.desk, bytes_max=self.retained_bytes)
        self.server.retained.next_sequence = self.core.sequence + 1
        self.server.attach(self.line.source, READER_NODE, "127.0.0.1")

    def new_reader(self, cursor=None) -> None:
        """The reader's process is another one."""
        self.reader = StreamReader(self.line.reader, self.desk.tokens)
        self.reader.want("market_data", cursor)

    def turn(self, count: int = 1) -> None:
        """So many milliseconds."""
        for _ in range(count):
            self.now_ns += MILLISECOND_NS
            self.core.step(self.events, self.scanned)
            rows = self.core.take()
            if len(rows):
                self.server.publish(rows, self.now_ns)
            self.server.tick(self.now_ns)
            self.line.step(self.moves)
            self.hear()
            self.reader.tick(self.now_ns)
            if self.random.random() >= self.slow:
                self.apply()

    def hear(self) -> None:
        """Both sides take what has arrived."""
        for event in self.line.source.events():
            self.server.on_event(READER_NODE, event, self.now_ns)
        for event in self.line.reader.events():
            self.waiting += self.reader.on_event(event, self.now_ns)
        self.notices += self.reader.notices
        self.reader.notices.clear()

    def apply(self) -> None:
        """The application takes what waits."""
        for item in self.waiting:
            if item.stream in ("market_data", "snapshots"):
                self.book.apply(item.rows)
            elif item.stream == "executions":
                self.executions += item.rows["sequence"].tolist()
            else:
                for row in item.rows:
                    self.quotes[int(row["instrument"])] = int(row["bid_price"])
            self.reader.taken(item)
        self.waiting.clear()

    def settle(self, turns: int = 4000) -> None:
        """Nothing new happens until the reader has everything; AssertionError when it never does."""
        self.slow, self.events = 0.0, 3
        self.turn()  # what was lost stands before the next record
        self.events = 0
        if not self.line.is_up:
            self.line.up(True)
        for _ in range(turns):
            self.turn()
            if self.is_even():
                return
        raise AssertionError(f"not even after {turns} turns: {self.state()}")

    def is_even(self) -> bool:
        """Whether the reader's book is whole and the source's."""
        quiet = self.core.cursor is None and not self.core.wanted and not self.core.again and not self.core.lost
        market = self.reader.market
        current = market is not None and market.source == (self.core.node, self.core.boot_id)
        return quiet and current and self.book.whole and self.book.orders == self.core.book()

    def state(self) -> str:
        """What stands where, for a failure."""
        market = self.reader.market
        return (
            f"phase {market and market.join.phase}, next {market and market.next_sequence}, "
            f"failed {market and market.failed}, "
            f"core {self.core.sequence}, book {self.book.last}, whole {self.book.whole}, notices {self.notices[-4:]}, "
            f"waiting {self.server.scans.waiting}, counters {self.server.counters}"
        )

    def lose_link(self, resumed: bool = True) -> None:
        """The session is lost and comes again at once."""
        self.line.down()
        self.line.up(resumed)

    def executed(self, count: int) -> None:
        """So many executions more."""
        import numpy as np

        rows = np.zeros(count, records.EXECUTION)
        rows["sequence"] = np.arange(self.execution_number + 1, self.execution_number + 1 + count)
        self.execution_number += count
        self.server.publish_executions(rows, self.now_ns)
