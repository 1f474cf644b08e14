"""Messages written out byte by byte from the specifications, one of every type, decoded and encoded."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.protocols import itch50, ouch50
from gateway.protocols.message import CHARACTER, PRICE4, Refused, decode_value, encode_value

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
ITCH = json.loads((VECTORS / "itch50.json").read_text())
OUCH = json.loads((VECTORS / "ouch50.json").read_text())
# Bytes of each message as the specification sums them up.
ITCH_LENGTHS = {
    **dict(zip("SRHYLVWKJhAF", (12, 39, 25, 20, 26, 35, 12, 28, 35, 21, 36, 40), strict=True)),
    **dict(zip("ECXDUPQBINO", (31, 36, 23, 19, 35, 44, 40, 19, 50, 20, 48), strict=True)),
}


@pytest.mark.parametrize("vector", ITCH, ids=lambda vector: vector["message_type"])
def test_an_itch_vector_decodes_and_encodes(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert len(data) == ITCH_LENGTHS[vector["message_type"]]
    about = {"message": vector["message"], "message_type": vector["message_type"]}
    assert itch50.decode(data) == {**about, **vector["fields"]}
    assert itch50.encode(vector["message"], **vector["fields"]) == data


@pytest.mark.parametrize("vector", OUCH, ids=lambda vector: f"{vector['direction']} {vector['message']}")
def test_an_ouch_vector_decodes_and_encodes(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    decoded = ouch50.decode(data, vector["direction"])
    about = {"message": vector["message"], "message_type": vector["message_type"]}
    assert decoded == {**about, **vector["fields"]}
    encoded = ouch50.encode(vector["message"], **decoded)
    if vector["fields"].get("appendage_length") == 0 and ouch50.APPENDAGE[vector["message"].replace(" ", "")] != "always":
        data = data[:-2]  # an optional appendage without options is left out
    assert encoded == data


def test_there_is_a_vector_of_every_message_and_option() -> None:
    assert {vector["message_type"] for vector in ITCH} == set(itch50.MESSAGES) == set(ITCH_LENGTHS)
    assert {(vector["direction"], vector["message_type"]) for vector in OUCH} == {
        (direction, kind) for direction, table in ouch50.MESSAGES.items() for kind in table
    }
    assert set(ouch50.OPTION_TAGS) <= {name for vector in OUCH for name in vector["fields"]}


def test_offsets_and_sizes_are_those_of_the_specification() -> None:
    entered = ouch50.offsets_of("EnterOrder")
    assert (entered.user_ref_num, entered.price, entered.cl_ord_id, entered.appendage_length) == (1, 18, 31, 45)
    executed = ouch50.offsets_of("OrderExecuted")
    assert (executed.timestamp, executed.quantity, executed.match_number) == (1, 13, 26)
    sizes = {"EnterOrder": 47, "ReplaceOrder": 40, "CancelOrder": 9, "OrderAccepted": 64, "OrderReplaced": 68}
    sizes |= {"OrderCanceled": 18, "OrderExecuted": 36, "Rejected": 29, "MassCancel": 19, "BrokenTrade": 36}
    assert {name: ouch50.size_of(name) for name in sizes} == sizes
    assert itch50.offsets_of("A").price == 32
    assert itch50.offsets_of("Order Replace").new_order_reference_number == 19


def test_a_price_may_be_text_decimal_or_wire_units_but_not_rounded() -> None:
    for value in ("87.39", "87.3900", Decimal("87.39"), 873900):
        assert encode_value("price", PRICE4, 4, value) == (873900).to_bytes(4, "big")
    for value in ("87.39001", Decimal("NaN"), "x", "-1", 1 << 32, None, Decimal("Infinity")):
        with pytest.raises(Refused):
            encode_value("price", PRICE4, 4, value)


def test_text_that_does_not_fit_is_refused() -> None:
    for arguments in ({"stock": "TOOLONGNAME"}, {"stock": "☃"}, {"shares": -1}, {"shares": 1 << 32}, {"colour": 1}):
        with pytest.raises(Refused):
            itch50.encode("A", **arguments)
    assert decode_value(CHARACTER, b" ") == " "


def test_wrong_lengths_and_types_are_refused_with_their_reason() -> None:
    good = itch50.encode("D", order_reference_number=5)
    for data, reason in (
        (good[:-1], "message_length"),
        (good + b"\0", "message_length"),
        (b"?" + good[1:], "message_unknown"),
    ):
        with pytest.raises(Refused) as refused:
            itch50.decode(data)
        assert refused.value.reason == reason
    for data in (b"", b"X\0", ouch50.encode("CancelOrder") + b"\0", ouch50.encode("CancelOrder") + b"\0\5abc"):
        with pytest.raises(Refused, match="bytes|empty"):
            ouch50.decode(data, ouch50.INBOUND)
    with pytest.raises(Refused):
        ouch50.decode(b"A", ouch50.INBOUND)
    for name, values in (("NoSuch", {}), ("SystemEvent", {"firm": "X"}), ("EnterOrder", {"colour": 1})):
        with pytest.raises(Refused):
            ouch50.encode(name, **values)


def test_an_option_that_the_specification_does_not_assign_is_kept_as_hex() -> None:
    message = ouch50.encode("CancelOrder", user_ref_num=1) + b"\x00\x04\x03\x63\xab\xcd"
    decoded = ouch50.decode(message, ouch50.INBOUND)
    assert decoded["option_99"] == "abcd"
    assert ouch50.encode("CancelOrder", **decoded) == message


def test_an_option_that_stands_twice_or_leaves_its_appendage_is_refused() -> None:
    start = ouch50.encode("CancelOrder", user_ref_num=1)
    for appendage in (b"\x02\x1c\x05\x02\x1c\x06", b"\x09\x1c\x05", b"\x00\x1c", b"\x03\x1c\x05\x05"):
        with pytest.raises(Refused):
            ouch50.decode(start + len(appendage).to_bytes(2, "big") + appendage, ouch50.INBOUND)
