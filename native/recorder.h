/*
 * recorder.h — what io saw and sent, into pcapng: an observer of the rings around io, in a process of its own.
 *
 *   io_core ──observe──► frames in    ┐
 *   core_io ──observe──► frames out   ├─► capture_writer ─► file
 *   control_io ─observe─► frames out  ┘
 *
 * Its hard rule: it writes nothing but its file. A recorder that is too slow misses records, counts them, and says so at the
 * next frame (epb_dropcount); nobody ever waits for it.
 */
#ifndef GATEWAY_RECORDER_H
#define GATEWAY_RECORDER_H

#include "ports/capture_writer.h"

/* cdef: begin */
enum recorder_constant {
    RECORDER_ORDER_RINGS = 2,
    RECORDER_REFUSED_MAX = 1024, /* refusals remembered until their order comes by */
    RECORDER_COPY_BYTES = 4096
};

struct recorder {
    struct ring_reader frames;
    struct ring_reader orders[2];
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t orders_refused;  /* by io, after core had handed them over: not in the file */
    uint64_t missed_in;       /* records of io_core that were gone before they were read */
    uint64_t missed_out;
    uint64_t bytes_written;   /* of the file in use */
    uint64_t missed_noted_in; /* of them, those the file tells of */
    uint64_t missed_noted_out;
    uint64_t refused_count;
    uint64_t refused[1024];
    const struct clock_calibration *clock;
    void *writer;
    uint8_t copy[4096];
};

/* NULL, or the reason. Slots larger than RECORDER_COPY_BYTES are refused. */
const char *recorder_open(struct recorder *recorder, const char *path);
/* Records taken, at most about `limit`; -1 when the disk refused: the file is whole up to there. */
int64_t recorder_poll(struct recorder *recorder, int64_t limit);
/* Writes out what is buffered and ends the file; 0, or -1 when the disk refused. */
int recorder_close(struct recorder *recorder);
/* cdef: end */

#endif
