/* region.c — see region.h. Source: madvise(2); Linux Documentation/admin-guide/mm/transhuge.rst. */
#define _GNU_SOURCE
#include "region.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { HUGE_BYTES = 2 << 20, PAGE_BYTES = 4096 };

static uint64_t round_up(uint64_t number, uint64_t step)
{
    return (number + step - 1) / step * step;
}

/* Address space for `size_bytes` that begins with a huge page; whoever maps it must fill it. 0: none. */
static uint64_t reserve(uint64_t size_bytes)
{
    uint64_t whole_bytes = size_bytes + HUGE_BYTES;
    void *found = mmap(NULL, whole_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        return 0;
    uint64_t begin = (uint64_t)(uintptr_t)found;
    uint64_t aligned = round_up(begin, HUGE_BYTES);
    if (aligned > begin)
        munmap(found, aligned - begin);
    munmap((void *)(uintptr_t)(aligned + size_bytes), begin + HUGE_BYTES - aligned);
    return aligned;
}

void *region_map(int file, uint64_t size_bytes, int writable)
{
    uint64_t mapped_bytes = round_up(size_bytes, PAGE_BYTES);
    uint64_t address = size_bytes ? reserve(mapped_bytes) : 0;
    if (size_bytes == 0)
        errno = EINVAL;
    if (address == 0)
        return NULL;
    void *place = (void *)(uintptr_t)address;
    void *base = mmap(place, mapped_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | MAP_FIXED, file, 0);
    if (base != MAP_FAILED)
        return base;
    int problem = errno;
    munmap(place, mapped_bytes);
    errno = problem;
    return NULL;
}

void region_unmap(void *base, uint64_t size_bytes)
{
    munmap(base, round_up(size_bytes, PAGE_BYTES));
}

void region_populate(void *base, uint64_t size_bytes)
{
    uint64_t mapped_bytes = round_up(size_bytes, PAGE_BYTES);
    if (madvise(base, mapped_bytes, MADV_POPULATE_WRITE) == 0)
        madvise(base, mapped_bytes, MADV_COLLAPSE);
}
