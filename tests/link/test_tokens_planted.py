"""Planted bugs: each is put in by a monkeypatch, and a check that is named here must find it.

A check is a test of the neighbouring files. It must hold without the bug (their own run shows that), and fail with it.
"""

import hmac
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import limits
from gateway.link.rights import access, addresses, durable_floors, journal, roles, signed_file, tokens
from gateway.link.rights.reasons import Reason
from gateway.link.rights.token_store import TokenStore, Window
from tests.link import access_desk as desk
from tests.link import (
    test_access,
    test_access_grants,
    test_addresses,
    test_durable_floors,
    test_journal,
    test_roles,
    test_token_store,
    test_tokens,
)

Patch = pytest.MonkeyPatch


def window_before_mac(patch: Patch, folder: Path) -> None:
    """The window is asked, and moves, before the MAC is looked at."""
    right = tokens.verify

    def verify(data: Any, expected: Any, keys: Any, store: Any, now_ns: int) -> Any:
        if len(data) == tokens.SIZE_BYTES and store.accept(tokens.parse(data), now_ns):
            return Reason.REPLAYED
        return right(data, expected, keys, TokenStore(desk.Marks()), now_ns)

    patch.setattr(tokens, "verify", verify)


def mac_by_prefix(patch: Patch, folder: Path) -> None:
    """Only the first 16 bytes of the MAC are compared."""
    right = hmac.compare_digest
    patch.setattr(tokens.hmac, "compare_digest", lambda one, other: right(one[:16], other[:16]))


def no_audience(patch: Patch, folder: Path) -> None:
    """A token for one gateway counts at every other."""
    right = tokens._misdirected
    patch.setattr(tokens, "_misdirected", lambda token, asked: right(token, asked._replace(audience=token.audience)))


def no_binding(patch: Patch, folder: Path) -> None:
    """A token of one session counts in every other."""
    right = tokens._misdirected

    def misdirected(token: tokens.Token, asked: tokens.Expected) -> Reason | None:
        found = right(token, asked)
        return None if found is Reason.BINDING else found

    patch.setattr(tokens, "_misdirected", misdirected)


def ttl_unchecked(patch: Patch, folder: Path) -> None:
    """An issuer may make tokens for as long as it likes."""
    patch.setattr(tokens, "TTL_MS_MAX", 0xFFFFFFFF)


def no_method(patch: Patch, folder: Path) -> None:
    """A token to subscribe also renews."""
    right = tokens._unentitled
    patch.setattr(tokens, "_unentitled", lambda token, asked: right(token, asked._replace(method=token.method)))


def any_day(patch: Patch, folder: Path) -> None:
    """A key counts on days that are not its own."""
    patch.setattr(tokens, "day_of", lambda time_ns: desk.DAY - 1 if time_ns < desk.NOW - 10**9 else desk.DAY)


def window_too_wide(patch: Patch, folder: Path) -> None:
    """What the window has lost is believed to be new."""
    right = Window.refuses

    def refuses(window: Window, counter: int) -> Reason | None:
        found = right(window, counter)
        return None if found is Reason.OLD and counter else found

    patch.setattr(Window, "refuses", refuses)


def window_forgets_itself(patch: Patch, folder: Path) -> None:
    """A window that moves up forgets what was used below."""

    def use(window: Window, token: tokens.Token) -> None:
        window.highest, window.bits = max(window.highest, token.counter), 1
        window.issued_ns, window.expires_ns = token.issued_ns, token.expires_ns

    patch.setattr(Window, "use", use)


def marks_not_kept(patch: Patch, folder: Path) -> None:
    """What was used is not on disk."""
    patch.setattr(TokenStore, "_keep", lambda store, token, now_ns: None)


def marks_behind_the_tokens(patch: Patch, folder: Path) -> None:
    """The mark is written up to the first token only, as if it were also ahead of those that follow."""
    right = TokenStore._keep
    patch.setattr(TokenStore, "_keep", lambda store, token, now_ns: None if store.accepted else right(store, token, now_ns))


