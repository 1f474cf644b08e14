"""Data quality: outliers against a naive twin, quiet books, groups that come apart; marks that come and go."""

import ctypes
import random
from typing import Any

import numpy as np
import pytest
from numba import njit

from gateway import kernel_cache, layout
from gateway.core import book_reader
from gateway.core.book import apply_event
from gateway.core.book_store import OwnedStore
from gateway.core.instruments import define, make_instruments, row_for
from gateway.core.memory import address_of
from gateway.core.quality import judge
from gateway.core.quality_store import Quality, QualitySettings, make_quality
from gateway.core.quality_sweep import sweep
from tests.naive_quality import NaiveSamples, are_apart

ROWS = 64
MS = 1_000_000
START_NS = 1_700_000_000_000_000_000
KINDS = {name: layout.value(f"EVENT_{name}") for name in ("ADD", "DELETE", "TRADE", "STATUS", "INSTRUMENT", "CLEAR")}
OUTLIER, DIVERGENT = layout.value("EVENT_OUTLIER"), layout.value("EVENT_DIVERGENT")
OF_SNAPSHOT, NON_PRINTABLE = layout.value("EVENT_OF_SNAPSHOT"), layout.value("EVENT_NON_PRINTABLE")
VALID, STALE, QUIET = layout.value("BOOK_VALID"), layout.value("BOOK_STALE"), layout.value("BOOK_QUIET")
OPEN, HALTED = layout.value("TRADING_OPEN"), layout.value("TRADING_HALTED")
BUY, SELL = layout.value("SIDE_BUY"), layout.value("SIDE_SELL")
FILTER = QualitySettings(z_max=6.0, window=20, warm_up=10, agree=4, floor_ppm=1000)
kernel_cache.prepare()


@njit(cache=True)
def judge_event(quality, event, changed):
    return judge(quality, event, changed)


@njit(cache=True)
def apply_and_judge(store, quality, event, counters):
    return judge(quality, event, apply_event(store, event, counters))


@njit(cache=True)
def sweep_at(quality, now_ns):
    return sweep(quality, now_ns)


class Bench:
    """Books, listings and quality of a few instruments; time goes on by hand."""

    def __init__(self, settings: QualitySettings):
        self.store = OwnedStore(instruments=ROWS, nodes=4096, orders=4096)
        self.store.handle["channels"]["flags_new"] = VALID  # as a session followed from its first message
        self.books = book_reader.books(self.store.handle)
        self.counters = np.zeros(1, dtype=layout.dtype("core_counters"))
        self.listings = make_instruments(ROWS)
        self.account = np.zeros(1, dtype=layout.dtype("quality_account"))
        self.rows = np.zeros(ROWS, dtype=layout.dtype("quality_row"))
        self.quality: Quality = make_quality(
            settings,
            account=address_of(self.account),
            rows=address_of(self.rows),
            rows_max=ROWS,
            store=self.store.address,
            listings=address_of(self.listings.rows),
        )
        self.now_ns, self.orders = START_NS, 0

    def event(self, kind: str, instrument: int = 1, **fields: Any) -> int:
        """Applies and judges one event; its flags afterwards."""
        event = np.zeros(1, dtype=layout.dtype("event"))
        event["kind"], event["instrument"], event["time_receive_ns"] = KINDS[kind], instrument, self.now_ns
        for name, number in fields.items():
            event[name] = number
        addresses = (self.store.address, self.quality.address, address_of(event), address_of(self.counters))
        returned = apply_and_judge(*addresses)
        flags = int(event["flags"][0])
        assert flags == returned | fields.get("flags", 0)
        return flags

    def trade(self, price: int, instrument: int = 1, quantity: int = 1, **fields: Any) -> int:
        """A print."""
        return self.event("TRADE", instrument, price=price, quantity=quantity, **fields)

    def quote(self, instrument: int, bid: int, ask: int, trading: int = OPEN) -> int:
        """A trusted book with this top, set by hand; the flags of an event that moved it."""
        book = self.books[instrument]
        book["bid_price"], book["ask_price"], book["bid_quantity"], book["ask_quantity"] = bid, ask, 1, 1
        event = np.zeros(1, dtype=layout.dtype("event"))
        event["kind"], event["instrument"], event["time_receive_ns"] = KINDS["ADD"], instrument, self.now_ns
        book["time_ns"], book["trading"] = self.now_ns, trading
        return judge_event(self.quality.address, address_of(event), 1)

    def open(self, instrument: int, symbol: bytes = b"") -> None:
        """First event of a book."""
        word = int.from_bytes(symbol.ljust(8), "little") if symbol else 0
        self.event("INSTRUMENT", instrument, order_id=word)

    def pass_ms(self, milliseconds: int) -> list[int]:
        """Sweeps once after so long; the instruments whose books became quiet by it."""
        self.now_ns += milliseconds * MS
        count = sweep_at(self.quality.address, self.now_ns)
        events = int(self.quality.handle["events"][0])
        found = np.frombuffer(memory(events, count * layout.size("event")), dtype=layout.dtype("event"))
        assert all(found["kind"] == KINDS["STATUS"]) and all(found["sequence"] == 0)
        assert all(row["quantity"] == self.books[row["instrument"]]["trading"] for row in found)
        return [int(row["instrument"]) for row in found]

    def settle(self, rounds: int = 3) -> None:
        """A few milliseconds, one by one."""
        for _ in range(rounds):
            self.pass_ms(1)

    def total(self, name: str) -> int:
        """A number of the account."""
        return int(self.account[name][0])

    def is_quiet(self, instrument: int) -> bool:
        """Whether the book is marked."""
        return bool(self.books[instrument]["flags"] & QUIET)


