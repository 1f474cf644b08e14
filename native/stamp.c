/* stamp.c ① — see stamp.h. */
#include "stamp.h"

/* May be negative: a stamp older than the newest reading. */
static int64_t convert(const struct stamp_clock *clock, uint64_t card)
{
    int64_t ticks = (int64_t)(card - clock->card_newest);
    return clock->ns_newest + (int64_t)(((__int128)ticks * clock->multiplier) >> 32);
}

static void begin(struct stamp_clock *clock, uint64_t card, int64_t ns)
{
    clock->card_first = clock->card_newest = card;
    clock->ns_first = clock->ns_newest = ns;
    clock->multiplier = 0;
}

void stamp_observe(struct stamp_clock *clock, uint64_t card, int64_t ns)
{
    int64_t span_ns = ns - clock->ns_first;
    if (clock->ns_first == 0) {
        begin(clock, card, ns);
        return;
    }
    int64_t apart = clock->multiplier ? convert(clock, card) - ns : 0;
    if (card <= clock->card_newest || apart > STAMP_STEP_NS_MAX || apart < -STAMP_STEP_NS_MAX) {
        clock->steps++;
        begin(clock, card, ns);
        return;
    }
    if (span_ns < STAMP_SPAN_NS_MIN)
        return;
    clock->multiplier = (uint64_t)(((__int128)span_ns << 32) / (int64_t)(card - clock->card_first));
    clock->card_newest = card;
    clock->ns_newest = ns;
}

int64_t stamp_to_ns(const struct stamp_clock *clock, uint64_t card, int64_t now_ns)
{
    if (clock->multiplier == 0)
        return 0;
    int64_t age_ns = now_ns - convert(clock, card);
    if (age_ns < -STAMP_AHEAD_NS_MAX || age_ns > STAMP_AGE_NS_MAX)
        return 0;
    return age_ns < 0 ? now_ns : now_ns - age_ns;
}
