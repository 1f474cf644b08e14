/*
 * mapping.h ① — a recorded file, mapped read-only. Hard rule: whoever maps a file keeps it from shrinking; the kernel
 * ends a process that reads a mapped page which the file has lost.
 */
#ifndef GATEWAY_PORT_MAPPING_H
#define GATEWAY_PORT_MAPPING_H

#include <stdint.h>

struct mapping {
    int file; /* -1: nothing mapped */
    const uint8_t *bytes;
    uint64_t size;
};

/* NULL, or the reason with its mend. Only regular files with at least one byte; gzip is recognised and refused. */
const char *mapping_open(struct mapping *mapping, const char *path);
void mapping_close(struct mapping *mapping);

#endif