def memory(address: int, size_bytes: int) -> bytes:
    """A copy of raw memory."""
    return ctypes.string_at(address, size_bytes) if size_bytes else b""


# ---- outliers ----------------------------------------------------------------------------------------------------


def walk(draw: random.Random, count: int) -> list[int]:
    """Prices that wander, jump, jump back, or go mad for a while."""
    price, found = 1_000_000, []
    while len(found) < count:
        what = draw.random()
        if what < 0.01:
            price = max(1_000, int(price * draw.choice((0.5, 1.3, 2.0))))  # the market has moved
        if what < 0.03:
            found += [draw.randrange(1, 10_000_000) for _ in range(draw.choice((1, 1, 2, 40)))]
        price += draw.randrange(-500, 501)
        found.append(price)
    return found[:count]


@pytest.mark.parametrize("seed", range(6))
def test_trades_are_judged_as_the_naive_twin_judges_them(seed):
    draw = random.Random(seed)
    settings = QualitySettings(
        z_max=draw.choice((0.0, 4.0, 8.0)),
        deviation_ppm=draw.choice((5_000, 100_000)),
        window=draw.choice((4, 20, 100)),
        warm_up=draw.choice((2, 10, 50)),
        agree=draw.choice((1, 3, 8)),
        floor_ppm=draw.choice((0, 1000)),
    )
    bench = Bench(settings)
    share = (settings.deviation_ppm / 1_000_000, settings.floor_ppm / 1_000_000)
    naive = NaiveSamples(settings.z_max, *share, 2 / (settings.window + 1), settings.warm_up, settings.agree)
    for index, price in enumerate(walk(draw, 3_000)):
        wanted = naive.is_outlier(float(price))
        assert bool(bench.trade(price) & OUTLIER) == wanted, f"seed {seed}, price {index}"
        assert np.isclose(bench.rows[1]["mean"], naive.mean, rtol=1e-9)
        assert np.isclose(bench.rows[1]["variance"], naive.variance, rtol=1e-6, atol=1e-3)
    assert (bench.total("outliers"), bench.total("accepted")) == (naive.outliers, naive.accepted)
    assert naive.outliers > 10 and naive.accepted > 0 and bench.total("judged") == 3_000


def test_a_wrong_print_is_flagged_and_does_not_move_the_mean():
    bench = Bench(FILTER)
    for index in range(30):
        assert bench.trade(1_000_000 + index % 3 * 100) == 0
    mean = float(bench.rows[1]["mean"])
    assert bench.trade(1_500_000) == OUTLIER
    assert bench.trade(10) == OUTLIER
    assert float(bench.rows[1]["mean"]) == mean
    assert bench.trade(1_000_100) == 0


