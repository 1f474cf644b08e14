/*
 * port_echo.c — frames there and back between two processes, over any port (native/port.h): echo one by one at a pace,
 * echo at full speed, and what a burst costs the side that receives it. UDP sockets stand behind the same contract, so that
 * they are measured by the same code; their frames are the payloads, the headers are the kernel's.
 *
 * Every frame is compared byte for byte where it comes back. A function ends early when `deadline_ticks` passes.
 * A latency is taken from the moment the frame was due, not from when it was sent: a stall counts for all it delayed.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "clock.h"
#include "port.h"

enum {
    FRAME_BYTES = 128,
    HEADER_BYTES = 42, /* Ethernet, IPv4 and UDP: what a socket's kernel puts in front */
    TYPE_AT = 12,
    WINDOW = 128,      /* frames on their way at full speed */
    BURST = 32,
    LOOKS = 64         /* empty polls between two looks at the deadline */
};

static int late(uint64_t *spins, int64_t deadline_ticks)
{
    return ++*spins % LOOKS == 0 && clock_ticks() > deadline_ticks;
}

/* ---- frames --------------------------------------------------------------------------------------------------- */

/* Two local addresses, a type that no kernel takes (IEEE 802 local experimental), then words that depend on the number. */
void fill_frame(uint8_t *frame, uint64_t number)
{
    static const uint8_t header[TYPE_AT + 2] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5};
    uint64_t word = number;
    memset(frame, 0, HEADER_BYTES);
    memcpy(frame, header, sizeof header);
    for (int at = HEADER_BYTES; at < FRAME_BYTES; at += 8) {
        int left = FRAME_BYTES - at < 8 ? FRAME_BYTES - at : 8;
        memcpy(frame + at, &word, (size_t)left);
        word = word * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX generator */
    }
}

static int is_frame(const struct port_frame *frame, uint64_t number)
{
    uint8_t expected[FRAME_BYTES];
    fill_frame(expected, number);
    return frame->size == FRAME_BYTES && memcmp(frame->data, expected, FRAME_BYTES) == 0;
}

static int send_number(struct port *port, uint64_t number)
{
    uint8_t bytes[FRAME_BYTES];
    struct port_frame frame = {.data = bytes, .size = FRAME_BYTES, .size_wire = FRAME_BYTES};
    fill_frame(bytes, number);
    return port->operations->transmit(port, &frame, 1);
}

/* ---- UDP sockets as a port ------------------------------------------------------------------------------------ */

struct udp {
    int socket;
    int flags; /* of receiving: MSG_DONTWAIT, or 0 to be woken by the kernel */
    uint8_t buffers[BURST][FRAME_BYTES];
};

static void fill_received(struct udp *udp, struct port_frame *frame, int index, long size)
{
    *frame = (struct port_frame){.data = udp->buffers[index], .size = HEADER_BYTES + (uint32_t)size,
                                 .size_wire = HEADER_BYTES + (uint32_t)size};
}

