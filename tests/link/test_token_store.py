"""Which tokens were used: the window against a set, restarts of the verifier (killed, torn, stepped clocks), bounds."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_keys import principal_bytes
from gateway.link.rights.token_store import TokenStore, Window
from gateway.link.rights.tokens import Token
from tests.link import access_desk as desk

ROOT = Path(__file__).resolve().parents[2]
COUNTERS = st.one_of(st.integers(0, 40), st.integers(0, 3_000), st.integers(0, (1 << 64) - 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(COUNTERS, max_size=60))
def test_the_window_knows_what_a_set_of_all_counters_knows(counters: list[int]) -> None:
    window, used = Window(0), set[int]()
    for counter in counters:
        late = counter == 0 or (used and counter <= max(used) - limits.TOKEN_WINDOW)
        right = Reason.OLD if late else Reason.REPLAYED if counter in used else None
        assert window.refuses(counter) is right
        if right is None:
            window.use(desk.token(counter=counter))
            used.add(counter)
        assert window.bits.bit_length() <= limits.TOKEN_WINDOW


def test_every_counter_of_the_window_may_come_in_any_order_and_none_twice() -> None:
    store, counters = TokenStore(desk.Marks()), list(range(2_000, 2_000 + limits.TOKEN_WINDOW))
    random.Random(3).shuffle(counters)
    counters.insert(0, 1_999 + limits.TOKEN_WINDOW)
    counters.remove(1_999 + limits.TOKEN_WINDOW)
    store.accept(desk.token(counter=1_999 + limits.TOKEN_WINDOW, boot_id=bytes(16)), desk.NOW)
    first = [store.accept(desk.token(counter=counter), desk.NOW) for counter in counters]
    again = [store.accept(desk.token(counter=counter), desk.NOW) for counter in counters]
    assert set(first) == {None} and set(again) == {Reason.REPLAYED}


class Life:
    """A verifier that may die at any moment, and all that it ever accepted."""

    def __init__(self) -> None:
        self.marks = desk.Marks()
        self.store = TokenStore(self.marks)
        self.accepted: set[Token] = set()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_nothing_is_accepted_twice_whatever_restarts_and_clock_steps_come_between(data: st.DataObject) -> None:
    life, now_ns, sent = Life(), desk.NOW, []
    for _ in range(data.draw(st.integers(1, 60))):
        now_ns += data.draw(st.sampled_from([0, 1, 10**8, 10**9, 301 * 10**9, -(10**9), -400 * 10**9]))
        what = data.draw(st.sampled_from(["new", "new", "replay", "replay", "restart"]))
        if what == "restart":
            life.store = TokenStore(life.marks)
            continue
        if what == "new" or not sent:
            boot, counter = bytes([data.draw(st.integers(0, 2))]) * 16, data.draw(st.integers(1, 1_100))
            sent.append(desk.token(boot_id=boot, counter=counter, issued_ns=now_ns - data.draw(st.integers(0, 10**9))))
            token = sent[-1]
        else:
            token = data.draw(st.sampled_from(sent))
        if not token.issued_ns - 2 * 10**9 <= now_ns < token.expires_ns:
            continue  # verify has refused it by its time
        if life.store.accept(token, now_ns) is None:
            assert token not in life.accepted, "the same token was accepted twice"
            life.accepted.add(token)


def test_a_restart_refuses_what_was_used_and_takes_what_is_minted_a_little_later() -> None:
    marks = desk.Marks()
    used = [desk.token(counter=counter, issued_ns=desk.NOW - counter) for counter in range(1, 50)]
    store = TokenStore(marks)
    assert all(store.accept(token, desk.NOW) is None for token in used)
    store = TokenStore(marks)
    fresh = desk.token(counter=60, issued_ns=desk.NOW + limits.TOKEN_MARK_AHEAD_NS)
    assert store.accept(fresh, desk.NOW) is None, "250 ms later the same life goes on"
    for token in used:  # also after its life is remembered again
        assert store.accept(token, desk.NOW) is Reason.FORGOTTEN


def test_a_forgotten_life_does_not_come_back_when_the_clock_steps_back() -> None:
    store = TokenStore(desk.Marks())
    used = desk.token()
    assert store.accept(used, desk.NOW) is None
    assert store.accept(desk.token(boot_id=bytes(16), issued_ns=used.expires_ns), used.expires_ns) is None
    assert store.accept(used, desk.NOW) is Reason.FORGOTTEN


def test_a_full_principal_is_refused_and_others_are_not() -> None:
    store = TokenStore(desk.Marks())
    for number in range(limits.TOKEN_BOOTS_MAX):
        assert store.accept(desk.token(boot_id=bytes([number]) * 16), desk.NOW) is None
    assert store.accept(desk.token(boot_id=b"x" * 16), desk.NOW) is Reason.FULL
    assert store.accept(desk.token(boot_id=bytes(16), counter=6), desk.NOW) is None, "a life that is remembered goes on"
    assert store.accept(desk.token(principal=principal_bytes("risk-1")), desk.NOW) is None
    later = desk.NOW + 101 * desk.SECOND_NS
    assert store.accept(desk.token(boot_id=b"x" * 16, issued_ns=later), later) is None, "the others have expired"


def test_principals_are_bounded_and_give_way_when_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PRINCIPALS_MAX", 3)
    marks = desk.Marks()
    store = TokenStore(marks)
    some = [desk.token(principal=principal_bytes(f"p{number}")) for number in range(4)]
    assert [store.accept(token, desk.NOW) for token in some] == [None, None, None, Reason.FULL]
    later = some[0].expires_ns
    fresh = [token._replace(issued_ns=later, counter=6) for token in reversed(some)]
    assert [store.accept(token, later) for token in fresh] == [None, None, None, Reason.FULL]
    assert [store.accept(token, desk.NOW) for token in some[:3]] == [Reason.FULL, Reason.FORGOTTEN, Reason.FORGOTTEN]


def test_what_cannot_be_written_down_is_not_accepted_and_may_come_again() -> None:
    marks = desk.Marks()
    store, marks.failing = TokenStore(marks), True
    assert store.accept(desk.token(), desk.NOW) is Reason.STORE
    marks.failing = False
    assert store.accept(desk.token(), desk.NOW) is None


def test_a_replay_writes_nothing() -> None:
    marks = desk.Marks()
    store = TokenStore(marks)
    store.accept(desk.token(), desk.NOW)
    assert marks.writes == 1
    for _ in range(100):
        store.accept(desk.token(), desk.NOW)
    burst = [
        store.accept(desk.token(counter=counter, issued_ns=desk.token().issued_ns + counter), desk.NOW)
        for counter in range(6, 99)
    ]
    assert set(burst) == {None} and marks.writes == 1, "250 ms are written ahead"


def test_many_principals_at_once_are_one_write_and_no_clock_shuts_others_out() -> None:
    marks = desk.Marks()
    some = [desk.token(principal=principal_bytes(f"p{number}")) for number in range(50)]
    TokenStore(marks).accept(some[0], desk.NOW)
    for token in some[1:]:
        marks.raise_to(token.name, 1)
    before, store = marks.writes, TokenStore(marks)
    fresh = [token._replace(issued_ns=desk.NOW + number * 10**6) for number, token in enumerate(some)]
    assert all(store.accept(token, desk.NOW + 60 * 10**6) is None for token in fresh) and marks.writes == before + 1
    early = desk.NOW + 10**9
    store.accept(some[0]._replace(issued_ns=early + limits.TOKEN_EARLY_NS, counter=9), early)
    store = TokenStore(marks)
    honest = some[1]._replace(issued_ns=early + limits.TOKEN_MARK_AHEAD_NS + 1, counter=9)
    assert store.accept(honest, early) is None, "another's clock is 2 s ahead, and ours may be"


# On disk


def said_by(folder: Path, now_ns: int, lines: list[bytes], die: bool) -> list[str]:
    """What a verifier process answers; with `die` it is killed after its last answer."""
    command = [sys.executable, "-m", "tests.link.verifier_process", str(folder), str(now_ns)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    answers = []
    for line in lines:
        process.stdin.write(line.hex() + "\n")
        process.stdin.flush()
        answers.append(process.stdout.readline().strip())
    if die:
        process.kill()
    process.stdin.close()
    process.stdout.close()
    assert process.wait(30) == (-9 if die else 0)
    return answers


@pytest.mark.parametrize("die", [True, False], ids=["killed", "ended"])
def test_a_verifier_process_that_is_started_again_accepts_no_replay(tmp_path: Path, die: bool) -> None:
    desk.Gatehouse(tmp_path).close()
    some = [desk.minted(counter=counter, issued_ns=desk.NOW - 10**9 + counter) for counter in range(1, 41)]
    assert said_by(tmp_path, desk.NOW, some, die) == ["accepted"] * 40
    for step_ns in (0, 10**9, -(10**9)):  # the clock of the second life may have been stepped
        later = said_by(tmp_path, desk.NOW + step_ns, some, die)
        assert "accepted" not in later and len(later) == 40
    fresh = [desk.minted(counter=counter, issued_ns=desk.NOW + 10**9) for counter in range(41, 45)]
    assert said_by(tmp_path, desk.NOW + 10**9, [*fresh, *some], die) == ["accepted"] * 4 + ["FORGOTTEN"] * 40


def test_a_verifier_without_a_file_takes_only_what_is_issued_after_its_start(tmp_path: Path) -> None:
    house = desk.Gatehouse(tmp_path)
    assert house.ask(desk.minted()).token_id
    house.close()
    (tmp_path / "state" / "link" / "token_marks.json").unlink()
    house.open(desk.NOW)
    assert house.ask(desk.minted()).reason is Reason.FORGOTTEN
    assert house.ask(desk.minted(issued_ns=desk.NOW + 1)).token_id
    house.close()
