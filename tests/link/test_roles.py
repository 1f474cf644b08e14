"""Roles: what the file names is allowed, everything else refused; signatures, versions, damage."""

import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import limits
from gateway.errors import GatewayError
from gateway.link.rights import addresses, roles, signed_file
from gateway.link.rights.reasons import Reason
from gateway.link.rights.signed_file import FileRefused
from gateway.link.rights.token_keys import principal_bytes
from gateway.link.rights.tokens import STREAMS, Stream
from tests.link import access_desk as desk


@pytest.mark.parametrize("stream", STREAMS)
def test_a_market_maker_reads_snapshots_only_and_a_risk_tool_everything(stream: str) -> None:
    known = roles.FORM.parse(desk.ROLES)
    maker = known.refuses(desk.token(), desk.PEER, STREAMS[stream])
    assert maker is (None if stream == "snapshots" else Reason.ROLE)
    risk = desk.token(principal=principal_bytes("risk-1"), role_bits=2)
    assert known.refuses(risk, 4, STREAMS[stream]) is None


def naive_refusal(token: Any, node: int, stream: Stream) -> str:
    """The rights of desk.ROLES, written out."""
    rights = {"desk-7": ([0], [2]), "risk-1": ([0, 1], [2, 4])}
    if token.name not in rights:
        return "PRINCIPAL"
    held, nodes = rights[token.name]
    claimed = [bit for bit in range(32) if token.role_bits >> bit & 1]
    if node not in nodes:
        return "NODE"
    reads = (1 in claimed) or (0 in claimed and stream == Stream.SNAPSHOTS)
    return "" if set(claimed) <= set(held) and reads else "ROLE"


