/*
 * ring.h ③ — publish and poll on a shared ring. The contract stands in layout/ring.h; this file only follows it.
 *
 *   producer   slot = ring_claim(w, size);  if (slot) { fill; ring_publish(w, slot); }  …  ring_warm(w, size)
 *   reader     slot = ring_peek(r);         if (slot) { use;  ring_advance(r); … ring_acknowledge(r); }
 *   observer   ring_observe(r, copy, bytes) copies one record, or says overrun
 */
#ifndef GATEWAY_RING_H
#define GATEWAY_RING_H

#include "layout.h"

/* cdef: begin */
/* Attaching: NULL on success, else the reason. `base` is the mapped file, `size_bytes` its length. */
const char *region_check(const void *base, uint64_t size_bytes, uint32_t kind);
const char *ring_format(void *base, uint64_t size_bytes, uint32_t depth, uint32_t slot_bytes, int reliable);
const char *ring_attach_writer(void *base, uint64_t size_bytes, struct ring_writer *writer);
const char *ring_attach_reader(void *base, uint64_t size_bytes, int reliable, struct ring_reader *reader);
/* cdef: end */

static inline struct ring_header *ring_of(uint64_t address)
{
    return (struct ring_header *)(uintptr_t)address;
}

static inline struct ring_slot *ring_slot_at(uint64_t slots, uint64_t mask, uint64_t slot_bytes, uint64_t position)
{
    return (struct ring_slot *)(uintptr_t)(slots + (position & mask) * slot_bytes);
}

/* The slot to fill, or NULL when the reliable reader has not freed one. The record is invisible until ring_publish. */
static inline struct ring_slot *ring_claim(struct ring_writer *writer)
{
    struct ring_header *header = ring_of(writer->header);
    if (writer->position - writer->cursor_cached >= writer->depth) {
        if (__atomic_load_n(&header->reliable, __ATOMIC_RELAXED))
            writer->cursor_cached = __atomic_load_n(&header->cursor, __ATOMIC_ACQUIRE);
        else
            writer->cursor_cached = writer->position;
        if (writer->position - writer->cursor_cached >= writer->depth)
            return NULL;
    }
    /* Released: never visible before the sequence word of the record before, or a death between leaves a hole there. */
    __atomic_store_n(&header->claimed, writer->position + 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* observers must see the claim before any new payload byte */
    return ring_slot_at(writer->slots, writer->mask, writer->slot_bytes, writer->position);
}

static inline void ring_publish(struct ring_writer *writer, struct ring_slot *slot)
{
    writer->position++;
    __atomic_store_n(&slot->sequence, writer->position, __ATOMIC_RELEASE);
}

/* For a producer that has published and has nothing more for now: takes the lines that a next record of `size` will need,
   which is the size of the last one. What stands there is written back as it is, which nobody can tell, and only where the
   slot is known to be free. A prefetch for writing does not have this effect; within a burst it would slow the producer
   down (docs/adr/0002-ring.md). The last record itself is not looked at again: its reader is taking it just now. */
static inline void ring_warm(const struct ring_writer *writer, uint64_t size)
{
    if (writer->position - writer->cursor_cached >= writer->depth)
        return;
    char *slot = (char *)ring_slot_at(writer->slots, writer->mask, writer->slot_bytes, writer->position);
    uint64_t bytes = 64 + size < writer->slot_bytes ? 64 + size : writer->slot_bytes;
    bytes = bytes < RING_WARM_BYTES_MAX ? bytes : RING_WARM_BYTES_MAX;
    for (uint64_t offset = 0; offset < bytes; offset += 64) {
        uint64_t *word = (uint64_t *)(slot + offset);
        __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED), __ATOMIC_RELEASE);
    }
}

static inline void ring_shed(struct ring_writer *writer)
{
    writer->shed++;
    __atomic_store_n(&ring_of(writer->header)->shed, writer->shed, __ATOMIC_RELAXED);
}

/* The next record, or NULL. Only the reliable reader may use the slot in place. */
static inline struct ring_slot *ring_peek(const struct ring_reader *reader)
{
    struct ring_slot *slot = ring_slot_at(reader->slots, reader->mask, reader->slot_bytes, reader->position);
    return __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) == reader->position + 1 ? slot : NULL;
}

static inline void ring_advance(struct ring_reader *reader)
{
    reader->position++;
}

/* Gives every slot before `position` back to the producer. */
static inline void ring_acknowledge(struct ring_reader *reader)
{
    __atomic_store_n(&ring_of(reader->header)->cursor, reader->position, __ATOMIC_RELEASE);
}

/* cdef: begin */
/* Observer: 1 copied whole, 0 nothing new, -1 overrun (position jumped forward, `missed` grew). */
int ring_observe(struct ring_reader *reader, void *copy, uint64_t copy_bytes);
/* Observer: up to `limit` records, `copy_bytes` apart: how many were copied whole, 0 nothing new, -1 overrun. The producer's
   line is looked at once for all of them: taking it from the producer for each would slow it down. */
int ring_observe_many(struct ring_reader *reader, void *copies, uint64_t copy_bytes, int limit);
/* cdef: end */

#endif
