/*
 * counts.c — work of native/ whose instructions the regression guard counts, and the counting itself.
 *
 * Every work is int64_t work(int64_t state, int64_t times): `times` equal pieces of it over the memory of `state`. The guard
 * runs it with N and with 2 N; the difference is N pieces and nothing else. `NAME_make` returns a state; it is never freed.
 * Hard rule: no clock decides what is done, nothing waits, and no address but those of `state` is read.
 */
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "checksum.h"
#include "io.h"
#include "recorder.h"
#include "ring.h"

enum { DEPTH = 1024, SLOT_BYTES = 33 * 64, BURST = 32, FRAME_BYTES = 128, LARGE_BYTES = 1400, WORDS = 6, FRAMES = 8 };

/* ---- counting ------------------------------------------------------------------------------------------------- */

struct counted {
    int64_t (*work)(int64_t state, int64_t times);
    int64_t state;
    int64_t times;
    int64_t result; /* out */
};

/* One dump of callgrind for each row, in their order; outside of valgrind only the results. */
void count_all(struct counted *rows, int64_t count)
{
    CALLGRIND_START_INSTRUMENTATION;
    for (int64_t index = 0; index < count; index++) {
        struct counted *row = &rows[index];
        CALLGRIND_ZERO_STATS;
        row->result = row->work(row->state, row->times);
        CALLGRIND_DUMP_STATS;
    }
    CALLGRIND_STOP_INSTRUMENTATION;
}

/* A contender of the suites: the function and its words. */
struct call {
    int64_t (*function)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
    int64_t words[8];
};

int64_t call_run(int64_t state, int64_t times)
{
    const struct call *call = (const struct call *)state;
    const int64_t *word = call->words;
    int64_t sum = 0;
    for (int64_t turn = 0; turn < times; turn++)
        sum += call->function(word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]);
    return sum;
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static void *lines(uint64_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory == NULL)
        abort();
    return memset(memory, 0, size);
}

struct ends {
    struct ring_writer writer;
    struct ring_reader reader, observer;
};

static void join(struct ends *ends)
{
    uint64_t size = sizeof(struct ring_header) + (uint64_t)DEPTH * SLOT_BYTES;
    void *base = lines(size);
    if (ring_format(base, size, DEPTH, SLOT_BYTES, 1) || ring_attach_writer(base, size, &ends->writer) ||
        ring_attach_reader(base, size, 1, &ends->reader) || ring_attach_reader(base, size, 0, &ends->observer))
        abort();
}

/* An Ethernet frame with IPv4 and UDP to 233.0.0.1 and `port`; `tagged` with an 802.1Q tag. */
static uint32_t write_frame(uint8_t *frame, uint32_t size, uint16_t port, int tagged)
{
    uint32_t at = tagged ? 18 : 14;
    memset(frame, 0x5A, size);
    frame[12] = tagged ? 0x81 : 0x08;
    frame[13] = 0;
    frame[at - 2] = 0x08;
    frame[at - 1] = 0x00;
    uint8_t *ip = frame + at;
    const uint8_t header[20] = {0x45, 0, (uint8_t)((size - at) >> 8), (uint8_t)(size - at), 0,   0, 0, 0, 1, 17, 0, 0,
                                10,   0, 0, 1, 233, 0, 0, 1};
    memcpy(ip, header, sizeof header);
    ip[22] = (uint8_t)(port >> 8);
    ip[23] = (uint8_t)port;
    return size;
}

/* ---- ring: one record through ------------------------------------------------------------------------------------ */

int64_t ring_make(void)
{
    struct ends *ends = lines(sizeof *ends);
    join(ends);
    return (int64_t)ends;
}

int64_t ring_run(int64_t state, int64_t times)
{
    struct ends *ends = (struct ends *)state;
    int64_t sum = 0;
    for (int64_t turn = 0; turn < times; turn++) {
        struct ring_slot *slot = ring_claim(&ends->writer);
        if (!slot)
            return -1;
        slot->size = WORDS * 8;
        int64_t *words = (int64_t *)(slot + 1);
        for (int word = 0; word < WORDS; word++)
            words[word] = turn + word;
        ring_publish(&ends->writer, slot);
        slot = ring_peek(&ends->reader);
        sum += ((int64_t *)(slot + 1))[WORDS - 1];
        ring_advance(&ends->reader);
        ring_acknowledge(&ends->reader);
    }
    return sum;
}

/* ---- ring: one record observed -------------------------------------------------------------------------------------- */

int64_t observe_run(int64_t state, int64_t times)
{
    static uint8_t copies[RECORDER_COPIES][RECORDER_COPY_BYTES];
    struct ends *ends = (struct ends *)state;
    int64_t seen = 0;
    for (int64_t turn = 0; turn < times; turn++) {
        for (int index = 0; index < RECORDER_COPIES; index++) {
            struct ring_slot *slot = ring_claim(&ends->writer);
            if (!slot)
                return -1;
            slot->size = WORDS * 8;
            ring_publish(&ends->writer, slot);
            ring_advance(&ends->reader);
        }
        ring_acknowledge(&ends->reader);
        int copied;
        while ((copied = ring_observe_many(&ends->observer, copies, RECORDER_COPY_BYTES, RECORDER_COPIES)) > 0)
            seen += copied;
    }
    return seen;
}

/* ---- io: a burst in, and orders out, over a port in memory ----------------------------------------------------------- */

struct memory_port {
    uint8_t bytes[FRAME_BYTES];
    int64_t waiting; /* frames that `receive` still has */
    int64_t taken;   /* frames that `transmit` took */
};

