/*
 * capture_blocks.c ① — the pcapng half of capture.h.
 *
 * A file is a chain of blocks: type, total length, body, total length again. The length is trusted only where it is a
 * multiple of four, fits into the file and is repeated at the block's end; anything else ends the walk.
 */
#include "capture.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCK_SECTION = 0x0A0D0D0A,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET_OLD = 2, /* obsolete, still written by old tools */
    BLOCK_PACKET_SIMPLE = 3,
    BLOCK_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1A2B3C4D,
    BLOCK_BYTES_MIN = 12,
    SECTION_BYTES_MIN = 28,
    INTERFACE_BYTES_MIN = 20,
    OPTION_END = 0,
    OPTION_FLAGS = 2, /* epb_flags, section 4.3.1: direction in the two lowest bits */
    DIRECTION = 3,
    DIRECTION_OUTBOUND = 2,
    CHECKSUM_UNREADY = 1 << 9,
    OPTION_NAME = 2,       /* if_name, section 4.2 */
    NAME_BYTES = sizeof CAPTURE_EXCEPTION - 1,
    OPTION_RESOLUTION = 9, /* if_tsresol, section 4.2 */
    OPTION_OFFSET = 14     /* if_tsoffset */
};

/* Units of 10^-n or 2^-n seconds since 1970 → nanoseconds; -1 where the result is no time after 1970 that int64 holds. */
int64_t capture_time_ns(uint64_t ticks, uint8_t resolution, int64_t offset_seconds)
{
    unsigned exponent = resolution & 0x7F;
    __int128 time_ns = ticks;
    if (resolution & 0x80) {
        time_ns = (time_ns * 1000000000) >> exponent;
    } else {
        for (; exponent < 9; exponent++)
            time_ns *= 10;
        for (; exponent > 9; exponent--)
            time_ns /= 10;
    }
    time_ns += (__int128)offset_seconds * 1000000000;
    return time_ns >= 0 && time_ns <= INT64_MAX ? (int64_t)time_ns : -1;
}

/* Section 4.1. Learns the byte order; interfaces count from zero again. NULL, or the reason of a refusal. */
static const char *begin_section(struct capture *capture)
{
    uint64_t at = capture->position;
    if (capture->size - at < SECTION_BYTES_MIN)
        return "torn inside its section header; capture it again";
    capture->swapped = 0;
    if (capture_u32(capture, at + 8) != BYTE_ORDER_MAGIC) {
        capture->swapped = 1;
        if (capture_u32(capture, at + 8) != BYTE_ORDER_MAGIC)
            return "no pcapng: its byte-order magic is wrong";
    }
    if (capture_u16(capture, at + 12) != 1)
        return "a pcapng of another major version than 1; convert it with editcap";
    capture->interface_count = 0;
    return NULL;
}

/* The length of the block at `position` when the whole block can be trusted, else 0. */
static uint32_t block_length(const struct capture *capture)
{
    uint64_t left = capture->size - capture->position;
    if (left < BLOCK_BYTES_MIN)
        return 0;
    uint32_t length = capture_u32(capture, capture->position + 4);
    if (length < BLOCK_BYTES_MIN || length % 4 != 0 || length > left)
        return 0;
    return capture_u32(capture, capture->position + length - 4) == length ? length : 0;
}

const char *capture_begin_blocks(struct capture *capture, char *reason)
{
    const char *problem = begin_section(capture);
    if (problem == NULL && capture_u32(capture, 4) > capture->size)
        problem = "torn inside its section header; capture it again";
    if (problem == NULL && block_length(capture) < SECTION_BYTES_MIN)
        problem = "no pcapng: its section header has an impossible length";
    if (problem == NULL)
        return NULL;
    snprintf(reason, PORT_ERROR_BYTES, "%s", problem);
    return reason;
}

/* Section 3.5: code, length, value padded to four bytes. Stops at the first option that does not fit. */
static void read_interface_options(const struct capture *capture, struct capture_interface *interface, uint64_t at,
                                   uint64_t end)
{
    while (end - at >= 4) {
        uint16_t code = capture_u16(capture, at), length = capture_u16(capture, at + 2);
        if (code == OPTION_END || length > end - at - 4)
            return;
        if (code == OPTION_NAME && length == NAME_BYTES)
            interface->exception = memcmp(capture->bytes + at + 4, CAPTURE_EXCEPTION, NAME_BYTES) == 0;
        if (code == OPTION_RESOLUTION && length == 1)
            interface->resolution = capture->bytes[at + 4];
        if (code == OPTION_OFFSET && length == 8)
            interface->offset_seconds = (int64_t)capture_u64(capture, at + 4);
        uint64_t step = 4 + (((uint64_t)length + 3) & ~3ull);
        at = step < end - at ? at + step : end;
    }
}

static enum capture_step take_interface(struct capture *capture, uint64_t at, uint32_t length)
{
    uint32_t index = capture->interface_count;
    if (length < INTERFACE_BYTES_MIN) {
        capture->errors++;
        return CAPTURE_NOTHING;
    }
    if (index < UINT32_MAX)
        capture->interface_count++;
    if (index >= CAPTURE_INTERFACES_MAX)
        return CAPTURE_NOTHING; /* its frames are counted when they come */
    struct capture_interface *interface = &capture->interfaces[index];
    interface->link = capture_u16(capture, at + 8);
    interface->snap_bytes = capture_u32(capture, at + 12);
    interface->resolution = 6;
    interface->offset_seconds = 0;
    interface->exception = 0;
    read_interface_options(capture, interface, at + 16, at + length - 4);
    return CAPTURE_NOTHING;
}

