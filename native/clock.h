/*
 * clock.h — the only place in C that reads a clock. Ticks are the invariant TSC; nanoseconds come from one calibration
 * that lives in the control block, so every process of an instance agrees to the tick.
 */
#ifndef GATEWAY_CLOCK_H
#define GATEWAY_CLOCK_H

#include <time.h>
#include <x86intrin.h>

#include "layout.h"

static inline int64_t clock_ticks(void)
{
    return (int64_t)__rdtsc();
}

static inline int64_t clock_span_ns(const struct clock_calibration *calibration, int64_t ticks)
{
    return (int64_t)(((__int128)ticks * (__int128)calibration->multiplier) >> 32);
}

static inline int64_t clock_ticks_to_ns(const struct clock_calibration *calibration, int64_t ticks)
{
    return calibration->ns_base + clock_span_ns(calibration, ticks - calibration->ticks_base);
}

static inline int64_t clock_now_ns(const struct clock_calibration *calibration)
{
    return clock_ticks_to_ns(calibration, clock_ticks());
}

/* cdef: begin */
/* Measures the TSC against CLOCK_MONOTONIC_RAW for `window_ns` and anchors it to CLOCK_REALTIME. */
void clock_calibrate(struct clock_calibration *calibration, int64_t window_ns);

/* Function forms for Python; the static inline ones serve C. */
int64_t clock_read_ticks(void);
int64_t clock_read_ns(const struct clock_calibration *calibration);
/* cdef: end */

#endif
