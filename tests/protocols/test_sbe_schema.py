"""SBE schemas: what they resolve to, and that a wrong one is one line with file, line and mend."""

import re
from pathlib import Path

import pytest

from gateway.protocols.sbe.model import Composite, Enum, Schema, Set
from gateway.protocols.sbe.schema import SchemaError, load_schema, parse_schema

HEADER = """<composite name="messageHeader">
<type name="blockLength" primitiveType="uint16"/><type name="templateId" primitiveType="uint16"/>
<type name="schemaId" primitiveType="uint16"/><type name="version" primitiveType="uint16"/></composite>"""
GROUPS = """<composite name="groupSizeEncoding"><type name="blockLength" primitiveType="uint16"/>
<type name="numInGroup" primitiveType="uint8"/></composite>"""
TYPES_LINE, BODY_LINE = 7, 10  # where `schema` below puts what it is given


def schema(types: str = "", body: str = '<field name="a" id="1" type="uint8"/>', root: str = 'version="2"') -> str:
    """A schema around the types and the fields of one message; the types are in line TYPES_LINE."""
    message = f'<message name="M" id="1">\n{body}\n</message>'
    return f"<messageSchema {root}>\n<types>{HEADER}\n{GROUPS}\n{types}\n</types>\n{message}\n</messageSchema>"


def refusal(text: str | bytes) -> tuple[int, str]:
    """(line, text) of the error a schema gives; it names the file and is one line."""
    with pytest.raises(SchemaError) as error:
        parse_schema(text, "venue.xml")
    found = re.fullmatch(r"venue\.xml:(\d+): (.+)", str(error.value))
    assert found, str(error.value)
    return int(found[1]), found[2]


def enum(rows: str, encoding: str = "uint8") -> str:
    return f'<enum name="e" encodingType="{encoding}">{rows}</enum>'


def group(body: str = '<field name="b" id="2" type="uint8"/>', dimension: str = "") -> str:
    return f'<group name="g" id="9"{dimension}>{body}</group>'


VALUE_A = '<validValue name="A">1</validValue>'

