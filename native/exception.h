/*
 * exception.h ② — frames that are neither market data nor order traffic: to a kernel TAP and back, so that ARP, IGMP,
 * ping and TCP work on a port that no kernel owns.
 *
 *                  ┌─ fast ──► io_core ──► core
 *   port ─ burst ──┤
 *                  └─ exception ──► TAP ─ kernel       at most EXCEPTION_FRAMES_PER_TURN a turn and
 *   port ◄──────────────────────── TAP ─ kernel        EXCEPTION_FRAMES_PER_SECOND each way
 *
 * A turn goes: core's frames, orders, then the kernel's frames, so that the first two wait for no kernel call of this turn.
 * Owner: io's thread alone. Python fills it before the first turn and takes it down after the last. Orders never pass here.
 */
#ifndef GATEWAY_EXCEPTION_H
#define GATEWAY_EXCEPTION_H

#include "port.h"

/* cdef: begin */
enum exception_limit {
    EXCEPTION_FRAMES_PER_TURN = 16,
    EXCEPTION_FRAMES_PER_SECOND = 50000, /* a flood costs so many kernel calls each way, whatever the turns do */
    EXCEPTION_FRAMES_AHEAD = 256,        /* that may pass, turn by turn, after a pause: a window of TCP */
    EXCEPTION_POLL_NS = 20000,           /* an empty TAP is asked again so late: a question is a kernel call */
    EXCEPTION_ANNOUNCE_MS = 3000,        /* how often the kernel is made to repeat its memberships */
    EXCEPTION_QUERY_BYTES = 64,
    EXCEPTION_FRAME_BYTES = 2048,        /* of a frame whose checksum we fill in */
    EXCEPTION_DESTINATIONS_MAX = 256,
    EXCEPTION_ROWS = 1024                /* of the table, a quarter used at most */
};

/* How fast one way may go: a frame costs `ticks_frame`, paid from `ticks_paid` up to now. */
struct exception_pace {
    int64_t ticks_frame;
    int64_t ticks_paid;
};

struct exception {
    struct port tap;
    struct io_counters *counters;
    const struct clock_calibration *clock;
    struct ring_writer *notes; /* io_recorder; NULL: nobody records */
    uint32_t any_multicast; /* 1: the feed lists no destinations, any multicast UDP may be its */
    uint32_t ended;         /* somebody removed the TAP */
    struct exception_pace inward, outward;
    int64_t ticks_poll;     /* when the TAP is asked next */
    int64_t ticks_interval;
    int64_t ticks_announce; /* when the query goes into the TAP next */
    int64_t ticks_between;
    uint32_t query_bytes;   /* 0: nothing was joined */
    uint8_t query[64];      /* an IGMP general query, as a router would send it */
    struct port_frame waiting[64]; /* the kernel's part of the burst that the port has not got back yet */
    int32_t waiting_count;
    int32_t reserved;
    uint64_t destinations[1024]; /* address << 16 | port, open addressing; 0: free */
    uint8_t frame[2048];
};

/* Sets the pace both ways; the TAP is open. */
void exception_prepare(struct exception *exception, const struct clock_calibration *clock, struct io_counters *counters);
/* Datagrams to this address (host order) and port are core's. 0, or -1: the table is full. */
int exception_follow(struct exception *exception, uint32_t address, uint16_t port);
/* 1: the frame is core's, 0: the kernel's. Reads nothing beyond `size`. */
int exception_is_fast(const struct exception *exception, const uint8_t *frame, uint32_t size);
/* Counts a frame and lets it wait for `exception_deliver`: one burst of them at most. */
void exception_keep(struct exception *exception, const struct port_frame *frame);
/* Hands the waiting frames to the kernel: what is beyond the bound is dropped and counted. */
void exception_deliver(struct exception *exception, int64_t ticks);
/* Sends what the kernel wrote into the TAP out of `port`. Returns frames taken from the TAP. */
int64_t exception_send(struct exception *exception, struct port *port, int64_t ticks);
/* cdef: end */

#endif
