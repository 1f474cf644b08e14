/*
 * stamp.h ① — turns a network card's own receive stamps into our time. The card counts ticks of a clock that nobody
 * promised anything about: it is compared with ours again and again.
 *
 *   card   ──┬───────────────┬───────────────┬──►      first … newest: how long a tick is
 *   ours   ──┴───────────────┴───────────────┴──►      newest: where the two stand
 *          first           …             newest
 *
 * Its hard rule: a stamp that cannot be true (later than now, or older than a frame can wait) is no stamp.
 */
#ifndef GATEWAY_STAMP_H
#define GATEWAY_STAMP_H

#include <stdint.h>

/* cdef: begin */
enum stamp_limit {
    STAMP_SPAN_NS_MIN = 5000000,   /* two readings closer than this say nothing about a tick's length */
    STAMP_AGE_NS_MAX = 1000000000, /* no frame waits longer in a queue */
    STAMP_AHEAD_NS_MAX = 20000,    /* so much the two clocks may differ: such a stamp becomes now */
    STAMP_STEP_NS_MAX = 1000000    /* the card's clock was set: what was measured before is void */
};

struct stamp_clock {
    uint64_t card_first;
    int64_t ns_first;
    uint64_t card_newest;
    int64_t ns_newest;
    uint64_t multiplier; /* nanoseconds a tick, 32.32; 0: not known yet */
    uint64_t steps;      /* times the card's clock was set */
};

/* The card read `card` when our clock read `ns`. */
void stamp_observe(struct stamp_clock *clock, uint64_t card, int64_t ns);
/* Our time of a card's stamp; 0: none, take the time of the burst. */
int64_t stamp_to_ns(const struct stamp_clock *clock, uint64_t card, int64_t now_ns);
/* cdef: end */

#endif
