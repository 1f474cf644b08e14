/*
 * latency.c — both ends of a measured wire (gateway bench latency): the venue's side, which alone takes the time; the echo,
 * which is the floor; UDP sockets behind the contract of a port; and stamps at the places that the appliance calls through
 * an address, so that what is measured without them is the appliance as it is.
 *
 * A latency counts from the moment a frame was due. A due time is never skipped: a stall counts for all it delays.
 * Every loop ends by itself: the venue's when `deadline_ticks` passes, the answering ones after `budget_ticks` from their start.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "port.h"

enum {
    HEADER_BYTES = 42,       /* Ethernet, IPv4 and UDP */
    SESSION_AT = 42,         /* of a MoldUDP64 packet in its frame */
    SEQUENCE_AT = 52,
    TYPE_AT = 42 + 20 + 2,   /* of the only message */
    ORDER_BYTES_MAX = 256,
    LOOKS = 64,              /* empty polls between two looks at the deadline */
    STAMP_TRIALS = 16
};

static uint32_t big32(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return __builtin_bswap32(word);
}

static void put_big32(uint8_t *bytes, uint32_t word)
{
    word = __builtin_bswap32(word);
    memcpy(bytes, &word, sizeof word);
}

/* ---- the venue's side ----------------------------------------------------------------------------------------- */

/* Frame i is due at begin + i * interval; `tags[i]` is what its order carries, 0: none is due. `ticks[i]` is the answer. */
struct probe {
    struct port *port;
    const uint8_t *bytes;   /* the frames, one behind the other */
    const int64_t *offsets; /* where each begins, and the end of the last */
    const int32_t *tags;
    int64_t *ticks;         /* from due to answered; as it was: no answer */
    int64_t count, interval_ticks, patience_ticks, deadline_ticks;
    int64_t order_bytes, tag_at;
    int64_t begin_ticks, sent, answered, due, strangers, oldest;
};

static void match(struct probe *probe, const struct port_frame *frame, int64_t now)
{
    if (frame->size != (uint64_t)probe->order_bytes) {
        probe->strangers++;
        return;
    }
    int32_t tag = (int32_t)big32(frame->data + probe->tag_at);
    int64_t at = probe->oldest;
    while (at < probe->sent && (probe->tags[at] == 0 || probe->tags[at] != tag))
        at++;
    if (at == probe->sent) {
        probe->strangers++;
        return;
    }
    probe->ticks[at] = now - (probe->begin_ticks + at * probe->interval_ticks);
    probe->oldest = at + 1;
    probe->answered++;
}

static void take(struct probe *probe)
{
    struct port_frame frames[PORT_BURST_MAX];
    int count = probe->port->operations->receive(probe->port, frames, PORT_BURST_MAX);
    if (count <= 0) {
        _mm_pause(); /* where both CPUs are one core's, the appliance gets the rest of it */
        return;
    }
    int64_t now = clock_ticks();
    for (int index = 0; index < count; index++)
        match(probe, &frames[index], now);
    probe->port->operations->release(probe->port);
}

static void send_due(struct probe *probe, int64_t index)
{
    uint32_t size = (uint32_t)(probe->offsets[index + 1] - probe->offsets[index]);
    struct port_frame frame = {.data = probe->bytes + probe->offsets[index], .size = size, .size_wire = size};
    int64_t due = probe->begin_ticks + index * probe->interval_ticks, now;
    while ((now = clock_ticks()) < due)
        take(probe);
    probe->sent++; /* before it leaves: its answer may be there when `transmit` returns */
    while (probe->port->operations->transmit(probe->port, &frame, 1) != 1 && clock_ticks() < probe->deadline_ticks)
        take(probe);
    probe->due += probe->tags[index] != 0;
}

/* Sends every frame when it is due and takes the orders meanwhile; a few fewer when the deadline passes. */
void probe_run(struct probe *probe)
{
    probe->begin_ticks = clock_ticks() + probe->interval_ticks;
    for (int64_t index = 0; index < probe->count && clock_ticks() < probe->deadline_ticks; index++)
        send_due(probe, index);
    int64_t quiet = clock_ticks() + probe->patience_ticks;
    while (probe->answered < probe->due && clock_ticks() < quiet)
        take(probe);
}

/* ---- the floor ------------------------------------------------------------------------------------------------ */

static int say(struct port *port, const uint8_t *bytes, int64_t size)
{
    struct port_frame frame = {.data = bytes, .size = (uint32_t)size, .size_wire = (uint32_t)size};
    return port->operations->transmit(port, &frame, 1) == 1;
}

/* Says `ready`, then answers each packet of `session` whose message is an add with `order`, its tag 1 + sequence % tags, and
   decides nothing. Returns after `count` packets; how many were answered. */
