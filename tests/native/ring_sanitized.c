/*
 * ring_sanitized.c — a program over native/ring.h and ring.c, built with sanitizers by test_ring_sanitized.py.
 *
 *   threads   producer, reliable reader: what ThreadSanitizer watches. Observers stay out: their copy races by design
 *             and is thrown away by the claim check, which the tool does not know.
 *   memory    every attach at every file length, in heap blocks of exactly that length; observers at every slot size.
 * Exit status 0: every record was whole and in its place.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

enum { DEPTH = 8, SLOT_BYTES = 192, RECORDS = 200000 };

struct record {
    struct ring_slot slot;
    uint64_t words[(SLOT_BYTES - sizeof(struct ring_slot)) / 8];
};
enum { WORDS = sizeof(((struct record *)0)->words) / 8 };

static void *memory;
static uint64_t size_bytes;

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void *produce(void *unused)
{
    struct ring_writer writer;
    (void)unused;
    require(!ring_attach_writer(memory, size_bytes, &writer), "attach writer");
    while (writer.position < RECORDS) {
        struct record *record = (struct record *)ring_claim(&writer);
        if (!record) {
            sched_yield();
            continue;
        }
        for (int index = 0; index < WORDS; index++)
            record->words[index] = writer.position * 31 + (uint64_t)index;
        record->slot.size = WORDS * 8;
        ring_publish(&writer, &record->slot);
        ring_warm(&writer, WORDS * 8);
    }
    return NULL;
}

static void *consume(void *unused)
{
    struct ring_reader reader;
    (void)unused;
    require(!ring_attach_reader(memory, size_bytes, 1, &reader), "attach reader");
    while (reader.position < RECORDS) {
        const struct record *record = (const struct record *)ring_peek(&reader);
        if (!record) {
            sched_yield();
            continue;
        }
        for (int index = 0; index < WORDS; index++)
            require(record->words[index] == reader.position * 31 + (uint64_t)index, "a whole record");
        ring_advance(&reader);
        if (reader.position % 4 == 0 || reader.position == RECORDS)
            ring_acknowledge(&reader);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t producer, consumer;
    size_bytes = sizeof(struct ring_header) + DEPTH * SLOT_BYTES;
    memory = aligned_alloc(64, size_bytes);
    require(!ring_format(memory, size_bytes, DEPTH, SLOT_BYTES, 1), "format");
    pthread_create(&producer, NULL, produce, NULL);
    pthread_create(&consumer, NULL, consume, NULL);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    free(memory);
}

static void attach_at_every_length(void)
{
    uint64_t whole = sizeof(struct ring_header) + 4 * 64;
    struct ring_header *model = aligned_alloc(64, whole);
    require(!ring_format(model, whole, 4, 64, 1), "format");
    for (uint64_t length = 0; length <= whole; length += 8) {
        uint8_t *file = malloc(length ? length : 1);
        struct ring_writer writer;
        struct ring_reader reader;
        model->region.size_bytes = length;
        memcpy(file, model, length);
        int refused = ring_attach_writer(file, length, &writer) != NULL;
        require(refused == (ring_attach_reader(file, length, 1, &reader) != NULL), "both sides agree");
        require(refused == (length < whole), "a short file is refused");
        free(file);
    }
    free(model);
}

static void observe_every_slot_size(void)
{
    for (uint32_t slot_bytes = 64; slot_bytes <= 512; slot_bytes += 64) {
        uint64_t bytes = sizeof(struct ring_header) + 2 * slot_bytes;
        void *base = aligned_alloc(64, bytes), *copy = malloc(slot_bytes);
        struct ring_writer writer;
        struct ring_reader observer;
        require(!ring_format(base, bytes, 2, slot_bytes, 0), "format");
        require(!ring_attach_writer(base, bytes, &writer) && !ring_attach_reader(base, bytes, 0, &observer), "attach");
        for (int round = 0; round < 50; round++) {
            for (int count = 0; count < round % 4; count++)
                ring_publish(&writer, ring_claim(&writer));
            while (ring_observe(&observer, copy, round % 2 ? slot_bytes : slot_bytes + 64) != 0)
                continue;
            require(observer.position == writer.position, "an observer comes to the end");
        }
        free(base);
        free(copy);
    }
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "threads") == 0)
        run_threads();
    else if (count == 2 && strcmp(arguments[1], "memory") == 0) {
        attach_at_every_length();
        observe_every_slot_size();
    } else
        return 2;
    return 0;
}
