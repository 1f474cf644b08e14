/*
 * ring_rte.c — DPDK's rte_ring beside ours: elements of 64 bytes, one producer, one consumer, in the shared arena, without
 * an EAL. A hop moves one element; a burst moves BATCH at a time, as DPDK's own applications do.
 */
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "ring_hop.h"

int64_t rte_bytes(void)
{
    return rte_ring_get_memsize_elem(sizeof(struct record), DEPTH);
}

int64_t rte_make(void *area)
{
    return rte_ring_init(area, "bench", DEPTH, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static inline int send(struct rte_ring *ring, uint64_t round)
{
    struct record record;
    fill(record.words, round);
    return rte_ring_sp_enqueue_elem(ring, &record, sizeof record) == 0;
}

int64_t hop_rte(struct rte_ring *out, struct rte_ring *in, int side, int64_t rounds, int64_t *ticks,
                int64_t deadline_ticks)
{
    struct record got;
    HOP(send(out, round), words = rte_ring_sc_dequeue_elem(in, &got, sizeof got) == 0 ? got.words : NULL, (void)0)
}

static inline int64_t send_batch(struct rte_ring *ring, int64_t done, int64_t records)
{
    struct record batch[BATCH];
    unsigned count = records - done < BATCH ? (unsigned)(records - done) : BATCH;
    if (rte_ring_free_count(ring) < count) /* before the records are made: a full ring does not make them again */
        return 0;
    for (unsigned index = 0; index < count; index++)
        fill(batch[index].words, (uint64_t)done + index);
    return rte_ring_sp_enqueue_burst_elem(ring, batch, sizeof *batch, count, NULL);
}

static inline int64_t take_batch(struct rte_ring *ring, int64_t done, int64_t *wrong)
{
    struct record batch[BATCH];
    unsigned count = rte_ring_sc_dequeue_burst_elem(ring, batch, sizeof *batch, BATCH, NULL);
    for (unsigned index = 0; index < count; index++)
        *wrong |= !good(batch[index].words, (uint64_t)done + index);
    return count;
}

int64_t burst_rte(struct rte_ring *out, struct rte_ring *in, int side, int64_t records, int64_t deadline_ticks)
{
    BURST(send_batch(out, done, records), take_batch(in, done, &wrong))
}
