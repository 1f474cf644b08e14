"""Real access in front of real streams, in virtual time: roles, revocation, a restart of the verifier, replays of tokens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.link.rights.access_files import AccessFiles, AccessPaths
from gateway.link.rights.counter_file import ProcessCounter
from gateway.link.rights.grants import Grant
from gateway.link.rights.token_keys import DerivedKeys, day_of
from gateway.link.rights.token_source import Issuer, TokenSource
from gateway.link.rights.tokens import Method
from tests.link import access_desk as desk
from tests.link.stream_world import READER_NODE, START_NS, World

ADDRESSES = f'version = 1\n[peers.{READER_NODE}]\nallow = ["127.0.0.0/8"]\n'.encode()
ROLES = f"""version = 1
[roles.market_maker]
bit = 0
streams = ["snapshots"]
[roles.risk]
bit = 1
streams = ["all"]
[principals.maker]
roles = ["market_maker"]
nodes = [{READER_NODE}]
[principals.risk]
roles = ["risk"]
nodes = [{READER_NODE}]
""".encode()


class Verified:
    """A world whose streams are opened by Access on real files, for one principal; every token it made is kept."""

    def __init__(self, folder: Path, principal: str, role_bits: int):
        self.folder, self.made = folder, []
        self.keys = DerivedKeys(desk.Ring({day_of(START_NS): desk.TOKEN_KEY}))
        self._source = TokenSource(Issuer(principal, role_bits, desk.SECOND_NS), self.keys, ProcessCounter(desk.BOOT))
        self.world = World(3)
        self.files: AccessFiles | None = None
        self.write("addresses", ADDRESSES)
        self.write("roles", ROLES)
        self.begin()
        self.world.new_reader()
        self.world.line.up(False)

    def write(self, kind: str, content: bytes) -> None:
        (self.folder / f"{kind}.toml").write_bytes(desk.signed(kind, content))

    def begin(self) -> None:
        """Another life of the verifier, on the same files."""
        if self.files is not None:
            self.files._release()  # as a kill would: nothing is written on the way out
        paths = AccessPaths(self.folder / "state", self.folder / "roles.toml", self.folder / "addresses.toml")
        node = self.world.core.node
        self.files = AccessFiles(node, paths, self.keys, desk.SIGNER_PUBLIC, self.world.now_ns - 1)
        assert self.files.poll(self.world.now_ns) == []
        self.access = self.files.access
        self.world.desk = self
        self.world.new_server()

    def poll(self) -> None:
        assert self.files is not None and self.files.poll(self.world.now_ns, wait=True) == []

    # what World wants of a desk

    def tokens(self, stream: str, method: Method, binding: bytes, payload: bytes, now_ns: int) -> bytes:
        self.made.append((stream, method, binding, payload))
        data = self._source.token(stream, self.world.core.node, binding, now_ns, method, payload)
        self.made[-1] += (data,)
        return data

    def open_stream(self, *asked, **words):
        """Virtual time stands while the disk writes the mark."""
        return desk.decided(lambda: self.access.open_stream(*asked, **words))

    def renew(self, *asked, **words):
        """The same."""
        return desk.decided(lambda: self.access.renew(*asked, **words))

    def __getattr__(self, name: str):
        return getattr(self.access, name)

    def replays_accepted(self) -> int:
        """How many of the tokens ever made this verifier takes now."""
        found = [
            self.open_stream(
                READER_NODE, "127.0.0.1", stream, data, binding, self.world.now_ns, method=method, payload=bytes_
            )
            for stream, method, binding, bytes_, data in self.made
        ]
        return sum(isinstance(one, Grant) for one in found)


@pytest.fixture
def verified(tmp_path: Path) -> Iterator:
    made: list[Verified] = []

    def make(principal: str, role_bits: int) -> Verified:
        made.append(Verified(tmp_path, principal, role_bits))
        return made[-1]

    yield make
    for one in made:
        assert one.files is not None
        one.files.close()


def opened(one: Verified, turns: int) -> int:
    """Milliseconds until market data is open; AssertionError when it does not come to that."""
    for turn in range(turns):
        if one.world.reader.asking.stream("market_data").state.value == "open":
            return turn
        one.world.turn()
    raise AssertionError(f"not open after {turns} ms: {one.world.notices[-5:]}")


def test_a_risk_tool_has_the_books_and_renews_before_its_grants_end(verified) -> None:
    one = verified("risk", 2)
    one.world.turn(2_200)  # more than two lives of a token
    one.world.settle()
    assert one.world.reader.asking.counters["renewals"] >= 2 and one.world.book.wholes == 1
    assert one.replays_accepted() == 0


def test_a_market_maker_has_snapshots_and_is_told_that_it_may_not_more(verified) -> None:
    one = verified("maker", 1)
    one.world.turn(500)
    assert {"ROLE"} <= {notice.reason for notice in one.world.notices if notice.stream == "market_data"}
    assert one.world.book.compared == 0
    one.world.reader.drop("market_data", one.world.now_ns)
    one.world.reader.want_snapshot()
    one.world.turn(2_000)
    assert one.world.book.wholes >= 1, "a whole scan came"
    assert one.replays_accepted() == 0


def test_a_revoked_principal_loses_its_streams_at_once_and_gets_them_back_by_a_new_file_only(verified) -> None:
    one = verified("risk", 2)
    opened(one, 1_000)
    one.world.turn(300)
    one.write("roles", ROLES.replace(b"version = 1", b"version = 2").replace(b"principals.risk", b"principals.other"))
    one.world.turn(500)
    one.poll()
    one.world.turn(3)
    assert one.world.reader.asking.stream("market_data").state.value != "open"
    assert "FLOOR" in {notice.reason for notice in one.world.notices}
    one.world.turn(600)
    assert "PRINCIPAL" in {notice.reason for notice in one.world.notices}
    assert one.replays_accepted() == 0
    one.write("roles", ROLES.replace(b"version = 1", b"version = 3"))
    one.poll()
    one.world.settle(20_000)
    assert one.world.book.orders == one.world.core.book()


def test_after_a_restart_of_the_verifier_its_peer_is_back_within_a_second_and_no_replay_is(verified) -> None:
    one = verified("risk", 2)
    opened(one, 1_000)
    for _ in range(4):
        one.world.turn(100)
        one.begin()
        assert one.replays_accepted() == 0
        one.world.line.down()
        one.world.turn(1)
        one.world.line.up(False)
        one.world.new_reader()
        assert opened(one, 1_000) < 1_000
    one.world.settle()
    assert one.replays_accepted() == 0
