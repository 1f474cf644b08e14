"""Reads the numbers of a packet header as its struct packet_format says: arbitration's eyes, between ④ and ⑤.

Hard rule: the packet is at least `header_bytes` long and every field ends inside them; whoever fills a format checks that
(`make_format`), whoever reads a packet compares its size first.
"""

import numpy as np

from gateway.core.kernel import leaf
from gateway.core.memory import load_be16, load_be32, load_be64, load_i64, load_u8, load_u16, load_u32
from gateway.layout import dtype

LITTLE, BIG = 0, 0x100  # byte order, in the upper half of the word below; its low byte is the width
FIELDS = ("sequence", "count", "session_first", "session_last", "time", "type", "header_length")


@leaf
def read_number(payload, field):
    """The number of a field; `field` is the first word of its struct packet_field. 0 where the packet has no such field.

    Unsigned; numbers of 2^63 and more come out negative.
    """
    address, shape = payload + (field & 0xFFFF), field >> 16
    if shape == BIG | 8:
        return load_be64(address)
    if shape == BIG | 2:
        return load_be16(address)
    if shape == LITTLE | 8:
        return load_i64(address)
    if shape == LITTLE | 2:
        return load_u16(address)
    if shape == LITTLE | 4:
        return load_u32(address)
    if shape == BIG | 4:
        return load_be32(address)
    if shape & 0xFF == 1:
        return load_u8(address)
    return 0


def make_format(
    header_bytes: int, fields: dict[str, tuple[int, int, bool]], silent_types: tuple[int, ...] = (), **options: int
) -> np.ndarray:
    """A struct packet_format (array of one).

    `fields` gives (offset, bytes, big endian) by name of FIELDS; `options` are the scalars of the struct. Raises ValueError
    when a field leaves the header or has another width than 1, 2, 4 or 8 bytes.
    """
    row = np.zeros(1, dtype("packet_format"))
    row["header_bytes"] = header_bytes
    for name, (offset, width, big_endian) in fields.items():
        if name not in FIELDS or width not in (1, 2, 4, 8) or not 0 <= offset <= header_bytes - width:
            raise ValueError(f"packet field {name}: {width} bytes at {offset} do not fit a header of {header_bytes}")
        row[name]["offset"], row[name]["bytes"], row[name]["big_endian"] = offset, width, big_endian
    for kind in silent_types:
        row["silent_types"][0][kind >> 6] |= np.uint64(1 << (kind & 63))
    for name, number in options.items():
        row[name] = number
    return row