int64_t echo_orders(struct port *port, const uint8_t *ready, int64_t ready_bytes, uint32_t session, const uint8_t *order, int64_t order_bytes, int64_t tag_at,
                    int64_t tags, int64_t count, int64_t budget_ticks)
{
    struct port_frame frames[PORT_BURST_MAX];
    uint8_t bytes[ORDER_BYTES_MAX];
    int64_t seen = 0, answered = 0, deadline_ticks = clock_ticks() + budget_ticks;
    uint64_t spins = 0;
    uint32_t found;
    memcpy(bytes, order, (size_t)order_bytes);
    say(port, ready, ready_bytes);
    while (seen < count && (++spins % LOOKS != 0 || clock_ticks() < deadline_ticks)) {
        int got = port->operations->receive(port, frames, PORT_BURST_MAX);
        for (int index = 0; index < got; index++) {
            const uint8_t *data = frames[index].data;
            if (frames[index].size <= TYPE_AT)
                continue;
            memcpy(&found, data + SESSION_AT, sizeof found);
            if (found != session)
                continue;
            seen++;
            if (data[TYPE_AT] != 'A' && data[TYPE_AT] != 'F')
                continue;
            put_big32(bytes + tag_at, 1 + big32(data + SEQUENCE_AT + 4) % (uint32_t)tags);
            answered += say(port, bytes, order_bytes);
        }
        if (got > 0)
            port->operations->release(port);
    }
    return answered;
}

/* A stage that says `ready` in its first turn, and ends its loop: `packets` has reached `until`, or it is late. It costs a load
   and a comparison a turn. */
struct end {
    struct port *port;
    const uint8_t *ready;
    int64_t ready_bytes;
    const uint64_t *packets;
    uint64_t *stop;
    uint64_t until;
    int64_t budget_ticks; /* from the first turn: until then it may have waited for its CPU */
    uint64_t turns;
    int64_t deadline_ticks;
};

int64_t end_step(void *context)
{
    struct end *end = context;
    if (end->turns == 0) {
        end->deadline_ticks = clock_ticks() + end->budget_ticks;
        say(end->port, end->ready, end->ready_bytes);
    }
    int late = ++end->turns % LOOKS == 0 && clock_ticks() > end->deadline_ticks;
    if (*(volatile const uint64_t *)end->packets >= end->until || late)
        __atomic_store_n(end->stop, 1, __ATOMIC_RELEASE);
    return 0;
}

/* ---- UDP sockets as a port ------------------------------------------------------------------------------------ */

/* One connected socket, never waited for. The kernel has looked at the headers; ours stand for those it took off. */
struct udp {
    int socket;
    uint32_t header_sum; /* of the IPv4 header without length and checksum, as 16-bit words of the wire */
    uint8_t buffer[2048];
    struct port_statistics statistics;
};

static void put_big16(uint8_t *bytes, uint32_t word)
{
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

/* One datagram a call: the next one costs its own look at the socket, and nothing waits for that look. */
static int udp_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct udp *udp = port->state;
    long size = recv(udp->socket, udp->buffer + HEADER_BYTES, sizeof udp->buffer - HEADER_BYTES, MSG_DONTWAIT);
    if (size <= 0 || limit < 1)
        return 0;
    uint32_t ip_bytes = 28 + (uint32_t)size, sum = udp->header_sum + ip_bytes;
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    put_big16(udp->buffer + 16, ip_bytes);
    put_big16(udp->buffer + 24, ~sum);
    put_big16(udp->buffer + 38, ip_bytes - 20);
    udp->statistics.frames_received++;
    uint32_t frame_bytes = HEADER_BYTES + (uint32_t)size;
    frames[0] = (struct port_frame){
        .data = udp->buffer, .size = frame_bytes, .size_wire = frame_bytes, .flags = FRAME_CHECKSUM_GOOD};
    return 1;
}

static void udp_release(struct port *port)
{
    (void)port;
}

static int udp_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct udp *udp = port->state;
    int sent = 0;
    while (sent < count && send(udp->socket, frames[sent].data + HEADER_BYTES, frames[sent].size - HEADER_BYTES, MSG_DONTWAIT) > 0)
        sent++;
    udp->statistics.frames_transmitted += (uint64_t)sent;
    return sent;
}

static void udp_statistics(struct port *port, struct port_statistics *statistics)
{
    *statistics = ((struct udp *)port->state)->statistics;
}

static const struct port_operations udp_operations = {.kind = "udp",
                                                      .receive = udp_receive,
                                                      .release = udp_release,
                                                      .transmit = udp_transmit,
                                                      .statistics = udp_statistics};

/* A port over a connected socket; every datagram gets the headers of the frame `header`. NULL: out of memory. */
struct port *socket_port(int socket, const uint8_t *header)
{
    struct port *port = calloc(1, sizeof *port);
    struct udp *udp = calloc(1, sizeof *udp);
    if (!port || !udp)
        return NULL;
    udp->socket = socket;
    memcpy(udp->buffer, header, HEADER_BYTES);
    memset(udp->buffer + 40, 0, 2); /* no UDP checksum: the kernel has verified it */
    for (int at = 14; at < 34; at += 2)
        if (at != 16 && at != 24)
            udp->header_sum += (uint32_t)header[at] << 8 | header[at + 1];
    port->operations = &udp_operations;
    port->state = udp;
    return port;
}

