/*
 * stream.h ⑧ — the port of an order session: a connected TCP socket behind the contract of port.h.
 *
 *     io.c ── transmit ──► socket           orders meet latch, epoch and age in io.c, as on every port
 *     io.c ◄─ receive ──── inbox ◄── who cuts the stream into packets (gateway/ops/session.py)
 *
 * Hard rule: a packet is taken whole or not at all. What the kernel took in part is finished before anything else leaves,
 * and while the kernel holds more than `held_max` bytes that the other side does not read, nothing is taken.
 */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "port.h"

/* cdef: begin */
enum stream_limit { STREAM_INBOX_ROWS = 64, STREAM_ROW_BYTES = 512, STREAM_PACKET_BYTES = 256 };

struct stream_row {
    uint32_t size;
    uint16_t flags; /* enum frame_flag */
    uint16_t reserved;
    uint8_t bytes[512];
};

struct stream {
    int32_t socket;  /* -1: nothing leaves */
    int32_t problem; /* errno of a send that failed for good; 0: none */
    uint32_t rest;   /* bytes of the last packet that the kernel has not taken */
    uint32_t held_max;
    uint64_t bytes_sent;
    uint64_t refused;    /* packets not taken */
    uint32_t inbox_count;
    uint32_t inbox_read; /* rows that a `receive` has handed out */
    uint8_t rest_bytes[256];
    struct stream_row inbox[64];
};

/* Makes `port` the port over `stream`. Both belong to the caller. */
void stream_port(struct port *port, struct stream *stream, const struct clock_calibration *clock);
/* 1: the packet is on its way; 0: not now, or never (`problem`). For the session's own packets, at most 256 bytes. */
int stream_send(struct stream *stream, const uint8_t *data, uint32_t size);
/* Bytes that the kernel holds and has not sent, the rest of a packet included. */
uint32_t stream_held(const struct stream *stream);
/* cdef: end */

#endif
