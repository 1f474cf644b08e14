"""The SBE interpreter: inverse of its encoder, exact on bytes written by hand, and bounded whatever it is given."""

import json
import math
import os
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from gateway.protocols.message import Refused
from gateway.protocols.sbe.interpreter import decode, decode_body, encode, encode_body
from gateway.protocols.sbe.model import Message, Schema
from gateway.protocols.sbe.schema import load_schema, parse_schema
from tests.protocols import sbe_random

FEATURES = Path(__file__).parent.parent / "vectors" / "sbe_features.xml"
VENUES = {
    "schemas/Cme.Futures.Mdp3.Sbe.v1.6.xml": "",
    "schemas/Cme.Futures.Mdp3.Sbe.v1.9.xml": "",
    "schemas/Cme.Futures.Mdp3.Sbe.v1.12.xml": "",
    "schemas/Coinbase.Deribit.MarketDataApi.Sbe.v1.0.xml": "mdMessageHeader",
    "schemas/Euronext.Optiq.MarketDataGateway.Sbe.v5.25.xml": "",
    "schemas/binance__stream_1_0.xml": "",
    "deribit-multicast-sbe/deribit_multicast.xml": "",
}
SEED = int(os.environ.get("GATEWAY_FUZZ_SEED", "20260"))
REASONS = {"message_length", "message_unknown", "schema_other", "group_overrun", "message_field"}


@cache
def features(big_endian: bool = False) -> Schema:
    """The schema of every feature."""
    text = FEATURES.read_text()
    return parse_schema(text.replace("littleEndian", "bigEndian") if big_endian else text, FEATURES.name)


def schema_of(name: str, shared_data: Path) -> Schema:
    """A venue's schema, or that of every feature."""
    if name in ("little", "big"):
        return features(name == "big")
    return load_schema(shared_data / name, VENUES[name])


def versions(schema: Schema) -> list[int]:
    """Acting versions that differ in what is on the wire, and the one before all of them."""
    found = {schema.version}
    stack: list = list(schema.messages.values())
    while stack:
        block = stack.pop()
        found |= {part.since for part in (*block.fields, *block.groups, *block.data)}
        stack += block.groups
    return sorted(found)


every_schema = pytest.mark.parametrize("name", ["little", "big", *VENUES])


@every_schema
def test_random_values_of_every_message_decode_to_what_was_encoded(name: str, shared_data: Path):
    schema = schema_of(name, shared_data)
    for message in schema.messages.values():
        for number in range(12):
            seed = f"{SEED} {name} {message.name} {number}"
            random = Random(seed)
            version = schema.version if number % 2 else random.choice(versions(schema))
            values = sbe_random.block(random, message, version)
            data = encode(schema, message, values, version)
            decoded = decode(schema, data + random.randbytes(5))
            assert decoded.values == values, seed
            assert (decoded.message, decoded.version, decoded.size) == (message, version, len(data)), seed
            assert encode(schema, message, decoded.values, version, decoded.header) == data, seed


@every_schema
def test_a_message_cut_anywhere_is_refused(name: str, shared_data: Path):
    schema = schema_of(name, shared_data)
    for message in schema.messages.values():
        random = Random(f"{SEED} cut {name} {message.name}")
        data = encode(schema, message, sbe_random.block(random, message, schema.version))
        for size in random.sample(range(len(data)), min(len(data), 24)):
            with pytest.raises(Refused) as refusal:
                decode(schema, data[:size])
            assert refusal.value.reason in REASONS


@every_schema
def test_mutated_messages_are_decoded_or_refused_and_nothing_else(name: str, shared_data: Path):
    schema = schema_of(name, shared_data)
    decoded = refused = 0
    for message in schema.messages.values():
        for number in range(40):
            seed = f"{SEED} mutation {name} {message.name} {number}"
            random = Random(seed)
            data = mutated(random, encode(schema, message, sbe_random.block(random, message, schema.version)))
            try:
                found = decode(schema, data)
            except Refused as refusal:
                assert refusal.reason in REASONS, seed
                refused += 1
            else:
                assert schema.header.size <= found.size <= len(data), seed
                json.dumps(found.values)
                decoded += 1
    assert decoded and refused


def mutated(random: Random, data: bytes) -> bytes:
    """A few bytes changed, some removed or added."""
    result = bytearray(data)
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(len(result))
        result[place] = random.choice([0, 1, 127, 128, 255, random.randrange(256)])
    if random.random() < 0.3:
        del result[random.randrange(len(result)) :]
    return bytes(result) + random.randbytes(random.choice([0, 0, 3]))


