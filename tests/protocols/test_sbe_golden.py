"""The SBE interpreter on recorded captures: every value equals what an independent decoder printed, and nothing is left."""

from pathlib import Path

import pytest

from gateway.protocols.sbe.schema import load_schema
from tests.protocols import sbe_frames, sbe_golden, sbe_golden_deribit
from tests.protocols.sbe_golden import Printed

CME = {
    6: ("Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap", 10_000, 418_956),
    9: ("Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap", 99, 7_251),
}
DERIBIT = {"sample_capture_v1_6": 148_467, "rfq": 22}


def printed(packet: sbe_frames.Packet) -> list[Printed]:
    return [Printed(message.message.id, message.header, message.values) for message in packet.messages]


def seconds(time_ns: int) -> str:
    """As the golden file has it."""
    return f"{time_ns // 10**9}.{time_ns % 10**9:09d}"


@pytest.mark.slow
@pytest.mark.parametrize("version", CME)
def test_every_cme_value_equals_the_golden_one(shared_data: Path, version: int):
    name, packets, values = CME[version]
    schema = load_schema(shared_data / "schemas" / f"Cme.Futures.Mdp3.Sbe.v1.{version}.xml")
    rows = {
        row["frame.number"]: row
        for row in sbe_golden.cme_rows(shared_data / f"golden/cme/cme.mdp3.v1.{version}.fields.csv.gz")
    }
    compared = 0
    for packet in sbe_frames.cme(shared_data / "cme-mdp3-sbe" / name, schema):
        extra = {
            "frame.number": str(packet.number),
            "frame.time_epoch": seconds(packet.time_ns),
            "udp.dstport": str(packet.port),
            "packetsequencenumber": str(packet.header["sequence"]),
            "sendingtime": str(packet.header["sendingTime"]),
        }
        compared += sbe_golden.compare_cme(schema, rows.pop(str(packet.number)), printed(packet), extra)
        packets -= 1
    assert (packets, compared) == (0, values)
    assert not any(row["templateid"] for row in rows.values()), "a golden row of messages without its packet"


@pytest.mark.slow
@pytest.mark.parametrize("name", DERIBIT)
def test_every_deribit_value_equals_the_golden_one(shared_data: Path, name: str):
    folder = shared_data / "deribit-multicast-sbe"
    schema = load_schema(folder / "deribit_multicast.xml")
    frames = sbe_golden_deribit.frames(shared_data / "golden/deribit" / f"{name}.txt.gz")
    compared = 0
    for frame, packet in zip(frames, sbe_frames.deribit(folder / f"{name}.pcapng", schema), strict=True):
        length, channel, sequence = packet.header.values()
        assert frame.header == {"Packet Length": length, "Channel Id": channel, "Channel Sequence": sequence}
        for lines, message in zip(frame.messages, printed(packet), strict=True):
            compared += sbe_golden_deribit.compare(schema, lines, message)
    assert compared == DERIBIT[name]


def test_every_optiq_value_equals_the_golden_one(shared_data: Path):
    schema = load_schema(shared_data / "schemas/Euronext.Optiq.MarketDataGateway.Sbe.v5.25.xml")
    golden = sbe_golden.optiq_packets(shared_data / "golden/euronext/MultipleMessages.json")
    packets = sbe_frames.optiq(shared_data / "euronext-optiq-mdg-sbe/MultipleMessages.pcap", schema)
    compared = 0
    for (header, messages), packet in zip(golden, packets, strict=True):
        ours = {name.lower(): str(value) for name, value in packet.header.items() if name != "packetFlags"}
        flags = set(header) - set(ours)
        assert {name: header[name] for name in ours} == ours
        assert {header[name] for name in flags} == {"0"} and packet.header["packetFlags"] == 0
        for theirs, message in zip(messages, printed(packet), strict=True):
            compared += sbe_golden.compare_optiq(schema, theirs, message)
    assert compared == 82


def test_single_cme_packets_of_versions_9_and_12_decode_to_their_end(shared_data: Path):
    """Without golden files: the walk itself asserts that every message ends where its size says."""
    found = {}
    for version in (9, 12):
        schema = load_schema(shared_data / "schemas" / f"Cme.Futures.Mdp3.Sbe.v1.{version}.xml")
        for path in sorted((shared_data / "cme-mdp3-sbe").glob(f"Mdp3.Sbe.v1.{version}__Md*.pcap")):
            (packet,) = sbe_frames.cme(path, schema)
            found[path.stem.split("__")[1]] = [message.message.id for message in packet.messages]
    assert found == {
        "MdIncrementalRefreshBook": [46, 46],
        "MdIncrementalRefreshOrderBook": [47],
        "MdIncrementalRefreshTradeSummary": [48, 37, 47, 46, 46],
        "MdIncrementalRefreshVolume": [37, 46, 46, 48, 37, 46, 46],
        "MdIncrementalRefreshBookLongQty": [64],
        "MdIncrementalRefreshTradeSummaryLongQty": [65],
    }
