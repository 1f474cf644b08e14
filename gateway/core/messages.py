"""Puts the messages of a TCP session together again: between ring ③ and a text protocol ④.

Hard rule: a message longer than the buffer is passed over whole, and counted; a part of it is never decoded.
"""

from gateway.core.counters import count_reason
from gateway.core.kernel import kernel
from gateway.core.memory import copy_bytes, load_i64, load_u32, store_i64, store_u32
from gateway.layout import offsets, value

MESSAGE = offsets("message_buffer")
WHOLE, OPEN, OVERRUN = value("MESSAGE_WHOLE"), value("MESSAGE_OPEN"), value("MESSAGE_OVERRUN")
LENGTH = value("FEED_MESSAGE_LENGTH")


@kernel
def append_part(message, part, size, more, counters):
    """Adds `size` bytes at `part` to a struct message_buffer; `more` 0 is the last part. 1: message.size bytes are whole."""
    state = load_u32(message + MESSAGE.state)
    filled = 0 if state == WHOLE else load_i64(message + MESSAGE.size)
    if state == OVERRUN or size > load_i64(message + MESSAGE.capacity) - filled:
        if more == 0:
            count_reason(counters, LENGTH)
        store_u32(message + MESSAGE.state, OVERRUN if more != 0 else WHOLE)
        return 0
    copy_bytes(load_i64(message + MESSAGE.bytes) + filled, part, size)
    store_i64(message + MESSAGE.size, filled + size)
    store_u32(message + MESSAGE.state, OPEN if more != 0 else WHOLE)
    return 1 if more == 0 else 0