/* The Ethernet interface a frame belongs to, or NULL. */
static const struct capture_interface *interface_at(const struct capture *capture, uint32_t index)
{
    if (index >= capture->interface_count || index >= CAPTURE_INTERFACES_MAX)
        return NULL;
    return capture->interfaces[index].link == CAPTURE_ETHERNET ? &capture->interfaces[index] : NULL;
}

static enum capture_step deliver(struct capture *capture, struct port_frame *frame, uint64_t at, uint32_t size,
                                 uint32_t size_wire, int64_t time_ns)
{
    if (time_ns >= 0)
        capture->time_ns = time_ns;
    frame->data = capture->bytes + at;
    frame->size = size;
    frame->size_wire = size_wire > size ? size_wire : size;
    frame->time_ns = capture->time_ns; /* a frame without a believable time keeps its predecessor's */
    frame->flags = 0;
    return CAPTURE_FRAME;
}

/* Section 4.3.1. epb_flags among the options between `at` and `end`; 0 where there are none. */
static uint32_t flags_between(const struct capture *capture, uint64_t at, uint64_t end)
{
    while (at < end && end - at >= 4) {
        uint16_t code = capture_u16(capture, at), length = capture_u16(capture, at + 2);
        if (code == OPTION_END || length > end - at - 4)
            return 0;
        if (code == OPTION_FLAGS && length == 4)
            return capture_u32(capture, at + 4);
        at += 4 + (((uint64_t)length + 3) & ~3ull);
    }
    return 0;
}

/* Sections 4.3 and A: interface, time in two halves, captured and original length, bytes. Both forms are alike but for
 * the width of the interface number. */
static enum capture_step take_packet(struct capture *capture, struct port_frame *frame, uint64_t at, uint32_t length,
                                     int old)
{
    const struct capture_interface *interface = NULL;
    uint32_t room = length >= 32 ? length - 32 : 0, size = 0;
    if (length >= 32) {
        interface = interface_at(capture, old ? capture_u16(capture, at + 8) : capture_u32(capture, at + 8));
        size = capture_u32(capture, at + 20);
    }
    if (interface == NULL || size > room || size > CAPTURE_FRAME_BYTES_MAX) {
        capture->errors++;
        return CAPTURE_NOTHING;
    }
    uint64_t options = at + 28 + (((uint64_t)size + 3) & ~3ull);
    uint32_t flags = old ? 0 : flags_between(capture, options, at + length - 4);
    if (capture->inbound_only && (interface->exception || (flags & DIRECTION) == DIRECTION_OUTBOUND))
        return CAPTURE_NOTHING;
    uint64_t ticks = (uint64_t)capture_u32(capture, at + 12) << 32 | capture_u32(capture, at + 16);
    int64_t time_ns = capture_time_ns(ticks, interface->resolution, interface->offset_seconds);
    enum capture_step step = deliver(capture, frame, at + 28, size, capture_u32(capture, at + 24), time_ns);
    frame->flags = flags & CHECKSUM_UNREADY ? FRAME_CHECKSUM_UNREADY : 0;
    return step;
}

/* Section 4.4: no time, no interface (always the first), the captured length follows from the snap length. */
static enum capture_step take_packet_simple(struct capture *capture, struct port_frame *frame, uint64_t at,
                                            uint32_t length)
{
    const struct capture_interface *interface = interface_at(capture, 0);
    if (interface == NULL || length < 16) {
        capture->errors++;
        return CAPTURE_NOTHING;
    }
    uint32_t size_wire = capture_u32(capture, at + 8), size = size_wire;
    if (interface->snap_bytes && size > interface->snap_bytes)
        size = interface->snap_bytes;
    if (size > length - 16 || size > CAPTURE_FRAME_BYTES_MAX) {
        capture->errors++;
        return CAPTURE_NOTHING;
    }
    return deliver(capture, frame, at + 12, size, size_wire, -1);
}

enum capture_step capture_next_block(struct capture *capture, struct port_frame *frame)
{
    uint64_t at = capture->position;
    if (at == capture->size)
        return CAPTURE_END;
    if (capture->size - at < BLOCK_BYTES_MIN)
        return capture_damaged(capture);
    uint32_t type = capture_u32(capture, at);
    if (type == BLOCK_SECTION && begin_section(capture) != NULL)
        return capture_damaged(capture);
    uint32_t length = block_length(capture);
    if (length == 0 || (type == BLOCK_SECTION && length < SECTION_BYTES_MIN))
        return capture_damaged(capture);
    capture->position = at + length;
    switch (type) {
    case BLOCK_INTERFACE:
        return take_interface(capture, at, length);
    case BLOCK_PACKET:
    case BLOCK_PACKET_OLD:
        return take_packet(capture, frame, at, length, type == BLOCK_PACKET_OLD);
    case BLOCK_PACKET_SIMPLE:
        return take_packet_simple(capture, frame, at, length);
    default:
        return CAPTURE_NOTHING;
    }
}
