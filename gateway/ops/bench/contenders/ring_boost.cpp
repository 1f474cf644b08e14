/*
 * ring_boost.cpp — boost::lockfree::spsc_queue beside ours: its size is fixed at compile time, so its records lie in itself
 * and two processes share it. A hop reads its record in place; a burst moves BATCH records at a time.
 */
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

#include "ring_hop.h"

using queue = boost::lockfree::spsc_queue<record, boost::lockfree::capacity<DEPTH>>;

static inline bool send(queue *ring, uint64_t round)
{
    record made;
    fill(made.words, round);
    return ring->push(made);
}

static inline int64_t send_batch(queue *ring, int64_t done, int64_t records)
{
    record batch[BATCH];
    int64_t count = records - done < BATCH ? records - done : int64_t(BATCH);
    if (int64_t(ring->write_available()) < count)
        return 0;
    for (int64_t index = 0; index < count; index++)
        fill(batch[index].words, uint64_t(done + index));
    return int64_t(ring->push(batch, size_t(count)));
}

static inline int64_t take_batch(queue *ring, int64_t done, int64_t *wrong)
{
    record batch[BATCH];
    int64_t count = int64_t(ring->pop(batch, BATCH));
    for (int64_t index = 0; index < count; index++)
        *wrong |= !good(batch[index].words, uint64_t(done + index));
    return count;
}

extern "C" {
int64_t boost_bytes(void)
{
    return sizeof(queue);
}

int64_t boost_make(void *area)
{
    return new (area) queue ? 0 : -1;
}

int64_t hop_boost(queue *out, queue *in, int side, int64_t rounds, int64_t *ticks, int64_t deadline_ticks)
{
    HOP(send(out, round), words = in->read_available() ? in->front().words : NULL, in->pop())
}

int64_t burst_boost(queue *out, queue *in, int side, int64_t records, int64_t deadline_ticks)
{
    BURST(send_batch(out, done, records), take_batch(in, done, &wrong))
}
}
