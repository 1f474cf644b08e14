/*
 * recorder.h — what io saw and sent, into pcapng: an observer of the rings around io, in a process of its own.
 *
 *   io_core ─────observe──► frames in                       ┐
 *   io_recorder ─observe──► exception path, both ways; what ├─► capture_writer ─► file
 *                           of the order rings did not leave│
 *   core_io ─────observe──► frames out                      │
 *   control_io ──observe──► frames out                      ┘
 *
 * Its hard rule: it writes nothing but its file. A recorder that is too slow misses records, counts them, and says so at the
 * next frame (epb_dropcount), as it does of frames that io dropped; nobody ever waits for it.
 */
#ifndef GATEWAY_RECORDER_H
#define GATEWAY_RECORDER_H

#include "ports/capture_writer.h"

/* cdef: begin */
enum recorder_constant {
    RECORDER_ORDER_RINGS = 2,
    RECORDER_KEPT_MAX = 1024, /* positions of an order ring that are remembered until their order comes by: its depth */
    RECORDER_COPIES = 16, /* records taken at once */
    RECORDER_COPY_BYTES = 4096
};

/* Losses of one side of the file: all that is known, and how much of it the file tells of. */
struct recorder_loss {
    uint64_t total;
    uint64_t noted;
};

struct recorder {
    struct ring_reader frames;
    struct ring_reader notes;
    struct ring_reader orders[2];
    const struct io_counters *io; /* what io dropped; NULL: not asked */
    const struct clock_calibration *clock;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t exceptions_in;   /* to the kernel */
    uint64_t exceptions_out;  /* from the kernel */
    uint64_t orders_refused;  /* that core had handed over and io did not send: not in the file */
    uint64_t dropped_in;      /* by the port and by io since the recording began */
    uint64_t dropped_exceptions;
    uint64_t missed_in;       /* records of io_core that were gone before they were read */
    uint64_t missed_out;
    uint64_t missed_exceptions;
    uint64_t bytes_written;   /* of the file in use */
    struct recorder_loss loss_in, loss_out, loss_exceptions;
    uint64_t io_dropped, io_throttled; /* io's counters when they were last read */
    uint64_t kept[2][1024];   /* position + 1 in each order ring, at its place */
    void *writer;
    uint8_t copies[16][4096];
};

/* Begins a file. NULL, or the reason. Slots larger than RECORDER_COPY_BYTES are refused. */
const char *recorder_open(struct recorder *recorder, const char *path);
/* Records taken, at most about `limit`; -1 when the disk refused: the file is whole up to there. */
int64_t recorder_poll(struct recorder *recorder, int64_t limit);
/* Writes out what is buffered and ends the file; 0, or -1 when the disk refused. */
int recorder_close(struct recorder *recorder);
/* cdef: end */

#endif
