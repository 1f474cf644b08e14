/* recorder.c — see recorder.h. */
#include "recorder.h"

#include <stdlib.h>

#include "clock.h"
#include "ring.h"

static uint64_t read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* By how much a counter of io's grew. A fresh io begins some of them anew: that is no loss. */
static uint64_t growth(uint64_t now, uint64_t *before)
{
    uint64_t grown = now > *before ? now - *before : 0;
    *before = now;
    return grown;
}

/* Read before the rings: a loss is noted at a frame behind it, never at one before it. */
static void read_drops(struct recorder *recorder)
{
    const struct io_counters *io = recorder->io;
    if (!io)
        return;
    uint64_t dropped = read_word(&io->drop_ring_full) + read_word(&io->drop_oversized) +
                       read_word(&io->drop_truncated) + read_word(&io->drop_port);
    recorder->dropped_in += growth(dropped, &recorder->io_dropped);
    recorder->dropped_exceptions += growth(read_word(&io->exception_throttled), &recorder->io_throttled);
}

const char *recorder_open(struct recorder *recorder, const char *path)
{
    const struct ring_reader *rings[] = {&recorder->frames, &recorder->notes, &recorder->orders[0], &recorder->orders[1]};
    for (unsigned index = 0; index < sizeof rings / sizeof *rings; index++)
        if (rings[index]->slot_bytes > RECORDER_COPY_BYTES)
            return "a slot of a ring is larger than the recorder's copy; build both from the same tree";
    struct capture_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return "out of memory";
    const char *problem = capture_writer_open(writer, path, -1);
    if (!problem && capture_writer_add_exception(writer) != 0) {
        problem = "the disk is full; free space, or name another folder";
        capture_writer_close(writer);
    }
    if (problem) {
        free(writer);
        return problem;
    }
    recorder->writer = writer;
    recorder->bytes_written = writer->whole_bytes;
    return NULL;
}

static int put(struct recorder *recorder, const struct port_frame *frame, enum capture_side side, uint32_t direction,
               struct recorder_loss *loss)
{
    struct capture_writer *writer = recorder->writer;
    int outcome = capture_writer_put(writer, frame, side, direction, loss->total - loss->noted);
    loss->noted = loss->total;
    recorder->bytes_written = writer->whole_bytes + writer->used_bytes;
    return outcome;
}

/* The frame behind a header of `header_bytes`; 0 where its size is not believable: overrun while it was copied. */
static int frame_behind(const void *copy, const struct ring_reader *ring, uint64_t header_bytes, struct port_frame *frame)
{
    const struct ring_slot *slot = copy;
    frame->data = (const uint8_t *)copy + header_bytes;
    frame->size = frame->size_wire = slot->size;
    frame->flags = slot->flags & FRAME_CHECKSUM_UNREADY;
    return slot->size <= ring->slot_bytes - header_bytes;
}

static int record_in(struct recorder *recorder, const void *copy)
{
    const struct frame_slot *slot = copy;
    struct port_frame frame = {.time_ns = slot->time_receive_ns};
    if (slot->flags & (FRAME_ORDER_REFUSED | FRAME_END_OF_INPUT | FRAME_TIME | FRAME_MESSAGE))
        return 0;
    if (!frame_behind(copy, &recorder->frames, sizeof *slot, &frame))
        return 0;
    recorder->frames_in++;
    recorder->loss_in.total = recorder->missed_in + recorder->dropped_in;
    return put(recorder, &frame, CAPTURE_SIDE_PORT, CAPTURE_INBOUND, &recorder->loss_in);
}

