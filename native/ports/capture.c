/* capture.c ① — the classic pcap format, and the choice between the two; see capture.h. */
#include "capture.h"

#include <stdio.h>

enum {
    MAGIC_MICROSECONDS = 0xA1B2C3D4,
    MAGIC_NANOSECONDS = 0xA1B23C4D,
    MAGIC_BLOCKS = 0x0A0D0D0A, /* reads the same in either byte order */
    FILE_HEADER_BYTES = 24,
    RECORD_HEADER_BYTES = 16
};

static const char *refuse(char *reason, const char *text)
{
    snprintf(reason, PORT_ERROR_BYTES, "%s", text);
    return reason;
}

/* Everything behind a damaged length is unknown: the walk ends here. */
enum capture_step capture_damaged(struct capture *capture)
{
    capture->errors++;
    capture->position = capture->size;
    return CAPTURE_END;
}

static int is_record_magic(uint32_t magic)
{
    return magic == MAGIC_MICROSECONDS || magic == MAGIC_NANOSECONDS;
}

/* File header, section 4: magic, version 2.4, two unused words, snap length, link type in the low 16 bits. */
static const char *begin_records(struct capture *capture, char *reason)
{
    struct capture_interface *interface = &capture->interfaces[0];
    if (capture->size < FILE_HEADER_BYTES)
        return refuse(reason, "torn inside its file header; capture it again");
    interface->resolution = capture_u32(capture, 0) == MAGIC_NANOSECONDS ? 9 : 6;
    interface->link = (uint16_t)capture_u32(capture, 20);
    if (capture_u16(capture, 4) != 2)
        return refuse(reason, "a pcap of another version than 2; convert it with editcap");
    if (interface->link != CAPTURE_ETHERNET) {
        snprintf(reason, PORT_ERROR_BYTES, "link type %u, not Ethernet (1); capture on an Ethernet interface",
                 interface->link);
        return reason;
    }
    capture->interface_count = 1;
    capture->position = FILE_HEADER_BYTES;
    return NULL;
}

const char *capture_begin(struct capture *capture, const uint8_t *bytes, uint64_t size, char *reason)
{
    __builtin_memset(capture, 0, sizeof *capture);
    capture->bytes = bytes;
    capture->size = size;
    if (size < 4)
        return refuse(reason, size ? "torn inside its first four bytes" : "empty; nothing was captured");
    uint32_t magic = capture_u32(capture, 0);
    if (magic == MAGIC_BLOCKS) {
        capture->blocks = 1;
        return capture_begin_blocks(capture, reason);
    }
    capture->swapped = is_record_magic(__builtin_bswap32(magic));
    if (capture->swapped || is_record_magic(magic))
        return begin_records(capture, reason);
    return refuse(reason, "neither pcap nor pcapng; name a capture file");
}

/* Record header, section 5: seconds, fraction, captured length, original length. */
static enum capture_step next_record(struct capture *capture, struct port_frame *frame)
{
    uint64_t left = capture->size - capture->position, at = capture->position;
    if (left == 0)
        return CAPTURE_END;
    if (left < RECORD_HEADER_BYTES)
        return capture_damaged(capture);
    uint32_t size = capture_u32(capture, at + 8), size_wire = capture_u32(capture, at + 12);
    if (size > CAPTURE_FRAME_BYTES_MAX || size > left - RECORD_HEADER_BYTES)
        return capture_damaged(capture);
    uint64_t fraction_ns = (uint64_t)capture_u32(capture, at + 4) * (capture->interfaces[0].resolution == 9 ? 1 : 1000);
    frame->data = capture->bytes + at + RECORD_HEADER_BYTES;
    frame->size = size;
    frame->size_wire = size_wire > size ? size_wire : size;
    frame->time_ns = (int64_t)((uint64_t)capture_u32(capture, at) * 1000000000u + fraction_ns);
    frame->flags = 0;
    capture->time_ns = frame->time_ns;
    capture->position = at + RECORD_HEADER_BYTES + size;
    return CAPTURE_FRAME;
}

enum capture_step capture_next(struct capture *capture, struct port_frame *frame)
{
    return capture->blocks ? capture_next_block(capture, frame) : next_record(capture, frame);
}