def new_life_begins_at_zero(patch: Patch, folder: Path) -> None:
    """A life that is remembered anew does not know what was forgotten before it."""
    right = Window.__init__
    patch.setattr(Window, "__init__", lambda window, after_ns: right(window, 0))


def forgotten_for_good(patch: Patch, folder: Path) -> None:
    """Expired lives are dropped without a line behind which nothing counts."""

    def forget(store: TokenStore, principal: bytes, lives: dict[bytes, Window], now_ns: int) -> None:
        for boot_id in [boot_id for boot_id, window in lives.items() if now_ns >= window.expires_ns]:
            del lives[boot_id]

    patch.setattr(TokenStore, "_forget", forget)


def counter_not_durable(patch: Patch, folder: Path) -> None:
    """The issuer's counter is written behind, not ahead."""
    patch.setattr(limits, "TOKEN_COUNTERS_AHEAD", 0)


def floor_ignored(patch: Patch, folder: Path) -> None:
    """A signed file of any version is taken."""
    patch.setattr(signed_file, "raise_floor", lambda floors, kind, version: None)


def floor_only_in_memory(patch: Patch, folder: Path) -> None:
    """The floor of versions does not outlive the process."""
    patch.setattr(durable_floors.DurableFloors, "_write", lambda floors, least, numbers: None)


def grants_outlive_the_floor(patch: Patch, folder: Path) -> None:
    """What was granted before a revocation goes on."""
    patch.setattr(
        access.Access, "_why_over", lambda self, held, now_ns: Reason.EXPIRED if now_ns >= held.grant.expires_ns else None
    )


def claimed_roles_believed(patch: Patch, folder: Path) -> None:
    """The role bits of a token are not compared with those of its principal."""
    right = roles.Roles.refuses

    def refuses(self: roles.Roles, token: tokens.Token, node: int, stream: tokens.Stream) -> Reason | None:
        kept = self._rights
        self._rights = {name: rights._replace(role_bits=0xFFFFFFFF) for name, rights in kept.items()}
        try:
            return right(self, token, node, stream)
        finally:
            self._rights = kept

    patch.setattr(roles.Roles, "refuses", refuses)


def signature_of_any_kind(patch: Patch, folder: Path) -> None:
    """The signature is over the bytes alone, whatever they are signed as."""
    patch.setattr(signed_file, "covered", lambda kind, content: content)


def mapped_addresses_are_their_own(patch: Patch, folder: Path) -> None:
    """An IPv4 address inside IPv6 is taken for one of IPv6: around the geofence, or out of the allow-list."""
    right = addresses.place_of

    def place_of(address: str) -> addresses.Place | None:
        found = right(address)
        return addresses.Place(6, 0xFFFF << 32 | found.number) if found and found.family == 4 and ":" in address else found

    patch.setattr(addresses, "place_of", place_of)


def journal_in_full_for_everybody(patch: Patch, folder: Path) -> None:
    """A flood is written line by line."""
    patch.setattr(journal.Journal, "_in_full", lambda self, address: True)


def granted_without_a_journal(patch: Patch, folder: Path) -> None:
    """A line that the disk does not take is counted, and the stream is opened all the same."""
    right = journal.Journal.record
    patch.setattr(journal.Journal, "record", lambda self, attempt, now_ns: right(self, attempt, now_ns) or True)


def reason_of(reason: Reason) -> Callable[[Path], None]:
    return lambda folder: test_tokens.test_a_single_fault_is_named(reason)


