"""Generated readers and encoders beside the interpreter: random messages of every feature, and every recorded message."""

import random

import numpy as np
import pytest

from gateway.protocols.sbe import interpreter
from gateway.protocols.sbe.model import Schema
from gateway.protocols.sbe.schema import load_schema
from tests.protocols.sbe_kernels import Kernels, same
from tests.protocols.sbe_messages import RandomMessages, cme_messages, deribit_messages, everything

SEED = 20261121
CME = "cme-mdp3-sbe"
CAPTURES = [
    ("Cme.Futures.Mdp3.Sbe.v1.6.xml", "Mdp3.Sbe.v1.6__Cme.Mdp3.Sbe.v6.1.pcap"),
    ("Cme.Futures.Mdp3.Sbe.v1.9.xml", "Mdp3.Sbe.v1.9__Cme.Mdp3.Sbe.v9.1.Example.pcap"),
    ("Cme.Futures.Mdp3.Sbe.v1.9.xml", "Mdp3.Sbe.v1.9__MdIncrementalRefreshBook.pcap"),
    ("Cme.Futures.Mdp3.Sbe.v1.9.xml", "Mdp3.Sbe.v1.9__MdIncrementalRefreshOrderBook.pcap"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["little", "big"])
def schema(request) -> Schema:
    return everything(request.param)


@pytest.fixture(scope="module")
def kernels(schema) -> dict[int, Kernels]:
    return {message.id: Kernels(schema, message) for message in schema.messages.values()}


@pytest.mark.parametrize("template", [1, 2, 3])
def test_every_random_message_reads_as_the_interpreter_reads_it(schema, kernels, template):
    """Also of older versions, of newer ones, and with longer blocks."""
    randomness = random.Random(SEED)
    one, source = kernels[template], RandomMessages(schema, randomness)
    for number in range(400):
        version, extra = randomness.randrange(8), randomness.choice([0, 0, 1, 9])
        body, block_length = source.body(one.message, version, extra)
        area = np.frombuffer(body + b"\0", np.uint8)
        expected = one.by_interpreter(body, block_length, version)
        read = one.by_reader(body, area.ctypes.data, block_length, version)
        assert same(read, expected), f"seed {SEED}, message {number}: {body.hex()}"
        assert expected[0] == "refused" or expected[1] == len(body)


@pytest.mark.parametrize("template", [1, 2, 3])
def test_what_was_read_is_written_again_byte_for_byte(schema, kernels, template):
    randomness = random.Random(SEED)
    one, source = kernels[template], RandomMessages(schema, randomness)
    head = RandomMessages(schema, randomness)
    for number in range(200):
        body, block_length = source.body(one.message, schema.version)
        area = np.frombuffer(body + b"\0", np.uint8)
        assert one.read(area.ctypes.data, len(body), block_length, schema.version) == len(body)
        counts = {"blockLength": block_length, "templateId": template, "schemaId": schema.id, "version": schema.version}
        whole = head.counts(schema.header, counts) + body
        assert one.write(body, len(whole)) == whole, f"seed {SEED}, message {number}"
        short = randomness.randrange(len(whole))
        assert one.write(body, short) == "events_full"


def test_a_group_with_more_entries_than_rows_is_refused_and_writes_no_row_behind_them(schema):
    one = Kernels(schema, schema.messages[2], entries=3)
    source = RandomMessages(schema, random.Random(SEED), entries_max=30)
    rows = np.full(4, 0x5A, one.groups["levels"].dtype)
    before = rows[3:].tobytes()
    one.groups["levels"] = rows
    outcomes = set()
    for _ in range(100):
        body, block_length = source.body(one.message, schema.version)
        area = np.frombuffer(body + b"\0", np.uint8)
        values, _ = one.by_interpreter(body, block_length, schema.version)
        expected = len(values["levels"]) <= 3 and len(values["added"]) <= 3
        outcomes.add(expected)
        assert (one.read(area.ctypes.data, len(body), block_length, schema.version) == -40) is not expected
        assert rows[3:].tobytes() == before
    assert outcomes == {True, False}


def test_more_entries_than_a_count_can_say_are_not_written(schema, kernels):
    one = kernels[2]
    body, block_length = RandomMessages(schema, random.Random(SEED)).body(one.message, schema.version)
    area = np.frombuffer(body + b"\0", np.uint8)
    one.read(area.ctypes.data, len(body), block_length, schema.version)
    one.root[0]["levels.count"] = 256
    assert one.write(body, 65536) == "message_field"


def compare_all(schema: Schema, messages: list[bytes]) -> int:
    """Every message through the generated reader and the interpreter; how many there were."""
    known: dict[int, Kernels] = {}
    for number, message in enumerate(messages):
        header = interpreter.decode_header(schema, message)
        if header.template not in known:
            known[header.template] = Kernels(schema, schema.messages[header.template])
        one, body = known[header.template], message[schema.header.size :]
        assert header.block_length is not None
        area = np.frombuffer(body + b"\0", np.uint8)
        expected = one.by_interpreter(body, header.block_length, header.version)
        assert expected[0] != "refused"
        assert same(one.by_reader(body, area.ctypes.data, header.block_length, header.version), expected), number
    return len(messages)


@pytest.mark.slow
@pytest.mark.parametrize(("xml", "capture"), CAPTURES)
def test_every_recorded_cme_message_reads_as_the_interpreter_reads_it(shared_data, xml, capture):
    assert compare_all(load_schema(shared_data / "schemas" / xml), list(cme_messages(shared_data / CME / capture)))


@pytest.mark.slow
def test_every_recorded_deribit_message_reads_as_the_interpreter_reads_it(shared_data):
    folder = shared_data / "deribit-multicast-sbe"
    schema = load_schema(folder / "deribit_multicast.xml")
    messages = list(deribit_messages(folder / "sample_capture_v1_6.pcapng", schema))
    assert compare_all(schema, messages) >= 5066
