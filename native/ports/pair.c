/*
 * pair.c ① — two processes joined by shared memory: `pair:NAME` is side a, `pair:NAME,side=b` the other end.
 *
 *      side a ──► ring NAME.b ──► side b            each ring is named after the side that reads it
 *      side a ◄── ring NAME.a ◄── side b
 *
 * Needs no privilege. Each side holds a lock on the ring it reads: a second process on the same side is refused, and the
 * kernel drops the lock of a killed one, which may come back and resume. Rings that nobody holds are made anew.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../clock.h"
#include "../port.h"
#include "../ring.h"

enum {
    PAIR_DEPTH = 8192,
    PAIR_SLOT_BYTES = 33 * 64, /* an odd number of lines: slots spread over every set of a cache */
    PAIR_PATH_BYTES = 128
};
static const uint64_t PAIR_BYTES = sizeof(struct ring_header) + (uint64_t)PAIR_DEPTH * PAIR_SLOT_BYTES;

struct pair_end {
    char path[PAIR_PATH_BYTES];
    int file;
    void *memory;
};

struct pair {
    struct pair_end read, write;
    struct ring_reader reader;
    struct ring_writer writer;
    struct port_statistics statistics;
};

static int parse_argument(const char *argument, char *name, size_t name_bytes, char *side)
{
    const char *comma = strchr(argument, ',');
    size_t length = comma ? (size_t)(comma - argument) : strlen(argument);
    *side = 'a';
    if (length == 0 || length >= name_bytes || memchr(argument, '/', length))
        return -1;
    memcpy(name, argument, length);
    name[length] = '\0';
    if (!comma)
        return 0;
    if (strncmp(comma, ",side=", 6) != 0 || (comma[6] != 'a' && comma[6] != 'b') || comma[7] != '\0')
        return -1;
    *side = comma[6];
    return 0;
}

/* Opens one ring file at its full length; `lock` asks for the reader's place. */
static int end_open(struct pair_end *end, const char *name, char side, int lock, char *error)
{
    snprintf(end->path, sizeof end->path, "/dev/shm/gateway-pair-%s.%c", name, side);
    end->file = open(end->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (end->file < 0 || ftruncate(end->file, (off_t)PAIR_BYTES)) {
        snprintf(error, PORT_ERROR_BYTES, "port pair:%s: %s: %s%s", name, end->path, strerror(errno),
                 errno == EACCES ? "; another user has it, choose another name" : "");
        return -1;
    }
    if (lock && flock(end->file, LOCK_EX | LOCK_NB)) {
        snprintf(error, PORT_ERROR_BYTES,
                 "port pair:%s: side %c is taken by another process; use the other side or another name", name, side);
        return -1;
    }
    end->memory = mmap(NULL, PAIR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, end->file, 0);
    if (end->memory == MAP_FAILED) {
        end->memory = NULL;
        snprintf(error, PORT_ERROR_BYTES, "port pair:%s: cannot map %s: %s", name, end->path, strerror(errno));
        return -1;
    }
    return 0;
}

/* Nobody reads the other ring: what lies in both is left over from processes that are gone. */
static int format_when_alone(struct pair *pair, char *error)
{
    if (flock(pair->write.file, LOCK_EX | LOCK_NB))
        return 0;
    const char *problem = ring_format(pair->read.memory, PAIR_BYTES, PAIR_DEPTH, PAIR_SLOT_BYTES, 1);
    if (!problem)
        problem = ring_format(pair->write.memory, PAIR_BYTES, PAIR_DEPTH, PAIR_SLOT_BYTES, 1);
    flock(pair->write.file, LOCK_UN);
    if (problem)
        snprintf(error, PORT_ERROR_BYTES, "port pair: %s: %s", pair->read.path, problem);
    return problem ? -1 : 0;
}

static int attach(struct pair *pair, char *error)
{
    const char *problem = ring_attach_reader(pair->read.memory, PAIR_BYTES, 1, &pair->reader);
    if (!problem)
        problem = ring_attach_writer(pair->write.memory, PAIR_BYTES, &pair->writer);
    if (problem)
        snprintf(error, PORT_ERROR_BYTES, "port pair: %s: %s; remove the file when no process uses it",
                 pair->read.path, problem);
    return problem ? -1 : 0;
}

static void end_close(struct pair_end *end)
{
    if (end->memory)
        munmap(end->memory, PAIR_BYTES);
    if (end->file > 0)
        close(end->file);
}

static void pair_close(struct port *port)
{
    struct pair *pair = port->state;
    if (pair->write.file > 0 && pair->read.memory && flock(pair->write.file, LOCK_EX | LOCK_NB) == 0) {
        unlink(pair->read.path); /* the last one out */
        unlink(pair->write.path);
    }
    end_close(&pair->read);
    end_close(&pair->write);
    free(pair);
    port->state = NULL;
}

static int pair_open(struct port *port, const char *argument, char *error)
{
    char name[64], side;
    if (parse_argument(argument, name, sizeof name, &side)) {
        snprintf(error, PORT_ERROR_BYTES,
                 "port pair:%s: write pair:NAME or pair:NAME,side=b (NAME: up to 63 characters, no /)", argument);
        return PORT_MISNAMED;
    }
    struct pair *pair = calloc(1, sizeof *pair);
    if (!pair) {
        snprintf(error, PORT_ERROR_BYTES, "port pair:%s: out of memory", argument);
        return -1;
    }
    port->state = pair;
    char other = side == 'a' ? 'b' : 'a';
    if (end_open(&pair->read, name, side, 1, error) || end_open(&pair->write, name, other, 0, error) ||
        format_when_alone(pair, error) || attach(pair, error)) {
        end_close(&pair->read);
        end_close(&pair->write);
        free(pair);
        port->state = NULL;
        return -1;
    }
    return 0;
}

static int pair_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct pair *pair = port->state;
    int count = 0;
    struct ring_slot *slot;
    while (count < limit && (slot = ring_peek(&pair->reader))) {
        frames[count++] = (struct port_frame){
            .data = (const uint8_t *)slot + sizeof(struct frame_slot),
            .size = slot->size,
            .size_wire = slot->size,
        };
        ring_advance(&pair->reader);
    }
    pair->statistics.frames_received += (uint64_t)count;
    return count;
}

static void pair_release(struct port *port)
{
    ring_acknowledge(&((struct pair *)port->state)->reader);
}

static int pair_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct pair *pair = port->state;
    int taken = 0;
    for (; taken < count; taken++) {
        struct ring_slot *slot;
        if (frames[taken].size > PAIR_SLOT_BYTES - sizeof(struct frame_slot) || !(slot = ring_claim(&pair->writer)))
            break;
        slot->size = frames[taken].size;
        slot->flags = 0;
        memcpy((uint8_t *)slot + sizeof(struct frame_slot), frames[taken].data, frames[taken].size);
        ring_publish(&pair->writer, slot);
    }
    if (taken)
        ring_warm(&pair->writer, frames[taken - 1].size);
    pair->statistics.frames_transmitted += (uint64_t)taken;
    pair->statistics.transmit_refused += (uint64_t)(count - taken);
    return taken;
}

static void pair_statistics(struct port *port, struct port_statistics *statistics)
{
    *statistics = ((struct pair *)port->state)->statistics;
}

const struct port_operations port_pair = {
    .kind = "pair",
    .usage = "NAME[,side=b]",
    .open = pair_open,
    .receive = pair_receive,
    .release = pair_release,
    .transmit = pair_transmit,
    .statistics = pair_statistics,
    .close = pair_close,
};