def with_house(check: Callable[[desk.Gatehouse], None]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        house = desk.Gatehouse(folder)
        try:
            check(house)
        finally:
            house.close()

    return run


def bounds(changes: dict[str, Any], reason: Reason) -> Callable[[Path], None]:
    return lambda folder: test_tokens.test_bounds_are_where_the_page_says(changes, reason)


def plain(check: Callable[..., None], *words: Any) -> Callable[[Path], None]:
    return lambda folder: check(*words)


tokens_, store_, roles_, addresses_ = test_tokens, test_token_store, test_roles, test_addresses
PLANTED: list[tuple[Callable[[Patch, Path], None], Callable[[Path], None]]] = [
    (window_before_mac, plain(tokens_.test_a_bad_mac_asks_no_store_at_all)),
    (window_before_mac, plain(tokens_.test_what_fails_before_the_window_never_touches_it, Reason.MAC)),
    (mac_by_prefix, reason_of(Reason.MAC)),
    (no_audience, reason_of(Reason.AUDIENCE)),
    (no_binding, reason_of(Reason.BINDING)),
    (ttl_unchecked, bounds({"ttl_ms": 0xFFFFFFFF}, Reason.TTL)),
    (no_method, reason_of(Reason.METHOD)),
    (any_day, reason_of(Reason.DAY)),
    (window_too_wide, plain(store_.test_the_window_knows_what_a_set_of_all_counters_knows)),
    (window_forgets_itself, plain(store_.test_every_counter_of_the_window_may_come_in_any_order_and_none_twice)),
    (marks_not_kept, plain(store_.test_a_restart_refuses_what_was_used_and_takes_what_is_minted_a_little_later)),
    (marks_behind_the_tokens, with_house(lambda house: test_a_restart_of_the_house_takes_no_replay(house))),
    (new_life_begins_at_zero, plain(store_.test_a_restart_refuses_what_was_used_and_takes_what_is_minted_a_little_later)),
    (forgotten_for_good, plain(store_.test_a_forgotten_life_does_not_come_back_when_the_clock_steps_back)),
    (counter_not_durable, test_durable_floors.test_counters_go_on_where_the_last_process_stopped),
    (floor_ignored, plain(roles_.test_a_lower_version_than_ever_seen_is_refused)),
    (floor_only_in_memory, test_durable_floors.test_floors_rise_only_and_outlive_the_process),
    (
        grants_outlive_the_floor,
        with_house(test_access_grants.test_a_risen_floor_ends_every_grant_and_only_new_roles_open_another),
    ),
    (claimed_roles_believed, reason_of(Reason.ROLE)),
    (signature_of_any_kind, plain(roles_.test_a_file_signed_by_another_key_or_as_another_kind_is_refused)),
    (mapped_addresses_are_their_own, plain(addresses_.test_an_address_is_answered_for, "::ffff:192.0.2.20", 2, None)),
    (
        journal_in_full_for_everybody,
        plain(test_journal.test_of_one_address_the_first_five_of_a_second_are_written_and_the_others_counted),
    ),
    (granted_without_a_journal, plain(test_access.test_what_cannot_be_journalled_is_not_granted)),
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[desk.Gatehouse]:
    made = desk.Gatehouse(tmp_path)
    yield made
    made.close()


def test_a_restart_of_the_house_takes_no_replay(house: desk.Gatehouse) -> None:
    some = [desk.minted(counter=number, issued_ns=desk.NOW - desk.SECOND_NS + number * 10**8) for number in range(1, 9)]
    assert all(isinstance(house.ask(data), access.Grant) for data in some)
    for _ in range(2):
        house.open(desk.NOW)
        assert not any(isinstance(house.ask(data), access.Grant) for data in some)


@pytest.mark.parametrize(("bug", "check"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_bug_is_found(bug: Callable, check: Callable, tmp_path: Path, monkeypatch: Patch) -> None:
    check_folder, clean_folder = tmp_path / "planted", tmp_path / "clean"
    check_folder.mkdir()
    clean_folder.mkdir()
    check(clean_folder)
    with monkeypatch.context() as patch:
        bug(patch, check_folder)
        try:
            check(check_folder)
        except (AssertionError, pytest.fail.Exception):
            return
    pytest.fail(f"{bug.__name__} was not found: {bug.__doc__}")


def test_there_are_twenty_planted_bugs_and_each_says_what_it_does() -> None:
    assert len({bug for bug, _ in PLANTED}) >= 20
    assert all(bug.__doc__ for bug, _ in PLANTED)
