/*
 * binaryfile.c ① — a Nasdaq BinaryFILE recording as a port: each message comes out as one frame, as if the venue had
 * sent it alone on its multicast group, so that nothing after the port needs to know of the format.
 *
 *   binaryfile:FILE
 *
 * BinaryFILE 1.00: a two-byte big-endian length, then the message; length zero ends the session.
 * Its hard rule: a length is compared with what is left of the mapping before the message is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../port.h"
#include "mapping.h"
#include "option.h"

enum {
    ETHERNET_BYTES = 14,
    IP_BYTES = 20,
    UDP_BYTES = 8,
    MOLD_BYTES = 20, /* session 10, sequence 8, count 2 */
    BLOCK_BYTES = 2,
    IP_AT = ETHERNET_BYTES,
    UDP_AT = IP_AT + IP_BYTES,
    MOLD_AT = UDP_AT + UDP_BYTES,
    BLOCK_AT = MOLD_AT + MOLD_BYTES,
    MESSAGE_AT = BLOCK_AT + BLOCK_BYTES,
    PACKET_BYTES_MAX = 1500, /* a longer message could never have been sent so: the length is damaged */
    MESSAGE_BYTES_MAX = PACKET_BYTES_MAX - (MESSAGE_AT - IP_AT),
    FRAME_ROOM_BYTES = 1536,
    TIME_AT = 5, /* ITCH 5.0, section 1: six bytes of nanoseconds since midnight in every message */
    TIME_BYTES = 6
};

struct binaryfile_state {
    struct mapping mapping;
    uint64_t position;
    uint64_t sequence; /* of the next message */
    int ended;
    struct port_statistics statistics;
    uint8_t frames[PORT_BURST_MAX][FRAME_ROOM_BYTES];
};

/* 192.0.2.1:26477 to 233.54.12.111:26477; lengths, checksum, sequence and block are filled in per message. */
static const uint8_t header[MESSAGE_AT] = {
    0x01, 0x00, 0x5E, 0x36, 0x0C, 0x6F, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                 /* Ethernet */
    0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 233, 54, 12, 111,                          /* IPv4 */
    0x67, 0x6D, 0x67, 0x6D, 0, 0, 0, 0,                                                                  /* UDP */
    'B', 'I', 'N', 'A', 'R', 'Y', 'F', 'I', 'L', 'E', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,                      /* MoldUDP64 */
};

static void put_u16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* RFC 791, section 3.1: the ones' complement of the ones' complement sum of the header's words. */
static unsigned header_checksum(const uint8_t *bytes)
{
    unsigned sum = 0;
    for (int at = 0; at < IP_BYTES; at += 2)
        sum += (unsigned)bytes[at] << 8 | bytes[at + 1];
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum & 0xFFFF;
}

static uint32_t build_frame(uint8_t *frame, const uint8_t *message, unsigned size, uint64_t sequence)
{
    unsigned udp_bytes = UDP_BYTES + MOLD_BYTES + BLOCK_BYTES + size;
    uint64_t sequence_big = __builtin_bswap64(sequence);
    memcpy(frame, header, sizeof header);
    put_u16(frame + IP_AT + 2, IP_BYTES + udp_bytes);
    put_u16(frame + IP_AT + 10, header_checksum(frame + IP_AT));
    put_u16(frame + UDP_AT + 4, udp_bytes);
    memcpy(frame + MOLD_AT + 10, &sequence_big, sizeof sequence_big);
    put_u16(frame + BLOCK_AT, size);
    memcpy(frame + MESSAGE_AT, message, size);
    return MESSAGE_AT + size;
}

/* The next message, or NULL at the end. What ends the file early, or stands behind the end of the session, is an error. */
static const uint8_t *next_message(struct binaryfile_state *state, unsigned *size)
{
    const uint8_t *at = state->mapping.bytes + state->position;
    uint64_t left = state->mapping.size - state->position;
    state->ended = 1;
    if (left == 0)
        return NULL;
    *size = left >= 2 ? (unsigned)at[0] << 8 | at[1] : MESSAGE_BYTES_MAX + 1;
    if (*size > MESSAGE_BYTES_MAX || *size > left - 2 || (*size == 0 && left > 2)) {
        state->statistics.receive_errors++;
        return NULL;
    }
    if (*size == 0)
        return NULL;
    state->position += 2 + *size;
    state->ended = 0;
    return at + 2;
}

static int64_t message_time_ns(const uint8_t *message, unsigned size, int64_t time_before_ns)
{
    uint64_t time_big = 0;
    if (size < TIME_AT + TIME_BYTES)
        return time_before_ns;
    memcpy(&time_big, message + TIME_AT, TIME_BYTES);
    return (int64_t)(__builtin_bswap64(time_big) >> 16);
}

static int binaryfile_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct binaryfile_state *state = port->state;
    int count = 0;
    for (; count < limit && count < PORT_BURST_MAX && !state->ended; count++) {
        unsigned size = 0;
        const uint8_t *message = next_message(state, &size);
        if (message == NULL)
            break;
        uint32_t frame_bytes = build_frame(state->frames[count], message, size, state->sequence++);
        port->time_ns = message_time_ns(message, size, port->time_ns);
        frames[count] = (struct port_frame){state->frames[count], frame_bytes, frame_bytes, port->time_ns, 0};
    }
    state->statistics.frames_received += (uint64_t)count;
    return count == 0 && state->ended ? -1 : count;
}

static void binaryfile_release(struct port *port)
{
    (void)port; /* the next `receive` overwrites the frames */
}

static int binaryfile_transmit(struct port *port, const struct port_frame *frames, int count)
{
    (void)frames;
    ((struct binaryfile_state *)port->state)->statistics.transmit_refused += (uint64_t)count;
    return 0;
}

static void binaryfile_statistics(struct port *port, struct port_statistics *statistics)
{
    *statistics = ((struct binaryfile_state *)port->state)->statistics;
}

static void binaryfile_close(struct port *port)
{
    struct binaryfile_state *state = port->state;
    mapping_close(&state->mapping);
    free(state);
    port->state = NULL;
}

static int binaryfile_open(struct port *port, const char *argument, char *error)
{
    char path[OPTION_TEXT_BYTES];
    if (option_parse("binaryfile", argument, path, NULL, 0, error) != 0)
        return PORT_MISNAMED;
    struct binaryfile_state *state = calloc(1, sizeof *state);
    const char *problem = state ? mapping_open(&state->mapping, path) : "out of memory";
    if (problem) {
        snprintf(error, PORT_ERROR_BYTES, "port binaryfile:%.120s: %.100s", path, problem);
        free(state);
        return PORT_REFUSED;
    }
    state->sequence = 1;
    port->state = state;
    return 0;
}

const struct port_operations port_binaryfile = {
    .kind = "binaryfile",
    .usage = "FILE",
    .patient = 1,
    .open = binaryfile_open,
    .receive = binaryfile_receive,
    .release = binaryfile_release,
    .transmit = binaryfile_transmit,
    .statistics = binaryfile_statistics,
    .close = binaryfile_close,
};
