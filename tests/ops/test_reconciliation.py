"""The comparison of two accounts: it must notice every way they can differ."""

import copy

import pytest

from gateway.ops.reconciliation import reconcile

BOOK = {"stale": False, "instrument": 1, "bids": [[100, 5, 1], [99, 7, 2]], "asks": [[101, 3, 1]]}
VENUE = {
    "instruments": [{"symbol": "A", "bids": BOOK["bids"], "asks": BOOK["asks"], "position": 10}],
    "port": {"frames_transmitted": 50, "frames_unsent": 0},
    "lost_messages": 0,
}
SUMMARY = {
    "io": {"frames_published": 50, "drop_ring_full": 0, "drop_port": 0, "drop_oversized": 0, "drop_truncated": 0},
    "core": {"gap_messages": 0},
    "feed_reasons": {},
}


@pytest.fixture
def accounts():
    """Ours by symbol, positions, our summary, the venue's report: they agree."""
    return [copy.deepcopy(row) for row in ({"A": BOOK}, {"A": 10}, SUMMARY, VENUE)]


def test_accounts_that_agree_are_ok(accounts):
    result = reconcile(*accounts)
    assert result.ok and (result.books_compared, result.books_wrong, result.position_errors) == (1, 0, 0)


@pytest.mark.parametrize(
    ("side", "levels", "said"),
    [
        ("bids", [[100, 5, 1]], "bids level 2: ours None"),
        ("bids", [[100, 5, 1], [99, 7, 3]], "bids level 2"),
        ("asks", [[101, 4, 1]], "asks level 1"),
        ("asks", [[101, 3, 1], [102, 1, 1]], "venue's None"),
    ],
)
def test_one_different_level_is_a_wrong_book(accounts, side, levels, said):
    accounts[0]["A"][side] = levels
    result = reconcile(*accounts)
    assert not result.ok and result.books_wrong == 1 and said in result.problems[0]


def test_a_book_we_do_not_have_is_wrong(accounts):
    accounts[0].clear()
    result = reconcile(*accounts)
    assert result.books_wrong == 1 and "we do not have it" in result.problems[0]


def test_a_stale_book_is_counted_and_not_compared(accounts):
    accounts[0]["A"] |= {"stale": True, "bids": []}
    result = reconcile(*accounts)
    assert result.ok and (result.books_compared, result.books_stale) == (0, 1)


def test_nothing_compared_is_not_ok(accounts):
    accounts[3]["instruments"] = []
    assert reconcile(*accounts).problems == ["no book was compared"]


@pytest.mark.parametrize("held", [{}, {"A": 9}, {"A": -10}])
def test_another_position_is_an_error(accounts, held):
    accounts[1] = held
    result = reconcile(*accounts)
    assert not result.ok and result.position_errors == 1


def test_a_loss_that_nobody_planned_is_a_problem(accounts):
    accounts[2]["core"]["gap_messages"] = 4
    result = reconcile(*accounts)
    assert result.gap_messages_unexplained == 4 and not result.ok
    accounts[3]["lost_messages"] = 4
    assert reconcile(*accounts).ok


@pytest.mark.parametrize(("part", "name"), [("io", "drop_ring_full"), ("io", "drop_port"), ("venue", "frames_unsent")])
def test_a_loss_with_a_counted_cause_is_explained(accounts, part, name):
    accounts[2]["core"]["gap_messages"] = 4
    if part == "io":
        accounts[2]["io"][name] = 1
    else:
        accounts[3]["port"][name] = 1
    assert reconcile(*accounts).ok


def test_frames_that_never_came_are_counted(accounts):
    accounts[2]["io"]["frames_published"] = 47
    assert reconcile(*accounts).frames_lost == 3
