/*
 * histogram.h — latency histograms in shared memory: 32 buckets per power of two, so a value is known to 3 %.
 * One writer. Adding a value is a bit scan and three stores.
 */
#ifndef GATEWAY_HISTOGRAM_H
#define GATEWAY_HISTOGRAM_H

#include "layout.h"

/* Values below 32 have their own bucket; above, the top set bit picks the row and the next five bits the column. */
static inline uint32_t histogram_bucket(int64_t value)
{
    if (value < 1 << HISTOGRAM_SUB_BITS)
        return value < 0 ? 0 : (uint32_t)value;
    uint32_t magnitude = 63 - (uint32_t)__builtin_clzll((uint64_t)value) - HISTOGRAM_SUB_BITS;
    return ((magnitude + 1) << HISTOGRAM_SUB_BITS) + (uint32_t)((value >> magnitude) & ((1 << HISTOGRAM_SUB_BITS) - 1));
}

static inline void histogram_add(struct histogram *histogram, int64_t value_ns)
{
    histogram->buckets[histogram_bucket(value_ns)]++;
    histogram->sum_ns += value_ns;
    if (value_ns > histogram->max_ns)
        histogram->max_ns = value_ns;
    if (value_ns < histogram->min_ns || histogram->count == 0)
        histogram->min_ns = value_ns;
    histogram->count++;
}

/* cdef: begin */
/* Smallest value of a bucket; the next bucket's is one past its largest. */
int64_t histogram_bucket_low(uint32_t bucket);
uint32_t histogram_bucket_of(int64_t value);
/* cdef: end */

#endif
