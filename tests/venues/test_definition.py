"""Feed definitions: the worked example of the page runs as printed, shipped ones fit, mistakes are one line."""

import json
import re
from pathlib import Path

import lz4.block
import lz4.frame
import pytest

from gateway.cli.main import main
from gateway.errors import ConfigurationError
from gateway.protocols import udp
from gateway.protocols.sbe.interpreter import encode
from gateway.protocols.sbe.schema import load_schema
from gateway.venues.definition_file import load_definition, shipped
from gateway.venues.packets import PacketReader
from gateway.venues.plan import Plan
from tests.cli.test_decode import capture
from tests.venues.feeds import SCHEMAS, Defined, brief, wrapped

PAGE = Path(__file__).resolve().parents[2] / "docs/protocols/adding-a-venue.md"
ENTRIES = [
    {"action": "New", "side": "Bid", "price": "101.2500", "size": 7},
    {"action": "Delete", "side": "Offer", "price": "-0.0001", "size": 0},
]


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The page's definition and schema, as files."""
    text = PAGE.read_text()
    folder = tmp_path_factory.mktemp("acme")
    paths = folder / "acme.toml", folder / "acme.xml"
    for path, language in zip(paths, ("toml", "xml"), strict=True):
        (block,) = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
        path.write_text(block)
    return paths


def acme_packet(schema: Path, sequence: int, kind: int = 1) -> bytes:
    """Two messages in a packet as the page's prose describes it."""
    model = load_schema(schema)
    update, trade = model.message_named("BookUpdate"), model.message_named("TradeReport")
    assert update is not None and trade is not None
    messages = [
        encode(model, update, {"securityId": 5, "eventTime": 9, "entries": ENTRIES}),
        encode(model, trade, {"securityId": 5, "price": "101.2500", "size": 3, "tradeId": 77}),
    ]
    header = bytes([1, kind]) + (3).to_bytes(2, "big") + sequence.to_bytes(4, "big") + (123).to_bytes(8, "big")
    frames = [b"\xeb\x50" + (4 + len(message)).to_bytes(2, "big") + message for message in messages]
    return header + (b"".join(frames) if kind == 1 else b"")


