/*
 * ring_moodycamel.cpp — moodycamel::ReaderWriterQueue beside ours. It keeps pointers to blocks of its own heap, so its two
 * sides are threads of one process; the area holds nothing but the queue's head. One block of DEPTH records: it never grows.
 */
#include <readerwriterqueue/readerwriterqueue.h>

#include <new>

#include "ring_hop.h"

using queue = moodycamel::ReaderWriterQueue<record, DEPTH>;

static inline bool send(queue *ring, uint64_t round)
{
    record made;
    fill(made.words, round);
    return ring->try_enqueue(made);
}

static inline int take(queue *ring, int64_t done, int64_t *wrong)
{
    const record *got = ring->peek();
    if (!got)
        return 0;
    *wrong |= !good(got->words, uint64_t(done));
    ring->pop();
    return 1;
}

static inline const uint64_t *receive(queue *ring)
{
    const record *got = ring->peek();
    return got ? got->words : NULL;
}

extern "C" {
int64_t moodycamel_bytes(void)
{
    return sizeof(queue);
}

int64_t moodycamel_make(void *area)
{
    return new (area) queue(DEPTH - 1) ? 0 : -1;
}

void moodycamel_end(void *area)
{
    static_cast<queue *>(area)->~ReaderWriterQueue();
}

int64_t hop_moodycamel(queue *out, queue *in, int side, int64_t rounds, int64_t *ticks, int64_t deadline_ticks)
{
    HOP(send(out, round), words = receive(in), in->pop())
}

int64_t burst_moodycamel(queue *out, queue *in, int side, int64_t records, int64_t deadline_ticks)
{
    BURST(send(out, uint64_t(done)), take(in, done, &wrong))
}
}
