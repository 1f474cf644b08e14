/*
 * ring_hop.c — one 64-byte record there and back between two processes, three ways: over a bare cache line (the
 * floor), over a classic ring with separate head and tail lines, and over native/ring.h. Every record carries 48 bytes
 * that the other side checks.
 *
 * Every function runs one side for `rounds` round trips: side 0 sends first and writes each round trip's ticks to
 * `ticks`. It ends early when `deadline_ticks` passes, and returns the round trips done, or -1 - that when
 * a payload was wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ring.h"

enum { WORDS = 6, DEPTH = 1024, LOOKS = 4096 }; /* LOOKS: spins between two looks at the deadline */

struct record {
    uint64_t sequence; /* the bare line's own word; unused by the classic ring */
    uint64_t size;
    uint64_t words[WORDS];
};

struct bare_line {
    struct record record __attribute__((aligned(128)));
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

static inline void fill(uint64_t *words, uint64_t round)
{
    for (uint64_t index = 0; index < WORDS; index++)
        words[index] = round + index;
}

static inline int good(const uint64_t *words, uint64_t round)
{
    uint64_t wrong = 0;
    for (uint64_t index = 0; index < WORDS; index++)
        wrong |= words[index] ^ (round + index);
    return wrong == 0;
}

static inline int late(uint64_t *spins, int64_t deadline_ticks)
{
    return ++*spins % LOOKS == 0 && clock_ticks() > deadline_ticks;
}

/* The one shape of every contender; SEND and RECEIVE are statements, RECEIVE sets `words` or leaves it NULL. */
#define HOP(SEND, RECEIVE, GIVE_BACK)                                                                               \
    int64_t done = 0;                                                                                               \
    uint64_t spins = 0;                                                                                             \
    int wrong = 0;                                                                                                  \
    for (; done < rounds; done++) {                                                                                 \
        uint64_t round = (uint64_t)done;                                                                            \
        const uint64_t *words = NULL;                                                                               \
        int64_t begin = clock_ticks();                                                                              \
        if (side == 0) {                                                                                            \
            SEND;                                                                                                   \
        }                                                                                                           \
        for (;;) {                                                                                                  \
            RECEIVE;                                                                                                \
            if (words || late(&spins, deadline_ticks))                                                              \
                break;                                                                                              \
        }                                                                                                           \
        if (!words)                                                                                                 \
            break;                                                                                                  \
        wrong |= !good(words, round);                                                                               \
        GIVE_BACK;                                                                                                  \
        if (side == 1) {                                                                                            \
            SEND;                                                                                                   \
        }                                                                                                           \
        if (side == 0)                                                                                              \
            ticks[done] = clock_ticks() - begin;                                                                    \
    }                                                                                                               \
    return wrong ? -1 - done : done;

static inline void line_send(struct bare_line *line, uint64_t round)
{
    fill(line->record.words, round);
    __atomic_store_n(&line->record.sequence, round + 1, __ATOMIC_RELEASE);
}

static inline const uint64_t *line_receive(const struct bare_line *line, uint64_t round)
{
    return __atomic_load_n(&line->record.sequence, __ATOMIC_ACQUIRE) == round + 1 ? line->record.words : NULL;
}

int64_t hop_line(struct bare_line *out, const struct bare_line *in, int side, int64_t rounds, int64_t *ticks,
                 int64_t deadline_ticks)
{
    HOP(line_send(out, round), words = line_receive(in, round), (void)0)
}

static inline void classic_send(struct classic *ring, struct classic_cursor *own, uint64_t round)
{
    while (own->head - own->tail_cached == DEPTH)
        own->tail_cached = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    fill(ring->records[own->head % DEPTH].words, round);
    __atomic_store_n(&ring->head, ++own->head, __ATOMIC_RELEASE);
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

static inline void ring_send(struct ring_writer *writer, uint64_t round)
{
    struct ring_slot *slot = ring_claim(writer);
    slot->size = WORDS * 8;
    fill((uint64_t *)(slot + 1), round);
    ring_publish(writer, slot);
}

static inline const uint64_t *ring_receive(const struct ring_reader *reader)
{
    const struct ring_slot *slot = ring_peek(reader);
    return slot ? (const uint64_t *)(slot + 1) : NULL;
}

int64_t hop_ring(struct ring_writer *out, struct ring_reader *in, int side, int64_t rounds, int64_t *ticks,
                 int64_t deadline_ticks)
{
    HOP(ring_send(out, round), words = ring_receive(in), (ring_advance(in), ring_acknowledge(in)))
}

/* Bursts: side 0 sends `records` records as fast as there is room, side 1 reads them and gives back BATCH at a time. */
enum { BATCH = 16 };

int64_t burst_classic(struct classic *out, struct classic *in, int side, int64_t records, int64_t deadline_ticks)
{
    struct classic_cursor own = {0};
    uint64_t spins = 0;
    int64_t done = 0, wrong = 0;
    while (done < records && !late(&spins, deadline_ticks)) {
        if (side == 0) {
            if (own.head - own.tail_cached == DEPTH)
                own.tail_cached = __atomic_load_n(&out->tail, __ATOMIC_ACQUIRE);
            if (own.head - own.tail_cached == DEPTH)
                continue;
            classic_send(out, &own, (uint64_t)done++);
            continue;
        }
        const uint64_t *words = classic_receive(in, &own);
        if (words) {
            wrong |= !good(words, (uint64_t)done++);
            own.tail++;
        }
        if (!words || done % BATCH == 0)
            __atomic_store_n(&in->tail, own.tail, __ATOMIC_RELEASE);
    }
    return wrong ? -1 - done : done;
}

int64_t burst_ring(struct ring_writer *out, struct ring_reader *in, int side, int64_t records, int64_t deadline_ticks)
{
    uint64_t spins = 0;
    int64_t done = 0, wrong = 0;
    while (done < records && !late(&spins, deadline_ticks)) {
        if (side == 0) {
            struct ring_slot *slot = ring_claim(out);
            if (!slot)
                continue;
            slot->size = WORDS * 8;
            fill((uint64_t *)(slot + 1), (uint64_t)done++);
            ring_publish(out, slot);
            continue;
        }
        const uint64_t *words = ring_receive(in);
        if (words) {
            wrong |= !good(words, (uint64_t)done++);
            ring_advance(in);
        }
        if (!words || done % BATCH == 0)
            ring_acknowledge(in);
    }
    return wrong ? -1 - done : done;
}

/* Sizes and the depth, so that the caller lays the shared memory out without knowing the structs. */
int64_t line_bytes(void)
{
    return sizeof(struct bare_line);
}

int64_t classic_bytes(void)
{
    return sizeof(struct classic);
}

int64_t ring_depth(void)
{
    return DEPTH;
}
