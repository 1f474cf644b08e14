/*
 * ring_observers.c — a burst over native/ring.h that N observers copy: side 0 publishes, side 1 reads reliably and, in turn,
 * lets every observer copy what is new. Every record must be right, and what an observer read and missed must add up.
 */
#include "ring_hop.h"
#include "ring.h"

enum { OBSERVERS_MAX = 8, TURN = 64 }; /* TURN: records read reliably between two turns of the observers */

/* Records sent; `stalled_ticks` becomes the time in which there was no room. */
int64_t observed_send(struct ring_writer *writer, int64_t records, int64_t deadline_ticks, int64_t *stalled_ticks)
{
    uint64_t looks = 0;
    int64_t done = 0;
    *stalled_ticks = 0;
    while (done < records) {
        struct ring_slot *slot = ring_claim(writer);
        if (!slot) {
            int64_t begin = stamp();
            while (!(slot = ring_claim(writer)) && !late(&looks, deadline_ticks))
                ;
            *stalled_ticks += stamp() - begin;
            if (!slot)
                break;
        }
        slot->size = WORDS * 8;
        fill((uint64_t *)(slot + 1), (uint64_t)done++);
        ring_publish(writer, slot);
    }
    return done;
}

/* Up to TURN records of one observer; 0 when one of them was wrong. */
static int observe(struct ring_reader *observer)
{
    struct record copies[TURN];
    uint64_t position = observer->position;
    int count = ring_observe_many(observer, copies, sizeof *copies, TURN), right = 1;
    for (int index = 0; index < count; index++)
        right &= good(copies[index].words, position + (uint64_t)index);
    return right;
}

/* Everything is published: who is behind reads on until nothing is left. */
static int settled(struct ring_reader *observer, int64_t records, int64_t deadline_ticks)
{
    int right = 1;
    while (right && observer->position < (uint64_t)records && stamp() < deadline_ticks)
        right = observe(observer);
    return right && observer->position == (uint64_t)records;
}

/* Records read, or -1 - that when one of them, or the account of an observer, was wrong; `missed` is what observers lost. */
int64_t observed_read(void *ring, uint64_t ring_bytes, int observers, int64_t records, int64_t deadline_ticks,
                      int64_t *missed)
{
    struct ring_reader reader, watching[OBSERVERS_MAX];
    uint64_t looks = 0;
    int64_t done = 0, wrong = 0;
    wrong |= observers > OBSERVERS_MAX || ring_attach_reader(ring, ring_bytes, 1, &reader) != NULL;
    for (int index = 0; index < observers && !wrong; index++) {
        wrong |= ring_attach_reader(ring, ring_bytes, 0, &watching[index]) != NULL;
        watching[index].position = 0; /* the producer may have begun: everybody counts from the first record */
    }
    while (done < records && !wrong) {
        int taken = 0;
        for (const struct ring_slot *slot; taken < TURN && (slot = ring_peek(&reader)); taken++) {
            wrong |= !good((const uint64_t *)(slot + 1), (uint64_t)done++);
            ring_advance(&reader);
            if (reader.position % BATCH == 0)
                ring_acknowledge(&reader);
        }
        ring_acknowledge(&reader);
        for (int index = 0; index < observers; index++)
            wrong |= !observe(&watching[index]);
        if (!taken && late(&looks, deadline_ticks))
            break;
    }
    for (int index = 0; index < observers && done == records; index++) {
        wrong |= !settled(&watching[index], records, deadline_ticks);
        *missed += (int64_t)watching[index].missed;
    }
    return wrong ? -1 - done : done;
}