def test_every_combination_is_answered_as_written_out() -> None:
    known = roles.FORM.parse(desk.ROLES)
    for name in ("desk-7", "risk-1", "nobody"):
        for bits in (0, 1, 2, 3, 4, 1 << 31):
            for node in (1, 2, 3, 4):
                for stream in Stream:
                    token = desk.token(principal=principal_bytes(name), role_bits=bits)
                    assert (known.refuses(token, node, stream) or "") == naive_refusal(token, node, stream)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"version = 7", b"version = 0"), "version"),
        ((b"version = 7", b"version = true"), "version"),
        ((b"version = 7", b'version = "7"'), "version"),
        ((b"version = 7", b"version = 99999999999999999999"), "version"),
        ((b"version = 7\n", b""), "version: Field required"),
        ((b"bit = 1", b"bit = 0"), "the same bit"),
        ((b"bit = 1", b"bit = 32"), "bit"),
        ((b'"snapshots"', b'"orders"'), "'orders' is no stream"),
        ((b'["risk", "market_maker"]', b'["boss"]'), "there is no role boss"),
        ((b"nodes = [2]", b"nodes = [0]"), "nodes"),
        ((b"nodes = [2]\n", b""), "nodes: Field required"),
        ((b"nodes = [2]", b"nodes = [2]\nmore = 1"), "more"),
        ((b"desk-7", b'"desk 7"'), "principals"),
        ((b"version = 7", b"version = 7\n\xff"), "no TOML"),
        ((b"version = 7", b"version = 7\nversion = 8"), "no TOML"),
        ((b"version = 7", b"version = 7\nx = " + b"[" * 5_000), "no TOML"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_file_that_is_off_says_where(change: tuple[bytes, bytes], why: str) -> None:
    data = desk.signed("roles", desk.ROLES.replace(*change))
    with pytest.raises(FileRefused, match=why) as refused:
        desk.load(roles.FORM, data, desk.SIGNER_PUBLIC, desk.Marks())
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_a_lower_version_than_ever_seen_is_refused() -> None:
    floors = desk.Marks()
    old, new = desk.signed("roles", desk.ROLES), desk.signed("roles", desk.ROLES.replace(b"= 7", b"= 8"))
    assert desk.load(roles.FORM, old, desk.SIGNER_PUBLIC, floors).version == 7
    assert desk.load(roles.FORM, new, desk.SIGNER_PUBLIC, floors).version == 8
    with pytest.raises(FileRefused, match="version 7 is below 8"):
        desk.load(roles.FORM, old, desk.SIGNER_PUBLIC, floors)
    assert desk.load(roles.FORM, new, desk.SIGNER_PUBLIC, floors).version == 8, "the same one may be read again"


def test_a_floor_that_cannot_be_kept_takes_no_file() -> None:
    floors = desk.Marks()
    floors.failing = True
    with pytest.raises(GatewayError, match="cannot be kept"):
        desk.load(roles.FORM, desk.signed("roles", desk.ROLES), desk.SIGNER_PUBLIC, floors)


def test_the_files_in_the_handbook_are_taken() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operating" / "link-access.md").read_text()
    first, second = (block.split("```")[0].encode() for block in page.split("```toml")[1:])
    known = roles.FORM.parse(first)
    assert (known.bits_of("desk-7"), known.bits_of("frankfurt"), known.bits_of("nobody"), known.bits_of("")) == (1, 2, 0, 0)
    where = addresses.FORM.parse(second)
    assert where.refuses("192.0.2.20", 2) is None and where.refuses("192.0.2.66") is Reason.ADDRESS


# Signed files of either kind


def test_a_file_signed_by_another_key_or_as_another_kind_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(FileRefused, match="not that of the pinned key"):
        desk.load(roles.FORM, desk.signed("roles", desk.ROLES, other), desk.SIGNER_PUBLIC, desk.Marks())
    with pytest.raises(FileRefused, match="signed as addresses, not as roles"):
        desk.load(roles.FORM, desk.signed("addresses", desk.ROLES), desk.SIGNER_PUBLIC, desk.Marks())
    renamed = desk.signed("addresses", desk.ROLES).replace(b"ed25519 addresses", b"ed25519 roles")
    with pytest.raises(FileRefused, match="not that of the pinned key"):
        desk.load(roles.FORM, renamed, desk.SIGNER_PUBLIC, desk.Marks())
    for data in (desk.ROLES, b"", b"\n", desk.signed("roles", desk.ROLES) + b"version = 9\n"):
        with pytest.raises(FileRefused, match="no signature"):
            desk.load(roles.FORM, data, desk.SIGNER_PUBLIC, desk.Marks())


def test_every_flipped_bit_of_a_signed_file_is_found() -> None:
    data = desk.signed("roles", desk.ROLES)
    for place in range(len(data) - 1):  # behind the last line, a line end may be missing
        for bit in range(8):
            damaged = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            with pytest.raises(FileRefused):
                desk.load(roles.FORM, damaged, desk.SIGNER_PUBLIC, desk.Marks())


@pytest.mark.parametrize("content", [desk.ROLES, desk.ROLES.rstrip(), b"", b"x"], ids=len)
def test_signing_again_replaces_the_signature(content: bytes) -> None:
    once = desk.signed("roles", content)
    assert desk.signed("roles", once) == once
    assert signed_file.content_of("roles", once, desk.SIGNER_PUBLIC).rstrip(b"\n") == content.rstrip(b"\n")
    assert signed_file.content_of("roles", once.rstrip(b"\n"), desk.SIGNER_PUBLIC).rstrip(b"\n") == content.rstrip(b"\n")


def test_nothing_is_parsed_before_the_signature_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(content: bytes) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(signed_file, "words_of", never)
    with pytest.raises(FileRefused):
        desk.load(roles.FORM, desk.signed("roles", desk.ROLES)[1:], desk.SIGNER_PUBLIC, desk.Marks())


def test_a_file_that_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(FileRefused, match="larger than"):
        desk.load(roles.FORM, bytes(limits.SIGNED_FILE_BYTES_MAX + 1), desk.SIGNER_PUBLIC, desk.Marks())
    with pytest.raises(FileRefused, match="a signed file has at most"):
        desk.signed("roles", b"#" * limits.SIGNED_FILE_BYTES_MAX)


@pytest.mark.parametrize(
    ("parse", "content"),
    [(roles.FORM.parse, desk.ROLES), (addresses.FORM.parse, desk.ADDRESSES)],
    ids=["roles", "addresses"],
)
@pytest.mark.parametrize("seed", range(3))
def test_what_a_signer_may_have_mistyped_is_refused_in_one_line_and_bounded(seed: int, parse: Any, content: bytes) -> None:
    chance, accepted, refused = random.Random(seed), 0, 0
    lines = content.splitlines(keepends=True)
    tracemalloc.start()
    for _ in range(1_500):
        some = list(lines)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(some))
            some[place] = chance.choice([b"", some[place] * 2, some[place].swapcase(), some[place].replace(b"[", b"[[")])
        data = bytearray(b"".join(some))
        for _ in range(chance.choice([0, 0, 1, 4])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            parse(bytes(data))
            accepted += 1
        except FileRefused as problem:
            refused += 1
            assert "\n" not in str(problem), f"seed {seed}"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert accepted and refused and peak < 4 << 20
