"""The wire examples of FIX SBE 1.0, section 7: the bytes as published, the schema in as few words as it takes."""

import pytest

from gateway.protocols.sbe.interpreter import decode, encode
from gateway.protocols.sbe.model import Schema
from gateway.protocols.sbe.schema import parse_schema

SCHEMA = """<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" id="91">
<types>
<composite name="messageHeader"><ref name="blockLength" type="uint16"/><ref name="templateId" type="uint16"/>
  <ref name="schemaId" type="uint16"/><ref name="version" type="uint16"/></composite>
<composite name="groupSizeEncoding"><ref name="blockLength" type="uint16"/><ref name="numInGroup" type="uint16"/></composite>
<composite name="data"><ref name="length" type="uint16"/><type name="varData" primitiveType="uint8" length="0"/></composite>
</types>
<types>
<type name="text8" primitiveType="char" length="8"/>
<composite name="price"><type name="mantissa" primitiveType="int64" presence="optional"/>
  <type name="exponent" primitiveType="int8" presence="constant">-3</type></composite>
<composite name="quantity"><type name="mantissa" primitiveType="int32"/>
  <type name="exponent" primitiveType="int8" presence="constant">0</type></composite>
<composite name="month"><ref name="year" type="uint16"/><ref name="month" type="uint8"/>
  <type name="day" primitiveType="uint8" presence="optional"/><type name="week" primitiveType="uint8" presence="optional"/>
</composite>
<enum name="kind" encodingType="char"><validValue name="Market">1</validValue><validValue name="Limit">2</validValue></enum>
<enum name="side" encodingType="char"><validValue name="Buy">1</validValue><validValue name="Sell">2</validValue></enum>
<enum name="event" encodingType="char"><validValue name="New">0</validValue><validValue name="Trade">F</validValue></enum>
<enum name="status" encodingType="char"><validValue name="New">0</validValue><validValue name="Partial">1</validValue></enum>
<enum name="reason" encodingType="uint8"><validValue name="NotAuthorized">6</validValue></enum>
</types>
<sbe:message name="NewOrderSingle" id="99" blockLength="54">
<field name="ClOrdID" id="11" type="text8"/><field name="Account" id="1" type="text8"/>
<field name="Symbol" id="55" type="text8"/><field name="Side" id="54" type="side"/>
<field name="TransactTime" id="60" type="uint64"/><field name="OrderQty" id="38" type="quantity"/>
<field name="OrdType" id="40" type="kind"/><field name="Price" id="44" type="price"/>
<field name="StopPx" id="99" type="price"/>
</sbe:message>
<sbe:message name="ExecutionReport" id="98" blockLength="42">
<field name="OrderID" id="37" type="text8"/><field name="ExecID" id="17" type="text8"/>
<field name="ExecType" id="150" type="event"/><field name="OrdStatus" id="39" type="status"/>
<field name="Symbol" id="55" type="text8"/><field name="MaturityMonthYear" id="200" type="month"/>
<field name="Side" id="54" type="side"/><field name="LeavesQty" id="151" type="quantity"/>
<field name="CumQty" id="14" type="quantity"/><field name="TradeDate" id="75" type="uint16"/>
<group name="FillsGrp" id="2112">
  <field name="FillPx" id="1364" type="price"/><field name="FillQty" id="1365" type="quantity"/>
</group>
</sbe:message>
<sbe:message name="BusinessMessageReject" id="97">
<field name="BusinessRejectRefID" id="379" type="text8"/><field name="BusinessRejectReason" id="380" type="reason"/>
<data name="Text" id="58" type="data"/>
</sbe:message>
</sbe:messageSchema>"""

# message → (bytes behind the framing header, values)
EXAMPLES = {
    "NewOrderSingle": (
        """36 00 63 00 5b 00 00 00 4f 52 44 30 30 30 30 31 41 43 43 54 30 31 00 00 47 45 4d 34 00 00 00 00 31
        80 16 b3 3b 13 65 29 15 07 00 00 00 32 1a 85 01 00 00 00 00 00 00 00 00 00 00 00 00 80""",
        {
            "ClOrdID": "ORD00001",
            "Account": "ACCT01",
            "Symbol": "GEM4",
            "Side": "Buy",
            "StopPx": None,
            "TransactTime": 0x152965133BB31680,
            "OrderQty": "7",
            "OrdType": "Limit",
            "Price": "99.610",
        },
    ),
    "ExecutionReport": (
        """2a 00 62 00 5b 00 00 00 4f 30 30 30 30 30 30 31 45 58 45 43 30 30 30 30 46 31 47 45 4d 34 00 00 00 00
        de 07 06 ff ff 31 01 00 00 00 06 00 00 00 75 3e 0c 00 02 00 1a 85 01 00 00 00 00 00 02 00 00 00
        24 85 01 00 00 00 00 00 04 00 00 00""",
        {
            "OrderID": "O0000001",
            "ExecID": "EXEC0000",
            "ExecType": "Trade",
            "OrdStatus": "Partial",
            "Symbol": "GEM4",
            "MaturityMonthYear": {"year": 2014, "month": 6, "day": None, "week": None},
            "Side": "Buy",
            "LeavesQty": "1",
            "CumQty": "6",
            "TradeDate": 15989,
            "FillsGrp": [{"FillPx": "99.610", "FillQty": "2"}, {"FillPx": "99.620", "FillQty": "4"}],
        },
    ),
    "BusinessMessageReject": (
        """09 00 61 00 5b 00 00 00 4f 52 44 30 30 30 30 31 06 27 00 4e 6f 74 20 61 75 74 68 6f 72 69 7a 65 64
        20 74 6f 20 74 72 61 64 65 20 74 68 61 74 20 69 6e 73 74 72 75 6d 65 6e 74""",
        {
            "BusinessRejectRefID": "ORD00001",
            "BusinessRejectReason": "NotAuthorized",
            "Text": "Not authorized to trade that instrument",
        },
    ),
}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return parse_schema(SCHEMA, "standard.xml")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_standard_decode_and_encode(schema: Schema, name: str):
    text, values = EXAMPLES[name]
    data = bytes.fromhex(text)
    found = decode(schema, data)
    assert (found.message.name, found.size, found.values) == (name, len(data), values)
    assert encode(schema, found.message, values) == data
