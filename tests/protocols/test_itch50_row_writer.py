"""Both ways to write the row of a message's event: the same 64 bytes, and nothing beside what is theirs."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from gateway.core.memory import address_of
from gateway.core.permute import PERMUTES, compiled_features
from gateway.layout import dtype, value
from gateway.protocols import itch50_row_writer
from gateway.protocols.itch50 import MESSAGES, SNAPSHOT_MESSAGES
from gateway.protocols.itch50_row_writer import write_fields, write_permuted
from gateway.protocols.itch50_rows import ROW_BYTES, make_table

SEED = 20261121
FIELDS = (
    "time_venue_ns",
    "order_id",
    "other_id",
    "price",
    "quantity",
    "instrument",
    "kind",
    "side",
    "flags",
    "message_type",
)
needs_permutation = pytest.mark.skipif(not PERMUTES, reason="skipped: this CPU has no AVX-512 VBMI")


@njit
def by_fields(message, row, event):
    """write_fields, called from Python."""
    write_fields(message, row, event)


@njit
def by_permutation(message, row, event):
    """write_permuted, called from Python."""
    write_permuted(message, row, event)


def row_of(write, table: np.ndarray, message: bytes) -> tuple[int, ...]:
    """What `write` makes of a message that fills its memory to the last byte."""
    data, event = np.frombuffer(message, np.uint8).copy(), np.zeros(3, dtype("event"))
    event["sequence"], event["time_receive_ns"] = 7, 9
    write(address_of(data), address_of(table) + message[0] * ROW_BYTES, address_of(event) + event.itemsize)
    assert (event["sequence"][[0, 2]] == 7).all() and (event["price"][[0, 2]] == 0).all()
    return tuple(int(event[name][1]) for name in FIELDS)


@needs_permutation
@pytest.mark.parametrize("snapshot", [False, True])
def test_both_ways_write_the_same_row_of_any_message(snapshot: bool) -> None:
    table, randomness = make_table(snapshot), random.Random(SEED)
    for kind, message in (SNAPSHOT_MESSAGES if snapshot else MESSAGES).items():
        for _ in range(200):
            body = kind.encode() + randomness.randbytes(message.size - 1)
            assert row_of(by_permutation, table, body) == row_of(by_fields, table, body), (SEED, body.hex())


def test_the_fields_of_an_add_are_those_of_the_specification() -> None:
    body = bytes.fromhex("41 1234 0000 000000000102 0000000000000A0B 53 00000064") + b"GATEWAY " + bytes.fromhex("0000C350")
    stock = int.from_bytes(b"GATEWAY ", "little")
    wanted = (0x102, 0xA0B, stock, 50_000, 100, 0x1234, value("EVENT_ADD"), value("SIDE_SELL"), 0, ord("A"))
    table = make_table()
    assert row_of(by_fields, table, body) == wanted
    if PERMUTES:
        assert row_of(by_permutation, table, body) == wanted


def test_a_cpu_without_the_permutation_is_given_the_other_way() -> None:
    script = "from gateway.protocols.itch50_row_writer import write_row, write_fields; print(write_row is write_fields)"
    environment = os.environ | {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "+avx2,-avx512vbmi"}
    told = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout == "True\n"
    assert (itch50_row_writer.write_row is write_permuted) == PERMUTES


def test_features_are_those_that_numba_compiles_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.permute.config.CPU_FEATURES", "+sse2,-avx512vbmi, +avx2")
    assert compiled_features() == {"sse2": True, "avx512vbmi": False, "avx2": True}
