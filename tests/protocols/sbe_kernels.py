"""One generated reader beside the interpreter: the same body, the same answer or the same refusal."""

from typing import Any

import numpy as np

from gateway.layout import names
from gateway.protocols.message import Refused
from gateway.protocols.sbe import interpreter, modules
from gateway.protocols.sbe.generator import reader_name
from gateway.protocols.sbe.generator_encoders import writer_name
from gateway.protocols.sbe.model import Message, Schema
from gateway.protocols.sbe.row_values import empty_rows, rows_to_dict

REASONS = {number: name.lower() for number, name in names("feed_reason", "FEED_").items()}


class Kernels:
    """Reader and encoder of one message, with rows of its own."""

    def __init__(self, schema: Schema, message: Message, entries: int = 512):
        self.schema, self.message, self.entries = schema, message, entries
        self.root, self.groups = empty_rows(message, entries)
        name = reader_name(message)
        self.reader = modules.compile_kernels(modules.readers(schema), [name])[name]

    def read(self, address: int, size: int, block_length: int, version: int) -> int:
        """What the reader returns."""
        arguments = [item for rows in self.groups.values() for item in (rows.ctypes.data, self.entries)]
        return int(self.reader(address, size, block_length, version, self.root.ctypes.data, *arguments))

    def by_reader(self, body: bytes, address: int, block_length: int, version: int) -> tuple[Any, Any]:
        """(values, bytes taken), or ("refused", reason)."""
        code = self.read(address, len(body), block_length, version)
        if code < 0:
            return "refused", REASONS[-code]
        try:
            return rows_to_dict(self.message, self.root, self.groups, body), code
        except Refused as refusal:
            return "refused", refusal.reason

    def by_interpreter(self, body: bytes, block_length: int, version: int) -> tuple[Any, Any]:
        """The same of the interpreter."""
        try:
            return interpreter.decode_body(self.schema, self.message, body, block_length, version)
        except Refused as refusal:
            return "refused", refusal.reason

    def write(self, body: bytes, capacity: int) -> bytes | str:
        """What the encoder makes of the rows that were read last; variable data comes from `body`."""
        name = writer_name(self.message)
        writer = modules.compile_kernels(modules.writers(self.schema), [name])[name]
        out = np.zeros(capacity + 64, np.uint8)
        data = np.frombuffer(body + b"\0", np.uint8)
        rows = [rows.ctypes.data for rows in self.groups.values()]
        size = writer(out.ctypes.data, capacity, self.root.ctypes.data, *rows, data.ctypes.data)
        assert not out[capacity:].any()
        return out[:size].tobytes() if size >= 0 else REASONS[-size]


def same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Equal, NaN being equal to NaN."""
    return one == other or repr(one) == repr(other)