def by_hand(order: str) -> bytes:
    """A Nested message of version 3, written with struct."""
    head = struct.pack(order + "HHHH", 16, 4, 77, 3)
    root = struct.pack(order + "I4xHi2x", 5, 6, -1)
    innermost = struct.pack(order + "xxHxBBB", 2, 1, 0, 1) + b"B" + b"\x02hi" + b"S" + b"\x00"
    inner = (
        struct.pack(order + "HB", 1, 1) + struct.pack(order + "b", -3) + innermost + struct.pack(order + "H", 1) + b"\xe9"
    )
    second = struct.pack(order + "HB", 1, 2) + b"\x01" + b"\x82"
    entry = (
        struct.pack(order + "Qhxx", 2**63, -32768) + inner + second + b"\x01x" + struct.pack(order + "I", 2) + b"\xff\x00"
    )
    outer = struct.pack(order + "xxHxBBB", 1, 12, 2, 2) + entry
    later = struct.pack(order + "HB", 6, 1) + b"ab\0\0\0\0"
    return head + root + outer + later + b"\x03abc" + struct.pack(order + "I", 0)


@pytest.mark.parametrize(("big_endian", "order"), [(False, "<"), (True, ">")])
def test_a_message_written_by_hand_decodes_to_its_values(big_endian: bool, order: str):
    schema = features(big_endian)
    found = decode(schema, by_hand(order))
    assert found.size == len(by_hand(order))
    assert found.values == {
        "number": 5,
        "added2": 6,
        "added3": None,
        "outer": [
            {
                "key": 2**63,
                "added2": None,
                "inner": [
                    {"key": -3, "innermost": [{"side": "Buy", "note": "hi"}, {"side": "Sell", "note": ""}], "note": "é"}
                ],
                "second": [{"flag": ["A"]}, {"flag": ["H", 1]}],
                "note": "x",
                "blob": "0xff00",
            }
        ],
        "later": [{"name": "ab"}],
        "title": "abc",
        "tail": "",
    }
    assert encode(schema, found.message, found.values) == by_hand(order)


def test_scalars_written_by_hand_decode_to_their_values():
    parts = struct.pack(
        "<cbxxhiqBHIQfd", *(b"x", -1, -2, -3, -4, 250, 65535, 2**32 - 1, 2**64 - 1, 0.5, -0.25)
    ) + struct.pack("<BbhiqBHIQfd", 0, -128, -(2**15), -(2**31), -(2**63), 255, 0, 2**32 - 1, 2**64 - 1, math.nan, math.nan)
    parts += struct.pack(
        "<BB6s6s3hIIdd4s", 200, 200, b"ab cd ", b"\0zzzzz", 1, -2, 3, 2**32 - 1, 2**32 - 1, 1.5, 2.5, b"\0\1\2\xff"
    )
    values, size = decode_body(features(), features().messages[1], parts.ljust(160, b"\xaa") + b"rest", 160)
    assert size == 160
    assert values == {
        "c": "x",
        "i8": -1,
        "i16": -2,
        "i32": -3,
        "i64": -4,
        "u8": 250,
        "u16": 65535,
        "u32": 2**32 - 1,
        "u64": 2**64 - 1,
        "f": 0.5,
        "d": -0.25,
        **dict.fromkeys(("co", "i8o", "i16o", "i32o", "i64o", "u8o", "u16o", "u32o", "u64o", "fo", "do")),
        "byteStrict": 200,
        "byteLoose": None,
        "name": "ab cd",
        "nameOptional": None,
        "words": [1, -2, 3],
        "wordsOptional": None,
        "reals": [1.5, 2.5],
        "raw": "0x000102ff",
    }


def test_choices_and_constants_written_by_hand_decode_to_their_names():
    data = b"B\0" + struct.pack("<bbBBIQ", -1, 9, 1, 0b10000010, 1 << 31 | 1 << 4, 1 << 63)
    values, _ = decode_body(features(), features().messages[2], data, len(data))
    assert values == {
        "side": "Buy",
        "sideOptional": None,
        "state": "Closed",
        "stateOptional": None,
        "phase": "Late",
        "bits8": ["H", 1],
        "bits32": ["high", 4],
        "bits64": ["Top"],
        "constantSide": "Sell",
        "constantByName": "B",
        "constantNumber": -1,
        "market": "XETR",
        "blank": " ",
        "seven": 7,
        "half": 0.5,
        "buyer": "B",
        "own": 42,
    }


