/*
 * ring_hop.c — one 64-byte record there and back between two processes: over a bare cache line (the floor), over as many
 * bare lines in turn as a ring has slots, over a classic ring with separate head and tail lines, and over native/ring.h.
 */
#include "ring_hop.h"
#include "ring.h"

struct lines {
    struct record records[DEPTH] __attribute__((aligned(128)));
};

struct classic {
    uint64_t head __attribute__((aligned(128))); /* producer */
    uint64_t tail __attribute__((aligned(128))); /* consumer */
    struct record records[DEPTH] __attribute__((aligned(128)));
};

/* What each side keeps for itself of the classic ring. */
struct classic_cursor {
    uint64_t head, tail, tail_cached, head_cached;
};

static inline void line_send(struct record *line, uint64_t round)
{
    fill(line->words, round);
    __atomic_store_n(&line->sequence, round + 1, __ATOMIC_RELEASE);
}

static inline const uint64_t *line_receive(const struct record *line, uint64_t round)
{
    return __atomic_load_n(&line->sequence, __ATOMIC_ACQUIRE) == round + 1 ? line->words : NULL;
}

int64_t hop_line(struct lines *out, const struct lines *in, int side, int64_t rounds, int64_t *ticks,
                 int64_t deadline_ticks)
{
    HOP(line_send(out->records, round), words = line_receive(in->records, round), (void)0)
}

int64_t hop_lines(struct lines *out, const struct lines *in, int side, int64_t rounds, int64_t *ticks,
                  int64_t deadline_ticks)
{
    HOP(line_send(out->records + round % DEPTH, round), words = line_receive(in->records + round % DEPTH, round),
        (void)0)
}

static inline int classic_send(struct classic *ring, struct classic_cursor *own, uint64_t round)
{
    if (own->head - own->tail_cached == DEPTH) {
        own->tail_cached = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        if (own->head - own->tail_cached == DEPTH)
            return 0;
    }
    fill(ring->records[own->head % DEPTH].words, round);
    __atomic_store_n(&ring->head, ++own->head, __ATOMIC_RELEASE);
    return 1;
}

static inline const uint64_t *classic_receive(struct classic *ring, struct classic_cursor *own)
{
    if (own->head_cached == own->tail)
        own->head_cached = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    return own->head_cached == own->tail ? NULL : ring->records[own->tail % DEPTH].words;
}

static inline void classic_give_back(struct classic *ring, struct classic_cursor *own)
{
    __atomic_store_n(&ring->tail, ++own->tail, __ATOMIC_RELEASE);
}

int64_t hop_classic(struct classic *out, struct classic *in, int side, int64_t rounds, int64_t *ticks,
                    int64_t deadline_ticks)
{
    struct classic_cursor sent = {0}, received = {0};
    HOP(classic_send(out, &sent, round), words = classic_receive(in, &received), classic_give_back(in, &received))
}

static inline int ring_send(struct ring_writer *writer, uint64_t round)
{
    struct ring_slot *slot = ring_claim(writer);
    if (!slot)
        return 0;
    slot->size = WORDS * 8;
    fill((uint64_t *)(slot + 1), round);
    ring_publish(writer, slot);
    return 1;
}

static inline const uint64_t *ring_receive(const struct ring_reader *reader)
{
    const struct ring_slot *slot = ring_peek(reader);
    return slot ? (const uint64_t *)(slot + 1) : NULL;
}

int64_t hop_ring(struct ring_writer *out, struct ring_reader *in, int side, int64_t rounds, int64_t *ticks,
                 int64_t deadline_ticks)
{
    HOP((ring_send(out, round), ring_warm(out, WORDS * 8)), words = ring_receive(in),
        (ring_advance(in), ring_acknowledge(in)))
}

/* In bursts a reader gives back BATCH slots at a time, and all it has when there is nothing new. */
static inline int classic_take(struct classic *ring, struct classic_cursor *own, int64_t done, int64_t *wrong)
{
    const uint64_t *words = classic_receive(ring, own);
    if (words) {
        *wrong |= !good(words, (uint64_t)done);
        own->tail++;
    }
    if (!words || own->tail % BATCH == 0)
        __atomic_store_n(&ring->tail, own->tail, __ATOMIC_RELEASE);
    return words != NULL;
}

int64_t burst_classic(struct classic *out, struct classic *in, int side, int64_t records, int64_t deadline_ticks)
{
    struct classic_cursor own = {0};
    BURST(classic_send(out, &own, (uint64_t)done), classic_take(in, &own, done, &wrong))
}

static inline int ring_take(struct ring_reader *reader, int64_t done, int64_t *wrong)
{
    const uint64_t *words = ring_receive(reader);
    if (words) {
        *wrong |= !good(words, (uint64_t)done);
        ring_advance(reader);
    }
    if (!words || reader->position % BATCH == 0)
        ring_acknowledge(reader);
    return words != NULL;
}

int64_t burst_ring(struct ring_writer *out, struct ring_reader *in, int side, int64_t records, int64_t deadline_ticks)
{
    BURST(ring_send(out, (uint64_t)done), ring_take(in, done, &wrong))
}

/* Sizes and the depth, so that the caller lays the shared memory out without knowing the structs. */
int64_t lines_bytes(void)
{
    return sizeof(struct lines);
}

int64_t classic_bytes(void)
{
    return sizeof(struct classic);
}

int64_t ring_depth(void)
{
    return DEPTH;
}