/* ---- stamps --------------------------------------------------------------------------------------------------- */

enum { STAMPS = 11 };

/* What one order met, in ticks: the rows of `rows`, in this order. Those of io and core come from the order's own slot. */
struct stamps {
    struct port inner; /* 40 bytes, latency_library.py says */
    int64_t (*decoder)(void *);
    void (*strategy)(void *, void *, void *, void *);
    int64_t receive_begin, decode_begin, decode_end, strategy_begin, strategy_end;
    int64_t gate_end;     /* left by core, where it is asked to */
    int64_t *rows;
    int64_t rows_max, row_count, mixed; /* mixed: a burst of frames was worked off, the stamps are not one frame's */
};

_Static_assert(sizeof(struct port) == 40, "latency_library.py skips it by its size");
static struct stamps stamps; /* one appliance a process */

struct stamps *stamps_of_process(void)
{
    return &stamps;
}

static int stamped_receive(struct port *port, struct port_frame *frames, int limit)
{
    (void)port;
    int64_t begin = clock_ticks();
    int count = stamps.inner.operations->receive(&stamps.inner, frames, limit);
    if (count > 0)
        stamps.receive_begin = begin;
    return count;
}

static void stamped_release(struct port *port)
{
    (void)port;
    stamps.inner.operations->release(&stamps.inner);
}

static void keep_row(const struct order_slot *slot, int64_t begin, int64_t end)
{
    int64_t row[STAMPS] = {stamps.receive_begin, slot->ticks_receive,   slot->ticks_decode,  stamps.decode_begin,
                           stamps.decode_end,    stamps.strategy_begin, stamps.strategy_end, stamps.gate_end,
                           slot->ticks_order,    begin,                 end};
    for (int index = 1; index < STAMPS; index++)
        if (row[index] < row[index - 1]) {
            stamps.mixed++;
            return;
        }
    if (stamps.row_count < stamps.rows_max)
        memcpy(stamps.rows + STAMPS * stamps.row_count++, row, sizeof row);
}

/* io hands over what stands behind an order's slot (hand_over in native/io.c). */
static int stamped_transmit(struct port *port, const struct port_frame *frames, int count)
{
    (void)port;
    int64_t begin = clock_ticks();
    int taken = stamps.inner.operations->transmit(&stamps.inner, frames, count);
    int64_t end = clock_ticks();
    const struct order_slot *slot = (const struct order_slot *)(const void *)frames->data - 1;
    if (taken == 1 && slot->kind == ORDER_SLOT_NEW)
        keep_row(slot, begin, end);
    return taken;
}

static void stamped_statistics(struct port *port, struct port_statistics *statistics)
{
    (void)port;
    stamps.inner.operations->statistics(&stamps.inner, statistics);
}

static int64_t stamped_decode(void *decoder)
{
    stamps.decode_begin = clock_ticks();
    int64_t count = stamps.decoder(decoder);
    stamps.decode_end = clock_ticks();
    return count;
}

static void stamped_strategy(void *state, void *event, void *book, void *intents)
{
    stamps.strategy_begin = clock_ticks();
    stamps.strategy(state, event, book, intents);
    stamps.strategy_end = clock_ticks();
}

static const struct port_operations stamped_operations = {.kind = "stamped",
                                                          .receive = stamped_receive,
                                                          .release = stamped_release,
                                                          .transmit = stamped_transmit,
                                                          .statistics = stamped_statistics};

/* Puts the stamps around a port and two functions: the port and the addresses to use instead. */
void stamps_around(struct port *port, int64_t (*decoder)(void *), void (*strategy)(void *, void *, void *, void *),
                   uint64_t *addresses)
{
    stamps.inner = *port;
    stamps.decoder = decoder;
    stamps.strategy = strategy;
    port->operations = &stamped_operations;
    addresses[0] = (uint64_t)(uintptr_t)stamped_decode;
    addresses[1] = (uint64_t)(uintptr_t)stamped_strategy;
}

/* Ticks of `count` stamps, one after the other: the least of STAMP_TRIALS, as they are taken where nobody interrupts. */
int64_t stamps_cost(int64_t count)
{
    volatile int64_t place;
    int64_t least = INT64_MAX;
    for (int trial = 0; trial < STAMP_TRIALS; trial++) {
        int64_t began = clock_ticks();
        for (int64_t index = 0; index < count; index++)
            place = clock_ticks();
        int64_t passed = clock_ticks() - began;
        least = passed < least ? passed : least;
    }
    (void)place;
    return least;
}
