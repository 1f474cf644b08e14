"""`gateway top` over an instance whose counters the test writes."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from gateway import clock, layout
from gateway.cli import main as command
from gateway.errors import EXIT_DONE, EXIT_FAULT, EXIT_USAGE
from gateway.instance import Instance
from gateway.native import lib
from gateway.ops.screen import Screen, draw, render
from gateway.ops.snapshot import rates, take


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance that nobody runs, with two books, some orders and some rejects in it."""
    made = Instance.create("looked-at", tmp_path)
    now_ns = clock.now_ns(made.clock_address)
    beat = made.control[0]["heartbeats"][layout.value("PROCESS_IO")]
    beat["time_ns"], beat["state"], beat["pid"] = now_ns, layout.value("PROCESS_RUNNING"), 4242
    beat["turns"], beat["turns_busy"] = 1_000, 250
    counters = made.counters[0]
    counters["io"]["frames_received"] = 1_234
    counters["core"]["instruments"] = 2
    counters["core"]["reasons"][layout.value("FEED_IP_CHECKSUM")] = 5
    span = counters["spans"][layout.value("SPAN_TICK_TO_ORDER")]
    span["buckets"][lib.histogram_bucket_of(900)] = 10
    span["count"], span["min_ns"], span["max_ns"] = 10, 900, 900
    made.regions["gate"].view("gate_account")[0]["rejects"][layout.value("GATE_STALE")] = 7
    orders = made.rows("orders")
    orders["state"][:3] = layout.value("ORDER_FILLED")
    orders["state"][3] = layout.value("ORDER_ACCEPTED")
    books = made.rows("books")
    for order, (row, symbol, live) in enumerate([(9, b"AAPL    ", 3), (4, b"MSFT    ", 8)]):
        books["listed"][order] = row + 1
        books["symbol"][row], books["orders"][row], books["instrument"][row] = symbol, live, row
        books["flags"][row] = layout.value("BOOK_VALID")
    books["bid_price"][9], books["bid_quantity"][9] = 1_899_900, 300
    books["flags"][4] |= layout.value("BOOK_STALE")
    header = made.rings["io_core"].view("ring_header")[0]
    header["claimed"], header["cursor"], header["shed"] = 120, 20, 2
    yield made
    made.close(remove=True)


def drawn(picture) -> str:
    """What a terminal of 120 columns would show."""
    console = Console(width=120, file=io.StringIO())
    console.print(picture)
    return console.file.getvalue()


def test_a_look_holds_what_the_instance_counted(instance: Instance):
    now = take(instance)
    assert now["io"]["frames_received"] == 1_234
    assert now["orders"] == {"filled": 3, "accepted": 1}
    assert now["rejects"] == {"stale": 7}
    assert now["feed_reasons"] == {"ip_checksum": 5}
    assert now["tick_to_order_ns"]["p99"] == 900
    assert now["rings"][0] == {"ring": "io_core", "depth": 8192, "waiting": 100, "records": 120, "shed": 2}
    assert [beat["process"] for beat in now["heartbeats"]] == ["io"]


def test_the_busiest_books_come_first_and_an_empty_side_is_none(instance: Instance):
    books = take(instance)["books"]
    assert [book["symbol"] for book in books] == ["MSFT", "AAPL"]
    assert books[0]["flags"] == ["valid", "stale"]
    assert (books[1]["bid"], books[1]["bid_quantity"], books[1]["ask"]) == ("189.9900", 300, None)
    assert [book["symbol"] for book in take(instance, books=1)["books"]] == ["MSFT"]
    assert take(instance, books=0)["books"] == []


def test_a_torn_list_of_books_is_left_out_and_not_followed(instance: Instance):
    rows = instance.rows("books")
    rows["listed"][0] = 4_000_000_000
    instance.counters[0]["core"]["instruments"] = 1 << 40
    assert [book["symbol"] for book in take(instance)["books"]] == ["MSFT"]