def test_decimals_written_by_hand_print_every_digit():
    data = struct.pack("<bqqi", -2, -1, -(2**63), 15) + struct.pack("<bQ", -3, 2**64 - 1) + struct.pack("<q", 12345)
    data += struct.pack("<q2xiBHhhc", 100000, -1, 2, 1 << 15, -1, -(2**15), b"Z")
    data += struct.pack("<HB", 29, 1) + struct.pack("<bqQiq", 3, 5, 7, -1, -25)
    values, _ = decode_body(features(), features().messages[3], data, 60)
    assert values == {
        "priceExponent": -2,
        "price": "-0.00001",
        "priceMaybe": None,
        "priceOptional": "1500",
        "floating": "18446744073709551.615",
        "scaled": "123.45",
        "quote": {
            "bid": "1.00000",
            "ask": None,
            "kind": "Indicative",
            "flags": ["Last"],
            "fixed": "Q",
            "side": ord("Z"),
            "place": {"row": -1, "column": None},
        },
        "rows": [{"quantityExponent": 3, "price": "0.05", "quantity": "7000", "fixed": "-0.001", "reversed": "-0.000025"}],
    }


def older(schema: Schema, version: int) -> Schema:
    """The schema as it was: what came later is unknown, and blocks end where they did."""

    def cut(block: Message) -> Message:
        fields = tuple(field for field in block.fields if field.since <= version)
        groups = tuple(group for group in block.groups if group.since <= version)
        data = tuple(data for data in block.data if data.since <= version)
        return replace(block, fields=fields, groups=groups, data=data, block_length=4)

    return replace(schema, version=version, messages={4: cut(schema.messages[4])})


def test_a_newer_message_is_read_by_its_block_lengths():
    new, old = features(), older(features(), 1)
    message = replace(new.messages[4], groups=new.messages[4].groups[:1])  # a new group in between cannot be stepped over
    values = sbe_random.block(Random(SEED), message, 3)
    newer = replace(new, messages={4: message})
    found = decode(old, encode(newer, message, values))
    expected = {name: value for name, value in values.items() if name not in ("added2", "added3", "tail")}
    assert found.version == 3
    assert found.values == expected


def test_an_older_message_gives_null_for_what_it_lacks():
    values = sbe_random.block(Random(SEED), features().messages[4], 1)
    found = decode(features(), encode(features(), features().messages[4], values, 1))
    assert (found.version, found.header["blockLength"]) == (1, 4)
    assert [found.values[name] for name in ("added2", "added3", "later", "tail")] == [None, None, [], None]


def test_a_block_shorter_than_its_version_is_refused():
    data = bytearray(by_hand("<"))
    struct.pack_into("<H", data, 0, 13)
    with pytest.raises(Refused, match="a block of 13 bytes, version 3 has 14") as refusal:
        decode(features(), data)
    assert refusal.value.reason == "message_length"


@pytest.mark.parametrize(
    ("offset", "format_", "value", "reason"),
    [
        (2, "<H", 9, "message_unknown"),
        (4, "<H", 78, "schema_other"),
        (0, "<H", 60000, "message_length"),
        (26, "<H", 60000, "group_overrun"),  # outer.numInGroup
        (29, "<B", 255, "group_overrun"),  # outer.blockLength
        (29, "<B", 9, "message_length"),
        (46, "<B", 255, "group_overrun"),  # inner.numInGroup
        (57, "<B", 250, "group_overrun"),  # innermost.note's length
    ],
)
def test_each_kind_of_damage_has_its_reason(offset: int, format_: str, value: int, reason: str):
    data = bytearray(by_hand("<"))
    struct.pack_into(format_, data, offset, value)
    with pytest.raises(Refused) as refusal:
        decode(features(), data)
    assert refusal.value.reason == reason


def test_an_entry_that_leaves_the_message_behind_a_longer_one_is_refused():
    data = bytearray(by_hand("<"))
    struct.pack_into("<H", data, 26, 2)
    later = data.index(struct.pack("<HB", 6, 1) + b"ab")
    with pytest.raises(Refused, match="entry 1 leaves") as refusal:
        decode(features(), data[: later + 5])
    assert refusal.value.reason == "group_overrun"