static int memory_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct memory_port *memory = port->state;
    int count = memory->waiting < limit ? (int)memory->waiting : limit;
    for (int index = 0; index < count; index++)
        frames[index] = (struct port_frame){.data = memory->bytes, .size = FRAME_BYTES, .size_wire = FRAME_BYTES};
    memory->waiting -= count;
    return count;
}

static void memory_release(struct port *port)
{
    (void)port;
}

static int memory_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct memory_port *memory = port->state;
    for (int index = 0; index < count; index++)
        memory->taken += frames[index].data[0] == 0x5A;
    return count;
}

static const struct port_operations memory_operations = {
    .kind = "memory", .receive = memory_receive, .release = memory_release, .transmit = memory_transmit};

struct io_state {
    struct io io;
    struct memory_port memory;
    struct ends frames, orders;
    struct control_block control;
    struct counters counters;
};

int64_t io_make(void)
{
    struct io_state *state = lines(sizeof *state);
    struct io *io = &state->io;
    join(&state->frames);
    join(&state->orders);
    write_frame(state->memory.bytes, FRAME_BYTES, 26400, 0);
    state->control.clock = (struct clock_calibration){.ticks_per_second = 1000000000, .multiplier = 1ULL << 32};
    io->ports[0] = (struct port){.operations = &memory_operations, .state = &state->memory};
    io->port_count = io->order_ring_count = 1;
    io->frames = state->frames.writer;
    io->orders[0] = state->orders.reader;
    io->control = &state->control;
    io->counters = &state->counters;
    io->burst = BURST;
    return (int64_t)state;
}

int64_t io_receive_run(int64_t state, int64_t times)
{
    struct io_state *here = (struct io_state *)state;
    int64_t done = 0;
    for (int64_t turn = 0; turn < times; turn++) {
        here->memory.waiting = BURST;
        done += io_step(&here->io);
        here->frames.reader.position += BURST;
        ring_acknowledge(&here->frames.reader);
    }
    return done;
}

int64_t io_send_run(int64_t state, int64_t times)
{
    struct io_state *here = (struct io_state *)state;
    for (int64_t turn = 0; turn < times; turn++) {
        struct order_slot *slot = (struct order_slot *)ring_claim(&here->orders.writer);
        if (!slot)
            return -1;
        slot->size = FRAME_BYTES;
        slot->kind = ORDER_SLOT_NEW;
        slot->reference = (uint64_t)turn;
        slot->ticks_receive = slot->ticks_decode = slot->ticks_order = 0;
        *(uint8_t *)(slot + 1) = 0x5A;
        ring_publish(&here->orders.writer, (struct ring_slot *)slot);
        io_step(&here->io);
    }
    return here->memory.taken;
}

/* ---- frames: checksum, and whose they are ---------------------------------------------------------------------------- */

struct frames {
    struct exception exception;
    uint32_t sizes[FRAMES];
    uint8_t bytes[FRAMES][LARGE_BYTES];
};

int64_t frames_make(void)
{
    struct frames *frames = lines(sizeof *frames);
    for (int index = 0; index < FRAMES; index++)
        frames->sizes[index] = write_frame(frames->bytes[index], LARGE_BYTES, (uint16_t)(26400 + index % 4), index % 2);
    frames->bytes[6][13] = 0x06; /* ARP; the one before the last is not UDP */
    frames->bytes[5][18 + 9] = 6;
    exception_follow(&frames->exception, 0xE9000001, 26400);
    exception_follow(&frames->exception, 0xE9000001, 26401);
    return (int64_t)frames;
}

int64_t checksum_run(int64_t state, int64_t times)
{
    struct frames *frames = (struct frames *)state;
    int64_t sum = 0;
    for (int64_t turn = 0; turn < times; turn++)
        sum += checksum_fill(frames->bytes[0], frames->sizes[0]);
    return sum;
}

int64_t classify_run(int64_t state, int64_t times)
{
    const struct frames *frames = (const struct frames *)state;
    int64_t fast = 0;
    for (int64_t turn = 0; turn < times; turn++)
        for (int index = 0; index < FRAMES; index++)
            fast += exception_is_fast(&frames->exception, frames->bytes[index], frames->sizes[index]);
    return fast;
}

/* ---- recorder: from the ring into the file ------------------------------------------------------------------------------ */

struct recording {
    struct recorder recorder;
    struct ends frames, others;
};

/* 0: the file cannot be made. */
int64_t recorder_make(const char *path)
{
    struct recording *here = lines(sizeof *here);
    join(&here->frames);
    join(&here->others);
    here->recorder.frames = here->frames.observer;
    here->recorder.notes = here->recorder.orders[0] = here->recorder.orders[1] = here->others.observer;
    return recorder_open(&here->recorder, path) ? 0 : (int64_t)here;
}

int64_t recorder_run(int64_t state, int64_t times)
{
    struct recording *here = (struct recording *)state;
    for (int64_t turn = 0; turn < times; turn++) {
        for (int index = 0; index < BURST; index++) {
            struct frame_slot *slot = (struct frame_slot *)ring_claim(&here->frames.writer);
            if (!slot)
                return -1;
            slot->size = FRAME_BYTES;
            slot->flags = 0;
            slot->time_receive_ns = turn;
            ring_publish(&here->frames.writer, (struct ring_slot *)slot);
            ring_advance(&here->frames.reader);
        }
        ring_acknowledge(&here->frames.reader);
        if (recorder_poll(&here->recorder, BURST) < 0)
            return -1;
    }
    return (int64_t)here->recorder.frames_in;
}
