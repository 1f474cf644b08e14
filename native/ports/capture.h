/*
 * capture.h ① — walks a capture file in memory: pcap and pcapng, either byte order, any time resolution.
 *
 * Its hard rule: every length is compared with what is left of the mapping before a byte behind it is read. Damage ends
 * the walk and is counted once; what stood before it has been delivered.
 *
 * Sources: draft-ietf-opsawg-pcap (classic format), draft-ietf-opsawg-pcapng (block format).
 */
#ifndef GATEWAY_PORT_CAPTURE_H
#define GATEWAY_PORT_CAPTURE_H

#include <stdint.h>

#include "../port.h"

enum capture_limit {
    CAPTURE_INTERFACES_MAX = 1024,        /* of one section; frames of later ones are counted as errors */
    CAPTURE_FRAME_BYTES_MAX = 256 * 1024  /* the largest snap length that capture tools write */
};

enum capture_link { CAPTURE_ETHERNET = 1 };

/* if_name of frames that our recorder took from the exception path: 18 characters. */
#define CAPTURE_EXCEPTION "gateway/exceptions"

enum capture_step {
    CAPTURE_FRAME = 0,   /* one frame was filled in */
    CAPTURE_NOTHING = 1, /* a block without a frame for us; ask again */
    CAPTURE_END = 2
};

struct capture_interface {
    uint16_t link;
    uint8_t resolution; /* if_tsresol as written: bit 7 chooses powers of two */
    uint8_t exception;  /* 1: its if_name is CAPTURE_EXCEPTION */
    uint32_t snap_bytes; /* 0: no limit */
    int64_t offset_seconds; /* if_tsoffset */
};

struct capture {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t position;
    int blocks;  /* 1: pcapng, 0: pcap */
    int inbound_only; /* 1: frames that say outbound (epb_flags), and those of the exception path, are passed over */
    int swapped; /* 1: written on a machine of the other byte order; a pcapng section may change it */
    int64_t time_ns; /* of the last frame that had one */
    uint64_t errors; /* damage, and frames that are not Ethernet */
    uint32_t interface_count;
    struct capture_interface interfaces[CAPTURE_INTERFACES_MAX];
};

/* Reads the header. NULL, or the reason why this is no capture we can read; `reason` (PORT_ERROR_BYTES) holds its text. */
const char *capture_begin(struct capture *capture, const uint8_t *bytes, uint64_t size, char *reason);

/* Advances by one record or block. */
enum capture_step capture_next(struct capture *capture, struct port_frame *frame);

/* For capture_blocks.c, the pcapng half: */
const char *capture_begin_blocks(struct capture *capture, char *reason);
enum capture_step capture_next_block(struct capture *capture, struct port_frame *frame);
enum capture_step capture_damaged(struct capture *capture);
int64_t capture_time_ns(uint64_t ticks, uint8_t resolution, int64_t offset_seconds);

static inline uint16_t capture_u16(const struct capture *capture, uint64_t at)
{
    uint16_t value;
    __builtin_memcpy(&value, capture->bytes + at, sizeof value);
    return capture->swapped ? __builtin_bswap16(value) : value;
}

static inline uint32_t capture_u32(const struct capture *capture, uint64_t at)
{
    uint32_t value;
    __builtin_memcpy(&value, capture->bytes + at, sizeof value);
    return capture->swapped ? __builtin_bswap32(value) : value;
}

static inline uint64_t capture_u64(const struct capture *capture, uint64_t at)
{
    uint64_t value;
    __builtin_memcpy(&value, capture->bytes + at, sizeof value);
    return capture->swapped ? __builtin_bswap64(value) : value;
}

#endif
