/*
 * capture_writer.h ① — appends frames to a pcapng file: one section, one Ethernet interface, nanoseconds.
 *
 * Its hard rule: the file is whole after every burst. A burst that the disk does not take is cut off again.
 */
#ifndef GATEWAY_PORT_CAPTURE_WRITER_H
#define GATEWAY_PORT_CAPTURE_WRITER_H

#include <stdint.h>

#include "../port.h"

enum capture_writer_limit {
    WRITER_FRAME_BYTES_MAX = 65536, /* the largest frame a device can send in one piece */
    WRITER_BUFFER_BYTES = 4 * WRITER_FRAME_BYTES_MAX
};

/* epb_flags, section 4.3.1. */
enum capture_flag {
    CAPTURE_INBOUND = 1,
    CAPTURE_OUTBOUND = 2,
    CAPTURE_CHECKSUM_UNREADY = 1 << 9
};

/* The interface of the file that a frame belongs to; the second one is there after capture_writer_add_exception. */
enum capture_side {
    CAPTURE_SIDE_PORT = 0,
    CAPTURE_SIDE_EXCEPTION = 1 /* of if_name CAPTURE_EXCEPTION: it never was core's */
};

struct capture_writer {
    int file;            /* -1: not open */
    int count_buffered;  /* frames in `buffer` */
    uint64_t whole_bytes; /* length of the file up to the last burst that was written */
    uint64_t used_bytes;
    uint8_t *buffer;
};

/* Creates or overwrites `path`, unless it is the file behind `source` (-1: no source). NULL, or the reason. */
const char *capture_writer_open(struct capture_writer *writer, const char *path, int source);
/* Frames written, in order. A frame without a time gets `time_ns`. */
int capture_writer_append(struct capture_writer *writer, const struct port_frame *frames, int count, int64_t time_ns);
/* Right after opening: names the second interface. 0, or -1: the disk. */
int capture_writer_add_exception(struct capture_writer *writer);
/* One frame into the buffer, which is written when it is full; `dropped` frames were lost before it. 0, or -1: the disk. */
int capture_writer_put(struct capture_writer *writer, const struct port_frame *frame, enum capture_side side,
                       uint32_t direction, uint64_t dropped);
int capture_writer_flush(struct capture_writer *writer);
void capture_writer_close(struct capture_writer *writer);

#endif
