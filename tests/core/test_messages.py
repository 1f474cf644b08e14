"""Messages of a TCP session are put together whole, or passed over whole."""

import random

import numpy as np

from gateway.core.memory import address_of
from gateway.core.messages import append_part
from gateway.layout import dtype, value

LENGTH = value("FEED_MESSAGE_LENGTH")


class Buffer:
    """A message buffer of `capacity` bytes."""

    def __init__(self, capacity):
        self.bytes = np.zeros(capacity, np.uint8)
        self.row = np.zeros(1, dtype("message_buffer"))
        self.row["bytes"], self.row["capacity"] = address_of(self.bytes), capacity
        self.counters = np.zeros(1, dtype("core_counters"))

    def send(self, message, parts):
        """The message, in parts; what came out, or None."""
        whole = None
        for index, part in enumerate(parts):
            data = np.frombuffer(part + b"\0", np.uint8)
            more = index + 1 < len(parts)
            if append_part(address_of(self.row), address_of(data), len(part), more, address_of(self.counters)):
                assert not more
                whole = self.bytes[: int(self.row["size"][0])].tobytes()
        return whole


def test_messages_of_any_length_come_out_whole_or_not_at_all_and_are_counted():
    draw = random.Random(5)
    buffer, refused = Buffer(4096), 0
    for _ in range(400):
        message = draw.randbytes(draw.choice([0, 1, 100, 2000, 4095, 4096, 4097, 9000]))
        cuts = sorted(draw.randrange(len(message) + 1) for _ in range(draw.randrange(6)))
        parts = [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
        refused += len(message) > 4096
        assert buffer.send(message, parts) == (message if len(message) <= 4096 else None)
    assert refused > 20
    assert buffer.counters["reasons"][0][LENGTH] == refused