def test_a_real_move_is_accepted_after_as_many_prices_as_agree():
    bench = Bench(FILTER)
    for index in range(30):
        bench.trade(1_000_000 + index % 3 * 100)
    flags = [bench.trade(1_200_000 + index % 3 * 100) for index in range(6)]
    assert flags == [OUTLIER] * 4 + [0, 0]
    assert bench.total("accepted") == 1


def test_prices_that_never_agree_are_believed_in_the_end():
    bench = Bench(FILTER)
    for _ in range(30):
        bench.trade(1_000_000)
    flags = [bench.trade(1_000_000 * 2 ** (1 + index % 20)) for index in range(60)]
    assert 0 in flags and bench.total("accepted") >= 1


def test_a_price_within_the_floor_is_no_outlier_however_calm_the_market_was():
    bench = Bench(FILTER)
    for _ in range(40):
        assert bench.trade(1_000_000) == 0
    assert bench.trade(1_001_000) == 0
    assert Bench(FILTER).trade(5) == 0, "nothing is judged before it is warm"


def test_what_does_not_count_as_a_print_is_not_judged():
    bench = Bench(FILTER)
    for _ in range(20):
        bench.trade(1_000_000)
    assert bench.trade(9_000_000, flags=NON_PRINTABLE) == NON_PRINTABLE
    assert bench.trade(9_000_000, flags=OF_SNAPSHOT) == OF_SNAPSHOT
    assert bench.trade(9_000_000, quantity=0) == 0
    assert bench.total("judged") == 20


def test_the_middle_of_a_trusted_book_is_judged_when_its_top_moves():
    bench = Bench(FILTER)
    bench.open(1)
    for index in range(20):
        assert bench.quote(1, 999_900 + index % 2 * 100, 1_000_100) == 0
    assert bench.quote(1, 999_900, 3_000_000) == OUTLIER
    assert bench.quote(1, 3_000_000, 1_000_100) == OUTLIER, "a crossed book too"
    bench.books[1]["flags"] |= STALE
    assert bench.quote(1, 999_900, 3_000_000) == 0, "a book being healed is not judged"


def test_half_the_spread_is_no_distance_for_a_trade():
    bench = Bench(FILTER)
    bench.open(1)
    for _ in range(20):
        bench.quote(1, 900_000, 1_100_000)
    assert bench.trade(1_100_000) == 0 and bench.trade(900_000) == 0
    assert bench.trade(1_500_000) == OUTLIER


def test_a_real_order_at_the_top_is_judged_through_the_book():
    bench = Bench(FILTER)
    bench.open(1)
    for index in range(12):
        bench.event("ADD", 1, order_id=2 * index + 1, side=BUY, price=1_000_000 + index * 100, quantity=5)
        bench.event("ADD", 1, order_id=2 * index + 2, side=SELL, price=1_010_000 - index * 100, quantity=5)
    deep = bench.event("ADD", 1, order_id=100, side=BUY, price=500_000, quantity=5)
    best = bench.event("ADD", 1, order_id=101, side=BUY, price=4_000_000, quantity=5)
    assert (deep, best) == (0, OUTLIER)


def test_another_instrument_on_the_same_row_begins_anew():
    bench = Bench(FILTER)
    bench.open(1, b"OLD")
    for _ in range(30):
        bench.trade(1_000_000)
    bench.open(1, b"NEW")
    assert bench.trade(5_000) == 0
    assert int(bench.rows[1]["samples"]) == 1


def test_nothing_is_judged_when_no_filter_is_on():
    bench = Bench(QualitySettings(stale_after_ns=MS))
    for price in (1_000_000, 1, 10**12):
        assert bench.trade(price) == 0
    assert bench.total("judged") == 0 and not bench.rows.tobytes().strip(b"\0")
    assert not QualitySettings().on and QualitySettings(stale_after_ns=1).on and FILTER.on


