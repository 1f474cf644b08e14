/* recorder.c — see recorder.h. */
#include "recorder.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ring.h"

const char *recorder_open(struct recorder *recorder, const char *path)
{
    for (int index = 0; index < RECORDER_ORDER_RINGS; index++)
        if (recorder->orders[index].slot_bytes > RECORDER_COPY_BYTES)
            return "an order slot is larger than the recorder's copy; build both from the same tree";
    if (recorder->frames.slot_bytes > RECORDER_COPY_BYTES)
        return "a frame slot is larger than the recorder's copy; build both from the same tree";
    struct capture_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return "out of memory";
    const char *problem = capture_writer_open(writer, path, -1);
    if (problem) {
        free(writer);
        return problem;
    }
    recorder->writer = writer;
    recorder->bytes_written = writer->whole_bytes;
    return NULL;
}

static int put(struct recorder *recorder, const struct port_frame *frame, uint32_t direction, uint64_t *noted,
               uint64_t missed)
{
    struct capture_writer *writer = recorder->writer;
    int outcome = capture_writer_put(writer, frame, direction, missed - *noted);
    *noted = missed;
    recorder->bytes_written = writer->whole_bytes + writer->used_bytes;
    return outcome;
}

static int record_in(struct recorder *recorder)
{
    const struct frame_slot *slot = (const struct frame_slot *)recorder->copy;
    if (slot->flags & FRAME_ORDER_REFUSED) {
        const struct order_refusal *refusal = (const struct order_refusal *)(slot + 1);
        recorder->refused[recorder->refused_count++ % RECORDER_REFUSED_MAX] = refusal->reference;
    }
    if (slot->flags & (FRAME_ORDER_REFUSED | FRAME_END_OF_INPUT | FRAME_TIME | FRAME_MESSAGE))
        return 0;
    if (slot->size > recorder->frames.slot_bytes - sizeof *slot)
        return 0;
    struct port_frame frame = {.data = (const uint8_t *)(slot + 1), .size = slot->size, .size_wire = slot->size,
                               .time_ns = slot->time_receive_ns};
    recorder->frames_in++;
    return put(recorder, &frame, CAPTURE_INBOUND, &recorder->missed_noted_in, recorder->missed_in);
}

/* Takes a refusal off the list: references are used once. */
static int was_refused(struct recorder *recorder, uint64_t reference)
{
    for (uint64_t index = 0; index < RECORDER_REFUSED_MAX && index < recorder->refused_count; index++)
        if (recorder->refused[index] == reference && reference != 0) {
            recorder->refused[index] = 0;
            return 1;
        }
    return 0;
}

static int record_out(struct recorder *recorder, const struct ring_reader *ring)
{
    const struct order_slot *slot = (const struct order_slot *)recorder->copy;
    if (slot->kind == ORDER_SLOT_NEW && was_refused(recorder, slot->reference)) {
        recorder->orders_refused++;
        return 0;
    }
    if (slot->size > ring->slot_bytes - sizeof *slot)
        return 0;
    struct port_frame frame = {.data = (const uint8_t *)(slot + 1), .size = slot->size, .size_wire = slot->size,
                               .time_ns = clock_ticks_to_ns(recorder->clock, slot->ticks_order)};
    recorder->frames_out++;
    return put(recorder, &frame, CAPTURE_OUTBOUND, &recorder->missed_noted_out, recorder->missed_out);
}

/* 1: io_core was read to its end. */
static int drain_frames(struct recorder *recorder, int64_t limit, int64_t *taken)
{
    int step;
    while (*taken < limit && (step = ring_observe(&recorder->frames, recorder->copy, RECORDER_COPY_BYTES)) != 0) {
        (*taken)++;
        recorder->missed_in = recorder->frames.missed;
        if (step > 0 && record_in(recorder) != 0)
            return -1;
    }
    return *taken < limit;
}

/* Orders that io has gone past: whatever it refused of them stands in io_core already. */
static int drain_orders(struct recorder *recorder, struct ring_reader *ring, uint64_t cursor, int64_t *taken)
{
    int step;
    while (ring->position < cursor && (step = ring_observe(ring, recorder->copy, RECORDER_COPY_BYTES)) != 0) {
        (*taken)++;
        recorder->missed_out = recorder->orders[0].missed + recorder->orders[1].missed;
        if (step > 0 && record_out(recorder, ring) != 0)
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
    int whole = drain_frames(recorder, limit, &taken);
    if (whole < 0)
        return -1;
    for (int index = 0; whole && index < RECORDER_ORDER_RINGS; index++)
        if (drain_orders(recorder, &recorder->orders[index], cursors[index], &taken) != 0)
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
