"""The drop copy against the simulated venue as a real process: the account is the venue's, through cuts and at any age."""

import contextlib
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import clock
from gateway.config import load
from gateway.errors import ConfigurationError
from gateway.ops.drop_copy import DropCopy, drop_copy_of, read_account
from gateway.ops.session_secret import VARIABLE
from gateway.protocols import ouch50, soupbintcp
from gateway.protocols.ouch50_account import VenueAccount
from tests.venue_process import SYMBOLS, User, VenueRun, middle_of, venue_run

ORDERS = 200


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueRun]:
    with venue_run(tmp_path_factory.mktemp("venue"), "--keep-orders") as run:
        yield run


def reader(venue: VenueRun, **given: str) -> DropCopy:
    given = {"username": "GWSIM", "password": "simulated"} | given
    return DropCopy(venue.drop_copy, **given)


def trade(user: User, draw: random.Random, first: int) -> int:
    """Orders around the middle, some cancelled, some replaced; the next free reference."""
    reference = first
    for _ in range(ORDERS):
        symbol = draw.randrange(SYMBOLS)
        price = middle_of(symbol) + draw.randrange(-20, 21) * 100
        terms = {"side": draw.choice("BS"), "quantity": draw.randrange(1, 500), "symbol": f"SIM{symbol:04d}", "price": price}
        life = draw.choice("003")
        user.send(ouch50.encode("EnterOrder", user_ref_num=reference, time_in_force=life, display="Y", **terms))
        older = draw.randrange(first, reference + 1)
        if draw.random() < 0.3:
            user.send(ouch50.encode("CancelOrder", user_ref_num=older, quantity=draw.choice((0, 0, 10))))
        elif draw.random() < 0.3:
            reference += 1
            given = {"quantity": draw.randrange(1, 900), "price": price, "time_in_force": "0", "display": "Y"}
            user.send(ouch50.encode("ReplaceOrder", orig_user_ref_num=older, user_ref_num=reference, **given))
        reference += 1
    user.settle()
    return reference


def held(account: VenueAccount) -> tuple[dict, dict]:
    """Open orders and positions, in the words of the venue's report."""
    rows = {row.reference: (row.symbol, row.side, row.price, row.open) for row in account.open_orders.values()}
    return rows, account.positions


@pytest.mark.slow
def test_a_reader_that_comes_late_and_one_that_followed_hold_what_the_venue_holds(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    with venue_run(tmp_path, "--keep-orders") as run:
        early, late, user = reader(run), reader(run), User(run.orders)
        user.join()
        assert early.connect() and early.account.messages == 0
        following = trade(user, random.Random(seed), 1)
        assert late.connect() and late.account.messages >= len(user.reports) > ORDERS
        early.renew()
        assert not early.current and early.connect()
        run.end()
        deadline = time.monotonic() + 20
        while {early.problem, late.problem} != {"ended"}:  # the venue's day is over, and everything was said
            assert time.monotonic() < deadline
            for copy in (early, late):
                copy.poll(clock.monotonic_ns())
        account = run.stop()
        user.socket.close()
    theirs = {
        row["user_reference"]: (row["symbol"], row["side"], row["price"], row["quantity"]) for row in account["open_orders"]
    }
    positions = {row["symbol"]: row["position"] for row in account["instruments"] if row["position"]}
    assert held(early.account) == held(late.account) == (theirs, positions), f"seed {seed}"
    assert late.account.reference_max == following - 1 and not late.account.refused, f"seed {seed}"
    assert len(late.account.executions) == account["executions"] > 20 and theirs and positions, f"seed {seed}: too quiet"


@pytest.mark.slow
def test_a_cut_is_healed_and_nothing_counts_twice(venue: VenueRun) -> None:
    user, copy = User(venue.orders), reader(venue)
    user.join()
    assert copy.connect()
    for index in range(5):
        assert copy._socket is not None
        copy._socket.shutdown(socket.SHUT_RDWR)
        user.send(ouch50.encode("EnterOrder", user_ref_num=1000 + index, side="X"))  # refused: no such side
        user.settle()
        while copy.losses == index:
            copy.poll(clock.monotonic_ns())
        assert not copy.current
        assert copy.connect() and copy.account.rejected >= {1000 + index}
    assert copy.losses == 5 and not copy.account.refused and copy.account.messages == copy._next - 1
    copy.close()
    user.socket.close()


def test_a_wrong_password_is_not_tried_again_and_an_absent_venue_is(venue: VenueRun) -> None:
    refused = reader(venue, password="wrong")
    assert not refused.connect() and (refused.state, refused.problem) == ("refused", "login_refused")
    absent = DropCopy("127.0.0.1:1", "GWSIM", "simulated")
    began = time.monotonic()
    assert not absent.connect(0.5) and absent.problem == "connect" and absent.losses >= 2
    assert time.monotonic() - began < 1.5


def test_a_venue_that_takes_the_connection_and_is_silent_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        copy = DropCopy(f"127.0.0.1:{silent.getsockname()[1]}", "GWSIM", "simulated")
        began = time.monotonic()
        assert not copy.connect(0.3) and not copy.current
        assert time.monotonic() - began < 1.0
        copy.close()


def test_the_configuration_names_the_reader_and_what_was_held_before(
    venue: VenueRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = {"orders.carriage": "soupbintcp", "orders.username": "GWSIM"}
    assert drop_copy_of(load(None, {"orders.drop_copy": venue.drop_copy})) is None, "datagrams have none"
    with pytest.raises(ConfigurationError, match="no password"):
        monkeypatch.delenv(VARIABLE, raising=False)
        drop_copy_of(load(None, orders | {"orders.drop_copy": venue.drop_copy}))
    monkeypatch.setenv(VARIABLE, "simulated")
    assert drop_copy_of(load(None, orders)) is None
    carried = {"portfolio.positions": {"AAPL": -5}, "portfolio.prices": {"AAPL": 187.5}, "risk.instruments": ["*"]}
    account = read_account(load(None, orders | carried | {"orders.drop_copy": venue.drop_copy}))
    assert account is not None and account.positions == {"AAPL": -5}
    assert read_account(load(None, orders | {"orders.drop_copy": "127.0.0.1:1"}), 0.2) is None


def test_a_position_without_its_price_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"positions\.AAPL has no price; write prices.AAPL"):
        load(None, {"portfolio.positions": {"AAPL": 5}})


def test_a_report_that_follows_the_login_for_the_end_is_not_taken_for_the_first() -> None:
    """Live reports come in one segment with that login's answer: they are read on the next connection, from their place."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2)
        copy = DropCopy(f"127.0.0.1:{listener.getsockname()[1]}", "GWSIM", "simulated")
        logins = []
        for _ in range(2):
            deadline = time.monotonic() + 10
            listener.settimeout(0.01)
            connection = None
            while connection is None and time.monotonic() < deadline:
                copy.poll(clock.monotonic_ns())
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
            for _ in range(20):
                copy.poll(clock.monotonic_ns())
                time.sleep(0.002)
            request = connection.recv(1 << 10)
            logins.append(soupbintcp.decode(request[2:])["requested_sequence_number"])
            accepted = soupbintcp.encode("LoginAccepted", session="DAY", sequence_number=9)
            late = soupbintcp.encode(soupbintcp.SEQUENCED, ouch50.encode("SystemEvent", event_code="S"))
            connection.sendall(accepted + late)
            for _ in range(20):
                copy.poll(clock.monotonic_ns())
                time.sleep(0.002)
        assert logins == [0, 1] and copy.account.messages == 0
        copy.close()
        connection.close()