def test_an_event_that_names_no_row_is_left_alone():
    bench = Bench(FILTER)
    assert bench.trade(1, instrument=ROWS) == 0 and bench.trade(1, instrument=2**32 - 1) == 0


# ---- quiet books -------------------------------------------------------------------------------------------------


def test_a_book_is_quiet_after_its_time_and_until_its_next_event():
    bench = Bench(QualitySettings(stale_after_ns=10 * MS))
    bench.open(1)
    bench.open(2)
    assert bench.pass_ms(10) == []
    bench.trade(5, instrument=2)
    assert bench.pass_ms(1) == [1]
    assert bench.is_quiet(1) and not bench.is_quiet(2)
    assert bench.pass_ms(1) == [], "said once"
    bench.trade(5)
    assert not bench.is_quiet(1) and bench.total("quiet") == 1
    assert set(bench.pass_ms(11)) == {1, 2} and bench.total("quiet") == 3


def test_a_sweep_looks_at_no_more_books_than_its_time_is_worth():
    bench = Bench(QualitySettings(stale_after_ns=MS, books_per_ms=2))
    for instrument in range(20):
        bench.open(instrument)
    bench.pass_ms(1)
    bench.now_ns += MS
    assert len(bench.pass_ms(1)) == 4
    bench.now_ns += MS // 2
    assert bench.pass_ms(0) == [], "not twice in a millisecond"
    bench.now_ns -= MS // 2
    found = [len(bench.pass_ms(1)) for _ in range(12)]
    assert found == [2] * 8 + [0] * 4
    assert len(bench.pass_ms(-1000)) == 0, "a clock that goes back marks nothing"


def test_without_a_bound_no_book_is_quiet():
    bench = Bench(FILTER)
    bench.open(1)
    assert bench.pass_ms(3_600_000) == [] and not bench.is_quiet(1)


# ---- groups ------------------------------------------------------------------------------------------------------

TWO = QualitySettings(groups=((("ONE", 0), ("TWO", 0), ("THREE", -2)),), apart_ppm=1000, apart_ns=5 * MS)


def grouped(settings: QualitySettings = TWO) -> Bench:
    """ONE on row 1, TWO on row 2, THREE on row 3 a hundred times as high; OTHER on row 4."""
    bench = Bench(settings)
    for row, symbol in enumerate((b"ONE", b"TWO", b"THREE", b"OTHER"), 1):
        bench.open(row, symbol)
        scale = 100 if row == 3 else 1
        bench.quote(row, 999_900 * scale, 1_000_100 * scale)
    bench.settle()
    return bench


def divergent(bench: Bench) -> list[int]:
    """Rows whose events are flagged; tools read the same from the listing."""
    rows = [row for row in range(1, 5) if bench.trade(1_000_000, instrument=row) & DIVERGENT]
    assert rows == [row for row in range(1, 5) if bench.listings.rows[row]["flags"] & layout.value("LISTING_DIVERGENT")]
    return rows


def test_venues_that_drift_apart_for_long_enough_are_flagged_until_they_meet_again():
    bench = grouped()
    bench.pass_ms(50)
    assert divergent(bench) == []
    bench.quote(2, 1_002_000, 1_002_200)
    bench.pass_ms(1)
    bench.pass_ms(4)
    assert divergent(bench) == []
    bench.pass_ms(1)
    assert divergent(bench) == [1, 2, 3] and bench.total("divergences") == bench.total("groups_apart") == 1
    bench.quote(2, 999_900, 1_000_100)
    bench.pass_ms(1)
    assert divergent(bench) == [] and bench.total("groups_apart") == 0
    bench.pass_ms(100)
    assert bench.total("divergences") == 1


def test_coming_back_in_between_starts_the_time_anew():
    bench = grouped()
    for price in (1_002_000, 999_900, 1_002_000):
        bench.quote(2, price, price + 200)
        bench.pass_ms(1)
        bench.pass_ms(3)
    assert divergent(bench) == []


