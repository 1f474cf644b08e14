/*
 * region.h — a shared file of an instance (a ring, a region) in this process's memory.
 *
 * It is mapped where its pages and the processor's huge pages fall together, because a ring of 17 MiB is more than a
 * processor translates page by page: without huge pages a lookup of the page table stands before most frames.
 * Its hard rule: huge pages are a gain, never a condition; a kernel or a host without them gives small ones.
 */
#ifndef GATEWAY_REGION_H
#define GATEWAY_REGION_H

#include <stdint.h>

/* cdef: begin */
/* Maps `size_bytes` of `file`, shared. NULL: errno says why. The file may be closed afterwards. */
void *region_map(int file, uint64_t size_bytes, int writable);
void region_unmap(void *base, uint64_t size_bytes);
/* Faults the pages in for writing, so that no frame meets the fault, and makes huge pages of them where that is possible
   (Linux 5.14 and 6.1). What lies in them stays, also under other processes that use it meanwhile. */
void region_populate(void *base, uint64_t size_bytes);
/* cdef: end */

#endif