static int record_note(struct recorder *recorder, const void *copy)
{
    const struct note_slot *slot = copy;
    struct port_frame frame = {.time_ns = slot->time_ns};
    if (slot->kind == NOTE_ORDER_KEPT && slot->ring < RECORDER_ORDER_RINGS)
        recorder->kept[slot->ring][slot->position % RECORDER_KEPT_MAX] = slot->position + 1;
    int inward = slot->kind == NOTE_FRAME_IN;
    if ((!inward && slot->kind != NOTE_FRAME_OUT) || !frame_behind(copy, &recorder->notes, sizeof *slot, &frame))
        return 0;
    frame.size_wire = slot->size_wire;
    recorder->exceptions_in += inward != 0;
    recorder->exceptions_out += inward == 0;
    recorder->loss_exceptions.total = recorder->missed_exceptions + recorder->dropped_exceptions;
    return put(recorder, &frame, CAPTURE_SIDE_EXCEPTION, inward ? CAPTURE_INBOUND : CAPTURE_OUTBOUND,
               &recorder->loss_exceptions);
}

static int record_out(struct recorder *recorder, const void *copy, int index, uint64_t position)
{
    const struct order_slot *slot = copy;
    struct port_frame frame = {.time_ns = clock_ticks_to_ns(recorder->clock, slot->ticks_order)};
    if (recorder->kept[index][position % RECORDER_KEPT_MAX] == position + 1) {
        recorder->orders_refused++;
        return 0;
    }
    if (!frame_behind(copy, &recorder->orders[index], sizeof *slot, &frame))
        return 0;
    frame.flags = 0; /* an order slot's own are no frame's */
    recorder->frames_out++;
    recorder->loss_out.total = recorder->missed_out;
    return put(recorder, &frame, CAPTURE_SIDE_PORT, CAPTURE_OUTBOUND, &recorder->loss_out);
}

/* 1: the ring was read to its end, 0: not yet, -1: the disk. */
static int drain(struct recorder *recorder, struct ring_reader *ring, uint64_t *missed,
                 int (*record)(struct recorder *, const void *), int64_t limit, int64_t *taken)
{
    int step;
    while (*taken < limit &&
           (step = ring_observe_many(ring, recorder->copies, RECORDER_COPY_BYTES, RECORDER_COPIES)) != 0) {
        *taken += step > 0 ? step : 1;
        *missed = ring->missed;
        for (int index = 0; index < step; index++)
            if (record(recorder, recorder->copies[index]) != 0)
                return -1;
    }
    return *taken < limit;
}

/* Orders that io has gone past: whatever it kept of them stands in io_recorder already. */
static int drain_orders(struct recorder *recorder, int index, uint64_t cursor, int64_t *taken)
{
    int step;
    struct ring_reader *ring = &recorder->orders[index];
    while (ring->position < cursor && (step = ring_observe(ring, recorder->copies, RECORDER_COPY_BYTES)) != 0) {
        (*taken)++;
        recorder->missed_out = recorder->orders[0].missed + recorder->orders[1].missed;
        if (step > 0 && record_out(recorder, recorder->copies, index, ring->position - 1) != 0)
            return -1;
    }
    return 0;
}

int64_t recorder_poll(struct recorder *recorder, int64_t limit)
{
    struct capture_writer *writer = recorder->writer;
    uint64_t cursors[RECORDER_ORDER_RINGS];
    int64_t taken = 0;
    for (int index = 0; index < RECORDER_ORDER_RINGS; index++)
        cursors[index] = __atomic_load_n(&ring_of(recorder->orders[index].header)->cursor, __ATOMIC_ACQUIRE);
    read_drops(recorder);
    int whole = drain(recorder, &recorder->frames, &recorder->missed_in, record_in, limit, &taken);
    if (whole > 0)
        whole = drain(recorder, &recorder->notes, &recorder->missed_exceptions, record_note, limit, &taken);
    if (whole < 0)
        return -1;
    for (int index = 0; whole && index < RECORDER_ORDER_RINGS; index++)
        if (drain_orders(recorder, index, cursors[index], &taken) != 0)
            return -1;
    if (taken == 0 && capture_writer_flush(writer) != 0)
        return -1;
    return taken;
}

int recorder_close(struct recorder *recorder)
{
    struct capture_writer *writer = recorder->writer;
    if (writer == NULL)
        return 0;
    int outcome = capture_writer_flush(writer);
    capture_writer_close(writer);
    free(writer);
    recorder->writer = NULL;
    return outcome;
}
