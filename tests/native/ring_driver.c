/*
 * ring_driver.c — the C side of the ring's tests: one-record steps over native/ring.h, and the loops that run any
 * step, C's or numba's, in a process that will be killed. Test code, compiled by ring_driver.py.
 *
 * Every step is int64 step(int64 context); a context is an array of words, see enum context_word. A record fills its
 * whole slot: position, life of its writer, values made of both, and their sum in the last word, so that a record that
 * is torn anywhere, or put together from two lives, cannot pass for whole.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <time.h>

#include "ring.h"

enum context_word { CONTEXT_HANDLE, CONTEXT_LEDGER, CONTEXT_LIFE, CONTEXT_COPY, CONTEXT_WORDS };

/* The ledger lies in memory shared by all lives of all processes; `delivered` counts how often each was read. */
enum ledger_word {
    LEDGER_POSITIONS, /* capacity of `delivered`, and where the producer stops */
    LEDGER_TORN,
    LEDGER_REACHED,   /* reader: one past the last position read in this life */
    LEDGER_OBSERVED,
    LEDGER_OBSERVED_TORN,
    LEDGER_OBSERVER_POSITION,
    LEDGER_OBSERVER_MISSED,
    LEDGER_DONE,
    LEDGER_WORDS = 8
};

static_assert(offsetof(struct ring_writer, position) == offsetof(struct ring_reader, position), "one loop for both");

#define WORD(address, index) (((int64_t *)(uintptr_t)(address))[index])

static int64_t value_of(int64_t position, int64_t life, int64_t index)
{
    return (int64_t)((uint64_t)position * 0x9E3779B97F4A7C15ULL + (uint64_t)life * 0xC2B2AE3D27D4EB4FULL +
                     (uint64_t)index * 0x165667B19E3779F9ULL);
}

static int64_t payload_words(const struct ring_writer *handle)
{
    return (int64_t)(handle->slot_bytes - sizeof(struct ring_slot)) / 8;
}

static void fill(struct ring_slot *slot, int64_t words, int64_t position, int64_t life)
{
    int64_t *payload = (int64_t *)(slot + 1);
    uint64_t sum = (uint64_t)position + (uint64_t)life;
    slot->size = (uint32_t)words * 8;
    slot->kind = (uint16_t)position;
    slot->flags = (uint16_t)life;
    payload[0] = position;
    payload[1] = life;
    for (int64_t index = 2; index < words - 1; index++) {
        payload[index] = value_of(position, life, index);
        sum += (uint64_t)payload[index];
    }
    payload[words - 1] = (int64_t)sum;
}

static int whole(const struct ring_slot *slot, int64_t words, int64_t position)
{
    const int64_t *payload = (const int64_t *)(slot + 1);
    int64_t life = payload[1];
    uint64_t sum = (uint64_t)position + (uint64_t)life;
    int good = payload[0] == position && slot->size == words * 8 && slot->kind == (uint16_t)position &&
               slot->flags == (uint16_t)life;
    for (int64_t index = 2; index < words - 1; index++) {
        good &= payload[index] == value_of(position, life, index);
        sum += (uint64_t)payload[index];
    }
    return good && payload[words - 1] == (int64_t)sum;
}

/* 1 published, 0 no room. */
int64_t publish_record(int64_t context)
{
    struct ring_writer *writer = (struct ring_writer *)(uintptr_t)WORD(context, CONTEXT_HANDLE);
    struct ring_slot *slot = ring_claim(writer);
    if (!slot)
        return 0;
    fill(slot, payload_words(writer), (int64_t)writer->position, WORD(context, CONTEXT_LIFE));
    ring_publish(writer, slot);
    ring_warm(writer, payload_words(writer) * 8);
    return 1;
}

int64_t shed_record(int64_t context)
{
    ring_shed((struct ring_writer *)(uintptr_t)WORD(context, CONTEXT_HANDLE));
    return 1;
}

/* The position read plus one, 0 nothing new, -1 torn. Not acknowledged. */
int64_t take_record(int64_t context)
{
    struct ring_reader *reader = (struct ring_reader *)(uintptr_t)WORD(context, CONTEXT_HANDLE);
    struct ring_slot *slot = ring_peek(reader);
    if (!slot)
        return 0;
    int64_t position = (int64_t)reader->position;
    int good = whole(slot, payload_words((struct ring_writer *)reader), position);
    ring_advance(reader);
    return good ? position + 1 : -1;
}

int64_t acknowledge_records(int64_t context)
{
    ring_acknowledge((struct ring_reader *)(uintptr_t)WORD(context, CONTEXT_HANDLE));
    return 1;
}

/* Reads one record into the ledger and gives batches of eight back: what a reader under load does. */
int64_t deliver_record(int64_t context)
{
    int64_t ledger = WORD(context, CONTEXT_LEDGER);
    uint8_t *delivered = (uint8_t *)&WORD(ledger, LEDGER_WORDS);
    int64_t taken = take_record(context);
    if (taken > 0) {
        delivered[taken - 1]++;
        WORD(ledger, LEDGER_REACHED) = taken;
    }
    if (taken < 0)
        WORD(ledger, LEDGER_TORN)++;
    if (taken == 0 || taken % 8 == 0)
        acknowledge_records(context);
    return taken;
}

/* One ring_observe; whatever it calls whole must be whole. */
int64_t observe_record(int64_t context)
{
    struct ring_reader *reader = (struct ring_reader *)(uintptr_t)WORD(context, CONTEXT_HANDLE);
    struct ring_slot *copy = (struct ring_slot *)(uintptr_t)WORD(context, CONTEXT_COPY);
    int64_t ledger = WORD(context, CONTEXT_LEDGER), position = (int64_t)reader->position;
    int seen = ring_observe(reader, copy, reader->slot_bytes);
    if (seen == 1) {
        WORD(ledger, LEDGER_OBSERVED)++;
        WORD(ledger, LEDGER_OBSERVED_TORN) += !whole(copy, payload_words((struct ring_writer *)reader), position);
    }
    WORD(ledger, LEDGER_OBSERVER_POSITION) = (int64_t)reader->position;
    WORD(ledger, LEDGER_OBSERVER_MISSED) = (int64_t)reader->missed;
    return seen;
}

/* An observer only looks on: it must not eat the turns of those it watches. */
static void give_way(int observes)
{
    struct timespec nap = {.tv_nsec = 20000};
    if (observes)
        nanosleep(&nap, NULL);
    else
        sched_yield();
}

/* Runs `step` until killed, or until LEDGER_POSITIONS records are behind it. */
void run_until_killed(int64_t (*step)(int64_t), int64_t context)
{
    int64_t ledger = WORD(context, CONTEXT_LEDGER);
    int observes = step == observe_record;
    /* writer and reader handles keep their position at the same place */
    const uint64_t *position = &((struct ring_reader *)(uintptr_t)WORD(context, CONTEXT_HANDLE))->position;
    while (!__atomic_load_n(&WORD(ledger, LEDGER_DONE), __ATOMIC_RELAXED))
        if (*position >= (uint64_t)WORD(ledger, LEDGER_POSITIONS) || step(context) <= 0)
            give_way(observes);
}

/* Stops before `step`, so that a tracer can take it from there one instruction at a time; says when it is through. */
void run_traced(int64_t (*step)(int64_t), int64_t context)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    step(context);
    __atomic_store_n(&WORD(WORD(context, CONTEXT_LEDGER), LEDGER_DONE), 1, __ATOMIC_RELEASE);
    raise(SIGSTOP);
}
