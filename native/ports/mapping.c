/* mapping.c ① — see mapping.h. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *map(struct mapping *mapping, const char *path)
{
    struct stat status;
    mapping->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (mapping->file < 0 || fstat(mapping->file, &status) != 0)
        return errno == ENOENT ? "no such file; check the path" : strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "not a regular file; copy the recording into one";
    if (status.st_size == 0)
        return "empty; nothing was recorded";
    mapping->size = (uint64_t)status.st_size;
    void *bytes = mmap(NULL, mapping->size, PROT_READ, MAP_PRIVATE, mapping->file, 0);
    if (bytes == MAP_FAILED)
        return strerror(errno);
    mapping->bytes = bytes;
    madvise(bytes, mapping->size, MADV_SEQUENTIAL);
    if (mapping->size >= 2 && mapping->bytes[0] == 0x1F && mapping->bytes[1] == 0x8B)
        return "compressed with gzip; unpack it first";
    return NULL;
}

const char *mapping_open(struct mapping *mapping, const char *path)
{
    *mapping = (struct mapping){.file = -1};
    const char *problem = map(mapping, path);
    if (problem)
        mapping_close(mapping);
    return problem;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->bytes)
        munmap((void *)(uintptr_t)mapping->bytes, mapping->size);
    if (mapping->file >= 0)
        close(mapping->file);
    *mapping = (struct mapping){.file = -1};
}
