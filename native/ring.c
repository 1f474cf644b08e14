/* ring.c ③ — making, checking and attaching rings, and the observer's careful copy. Off the hot path. */
#include <string.h>

#include "ring.h"

const char *region_check(const void *base, uint64_t size_bytes, uint32_t kind)
{
    const struct region_header *header = base;
    if (size_bytes < sizeof *header)
        return "the file is shorter than a region header";
    if (header->magic != GATEWAY_MAGIC)
        return "magic differs: this is not a gateway region";
    if (header->version != REGION_VERSION)
        return "region version differs: another gateway release made this file";
    if (header->layout_hash != GATEWAY_LAYOUT_HASH)
        return "layout hash differs: the file was made by a build with other shared structs";
    if (header->kind != kind)
        return "region kind differs: the file holds something else";
    if (header->size_bytes != size_bytes)
        return "region size differs: the file was truncated or is not complete";
    if (__atomic_load_n(&header->ready, __ATOMIC_ACQUIRE) != 1)
        return "region is not ready: its creator has not finished";
    return NULL;
}

static const char *geometry_check(uint64_t size_bytes, uint64_t depth, uint64_t slot_bytes)
{
    if (depth < 2 || (depth & (depth - 1)))
        return "ring depth is not a power of two above one";
    if (slot_bytes < 64 || slot_bytes % 64)
        return "ring slot size is not a multiple of 64";
    if (size_bytes < sizeof(struct ring_header) + depth * slot_bytes)
        return "ring file is shorter than its slots";
    return NULL;
}

const char *ring_format(void *base, uint64_t size_bytes, uint32_t depth, uint32_t slot_bytes, int reliable)
{
    struct ring_header *header = base;
    const char *problem = geometry_check(size_bytes, depth, slot_bytes);
    if (problem)
        return problem;
    memset(header, 0, sizeof *header);
    header->region.magic = GATEWAY_MAGIC;
    header->region.version = REGION_VERSION;
    header->region.kind = REGION_RING;
    header->region.layout_hash = GATEWAY_LAYOUT_HASH;
    header->region.size_bytes = size_bytes;
    header->depth = depth;
    header->slot_bytes = slot_bytes;
    header->reliable = reliable ? 1 : 0;
    for (uint64_t position = 0; position < depth; position++) {
        uint64_t slots = (uint64_t)(uintptr_t)base + sizeof *header;
        ring_slot_at(slots, depth - 1, slot_bytes, position)->sequence = 0;
    }
    __atomic_store_n(&header->region.ready, 1, __ATOMIC_RELEASE);
    return NULL;
}

static const char *ring_check(const void *base, uint64_t size_bytes)
{
    const struct ring_header *header = base;
    const char *problem = region_check(base, size_bytes, REGION_RING);
    if (problem)
        return problem;
    if (size_bytes < sizeof *header)
        return "ring file is shorter than its header";
    return geometry_check(size_bytes, header->depth, header->slot_bytes);
}

const char *ring_attach_writer(void *base, uint64_t size_bytes, struct ring_writer *writer)
{
    struct ring_header *header = base;
    const char *problem = ring_check(base, size_bytes);
    if (problem)
        return problem;
    memset(writer, 0, sizeof *writer);
    writer->header = (uint64_t)(uintptr_t)header;
    writer->slots = writer->header + sizeof *header;
    writer->mask = header->depth - 1;
    writer->depth = header->depth;
    writer->slot_bytes = header->slot_bytes;
    writer->shed = header->shed;
    writer->cursor_cached = __atomic_load_n(&header->cursor, __ATOMIC_ACQUIRE);

    /* Resume where the last producer was: its claimed slot is either published or torn, and the sequence tells. */
    uint64_t claimed = header->claimed;
    writer->position = claimed;
    if (claimed > 0) {
        struct ring_slot *slot = ring_slot_at(writer->slots, writer->mask, writer->slot_bytes, claimed - 1);
        if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != claimed)
            writer->position = claimed - 1;
    }
    return NULL;
}

const char *ring_attach_reader(void *base, uint64_t size_bytes, int reliable, struct ring_reader *reader)
{
    struct ring_header *header = base;
    const char *problem = ring_check(base, size_bytes);
    if (problem)
        return problem;
    if (reliable && !header->reliable)
        return "this ring has observers only: its producer never waits";
    memset(reader, 0, sizeof *reader);
    reader->header = (uint64_t)(uintptr_t)header;
    reader->slots = reader->header + sizeof *header;
    reader->mask = header->depth - 1;
    reader->depth = header->depth;
    reader->slot_bytes = header->slot_bytes;
    reader->reliable = reliable ? 1 : 0;
    reader->position = header->cursor;
    if (!reliable) { /* an observer begins with the news, not with history */
        uint64_t claimed = __atomic_load_n(&header->claimed, __ATOMIC_ACQUIRE);
        reader->position = claimed ? claimed - 1 : 0;
    }
    return NULL;
}

/* What lies before half a ring behind the producer is given up, so that it is not overrun again at once. */
static int give_up(struct ring_reader *reader, uint64_t claimed)
{
    if (claimed <= reader->position + reader->depth)
        return 0;
    uint64_t resume = claimed - reader->depth / 2;
    reader->missed += resume - reader->position;
    reader->position = resume;
    return -1;
}

int ring_observe(struct ring_reader *reader, void *copy, uint64_t copy_bytes)
{
    return ring_observe_many(reader, copy, copy_bytes, 1);
}

/* The record's header of 64 bytes at most, and what its size says: a torn size is bounded by the slot. */
static uint64_t record_bytes(const struct ring_reader *reader, const struct ring_slot *slot, uint64_t copy_bytes)
{
    uint64_t bytes = 64 + (uint64_t)__atomic_load_n(&slot->size, __ATOMIC_RELAXED);
    bytes = bytes < reader->slot_bytes ? bytes : reader->slot_bytes;
    return bytes < copy_bytes ? bytes : copy_bytes;
}

int ring_observe_many(struct ring_reader *reader, void *copies, uint64_t copy_bytes, int limit)
{
    const struct ring_header *header = ring_of(reader->header);
    int count = 0;
    for (; count < limit; count++) {
        uint64_t position = reader->position + (uint64_t)count;
        const struct ring_slot *slot = ring_slot_at(reader->slots, reader->mask, reader->slot_bytes, position);
        if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != position + 1)
            break;
        memcpy((char *)copies + (uint64_t)count * copy_bytes, slot, record_bytes(reader, slot, copy_bytes));
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t claimed = __atomic_load_n(&header->claimed, __ATOMIC_ACQUIRE);
    if (count && claimed <= reader->position + reader->depth) {
        reader->position += (uint64_t)count;
        return count;
    }
    return give_up(reader, claimed);
}