def test_rates_are_per_second_of_the_instance_clock(instance: Instance):
    before = take(instance)
    now = {**before, "time_ns": before["time_ns"] + 500_000_000, "io": {**before["io"], "frames_received": 1_334}}
    assert rates(now, before)["frames_received"] == 200.0
    assert rates(before, before)["frames_received"] == 0.0


def test_the_picture_shows_the_latch_and_every_part(instance: Instance):
    text = drawn(render(instance))
    for word in (
        "kill latch clear",
        "1,234",
        "MSFT",
        "189.9900",
        "STALE",
        "filled",
        "io_core",
        "tick to order",
        "4242",
    ):
        assert word in text, word
    instance.control[0]["kill_latch"] = layout.value("KILL_COMMAND")
    assert "KILLED: COMMAND" in drawn(render(instance))


def test_a_second_picture_shows_rates(instance: Instance):
    before = take(instance)
    now = {**before, "time_ns": before["time_ns"] + 1_000_000_000}
    now["core"] = {**before["core"], "messages": 5_000}
    assert re.search(r"messages +5,000 +5,000", drawn(draw(now, before)))
    assert "–" in drawn(Screen(instance).render())


def test_one_look_as_json_is_one_line(instance: Instance, capsys: pytest.CaptureFixture[str]):
    words = ["top", "--instance", instance.name, "--folder", str(instance.folder.parent), "--once", "--json"]
    assert command.main(words) == EXIT_DONE
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["instance"] == "looked-at"


def test_looks_end_with_the_instance(instance: Instance, capsys, monkeypatch):
    sleeps = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 2:
            instance.close(remove=True)

    monkeypatch.setattr("time.sleep", sleep)
    words = ["top", "--instance", instance.name, "--folder", str(instance.folder.parent), "--json"]
    assert command.main(words) == EXIT_DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert "rates" not in lines[0]
    assert lines[1]["rates"]["messages"] == 0.0


def test_without_a_terminal_one_picture_is_printed(instance: Instance, capsys: pytest.CaptureFixture[str]):
    words = ["top", "--instance", instance.name, "--folder", str(instance.folder.parent)]
    assert command.main(words) == EXIT_DONE
    assert "MSFT" in capsys.readouterr().out


def test_an_instance_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command.main(["top", "--instance", "absent", "--folder", str(tmp_path)]) == EXIT_FAULT
    assert capsys.readouterr().err.startswith("gateway top: no instance 'absent' here (running: none)")


def test_an_interval_of_nothing_is_refused(tmp_path: Path):
    assert command.main(["top", "--interval", "0"]) == EXIT_USAGE
    assert command.main(["top", "--books", "-1"]) == EXIT_USAGE


def test_a_listing_gives_a_book_its_name_its_exponent_and_its_marks(instance: Instance):
    listing = instance.rows("instruments")[9]
    listing["flags"], listing["price_exponent"] = layout.value("LISTING_IN_USE"), -2
    listing["symbol"], listing["symbol_bytes"] = b"BTC-PERPETUAL", 13
    instance.rows("books")["bid_price"][9] = -125
    instance.rows("books")["flags"][9] |= layout.value("BOOK_QUIET")
    instance.rows("quality")["flags"][9] = layout.value("QUALITY_DIVERGENT")
    book = next(book for book in take(instance)["books"] if book["instrument"] == 9)
    assert (book["symbol"], book["bid"], book["flags"]) == ("BTC-PERPETUAL", "-1.25", ["valid", "quiet", "divergent"])


def test_the_order_session_stands_in_the_headline_where_there_is_one(instance: Instance):
    assert "order session" not in drawn(render(instance)) and take(instance)["order_session"] is None
    state = instance.regions["session"].view("session_state")[0]
    state["phase"], state["session"], state["connections"] = layout.value("SESSION_REPLAY"), b"S1", 3
    assert "order session replay S1 connection 3" in drawn(render(instance))
    assert take(instance)["order_session"]["phase"] == "replay"