@pytest.mark.parametrize("ailment", ["stale", "quiet", "halted", "one-sided", "not valid", "crossed"])
def test_a_member_that_is_not_live_is_left_out(ailment):
    bench = grouped()
    bench.quote(2, 1_002_000, 1_002_200)
    bench.settle(10)
    assert divergent(bench) == [1, 2, 3]
    book = bench.books[2]
    if ailment == "halted":
        book["trading"] = HALTED
    elif ailment == "one-sided":
        book["ask_quantity"] = 0
    elif ailment == "not valid":
        book["flags"] = int(book["flags"]) & ~VALID
    else:
        book["flags"] |= layout.value(f"BOOK_{ailment.upper()}")
    bench.pass_ms(1)
    assert not any(row["flags"] & layout.value("LISTING_DIVERGENT") for row in bench.listings.rows)


def test_one_live_member_is_never_apart():
    bench = grouped()
    bench.books[1]["flags"] = bench.books[3]["flags"] = 0
    bench.quote(2, 5, 6)
    bench.settle(20)
    assert divergent(bench) == []


def test_a_row_that_takes_another_name_leaves_its_group():
    bench = grouped()
    assert int(bench.quality.groups[0]["members"]) == 3
    bench.open(1, b"THIRD")
    bench.settle()
    assert sorted(bench.quality.groups[0]["rows"][:2].tolist()) == [2, 3] and int(bench.rows[1]["group"]) == 0
    bench.open(4, b"ONE")
    bench.settle()
    assert sorted(bench.quality.groups[0]["rows"][:3].tolist()) == [2, 3, 4]


def test_listings_are_found_by_their_whole_symbol_and_compared_by_their_exponent():
    bench = Bench(QualitySettings(groups=((("BTC-PERPETUAL", 0), ("BTC-PERPETUAL-INVERSE", 0)),), apart_ppm=1000))
    for row, (symbol, exponent) in enumerate(((b"BTC-PERPETUAL", -1), (b"BTC-PERPETUAL-INVERSE", -3))):
        assert row_for(bench.listings.address, 100 + row, 0) == row
        text = np.frombuffer(symbol, dtype=np.uint8)
        assert define(bench.listings.address, row, 0, 0, exponent, 0, address_of(text), len(symbol))
        bench.open(row)
        bench.quote(row, 6_000_000 * 10 ** (-1 - exponent), 6_000_010 * 10 ** (-1 - exponent))
    bench.settle()
    assert int(bench.quality.groups[0]["members"]) == 2 and bench.total("divergences") == 0
    bench.quote(1, 6_100_000, 6_100_010)
    bench.settle()
    assert bench.total("divergences") == 1


def test_groups_come_apart_where_the_naive_twin_says():
    draw, share = random.Random(11), 0.002
    groups = tuple(tuple((f"S{group}M{member}", draw.randrange(-3, 4)) for member in range(4)) for group in range(15))
    bench = Bench(QualitySettings(groups=groups, apart_ppm=2000))
    scales = [scale for group in groups for _, scale in group]
    for row, (symbol, _) in enumerate(member for group in groups for member in group):
        bench.open(row, symbol.encode())
    bench.settle()
    for _ in range(200):
        for row, scale in enumerate(scales):
            price = (1_000_000 + draw.randrange(-1300, 1301)) * 10 ** (3 - scale)
            bench.quote(row, price, price + 2)
            bench.books[row]["flags"] = int(bench.books[row]["flags"]) & ~STALE | (STALE if draw.random() < 0.3 else 0)
        bench.pass_ms(1)
        for index, _ in enumerate(groups):
            rows = [4 * index + member for member in range(4)]
            live = [row for row in rows if not bench.books[row]["flags"] & STALE]
            middles = [(float(bench.books[row]["bid_price"]) + 1) * 10.0 ** scales[row] for row in live]
            assert bool(bench.quality.groups[index]["apart"]) == are_apart(middles, share)
    assert 100 < bench.total("divergences") < 2_900


def test_groups_that_cannot_be_are_refused():
    for groups in (((("A", 0), ("A", 0)),), (tuple((f"S{index}", 0) for index in range(17)),), ((("x" * 49, 0), ("B", 0)),)):
        with pytest.raises(ValueError, match=r"use|remove|symbol"):
            Bench(QualitySettings(groups=groups, apart_ppm=1))