TYPES_WRONG = [
    ('<type name="t" primitiveType="uint9"/>', "primitiveType='uint9'"),
    ('<type name="t"/>', "has no primitiveType"),
    ('<type primitiveType="uint8"/>', "has no name"),
    ('<type name="t" primitiveType="uint8"/><type name="t" primitiveType="int8"/>', "'t' stands twice, first in line 7"),
    ('<type name="t" primitiveType="uint8" length="-1"/>', "length='-1' is not a whole number"),
    ('<type name="t" primitiveType="uint8" length="999999"/>', "65536 bytes at most"),
    ('<type name="t" primitiveType="uint8" presence="maybe"/>', "presence='maybe'"),
    ('<type name="t" primitiveType="uint8" presence="optional" nullValue="256"/>', "256 does not fit uint8"),
    ('<type name="t" primitiveType="uint8" presence="optional" nullValue="x"/>', "'x' is not a number of type uint8"),
    ('<type name="t" primitiveType="float" presence="optional" nullValue="1e99"/>', "does not fit float"),
    ('<type name="t" primitiveType="uint8" presence="constant"/>', "is constant and has no value"),
    ('<type name="t" primitiveType="uint8" presence="constant">300</type>', "300 does not fit uint8"),
    ('<type name="t" primitiveType="char" length="2" presence="constant">abc</type>', "longer than its 2 characters"),
    ('<type name="t" primitiveType="char" presence="constant">€</type>', "more than one byte"),
    ('<type name="t" primitiveType="uint8" sinceVersion="3"/>', "sinceVersion=3 is above the schema's version 2"),
    ('<type name="t" primitiveType="uint8" sinceVersion="x"/>', "sinceVersion='x' is not a whole number"),
    (
        '<type name="t" primitiveType="uint8" presence="constant" valueRef="e.B"/>' + enum(VALUE_A),
        "e has no value named 'B'",
    ),
    ('<type name="t" primitiveType="uint8" presence="constant" valueRef="B"/>', "write it as Enum.Name"),
    ('<tpye name="t" primitiveType="uint8"/>', "<tpye> inside <types>: expected <type>, <enum>, <set>, <composite>"),
    (enum(VALUE_A, "float"), "encodingType='float' is float"),
    (enum(VALUE_A, "messageHeader"), "is no scalar"),
    (enum(VALUE_A, "absent"), "the type 'absent' is not defined"),
    ('<enum name="e">' + VALUE_A + "</enum>", "has no encodingType"),
    (enum(VALUE_A + VALUE_A), "the name 'A' stands twice"),
    (enum(VALUE_A + '<validValue name="B">1</validValue>'), "the value 1 stands twice"),
    (enum('<validValue name="B">-1</validValue>'), "-1 does not fit uint8"),
    (enum('<validValue name="B">ab</validValue>', "char"), "is not one character"),
    (enum('<validValue name="B"/>'), "'' is not a number"),
    ('<set name="s" encodingType="uint8"><choice name="A">8</choice></set>', "bit 8 is outside uint8"),
    ('<set name="s" encodingType="char"><choice name="A">0</choice></set>', "encodingType='char' is char"),
    (
        '<set name="s" encodingType="uint8"><choice name="A">0</choice><choice name="B">0</choice></set>',
        "the bit 0 stands twice",
    ),
    ('<composite name="c"><ref name="c" type="c"/></composite>', "contains itself by way of c → c"),
    (
        '<composite name="c"><ref name="d" type="d"/></composite><composite name="d"><ref name="c" type="c"/></composite>',
        "contains itself by way of c → d → c",
    ),
    ('<composite name="c"/>', "has no members"),
    ('<composite name="c"><ref name="x" type="absent"/></composite>', "the type 'absent' is not defined"),
    ('<composite name="c"><ref name="x"/></composite>', "<ref> has no type"),
    (
        '<composite name="c"><ref name="a" type="int32"/><ref name="b" type="int8" offset="3"/></composite>',
        "offset=3 of 'b' lies inside what stands before it, which ends at 4",
    ),
    (
        '<composite name="c"><type name="a" primitiveType="int8" length="0"/><ref name="b" type="int8"/></composite>',
        "it must be the last",
    ),
    (
        '<composite name="c"><type name="a" primitiveType="uint8"/><type name="a" primitiveType="uint8"/></composite>',
        "twice",
    ),
]

BODIES_WRONG = [
    ('<field name="a" id="1" type="absent"/>', "the type 'absent' is not defined"),
    ('<field name="a" id="1"/>', "<field> has no type"),
    ('<field name="a" id="x" type="uint8"/>', "id='x' is not a whole number"),
    ('<field name="a" id="1" type="uint8"/><field name="a" id="2" type="uint8"/>', "'a' stands twice"),
    ('<field name="a" id="1" type="uint8"/><field name="b" id="1" type="uint8"/>', "the id 1 stands twice"),
    (
        '<field name="a" id="1" type="uint16"/><field name="b" id="2" type="uint8" offset="1"/>',
        "offset=1 of 'b' lies inside",
    ),
    ('<field name="a" id="1" type="uint8" offset="70000"/>', "65536 is the most"),
    ('<field name="a" id="1" type="uint8" presence="constant"/>', "is constant and has no value"),
    ('<field name="a" id="1" type="uint8" presence="constant" valueRef="none.A"/>', "the type 'none' is not defined"),
    ('<field name="a" id="1" type="groupSizeEncoding" presence="constant"/>', "is a composite"),
    ('<field name="a" id="1" type="uint8" exponent="b"/>', "exponent='b' names no field before 'a'"),
    (group() + '<field name="c" id="3" type="uint8"/>', "stands behind a group"),
    (group(dimension=' dimensionType="absent"'), "the type 'absent' is not defined"),
    (group(dimension=' dimensionType="uint8"'), "is no composite"),
    (group(dimension=' dimensionType="messageHeader"'), "has no unsigned member numInGroup"),
    (group(dimension=' blockLength="0"'), "blockLength=0 of 'g' is less than its fields take: 1"),
    ('<data name="d" id="3" type="groupSizeEncoding"/>', "does not end with bytes"),
    ('<data name="d" id="3" type="uint8"/>', "is no variable data"),
    ('<field name="a" id="1" type="int8" exponent="999"/>', "exponent=999 is beyond ±255"),
    ('<feild name="a" id="1" type="uint8"/>', "<feild> inside <message>: expected <field>, <group>, <data>"),
]

