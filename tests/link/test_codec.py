"""The codec of the link: what is packed comes back, what is not smaller goes raw, what is hostile has a reason."""

import json
import random
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.link.compression import codec, column_plan
from gateway.link.compression.column_codes import CODES, ESCAPE, FIXED, LENGTHS
from gateway.link.compression.column_schema import Schema, Step, fields_of, plan_of
from gateway.link.compression.schemas import MBO, SCHEMA_EVENT, SCHEMA_LINK, SCHEMA_MBO, SCHEMAS
from gateway.ops.bench.order_records import recorded, seeded
from tests import naive_columns
from tests.link import codec_vectors

BY_NUMBER = {schema.number: schema for schema in SCHEMAS}
REASONS = {"EMPTY", "SIZE", "METHOD", "SCHEMA", "LENGTH", "BLOCK", "TRUNCATED", "REFERENCE", "VALUE"}
EXTREMES = (0, 1, 2, 255, 256, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 64) - 1, 250_000_000, 10**15)
FUZZ_CASES = 6_000
FUZZ_BYTES_MAX = 24 << 20  # resident, beyond what was there before


def random_records(schema: Schema, count: int, draw: random.Random) -> bytes:
    """Records of few values a column, of extremes, of runs and of noise, mixed column by column."""
    rows = bytearray(count * schema.record_bytes)
    for offset, width in fields_of(schema.layout).values():
        width, style = abs(width), draw.randrange(5)
        pool = [draw.choice(EXTREMES) for _ in range(draw.randint(1, 4))]
        step, value = draw.choice((1, 2, 1000, 250_000_000, -1)), draw.getrandbits(64)
        for index in range(count):
            value = {0: value, 1: draw.choice(pool), 2: value + step, 3: draw.getrandbits(64)}.get(
                style, value if draw.random() < 0.8 else draw.getrandbits(8)
            )
            at = index * schema.record_bytes + offset
            rows[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(rows)


def lively_records(schema: Schema, count: int, draw: random.Random) -> bytes:
    """The same with kinds that the schema knows and names that come again: every way of the identity column is met."""
    rows = np.frombuffer(bytearray(random_records(schema, count, draw)), schema.layout)
    if schema.kind:
        whole = np.frombuffer(rows.data, np.uint8).reshape(count, -1)
        places = fields_of(schema.layout)
        identity = next(step.name for step in schema.steps if step.operation == column_plan.IDENTITY)
        names = [draw.choice(EXTREMES) for _ in range(4)] + list(range(100, 110))
        for index in range(count):
            whole[index, places[schema.kind][0]] = draw.choice([*schema.classes, 13, 200])
            for name in (identity, schema.rename or identity):
                at = places[name][0]
                whole[index, at : at + 8] = list(draw.choice(names).to_bytes(8, "little"))
    return rows.tobytes()


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
@pytest.mark.parametrize("count", [1, 2, 25, 256, 257, 600])
def test_what_is_packed_comes_back_byte_for_byte(schema, count):
    for seed in range(12):
        raw = (lively_records if seed % 2 else random_records)(schema, count, random.Random(seed))
        body = codec.pack(schema.number, raw)
        assert len(body) <= len(raw) + 1, f"seed {seed}"
        assert codec.unpack(schema.number, body, len(raw)) == raw, f"seed {seed}"


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SCHEMAS), st.integers(1, 40), st.randoms(use_true_random=False), st.booleans())
def test_any_records_of_any_schema_come_back(schema, count, draw, lively):
    raw = (lively_records if lively else random_records)(schema, count, draw)
    body = codec.pack(schema.number, raw)
    assert codec.unpack(schema.number, body, len(raw)) == raw
    if body[0] == codec.COLUMNS:
        assert naive_columns.unpack(schema, body[1:], count)[0] == raw


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SCHEMAS), st.integers(1, 30), st.randoms(use_true_random=False))
def test_the_kernels_read_what_the_twin_writes_in_any_code(schema, count, draw):
    def choose(name: str, words: list[int]) -> tuple[int, int] | None:
        code, floor = draw.randrange(CODES), draw.randrange(64)
        longest = max((word.bit_length() for word in words), default=0)
        if draw.random() < 0.3:
            return None
        return (code, floor) if code != FIXED or longest <= floor else (1, floor)

    raw = lively_records(schema, count, draw)
    columns = naive_columns.pack(schema, raw, choose)
    columns += bytes(max(-(-len(raw) // limits.CODEC_EXPANSION_MAX) - 1 - len(columns), 0))
    if len(columns) <= len(raw):
        assert codec.unpack(schema.number, bytes((codec.COLUMNS,)) + columns, len(raw)) == raw


def test_every_code_is_complete_and_its_escape_is_the_last_symbol():
    for lengths in LENGTHS[1:]:
        assert len(lengths) == ESCAPE + 1
        assert sum(2.0**-bits for bits in lengths) == 1.0


@pytest.mark.parametrize("count", [1, 100, 8192])
def test_records_that_are_all_alike_stay_within_the_expansion_that_a_reader_allows(count):
    raw = bytes(count * 64)
    body = codec.pack(SCHEMA_EVENT, raw)
    assert len(raw) <= limits.CODEC_EXPANSION_MAX * len(body)
    assert codec.unpack(SCHEMA_EVENT, body, len(raw)) == raw


def test_noise_goes_raw_and_costs_one_byte():
    noise = random.Random(1).randbytes(6_400)
    assert codec.pack(SCHEMA_EVENT, noise) == bytes((codec.RAW,)) + noise


@pytest.mark.parametrize("raw", [b"", b"x", b"abc" * 500, b"\0" * 63, b"\0" * (1 << 20)])
@pytest.mark.parametrize("schema", [0, SCHEMA_EVENT, 60_000])
def test_what_is_no_whole_number_of_records_of_a_known_schema_goes_without_columns(raw, schema):
    body = codec.pack(schema, raw)
    assert body[0] in (codec.RAW, codec.LZ4) or len(raw) % 64 == 0
    assert codec.unpack(schema, body, len(raw)) == raw


def test_arrays_and_views_are_packed_like_bytes():
    rows = seeded(40, 7).rows
    body = codec.pack(SCHEMA_MBO, rows)
    assert body == codec.pack(SCHEMA_MBO, rows.tobytes()) == codec.pack(SCHEMA_MBO, memoryview(rows.tobytes()))
    assert codec.unpack(SCHEMA_MBO, memoryview(body), rows.nbytes) == rows.tobytes()


def test_more_than_a_body_may_hold_is_refused_on_both_sides():
    with pytest.raises(ValueError, match="^SIZE$"):
        codec.pack(SCHEMA_EVENT, bytes(limits.CODEC_RAW_BYTES_MAX + 1))
    for raw_bytes in (limits.CODEC_RAW_BYTES_MAX + 1, -1, 256, 1 << 40):
        with pytest.raises(ValueError, match="^SIZE$"):
            codec.unpack(SCHEMA_EVENT, b"\0", raw_bytes)


@pytest.mark.parametrize(
    ("body", "raw_bytes", "reason"),
    [
        (b"", 0, "EMPTY"),
        (b"\4", 64, "METHOD"),
        (b"\0abc", 4, "LENGTH"),
        (b"\1abc", 65, "LENGTH"),
        (b"\1", 0, "LENGTH"),
        (b"\1" + bytes(64), 64, "LENGTH"),
        (b"\1" + bytes(65), 64, "LENGTH"),
        (b"\1\xff", 64, "TRUNCATED"),
        (b"\2\xff\xff\xff", 64, "BLOCK"),
        (b"\2\0", 64, "LENGTH"),
        (b"\3\1\0", 64, "LENGTH"),
        (b"\3\xff\xff\xff\xff\0", 64, "LENGTH"),
    ],
)
def test_a_body_that_none_packed_is_refused_with_its_reason(body, raw_bytes, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        codec.unpack(SCHEMA_EVENT, body, raw_bytes)


def test_columns_of_a_schema_that_is_not_known_are_refused():
    with pytest.raises(ValueError, match="^SCHEMA$"):
        codec.unpack(60_000, b"\1abc", 64)


def test_every_cut_and_every_added_byte_of_a_body_is_refused():
    raw = seeded(25, 3).rows.tobytes()
    body = codec.pack(SCHEMA_MBO, raw)
    for size in range(1, len(body)):
        with pytest.raises(ValueError, match="^(TRUNCATED|SIZE|REFERENCE|VALUE|LENGTH)$"):
            codec.unpack(SCHEMA_MBO, body[:size], len(raw))
    for more in (b"\0", b"\1", bytes(40)):
        with pytest.raises(ValueError, match="^LENGTH$"):
            codec.unpack(SCHEMA_MBO, body + more, len(raw))


def resident_bytes() -> int:
    """Of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_hostile_bodies_neither_break_nor_grow_anything():
    draw = random.Random(20260)
    bodies = [
        (schema, raw, codec.pack(schema.number, raw))
        for schema in SCHEMAS
        for seed in range(6)
        for raw in [lively_records(schema, draw.choice((1, 7, 25, 300)), random.Random(seed))]
    ]
    codec.unpack(SCHEMA_EVENT, codec.pack(SCHEMA_EVENT, bytes(1 << 20)), 1 << 20)
    before, refused = resident_bytes(), 0
    for case in range(FUZZ_CASES):
        schema, raw, body = draw.choice(bodies)
        damaged, raw_bytes = bytearray(body), len(raw)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
        if draw.random() < 0.3:
            damaged = bytearray((draw.randrange(4),)) + draw.randbytes(draw.randint(0, 300))
            raw_bytes = draw.choice((0, schema.record_bytes * draw.randint(1, 400), draw.getrandbits(33)))
        try:
            found = codec.unpack(schema.number, bytes(damaged), raw_bytes)
        except ValueError as problem:
            refused += 1
            assert str(problem) in REASONS, f"case {case}"
        else:
            assert len(found) == raw_bytes, f"case {case}"
    assert refused > FUZZ_CASES // 4
    assert resident_bytes() - before < FUZZ_BYTES_MAX


def test_vectors_for_a_second_implementation_hold():
    for vector in json.loads(codec_vectors.FILE.read_text()):
        raw, body = bytes.fromhex(vector["raw"]), bytes.fromhex(vector["body"])
        assert codec.unpack(vector["schema"], body, len(raw)) == raw, vector["what"]
        assert codec.pack(vector["schema"], raw) == body, vector["what"]
        if body[0] == codec.COLUMNS:
            schema = BY_NUMBER[vector["schema"]]
            assert naive_columns.unpack(schema, body[1:], len(raw) // schema.record_bytes)[0] == raw, vector["what"]


def test_a_schema_covers_every_byte_of_its_record_once():
    for schema in SCHEMAS:
        assert plan_of(schema)[column_plan.RECORD_BYTES] == schema.record_bytes
    torn = np.dtype({"names": ["a"], "formats": ["<u4"], "offsets": [0], "itemsize": 8})
    with pytest.raises(ValueError, match="in no column"):
        plan_of(Schema(100, "torn", torn, ()))
    with pytest.raises(ValueError, match="is no field"):
        plan_of(Schema(100, "wrong", MBO, (Step("nothing"),)))
    with pytest.raises(ValueError, match="width"):
        plan_of(Schema(100, "wide", MBO, (Step("price", column_plan.RANK),)))
    with pytest.raises(ValueError, match="another number"):
        codec.register(Schema(SCHEMA_EVENT, "again", MBO, ()))


def test_a_slot_on_the_wire_is_link_slot_without_its_sequence():
    assert BY_NUMBER[SCHEMA_LINK].record_bytes == 120
    assert "event.order_id" in fields_of(BY_NUMBER[SCHEMA_LINK].layout)


def test_real_order_data_shrinks_to_a_third_a_packet_and_a_seventh_as_a_whole(shared_data):
    pytest.importorskip("zstandard", reason="zstandard is not installed: pip install 'bypass-gateway[test]'")
    raw = recorded(shared_data).rows.tobytes()
    for length, least in ((25 * 56, 5.0), (limits.CODEC_RAW_BYTES_MAX // 56 * 56, 7.0)):
        pieces = [raw[at : at + length] for at in range(0, len(raw), length)]
        bodies = [codec.pack(SCHEMA_MBO, piece) for piece in pieces]
        for piece, body in zip(pieces, bodies, strict=True):
            assert codec.unpack(SCHEMA_MBO, body, len(piece)) == piece
        assert len(raw) / sum(map(len, bodies)) >= least >= 3.0


def test_the_document_has_the_codes_and_the_steps_that_the_kernels_have():
    text = (Path(__file__).parents[2] / "docs" / "protocols" / "link-compression.md").read_text()
    for number, lengths in enumerate(LENGTHS[1:], 1):
        assert f"| {number} | {' | '.join(map(str, lengths))} |" in text
    for schema in SCHEMAS:
        for step in schema.steps:
            name = step.name.removeprefix("event.") if schema.number == SCHEMA_LINK else step.name
            default = " ".join(map(str, step.defaults or (step.default,)))
            lines = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
            assert any(line.endswith(f"| {default} |") for line in lines), f"{schema.name} {name}"
