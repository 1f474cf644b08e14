"""The order session over a real socket: what may leave leaves, every report comes once, no connection is trusted early."""

import json
import random
import time

import numpy as np
import pytest

from gateway import layout
from gateway.cli.main import main
from gateway.config import load
from gateway.errors import ConfigurationError
from gateway.native import ffi, lib
from gateway.ops.backoff import MILLISECOND_NS, Backoff
from gateway.ops.session_secret import VARIABLE, password_of
from gateway.ops.summary import summary
from gateway.protocols import moldudp64
from tests.session_desk import Desk, session_desk

REPORTS, NEWS, REFUSED = lib.FRAME_REPORTS, lib.FRAME_SESSION, lib.FRAME_ORDER_REFUSED


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "s3cr3t")


def reports_of(records: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    packets = [moldudp64.decode(data) for flags, data in records if flags == REPORTS]
    assert all(packet.session == "S1" and len(packet.messages) == 1 for packet in packets)
    return [(packet.sequence, packet.messages[0]) for packet in packets]


def news_of(records: list[tuple[int, bytes]]) -> list[tuple[int, int, int]]:
    rows = [np.frombuffer(data, dtype=layout.dtype("session_news"))[0] for flags, data in records if flags == NEWS]
    return [(int(row["connection"]), int(row["next_reference"]), int(row["reference_transmitted"])) for row in rows]


def refusals_of(records: list[tuple[int, bytes]]) -> list[tuple[int, int]]:
    rows = [np.frombuffer(data, dtype=layout.dtype("order_refusal"))[0] for flags, data in records if flags == REFUSED]
    return [(int(row["reference"]), int(row["reason"])) for row in rows]


def latch(desk: Desk) -> None:
    control = ffi.cast("struct control_block *", desk.instance.address("control"))
    lib.control_kill(control, lib.KILL_COMMAND)


def test_an_order_leaves_and_its_report_comes_back_with_its_number() -> None:
    with session_desk() as desk:
        desk.up()
        desk.order(7)
        desk.until(lambda: desk.heard() == [("Enter Order", 7)])
        desk.venue.log.append(b"a report")
        desk.until(lambda: desk.state["reports"] == 2)
        desk.turns(2)
        records = desk.records()
        assert [sequence for sequence, _ in reports_of(records)] == [1, 2] and reports_of(records)[1][1] == b"a report"
        assert news_of(records) == [(1, 1, 0)] and [flags for flags, _ in records] == [REPORTS, NEWS, REPORTS]
        assert desk.counters["orders_transmitted"] == 1 and desk.counters["reference_transmitted"] == 7


def test_nothing_leaves_before_the_account_query_is_answered_and_cancels_wait_for_it() -> None:
    with session_desk() as desk:
        desk.venue.answers_queries = False
        desk.order(1)
        desk.order(1, kind="CANCEL", to="control_session")
        desk.until(lambda: desk.phase == "REPLAY")
        desk.turns(50)
        assert desk.heard() == [] and desk.connection == 0 and desk.phase == "REPLAY"


def test_with_the_latch_set_no_new_order_leaves_and_cancels_of_core_and_control_do() -> None:
    with session_desk() as desk:
        desk.up()
        desk.records()
        latch(desk)
        desk.order(11)
        desk.order(12, kind="CANCEL")
        desk.order(13, kind="CANCEL", to="control_session")
        desk.until(lambda: len(desk.heard()) == 2)
        desk.turns(20)
        assert sorted(desk.heard()) == [("Cancel Order", 12), ("Cancel Order", 13)]
        assert refusals_of(desk.records()) == [(11, lib.REFUSAL_KILL)]
        assert desk.counters["orders_blocked_kill"] == 1 and desk.counters["cancels_transmitted"] == 2


def test_an_order_of_another_epoch_or_too_old_a_cause_does_not_leave() -> None:
    with session_desk() as desk:
        desk.up()
        desk.records()
        desk.instance.control[0]["epoch"] = 2
        desk.order(5)
        desk.until(lambda: desk.counters["orders_blocked_epoch"] == 1)
        desk.instance.control[0]["epoch"] = 1
        desk.order(6, age_ns=2_000_000_000)
        desk.until(lambda: desk.counters["orders_blocked_late"] == 1)
        desk.turns(5)
        assert refusals_of(desk.records()) == [(5, lib.REFUSAL_EPOCH), (6, lib.REFUSAL_LATE)] and desk.heard() == []


def test_after_a_cut_the_session_comes_back_replays_what_was_missed_and_says_which_orders_the_venue_has() -> None:
    with session_desk() as desk:
        desk.up()
        desk.order(3)
        desk.until(lambda: desk.heard() == [("Enter Order", 3)])
        desk.records()
        desk.venue.cut()
        desk.venue.log.append(b"missed")
        desk.venue.next_reference = 3  # the order went down with the connection, says the venue
        desk.until(lambda: desk.phase != "UP")
        assert desk.connection == 0
        desk.up()
        records = desk.records()
        assert [sequence for sequence, _ in reports_of(records)] == [2, 3] and reports_of(records)[0][1] == b"missed"
        assert news_of(records) == [(2, 3, 3)] and records[-1][0] == NEWS, "what was missed comes first"
        assert desk.connection == 2 and desk.state["losses"] == 1


def test_a_cancel_that_waited_through_a_cut_leaves_on_the_next_connection() -> None:
    with session_desk() as desk:
        desk.up()
        desk.venue.cut()
        desk.until(lambda: desk.phase != "UP")
        desk.order(4, kind="CANCEL", to="control_session")
        desk.until(lambda: desk.heard() == [("Cancel Order", 4)])


def test_a_new_process_goes_on_behind_the_last_report_that_core_was_given() -> None:
    with session_desk() as desk:
        desk.up()
        desk.venue.log.append(b"first")
        desk.until(lambda: desk.state["next_sequence"] == 3)
        desk.session.wire.close()  # as a kill -9 leaves it
        desk.venue.cut()
        desk.records()
        desk.begin()
        assert desk.connection == 0
        desk.venue.log.append(b"second")
        desk.up()
        assert [sequence for sequence, _ in reports_of(desk.records())] == [3, 4] and desk.connection == 2


def test_a_refused_login_is_not_tried_again_and_a_busy_session_is() -> None:
    with session_desk() as desk:
        desk.venue.refusals = ["S", "S", "A"]
        desk.until(lambda: desk.phase == "REFUSED")
        attempts = int(desk.state["attempts"])
        desk.turns(100)
        assert attempts == desk.state["attempts"] == 3 and desk.connection == 0
        losses = summary(desk.instance)["order_session"]["losses_by_reason"]
        assert losses == {"login_busy": 2, "login_refused": 1}


def test_the_end_of_the_session_is_the_end() -> None:
    with session_desk() as desk:
        desk.up()
        desk.venue.log.ended = True
        desk.until(lambda: desk.phase == "ENDED")
        attempts = int(desk.state["attempts"])
        desk.turns(50)
        assert desk.state["attempts"] == attempts and desk.connection == 0


def test_orders_that_the_kernel_holds_for_a_venue_that_does_not_read_are_discarded_at_the_latch() -> None:
    with session_desk() as desk:
        desk.up()
        assert desk.venue.socket is not None
        fill(desk)
        held = desk.session.wire.held
        assert 0 < held <= 4096 + 256
        transmitted = int(desk.counters["orders_transmitted"])
        latch(desk)
        desk.session.turn(desk.now_ns())
        assert desk.phase == "WAITING" and desk.state["last_loss"] == lib.LOSS_LATCH
        desk.venue.reads = True
        read = 0
        while True:
            try:
                data = desk.venue.socket.recv(1 << 16)
            except OSError:
                break
            if not data:
                break
            read += len(data)
        assert read < transmitted * 52, "what was held never arrived"


def fill(desk: Desk) -> None:
    """Orders until our kernel takes no more."""
    desk.venue.reads = False
    for reference in range(1, 200_000):
        desk.order(reference)
        desk.session.turn(desk.now_ns())
        if desk.counters["orders_failed"]:
            return
    raise AssertionError("a venue that does not read is not written to for ever")


def test_whatever_the_kernel_took_in_parts_arrives_as_whole_orders_in_their_order() -> None:
    with session_desk() as desk:
        desk.up()
        fill(desk)
        desk.order(500_000, kind="CANCEL", to="control_session")
        desk.venue.reads = True
        desk.until(lambda: ("Cancel Order", 500_000) in desk.heard()[-1:])
        entered = [reference for message, reference in desk.heard() if message == "Enter Order"]
        assert entered == list(range(1, int(desk.counters["orders_transmitted"]) + 1)) and desk.phase == "UP"


def test_a_send_that_failed_for_good_ends_its_connection_and_not_the_next() -> None:
    with session_desk() as desk:
        desk.up()
        desk.session.wire.stream.problem = 32  # EPIPE, before a read has noticed
        desk.until(lambda: desk.phase != "UP")
        assert desk.state["last_loss"] == lib.LOSS_SEND
        desk.up()
        assert desk.connection == 2


def test_a_report_longer_than_a_row_is_counted_and_core_hears_a_gap() -> None:
    with session_desk() as desk:
        desk.up()
        desk.venue.log.append(bytes(700))
        desk.venue.log.append(b"behind")
        desk.until(lambda: desk.state["reports"] == 3)
        desk.turns(3)
        assert [sequence for sequence, _ in reports_of(desk.records())] == [1, 3]


def test_waits_double_up_to_the_cap_and_jitter_takes_half_at_most() -> None:
    backoff = Backoff(100, 5_000)
    assert [backoff.next_ns(0.0) // MILLISECOND_NS for _ in range(8)] == [50, 100, 200, 400, 800, 1600, 2500, 2500]
    chance = random.Random(5)
    waits = [backoff.next_ns(chance.random()) for _ in range(200)]
    assert all(2_500 * MILLISECOND_NS <= wait < 5_000 * MILLISECOND_NS for wait in waits) and len(set(waits)) > 190
    backoff.succeed()
    assert backoff.next_ns(0.999) // MILLISECOND_NS == 99


def test_the_password_comes_from_file_or_environment_and_is_in_nothing_that_is_printed(tmp_path, monkeypatch, capsys):
    file = tmp_path / "password"
    file.write_text("fromfile\n")
    over = {"orders.carriage": "soupbintcp", "orders.username": "us"}
    assert password_of(load(None, over)) == "s3cr3t"
    assert password_of(load(None, {**over, "orders.password_file": str(file)})) == "fromfile"
    (tmp_path / "gateway.toml").write_text(f'[orders]\ncarriage="soupbintcp"\nusername="us"\npassword_file="{file}"\n')
    assert main(["show-config", str(tmp_path / "gateway.toml"), "--json"]) == 0
    shown = capsys.readouterr().out
    assert "fromfile" not in shown and "s3cr3t" not in shown and json.loads(shown)["orders"]["username"] == "us"


@pytest.mark.parametrize("word", ["", "elevenchars", "two words", "ümlaut"])
def test_a_password_that_no_login_carries_is_refused_without_being_named(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, word)
    with pytest.raises(ConfigurationError) as caught:
        password_of(load(None))
    assert not word or word not in str(caught.value)


def test_a_session_without_a_user_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="write username"):
        load(None, {"orders.carriage": "soupbintcp"})


def test_a_turn_without_news_is_quick_enough_for_a_loop() -> None:
    with session_desk() as desk:
        desk.up()
        began = time.perf_counter()
        for _ in range(200):
            desk.session.turn(desk.now_ns())
        assert (time.perf_counter() - began) / 200 < 0.005