WHOLES_WRONG = [
    ("<messageSchema><types/></messageSchema>", 1, "the header 'messageHeader' is not defined"),
    ("<schema/>", 1, "this is no SBE schema"),
    ("<messageSchema>", 1, "not well-formed XML"),
    ("<messageSchema>\n<types>\n</type>", 3, "mismatched tag"),
    ("", 1, "no element found"),
    (b"\xff\xfe\x00", 1, "not well-formed XML"),
    (schema(root='byteOrder="middle"'), 1, "it is littleEndian or bigEndian"),
    (schema(root='version="1.5"'), 1, "version='1.5' is not a whole number"),
    (schema(root='headerType="groupSizeEncoding"'), 5, "has no member templateId"),
    (schema().replace("<message ", "<massage ").replace("</message>", "</massage>"), 9, "<massage> inside <messageSchema>"),
    (schema().replace('name="M" id="1"', 'name="M"'), 9, "<message> has no id"),
    (
        schema().replace("</messageSchema>", '<message name="N" id="1"/></messageSchema>'),
        12,
        "the message id 1 stands twice",
    ),
    (schema().replace("</messageSchema>", '<message name="M" id="2"/></messageSchema>'), 12, "the message 'M' stands twice"),
    (re.sub(r"<message .*</message>", "", schema(), flags=re.DOTALL), 1, "the schema has no messages"),
]


@pytest.mark.parametrize(("types", "text"), TYPES_WRONG)
def test_a_wrong_type_is_refused_at_its_line(types: str, text: str):
    line, found = refusal(schema(types))
    assert text in found
    assert line == TYPES_LINE


@pytest.mark.parametrize(("body", "text"), BODIES_WRONG)
def test_a_wrong_message_is_refused_at_its_line(body: str, text: str):
    line, found = refusal(schema(body=body))
    assert text in found
    assert line == BODY_LINE


@pytest.mark.parametrize(("text", "line", "problem"), WHOLES_WRONG)
def test_a_wrong_schema_is_refused_at_its_line(text: str | bytes, line: int, problem: str):
    found = refusal(text)
    assert problem in found[1]
    assert found[0] == line


def test_entities_and_external_files_are_never_read(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("uint8")
    entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>'
    bomb = "<!DOCTYPE a [" + "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10)) + "]>"
    for front in (entity, bomb):
        line, text = refusal(front + "\n" + schema('<type name="t" primitiveType="&x;"/>'))
        assert line == 1 and "DTD" in text
    external = '<!DOCTYPE messageSchema SYSTEM "sbe.dtd">'
    assert "DTD" in refusal(external + schema())[1]
    assert parse_schema("<!DOCTYPE xml>\n" + schema(), "b3.xml").messages, "B3's says nothing: it is stepped over"
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="common.xml"/>'
    line, text = refusal(schema(include))
    assert "common.xml" in text and "xmllint --xinclude" in text


