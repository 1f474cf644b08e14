"""`gateway decode` of SBE feeds by their definitions: every value it prints is what an independent decoder printed."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.protocols.sbe.model import Message, Schema
from gateway.protocols.sbe.schema import load_schema
from tests.protocols import sbe_golden, sbe_golden_deribit
from tests.protocols.sbe_golden import Printed

CME = {
    6: ("Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap", 10_000),
    9: ("Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap", 99),
}
OWN_KEYS = ("frame", "sequence", "channel", "message", "template")
CONFLATED = """
name = "cme_mdp3_conflated"
[packet]
transport = "tcp"
header_bytes = 14
encoding = { type = "uint16", offset = 0, value = 0xCAFE }
sequence = { type = "uint32", offset = 2 }
time = { type = "uint64", offset = 6 }
[framing]
header_bytes = 2
length = { type = "uint16", offset = 0 }
"""


def decode(
    capture: Path, feed: str, schema: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(frame, its messages) as the command prints them; nothing may be passed over."""
    assert main(["decode", str(capture), "--feed", feed, "--schema", str(schema)]) == 0
    output = capsys.readouterr()
    assert "passed over" not in output.err or "passed over: not_udp 1\n" in output.err, output.err
    rows = [json.loads(line) for line in output.out.splitlines()]
    return ((frame, list(found)) for frame, found in groupby(rows, key=lambda row: row["frame"]))


def printed(schema: Schema, row: dict[str, Any]) -> Printed:
    """A printed message beside the header that its template has in these captures."""
    message = schema.messages[row["template"]]
    assert message.name == row["message"]
    return Printed(message.id, header_of(schema, message), {name: row[name] for name in row if name not in OWN_KEYS})


def header_of(schema: Schema, message: Message) -> dict[str, int]:
    counts = {"numGroups": len(message.groups), "numVarDataFields": len(message.data)}
    return {
        "blockLength": message.block_length,
        "templateId": message.id,
        "schemaId": schema.id,
        "version": schema.version,
        **counts,
    }


@pytest.mark.slow
@pytest.mark.parametrize("version", CME)
def test_every_value_of_cme_captures_is_printed_as_the_golden_file_has_it(
    version: int, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, packets = CME[version]
    path = shared_data / "schemas" / f"Cme.Futures.Mdp3.Sbe.v1.{version}.xml"
    schema = load_schema(path)
    golden = sbe_golden.cme_rows(shared_data / f"golden/cme/cme.mdp3.v1.{version}.fields.csv.gz")
    rows = {row["frame.number"]: row for row in golden}
    for frame, found in decode(shared_data / "cme-mdp3-sbe" / name, "cme_mdp3", path, capsys):
        row = rows.pop(str(frame))
        ports = {message["channel"].split(":")[1] for message in found}
        sequences = {str(message["sequence"]) for message in found}
        assert (ports, sequences) == ({row["udp.dstport"]}, {row["packetsequencenumber"]})
        told = ("frame.number", "frame.time_epoch", "udp.dstport", "packetsequencenumber", "sendingtime")
        extra = {key: row[key] for key in told}
        assert sbe_golden.compare_cme(schema, row, [printed(schema, message) for message in found], extra) > len(told)
        packets -= 1
    assert packets == 0
    assert not any(row["templateid"] for row in rows.values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "messages"), [("sample_capture_v1_6", 6_780), ("rfq", 2)])
def test_every_value_of_a_deribit_capture_is_printed_as_the_golden_file_has_it(
    name: str, messages: int, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_data / "deribit-multicast-sbe"
    path = folder / "deribit_multicast.xml"
    schema = load_schema(path)
    golden = {frame.number: frame for frame in sbe_golden_deribit.frames(shared_data / "golden/deribit" / f"{name}.txt.gz")}
    for frame, found in decode(folder / f"{name}.pcapng", "deribit", path, capsys):
        theirs = golden.pop(frame)
        assert {message["sequence"] for message in found} == {theirs.header["Channel Sequence"]}
        for lines, message in zip(theirs.messages, found, strict=True):
            sent = dict(line.split(": ", 1) for line in lines if line.startswith(("Version: ", "Root Block Length: ")))
            one = printed(schema, message)
            header = {**one.header, "version": int(sent["Version"]), "blockLength": int(sent["Root Block Length"])}
            assert sbe_golden_deribit.compare(schema, lines, one._replace(header=header)) > 0
            messages -= 1
    assert (messages, golden) == (0, {})


def test_every_value_of_the_optiq_capture_is_printed_as_the_golden_file_has_it(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared_data / "schemas/Euronext.Optiq.MarketDataGateway.Sbe.v5.25.xml"
    schema = load_schema(path)
    ((header, messages),) = sbe_golden.optiq_packets(shared_data / "golden/euronext/MultipleMessages.json")
    ((_, found),) = decode(shared_data / "euronext-optiq-mdg-sbe/MultipleMessages.pcap", "euronext_optiq", path, capsys)
    assert {str(message["sequence"]) for message in found} == {header["packetsequencenumber"]}
    assert {message["channel"] for message in found} == {"224.0.208.89:10089"}
    for theirs, message in zip(messages, found, strict=True):
        assert sbe_golden.compare_optiq(schema, theirs, printed(schema, message)) > 0


def test_a_packet_encoding_in_a_tcp_segment_is_found_by_a_definition(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definition = tmp_path / "conflated.toml"
    definition.write_text(CONFLATED)
    schema = shared_data / "schemas/Cme.Futures.Mdp3.Sbe.v1.12.xml"
    for name, template in (("MdIncrementalRefreshBookLongQty", 64), ("MdIncrementalRefreshTradeSummaryLongQty", 65)):
        capture = shared_data / "cme-mdp3-sbe" / f"Mdp3.Sbe.v1.12__{name}.pcap"
        ((_, (message,)),) = decode(capture, str(definition), schema, capsys)
        assert message["template"] == template
        assert message["channel"] == "192.168.0.1:56316"


def test_an_sbe_feed_without_its_schema_is_told_to_pass_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(tmp_path / "a.pcap"), "--feed", "deribit"]) == 3
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "--schema FILE.xml" in errors