def test_entries_of_no_length_are_bounded_by_the_bytes_left():
    text = (
        '<messageSchema version="1"><types><composite name="messageHeader"><type name="templateId" primitiveType="uint8"/>'
    )
    text += '</composite><composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint8"/>'
    text += '<type name="numInGroup" primitiveType="uint32"/></composite></types>'
    text += '<message name="m" id="1"><group name="g"/></message></messageSchema>'
    schema = parse_schema(text, "bare")
    assert decode(schema, b"\1\0" + struct.pack("<I", 2) + b"..").values == {"g": [{}, {}]}
    with pytest.raises(Refused):
        decode(schema, b"\1\0" + struct.pack("<I", 2**32 - 1) + b"..")


def test_a_header_without_block_length_takes_it_from_the_message_length(shared_data: Path):
    schema = schema_of("schemas/Coinbase.Deribit.MarketDataApi.Sbe.v1.0.xml", shared_data)
    message = schema.message_named("BidDelete")
    values = {"orderId": 5, "instrumentId": -6}
    header = {"flags": ["endOfTransaction"], "transactTime": 10**18}
    data = encode(schema, message, values, header=header)
    assert data == struct.pack("<HHHHqqq", 32, 24, 1, 2, 10**18, 5, -6)
    longer = struct.pack("<HHHHqqqq", 40, 24, 2, 2, 10**18, 5, -6, 99)  # a version that has one more field
    found = decode(schema, longer + data)
    assert (found.values, found.size, found.header["flags"]) == (values, 40, ["endOfTransaction"])


def test_a_header_may_open_with_the_length_of_the_frame():
    """As Coinbase Derivatives has it: frameLength counts the header, and bytes behind it belong to the next message."""
    text = FEATURES.read_text().replace(
        '<composite name="head">', '<composite name="head"><ref name="frameLength" type="uint16"/>'
    )
    schema = parse_schema(text, "framed.xml")
    data = encode(schema, schema.messages[5], {})
    assert data == struct.pack("<HHHHH", 10, 0, 5, 77, 3)
    assert decode(schema, data + b"next").size == 10
    with pytest.raises(Refused, match="a message of 11 bytes in 10"):
        decode(schema, b"\x0b" + data[1:])


@pytest.mark.parametrize(
    ("message", "change", "text"),
    [
        (1, {"u8": 256}, "does not fit uint8"),
        (1, {"u8": None}, "is required"),
        (1, {"u8o": 255}, "is the null value"),
        (1, {"i8": 1.5}, "does not fit int8"),
        (1, {"f": 1e300}, "does not fit float"),
        (1, {"c": "xy"}, "longer than one character"),
        (1, {"name": "seven77"}, "does not fit 6 bytes"),
        (1, {"name": "€"}, "cannot be written"),
        (1, {"words": [1, 2]}, "is not a list of 3"),
        (1, {"raw": "0x0102"}, "does not fit 4 bytes"),
        (1, {"nothing": 1}, "has no field 'nothing'"),
        (2, {"side": "Hold"}, "has no value 'Hold'"),
        (2, {"bits8": ["B"]}, "has no choice 'B'"),
        (2, {"bits8": [8]}, "has no choice 8"),
        (2, {"bits8": "A"}, "is not a list of choices"),
        (3, {"price": "0.000001"}, "more digits"),
        (3, {"price": "dear"}, "is not a decimal"),
        (3, {"price": str(10**18)}, "does not fit int64"),
        (3, {"priceOptional": "-100"}, "is the null value"),
        (3, {"quote": 5}, "is not a table of members"),
        (3, {"quote": {"other": 1}}, "has no member 'other'"),
        (4, {"outer": {"key": 1}}, "is not a list of entries"),
        (4, {"outer": [5]}, "is not a table of fields"),
        (4, {"title": "x" * 256}, "does not fit uint8"),
        (4, {"title": "0xzz"}, "cannot be written"),
        (4, {"title": 5}, "is not text"),
    ],
)
def test_values_that_cannot_be_written_are_refused(message: int, change: dict, text: str):
    template = features().messages[message]
    values = sbe_random.block(Random(SEED), template, 3)
    with pytest.raises(Refused, match=text) as refusal:
        encode_body(features(), template, values | change)
    assert refusal.value.reason == "message_field"


def test_an_exponent_beyond_belief_is_refused_not_printed():
    text = FEATURES.read_text().replace(
        'name="priceExponent" id="1" type="int8"', 'name="priceExponent" id="1" type="int32"'
    )
    schema = parse_schema(text, FEATURES.name)
    message = schema.messages[3]
    data = struct.pack("<HHHHi", message.block_length, 3, 77, 3, 2**31 - 1) + bytes(80)
    with pytest.raises(Refused, match="exponent of 2147483647"):
        decode(schema, data)
