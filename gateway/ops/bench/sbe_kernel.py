"""The loop of the suite `sbe` over packets and messages, as source text: the same loop as in contenders/sbe_reader.c.

Hard rule: it only finds messages and hands them to generated readers; everything inside a message is theirs.
"""

from types import ModuleType

import numpy as np

from gateway.ops.bench.sbe_stream import PACKET_HEADER_BYTES, SIZE_BYTES, Stream
from gateway.protocols.sbe import modules
from gateway.protocols.sbe.generator import reader_name
from gateway.protocols.sbe.model import Message
from gateway.protocols.sbe.rows import layout_of

TEMPLATES = (32, 35, 37, 42)
ENTRIES_MAX = 255
WORD = 8

HEAD = '''"""Generated for the suite sbe."""

from gateway.core.kernel import cached
from gateway.core.memory import load_i64, load_u16, load_u32
from {readers} import {names}


@cached
def decode_stream(data, offsets, sizes, packets, table, step):
    """Entries of every message of the packets. With step 1 every row has its own place, with 0 they share one."""
    total = 0
{rows}
    for index in range(packets):
        cursor = data + load_i64(offsets + 8 * index)
        end = cursor + load_i64(sizes + 8 * index)
        cursor += {packet_header}
        while end - cursor >= {header}:
            size = load_u16(cursor)
            if ((size - {header}) | (end - cursor - size)) < 0:
                break
            template = load_u16(cursor + 4)
            {branches}
            cursor += size
    return total
'''
BRANCH = """{word} template == {template}:
                used = {reader}(
                    cursor + {header}, size - {header}, load_u16(cursor + 2), load_u16(cursor + 8), {arguments}
                )
                if used >= 0:
                    total += load_u32(root_{template} + {count})
                    if step != 0:
{steps}
            """


def arrays(rows: dict[int, list[np.ndarray]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """(table of addresses, empty arrays) with room for as many rows as these, and for one more message behind them."""
    kept = [np.zeros(len(array) + ENTRIES_MAX, array.dtype) for template in TEMPLATES for array in rows[template]]
    return np.array([array.ctypes.data for array in kept], np.int64), kept


def kernel(stream: Stream) -> ModuleType:
    """The module with decode_stream over this stream's schema."""
    readers = modules.readers(stream.schema)
    messages = [stream.schema.messages[template] for template in TEMPLATES]
    modules.compile_kernels(readers, [reader_name(message) for message in messages])

    def text() -> str:
        return HEAD.format(
            readers=readers.__name__,
            names=", ".join(reader_name(message) for message in messages),
            rows="\n".join(f"    {name} = load_i64(table + {WORD * index})" for index, name in enumerate(_names(messages))),
            packet_header=PACKET_HEADER_BYTES,
            header=SIZE_BYTES + stream.schema.header.size,
            branches="".join(_branch(stream, message, index) for index, message in enumerate(messages)).strip(),
        )

    return modules.load("bench-sbe", stream.schema.digest, text)


def _names(messages: list[Message]) -> list[str]:
    names = []
    for message in messages:
        groups = list(layout_of(message).blocks())
        names += [f"root_{message.id}", *(f"rows_{message.id}_{index}" for index in range(len(groups)))]
    return names


def _branch(stream: Stream, message: Message, index: int) -> str:
    root = layout_of(message)
    names = _names([message])
    given = [part for name in names[1:] for part in (name, str(ENTRIES_MAX))]
    counted = [inner.place.offset + 4 for inner in root.inner]
    steps = [
        f"{name} += load_u32({names[0]} + {place}) * {block.size}"
        for name, place, block in zip(names[1:], counted, root.blocks(), strict=True)
    ]
    return BRANCH.format(
        word="elif" if index else "if",
        template=message.id,
        reader=reader_name(message),
        header=SIZE_BYTES + stream.schema.header.size,
        arguments=", ".join([names[0], *given]),
        count=counted[0],
        steps="\n".join(" " * 24 + step for step in [*steps, f"{names[0]} += {root.size}"]),
    )