def test_the_worked_example_of_the_page_decodes(acme: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    definition, schema = acme
    payloads = [acme_packet(schema, 40), acme_packet(schema, 42, kind=2)]
    frames = [udp.frame(payload, destination="239.1.2.3", destination_port=9000) for payload in payloads]
    path = capture(tmp_path / "acme.pcap", frames)
    assert main(["decode", str(path), "--feed", str(definition), "--schema", str(schema)]) == 0
    output = capsys.readouterr()
    head = {"frame": 1, "channel": "239.1.2.3:9000"}
    assert [json.loads(line) for line in output.out.splitlines()] == [
        {
            **head,
            "sequence": 40,
            "message": "BookUpdate",
            "template": 1,
            "securityId": 5,
            "eventTime": 9,
            "entries": ENTRIES,
        },
        {**head, "sequence": 41, "message": "TradeReport", "template": 2, "securityId": 5, "price": "101.2500", "size": 3}
        | {"tradeId": 77},
    ]
    assert "passed over: heartbeat 1" in output.err


@pytest.mark.slow
def test_the_worked_example_of_the_page_becomes_events(acme: tuple[Path, Path]):
    feed = Defined(str(acme[0]), acme[1])
    payload = acme_packet(acme[1], 40)
    events = [brief(event) for event in feed.run(payload)]
    assert [(event["kind"], event["sequence"], event["price"], event["quantity"]) for event in events] == [
        ("LEVEL", 40, 1_012_500, 7),
        ("LEVEL", 40, (1 << 64) - 1, 0),
        ("TRADE", 41, 1_012_500, 3),
    ]
    assert feed.run(payload) == feed.expected(payload)
    assert feed.run(payload, skip=1) == feed.expected(payload)[2:], "a message seen before is passed over"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_shipped_definition_fits_its_schema(name: str, shared_data: Path):
    definition = load_definition(name)
    assert Plan(definition, load_schema(shared_data / SCHEMAS[name], header=definition.header.composite)).rows


def test_every_shipped_definition_is_read() -> None:
    assert set(shipped()) == {*SCHEMAS, "itch50"}
    assert load_definition("itch50").decoder == "itch50"


MISTAKES = [
    ('sequence = { type = "uint32", offset = 4 }', 'sequence = { type = "uint33", offset = 4 }', "packet.sequence.type"),
    ("header_bytes = 16", "header_bytes = 14", "time ends at byte 16 of a header of 14"),
    ("header_bytes = 16", "header_byte = 16", "did you mean header_bytes or header_length?"),
    (", value = 0xEB50", "", "encoding has no value"),
    ('message = "TradeReport"', 'message = "TradeReprot"', "no message 'TradeReprot'; did you mean TradeReport?"),
    ('price = "price"', 'price = "prise"', "no field 'prise' in entries of BookUpdate; did you mean price?"),
    ('group = "entries"', 'group = "entry"', "has no group 'entry'; did you mean entries?"),
    ("New = ", "Now = ", "action has no value 'Now'; did you mean New?"),
    ('Bid = "buy"', 'Bid = "by"', "'by' is no side; did you mean buy?"),
    ('event = "trade"', 'event = "trades"', "'trades' is no event; did you mean trade?"),
    ('instrument = "securityId"\nside', "side", "an event 'level' needs one; write instrument = FIELD"),
    ('quantity = "size"\nmatch', "match", "an event 'trade' needs it; write quantity = FIELD"),
    ('time = "packet.time"', 'time = "packet.times"', "[packet] has no times; did you mean time?"),
    ("price_exponent = -4", "price_exponent = -40", "instruments.price_exponent = -40"),
]


@pytest.mark.parametrize(("written", "instead", "told"), MISTAKES)
def test_a_mistake_is_one_line_that_says_the_mend(
    written: str, instead: str, told: str, acme: tuple[Path, Path], tmp_path: Path
):
    from gateway.venues import normaliser

    text = acme[0].read_text()
    assert written in text
    path = tmp_path / "acme.toml"
    path.write_text(text.replace(written, instead, 1))
    with pytest.raises(ConfigurationError) as error:
        normaliser.source(load_definition(str(path)), load_schema(acme[1]))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_compressed_optiq_packet_is_unpacked_and_a_damaged_one_counted(shared_data: Path):
    feed = Defined("euronext_optiq", shared_data / SCHEMAS["euronext_optiq"])
    from tests.venues.feeds import packets

    (plain,) = packets(shared_data / "euronext-optiq-mdg-sbe/MultipleMessages.pcap")
    events = feed.run(plain)
    for packed in (lz4.block.compress(plain[16:], store_size=False), lz4.frame.compress(plain[16:])):
        payload = plain[:12] + b"\1\0" + plain[14:16] + packed
        feed.begin_anew()
        assert feed.run(payload) == events == feed.expected(payload)
        assert PacketReader(feed.definition, feed.schema).read(payload).refused == []
    damaged = plain[:12] + b"\1\0" + plain[14:16] + lz4.block.compress(plain[16:], store_size=False)[:-9]
    assert [brief(event)["kind"] for event in feed.run(damaged)] == ["GAP"]
    assert feed.reasons() == {"compression": 1}


def coinbase(feed: Defined, *messages: tuple[str, dict[str, object]]) -> bytes:
    """A Coinbase packet: 24-byte header, messages with their own 16-byte header."""
    body = b""
    for name, values in messages:
        message = feed.schema.message_named(name)
        assert message is not None
        taken = {field.name: values[field.name] for field in message.fields}
        body += encode(feed.schema, message, taken, header={"transactTime": 8, "flags": []})
    header = (5).to_bytes(8, "little") + (100).to_bytes(8, "little") + (1).to_bytes(4, "little")
    return header + (1).to_bytes(2, "little") + len(messages).to_bytes(2, "little") + body


@pytest.mark.slow
def test_coinbase_derivatives_orders_are_numbered_message_by_message(shared_data: Path):
    feed = Defined("coinbase_derivatives", shared_data / SCHEMAS["coinbase_derivatives"])
    put = {"orderId": 1, "instrumentId": 9, "quantityMantissa": 5, "price": "2.500000000", "sortOrderId": 1}
    payload = coinbase(feed, ("BidPut", put), ("BidQtyReduced", {**put, "quantityMantissa": 4}), ("BidDelete", put))
    events = feed.run(payload)
    assert events == feed.expected(payload)
    assert [(brief(event)["kind"], event["sequence"], event["side"]) for event in events] == [
        ("SET", 100, 1),
        ("SET", 101, 1),
        ("DELETE", 102, 0),
    ]
    assert feed.run(payload, skip=2) == events[2:]


@pytest.mark.slow
def test_binance_streams_take_exponents_and_symbol_from_the_message(shared_data: Path):
    feed = Defined("binance_sbe", shared_data / SCHEMAS["binance_sbe"])
    message = feed.schema.message_named("DepthDiffStreamEvent")
    assert message is not None
    values = {"eventTime": 7, "firstBookUpdateId": 3, "lastBookUpdateId": 5, "priceExponent": -2, "qtyExponent": -5}
    sides = {"bids": [{"price": "12.34", "qty": "0.00001"}], "asks": [{"price": "12.35", "qty": "0.00000"}]}
    payload = encode(feed.schema, message, {**values, **sides, "symbol": "BTCUSDT"})
    events = feed.run(payload)
    assert events == feed.expected(payload)
    assert [(brief(event)["kind"], event["price"], event["quantity"]) for event in events] == [
        ("INSTRUMENT_SEQUENCE", 3, 0),
        ("LEVEL", 1_234_000_000, 1_000),
        ("LEVEL", 1_235_000_000, 0),
    ]
    assert feed.instruments.rows[0]["symbol"] == b"BTCUSDT"
    assert wrapped(events[0])["time_venue_ns"] == 7_000


BIG = """
byte_order = "big"
[packet]
header_bytes = 20
type = { type = "uint8", offset = 0 }
silent_types = [0, 1]
header_length = { type = "uint8", offset = 1 }
session = { type = "uint64", offset = 2 }
sequence = { type = "uint64", offset = 10 }
count = { type = "uint16", offset = 18 }
sequence_counts = "messages"
FRAMING
[instruments]
price_exponent = -4
[[map]]
message = "BookUpdate"
group = "entries"
event = { field = "action", values = { 0 = "level", 1 = "level" }, default = "level_delete" }
instrument = "securityId"
side = { field = "side", values = { B = "buy", S = "sell" } }
price = "price"
quantity = "size"
[[map]]
message = 2
event = "trade"
instrument = "securityId"
price = "price"
quantity = "size"
match = "tradeId"
"""
FRAMES = '[framing]\nheader_bytes = 2\nlength = { type = "uint16", offset = 0 }\nlength_counts = "message"'


@pytest.mark.slow
@pytest.mark.parametrize("framing", [FRAMES, ""], ids=["framed", "unframed"])
def test_a_header_that_states_its_length_and_messages_in_network_order(
    framing: str, acme: tuple[Path, Path], tmp_path: Path
):
    definition, schema = tmp_path / "big.toml", tmp_path / "big.xml"
    definition.write_text(BIG.replace("FRAMING", framing))
    schema.write_text(
        acme[1]
        .read_text()
        .replace("littleEndian", "bigEndian")
        .replace('templateId" primitiveType="uint16"', 'templateId" primitiveType="uint8"')
    )
    feed = Defined(str(definition), schema)
    update, trade = feed.schema.message_named("BookUpdate"), feed.schema.message_named("TradeReport")
    assert update is not None and trade is not None
    messages = [
        encode(feed.schema, trade, {"securityId": 5, "price": "1.0000", "size": 3, "tradeId": 1}),
        encode(feed.schema, update, {"securityId": 5, "eventTime": 9, "entries": ENTRIES}),
        encode(feed.schema, trade, {"securityId": 5, "price": "2.0000", "size": 3, "tradeId": 2}),
    ]
    body = b"".join((len(one).to_bytes(2, "big") if framing else b"") + one for one in messages)

    def packet(kind: int, header_bytes: int, count: int) -> bytes:
        numbers = (3).to_bytes(8, "big") + (70).to_bytes(8, "big") + count.to_bytes(2, "big")
        return bytes([kind, header_bytes]) + numbers + bytes(header_bytes - 20) + (body if kind == 2 else b"")

    events = feed.run(packet(2, 24, 3))
    assert events == feed.expected(packet(2, 24, 3))
    assert [(brief(event)["kind"], event["sequence"]) for event in events] == [
        ("TRADE", 70),
        ("LEVEL", 71),
        ("LEVEL", 71),
        ("TRADE", 72),
    ]
    assert feed.run(packet(2, 24, 3), skip=2) == events[3:]
    assert feed.run(packet(0, 20, 0)) == []
    assert feed.reasons() == {}
    assert [brief(event)["kind"] for event in feed.run(packet(2, 20, 4))][-1] == "GAP"
    assert set(feed.reasons()) == {"block_overrun"}
