"""LZ4 ④: a compressed packet into scratch memory, for feeds whose flag says so (Euronext Optiq).

Hard rule: every length is compared with what is left of the source and of the target before a byte moves.
"""

from gateway.core.kernel import kernel
from gateway.core.memory import load_u8, load_u16, load_u32, store_u8

LZ4_MAGIC = 0x184D2204
LZ4_MINIMUM = 4  # bytes of the shortest match


@kernel
def unpack(source, size_bytes, target, capacity):
    """An LZ4 block, or a frame of such blocks, unpacked to `target`; returns the bytes, -1 for damage or no room.

    Formats: lz4_Block_format.md and lz4_Frame_format.md. Checksums of a frame are passed over, not verified.
    """
    if size_bytes >= 7 and load_u32(source) == LZ4_MAGIC:
        return unpack_frame(source, size_bytes, target, capacity)
    return unpack_block(source, size_bytes, target, 0, capacity)


@kernel
def unpack_frame(source, size_bytes, target, capacity):
    """The blocks of a frame, one after another; blocks may refer to those before them."""
    flags = load_u8(source + 4)
    at = 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    written = 0
    while size_bytes - at >= 4:
        word = load_u32(source + at)
        at += 4
        length = word & 0x7FFFFFFF
        if word == 0:
            return written
        if length > size_bytes - at:
            return -1
        if word != length:
            if length > capacity - written:
                return -1
            for index in range(length):
                store_u8(target + written + index, load_u8(source + at + index))
            written += length
        else:
            written = unpack_block(source + at, length, target, written, capacity)
            if written < 0:
                return -1
        at += length + (4 if flags & 16 else 0)
    return -1


@kernel
def unpack_block(source, size_bytes, target, written, capacity):
    """One block, to `target` + `written` on; returns what is written then, -1 for damage or no room."""
    at = 0
    while at < size_bytes:
        token = load_u8(source + at)
        at += 1
        literals = token >> 4
        if literals == 15:
            extra = 255
            while extra == 255:
                if at >= size_bytes:
                    return -1
                extra = load_u8(source + at)
                literals += extra
                at += 1
        if literals > size_bytes - at or literals > capacity - written:
            return -1
        for index in range(literals):
            store_u8(target + written + index, load_u8(source + at + index))
        at += literals
        written += literals
        if at == size_bytes:
            return written  # the last sequence has no match
        if size_bytes - at < 2:
            return -1
        distance = load_u16(source + at)
        at += 2
        length = (token & 15) + LZ4_MINIMUM
        if token & 15 == 15:
            extra = 255
            while extra == 255:
                if at >= size_bytes:
                    return -1
                extra = load_u8(source + at)
                length += extra
                at += 1
        if distance == 0 or distance > written or length > capacity - written:
            return -1
        for index in range(written, written + length):
            store_u8(target + index, load_u8(target + index - distance))
        written += length
    return -1 if size_bytes else written
