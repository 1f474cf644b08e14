/* histogram.c — the bucket rule of histogram.h, for readers. */
#include "histogram.h"

static_assert(((58 + 1) << HISTOGRAM_SUB_BITS) + 31 < HISTOGRAM_BUCKETS + 32, "the largest int64 has a bucket");

int64_t histogram_bucket_low(uint32_t bucket)
{
    if (bucket < 2u << HISTOGRAM_SUB_BITS)
        return bucket;
    uint32_t magnitude = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    int64_t column = bucket & ((1 << HISTOGRAM_SUB_BITS) - 1);
    return ((int64_t)(1 << HISTOGRAM_SUB_BITS) + column) << magnitude;
}

uint32_t histogram_bucket_of(int64_t value)
{
    return histogram_bucket(value);
}