static int udp_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct udp *udp = port->state;
    struct iovec pieces[BURST];
    struct mmsghdr messages[BURST] = {0};
    if (limit == 1) {
        long size = recv(udp->socket, udp->buffers[0] + HEADER_BYTES, FRAME_BYTES - HEADER_BYTES, udp->flags);
        if (size <= 0)
            return 0;
        fill_received(udp, &frames[0], 0, size);
        return 1;
    }
    for (int index = 0; index < BURST; index++) {
        pieces[index] = (struct iovec){udp->buffers[index] + HEADER_BYTES, FRAME_BYTES - HEADER_BYTES};
        messages[index].msg_hdr.msg_iov = &pieces[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    int count = recvmmsg(udp->socket, messages, BURST, udp->flags | MSG_WAITFORONE, NULL);
    for (int index = 0; index < count; index++)
        fill_received(udp, &frames[index], index, messages[index].msg_len);
    return count < 0 ? 0 : count;
}

static void udp_release(struct port *port)
{
    (void)port;
}

static int udp_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct udp *udp = port->state;
    struct iovec pieces[BURST];
    struct mmsghdr messages[BURST] = {0};
    if (count == 1)
        return send(udp->socket, frames->data + HEADER_BYTES, frames->size - HEADER_BYTES, MSG_DONTWAIT) > 0;
    for (int index = 0; index < count; index++) {
        pieces[index] = (struct iovec){(void *)(uintptr_t)(frames[index].data + HEADER_BYTES),
                                       frames[index].size - HEADER_BYTES};
        messages[index].msg_hdr.msg_iov = &pieces[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(udp->socket, messages, (unsigned)count, MSG_DONTWAIT);
    return sent > 0 ? sent : 0;
}

static const struct port_operations udp_operations = {
    .kind = "udp", .receive = udp_receive, .release = udp_release, .transmit = udp_transmit};

/* A port over a connected socket; `waits` 1: the kernel wakes the reader. NULL: out of memory. */
struct port *udp_port(int socket, int waits)
{
    struct port *port = calloc(1, sizeof *port);
    struct udp *udp = calloc(1, sizeof *udp);
    if (!port || !udp)
        return NULL;
    udp->socket = socket;
    udp->flags = waits ? 0 : MSG_DONTWAIT;
    for (int index = 0; index < BURST; index++)
        fill_frame(udp->buffers[index], 0);
    port->operations = &udp_operations;
    port->state = udp;
    return port;
}

/* ---- one by one ----------------------------------------------------------------------------------------------- */

/* `ticks[n]`: from the moment frame n was due until its echo was there. Echoes that were right, or -1 - that. */
int64_t ask(struct port *port, int64_t count, int64_t interval_ticks, int64_t *ticks, int64_t deadline_ticks)
{
    struct port_frame got;
    uint64_t spins = 0;
    int64_t done = 0, wrong = 0, due = clock_ticks() + interval_ticks;
    for (; done < count; done++, due += interval_ticks) {
        int sent = 0, found = 0;
        while (clock_ticks() < due)
            _mm_pause();
        while (!found && !late(&spins, deadline_ticks)) {
            sent += sent ? 0 : send_number(port, (uint64_t)done);
            found = port->operations->receive(port, &got, 1) == 1;
        }
        ticks[done] = clock_ticks() - due;
        if (!found)
            break;
        wrong |= !is_frame(&got, (uint64_t)done);
        port->operations->release(port);
    }
    return wrong ? -1 - done : done;
}

/* Sends back what comes, at most `burst` frames at a time; returns how many. */
int64_t echo(struct port *port, int64_t count, int64_t burst, int64_t deadline_ticks)
{
    struct port_frame frames[BURST];
    uint64_t spins = 0;
    int64_t done = 0;
    while (done < count && !late(&spins, deadline_ticks)) {
        int got = port->operations->receive(port, frames, burst < BURST ? (int)burst : BURST), sent = 0;
        while (sent < got && !late(&spins, deadline_ticks))
            sent += port->operations->transmit(port, frames + sent, got - sent);
        if (got > 0)
            port->operations->release(port);
        done += sent;
    }
    return done;
}

/* ---- at full speed -------------------------------------------------------------------------------------------- */

/* Up to `count` frames from `number` on; those that the port took. */
static int send_numbers(struct port *port, uint64_t number, int count)
{
    static uint8_t bytes[BURST][FRAME_BYTES];
    struct port_frame frames[BURST];
    count = count < BURST ? count : BURST;
    for (int index = 0; index < count; index++) {
        fill_frame(bytes[index], number + (uint64_t)index);
        frames[index] = (struct port_frame){.data = bytes[index], .size = FRAME_BYTES, .size_wire = FRAME_BYTES};
    }
    return count > 0 ? port->operations->transmit(port, frames, count) : 0;
}

/* `ticks[0]`: the whole. Echoes in the order they were sent and right, or -1 - that. */
int64_t flood(struct port *port, int64_t count, int64_t *ticks, int64_t deadline_ticks)
{
    struct port_frame frames[BURST];
    uint64_t spins = 0;
    int64_t sent = 0, done = 0, wrong = 0, began = clock_ticks();
    while (done < count && !late(&spins, deadline_ticks)) {
        int64_t room = WINDOW - (sent - done), rest = count - sent;
        sent += send_numbers(port, (uint64_t)sent, (int)(room < rest ? room : rest));
        int got = port->operations->receive(port, frames, BURST);
        for (int index = 0; index < got; index++)
            wrong |= !is_frame(&frames[index], (uint64_t)(done + index));
        if (got > 0)
            port->operations->release(port);
        done += got;
    }
    ticks[0] = clock_ticks() - began;
    return wrong ? -1 - done : done;
}

/* ---- what a burst costs its receiver -------------------------------------------------------------------------- */

/* `count` frames from `number` on, one way; those that the port took. A memif client meets its server in `receive`. */
int64_t load(struct port *port, int64_t number, int64_t count, int64_t deadline_ticks)
{
    struct port_frame frames[BURST];
    uint64_t spins = 0;
    int64_t sent = 0;
    while (sent < count && !late(&spins, deadline_ticks)) {
        int64_t taken = send_numbers(port, (uint64_t)(number + sent), (int)(count - sent < BURST ? count - sent : BURST));
        if (taken == 0 && port->operations->receive(port, frames, BURST) > 0)
            port->operations->release(port);
        sent += taken;
    }
    return sent;
}

static int64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Thread time of `turns` steps of a stage; `work[0]` grows by what they say they did. */
int64_t time_stage(int64_t (*step)(void *), void *context, int64_t turns, int64_t *work)
{
    int64_t began = thread_ns();
    for (int64_t turn = 0; turn < turns; turn++)
        *work += step(context);
    return thread_ns() - began;
}

/* The same of a bare port: frames are taken and given back, nothing else. */
int64_t time_port(struct port *port, int64_t turns, int64_t *work)
{
    struct port_frame frames[PORT_BURST_MAX];
    int64_t began = thread_ns();
    for (int64_t turn = 0; turn < turns; turn++) {
        *work += port->operations->receive(port, frames, PORT_BURST_MAX);
        port->operations->release(port);
    }
    return thread_ns() - began;
}

/* Two stages in turn on one thread, as in one loop: the thread time of each in `ns`, what each did in `work`. */
void time_stages(int64_t (*first)(void *), void *first_context, int64_t (*second)(void *), void *second_context,
                 int64_t turns, int64_t *ns, int64_t *work)
{
    for (int64_t turn = 0; turn < turns; turn++) {
        ns[0] += time_stage(first, first_context, 1, &work[0]);
        ns[1] += time_stage(second, second_context, 1, &work[1]);
    }
}

int64_t frame_bytes(void)
{
    return FRAME_BYTES;
}