def test_depth_and_size_of_a_schema_are_bounded():
    assert "nest deeper" in refusal("<messageSchema>" + "<types>" * 100 + "</types>" * 100 + "</messageSchema>")[1]
    assert "longer than" in refusal(b" " * (9 << 20))[1]
    doubled = '<composite name="c0"><type name="a" primitiveType="uint8" presence="constant">1</type></composite>'
    for number in range(1, 30):
        refs = f'<ref name="a" type="c{number - 1}"/><ref name="b" type="c{number - 1}"/>'
        doubled += f'<composite name="c{number}">{refs}</composite>'
    assert "more than 1024 members" in refusal(schema(doubled))[1]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(SchemaError, match=r"absent\.xml: cannot be read: No such file"):
        load_schema(tmp_path / "absent.xml")


@pytest.mark.parametrize("prefix", ["", "sbe", "ns2"])
def test_any_namespace_prefix_means_the_same(prefix: str):
    plain = parse_schema(schema(), "a")
    declared = f'version="2" xmlns{":" * bool(prefix)}{prefix}="http://fixprotocol.io/2016/sbe"'
    text = re.sub(r"(</?)(messageSchema|message)\b", rf"\1{prefix}{':' * bool(prefix)}\2", schema(root=declared))
    assert parse_schema(text, "b").digest == plain.digest


def test_the_digest_follows_the_model_and_not_the_text():
    first = parse_schema(schema(), "a")
    assert parse_schema(schema().replace("\n", "\n<!-- remark -->\n"), "b").digest == first.digest
    assert parse_schema(schema('<type name="unused" primitiveType="int8"/>'), "c").digest == first.digest
    for other in (
        schema(root='version="3"'),
        schema(root='version="2" byteOrder="bigEndian"'),
        schema(body='<field name="a" id="1" type="int8"/>'),
        schema(body='<field name="a" id="1" type="uint8" presence="optional"/>'),
        schema(body='<field name="b" id="1" type="uint8"/>'),
    ):
        assert parse_schema(other, "d").digest != first.digest


def test_deribit_messages_begin_behind_the_header_they_list(shared_data: Path):
    found = load_schema(shared_data / "deribit-multicast-sbe" / "deribit_multicast.xml")
    rfq = found.messages[1009]
    assert (rfq.fields[0].name, rfq.fields[0].offset, rfq.block_length) == ("instrumentId", 0, 22)
    assert (found.header.size, len(found.messages[1006].fields)) == (12, 0)
    trades = found.messages[1002].groups[0]
    assert [field.null for field in trades.fields if field.name in ("blockTradeId", "comboTradeId")] == [0, 0]


def test_coinbase_prices_are_decimals_and_its_header_is_the_one_asked_for(shared_data: Path):
    path = shared_data / "schemas" / "Coinbase.Deribit.MarketDataApi.Sbe.v1.0.xml"
    found = load_schema(path, header="mdMessageHeader")
    assert (found.header.size, load_schema(path).header.size) == (16, 8)
    price = found.types["Price9"]
    assert isinstance(price, Composite) and price.is_decimal and price.mantissa.name == "price9"
    assert found.messages[15].fields[-1].null == -(2**63)
    with pytest.raises(SchemaError, match="composites here: PacketHeader, mdMessageHeader, dummyMessageHeader"):
        load_schema(path, header="header")


def test_cme_types_null_values_and_padded_dimensions_are_as_published(shared_data: Path):
    found: Schema = load_schema(shared_data / "schemas" / "Cme.Futures.Mdp3.Sbe.v1.9.xml")
    book = found.message_named("MDIncrementalRefreshBook46")
    assert book is not None
    entries, orders = book.groups
    offsets = {field.name: (field.offset, field.size, field.null) for field in entries.fields}
    assert offsets["MDEntryPx"] == (0, 8, 2**63 - 1)
    assert offsets["NumberOfOrders"] == (20, 4, 2**31 - 1)
    assert (entries.dimension.size, orders.dimension.size, entries.block_length) == (3, 8, 32)
    assert isinstance(found.types["AggressorSide"], Enum) and found.types["AggressorSide"].null == 255
    assert isinstance(found.types["MatchEventIndicator"], Set)
