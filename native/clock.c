/* clock.c — calibration of the TSC; see clock.h. */
#include "clock.h"

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A pair (ticks, ns) read as close together as a few tries allow. */
static void read_pair(clockid_t id, int64_t *ticks, int64_t *ns)
{
    int64_t narrowest = INT64_MAX;
    for (int attempt = 0; attempt < 16; attempt++) {
        int64_t before = clock_ticks();
        int64_t reading = read_ns(id);
        int64_t after = clock_ticks();
        if (after - before < narrowest) {
            narrowest = after - before;
            *ticks = before + (after - before) / 2;
            *ns = reading;
        }
    }
}

void clock_calibrate(struct clock_calibration *calibration, int64_t window_ns)
{
    int64_t ticks_first = 0, ns_first = 0, ticks_last = 0, ns_last = 0;
    read_pair(CLOCK_MONOTONIC_RAW, &ticks_first, &ns_first);
    do {
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
        read_pair(CLOCK_MONOTONIC_RAW, &ticks_last, &ns_last);
    } while (ns_last - ns_first < window_ns);

    __int128 ns = ns_last - ns_first;
    __int128 ticks = ticks_last - ticks_first;
    calibration->multiplier = (uint64_t)((ns << 32) / ticks);
    calibration->ticks_per_second = (uint64_t)(ticks * 1000000000 / ns);
    read_pair(CLOCK_REALTIME, &calibration->ticks_base, &calibration->ns_base);
}

int64_t clock_read_ticks(void)
{
    return clock_ticks();
}

int64_t clock_read_ns(const struct clock_calibration *calibration)
{
    return clock_now_ns(calibration);
}
