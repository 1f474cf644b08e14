/*
 * ring_hop.h — the one shape of the ring benchmark's contenders in C and C++: the round trip, its payload and its deadline.
 * Hard rule: whatever is not the ring itself stands here, so that every contender does it alike.
 *
 * Every hop_NAME runs one side for `rounds` round trips: side 0 sends first and writes each round trip's ticks to `ticks`.
 * It ends early when `deadline_ticks` passes, and returns the round trips done, or -1 - that when a payload was
 * wrong. Every burst_NAME moves `records` records from side 0 to side 1 as fast as there is room, likewise.
 */
#ifndef GATEWAY_RING_HOP_H
#define GATEWAY_RING_HOP_H

#include <stdint.h>
#include <string.h>
#include <x86intrin.h>

enum { WORDS = 6, DEPTH = 1024, BATCH = 16, LOOKS = 4096 }; /* LOOKS: empty looks between two looks at the deadline */

struct record {
    uint64_t sequence; /* the bare line's own word; unused by the others */
    uint64_t size;
    uint64_t words[WORDS];
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

static inline int64_t stamp(void)
{
    return (int64_t)__rdtsc();
}

/* Between two empty looks, alike for all: a pause, as the makers of the processors advise, and seldom the deadline. */
static inline int late(uint64_t *looks, int64_t deadline_ticks)
{
    _mm_pause();
    return ++*looks % LOOKS == 0 && stamp() > deadline_ticks;
}

/* SEND and GIVE_BACK are statements, RECEIVE sets `words` or leaves it NULL. Side 1 answers, then gives the slot back. */
#define HOP(SEND, RECEIVE, GIVE_BACK)                                                                               \
    int64_t done = 0;                                                                                               \
    uint64_t looks = 0;                                                                                             \
    int wrong = 0;                                                                                                  \
    for (; done < rounds; done++) {                                                                                 \
        uint64_t round = (uint64_t)done;                                                                            \
        const uint64_t *words = NULL;                                                                               \
        int64_t begin = stamp();                                                                                    \
        if (side == 0) {                                                                                            \
            SEND;                                                                                                   \
        }                                                                                                           \
        for (;;) {                                                                                                  \
            RECEIVE;                                                                                                \
            if (words || late(&looks, deadline_ticks))                                                              \
                break;                                                                                              \
        }                                                                                                           \
        if (!words)                                                                                                 \
            break;                                                                                                  \
        wrong |= !good(words, round);                                                                               \
        if (side == 1) {                                                                                            \
            SEND;                                                                                                   \
        }                                                                                                           \
        GIVE_BACK;                                                                                                  \
        if (side == 0)                                                                                              \
            ticks[done] = stamp() - begin;                                                                          \
    }                                                                                                               \
    return wrong ? -1 - done : done;

/* SEND(done) and RECEIVE(done, wrong) are expressions: how many records moved, 0 when there was no room or nothing new. */
#define BURST(SEND, RECEIVE)                                                                                        \
    uint64_t looks = 0;                                                                                             \
    int64_t done = 0, wrong = 0;                                                                                    \
    while (done < records) {                                                                                        \
        int64_t moved = side == 0 ? SEND : RECEIVE;                                                                 \
        done += moved;                                                                                              \
        if (!moved && late(&looks, deadline_ticks))                                                                 \
            break;                                                                                                  \
    }                                                                                                               \
    return wrong ? -1 - done : done;

#endif
