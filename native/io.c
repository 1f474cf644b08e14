/*
 * io.c ②⑧ — burst → stamp → publish; poll orders → kill, epoch and age check → transmit.
 *
 * Hard rule: the last thing before a new order meets the port is a fresh read of the kill latch and the epoch.
 * Market data never blocks the port: a full ring drops the newest frame and counts it. Only a port that can wait
 * (a capture) is left alone while the ring is full. What is the kernel's follows behind, bounded (exception.h).
 */
#include <string.h>

#include "clock.h"
#include "histogram.h"
#include "io.h"
#include "note.h"
#include "ring.h"

/* ---- ② frames in ---------------------------------------------------------------------------------------------- */

static uint64_t ring_room(struct ring_writer *writer)
{
    writer->cursor_cached = __atomic_load_n(&ring_of(writer->header)->cursor, __ATOMIC_ACQUIRE);
    return writer->depth - (writer->position - writer->cursor_cached);
}

/* A record of `flags` with `size` bytes; 0 when the ring is full. Inlined by order: as a call it cost 4 to 6 ns a frame. */
static inline __attribute__((always_inline)) int publish(struct io *io, const void *data, uint32_t size, uint16_t flags,
                                                         uint16_t port, int64_t time_ns, int64_t ticks)
{
    struct frame_slot *slot = (struct frame_slot *)ring_claim(&io->frames);
    if (!slot) {
        ring_shed(&io->frames);
        return 0;
    }
    slot->size = size;
    slot->port = port;
    slot->flags = flags;
    slot->time_receive_ns = time_ns;
    slot->ticks_receive = ticks;
    memcpy(slot + 1, data, size);
    ring_publish(&io->frames, (struct ring_slot *)slot);
    return 1;
}

static inline __attribute__((always_inline)) void
accept_frame(struct io *io, uint16_t port, const struct port_frame *frame, int64_t now_ns, int64_t ticks)
{
    struct io_counters *counters = &io->counters->io;
    counters->frames_received++;
    counters->bytes_received += frame->size;
    if (frame->size < frame->size_wire)
        counters->drop_truncated++;
    else if (frame->size > io->frames.slot_bytes - sizeof(struct frame_slot))
        counters->drop_oversized++;
    else if (publish(io, frame->data, frame->size, frame->flags, port, frame->time_ns ? frame->time_ns : now_ns, ticks))
        counters->frames_published++;
    else
        counters->drop_ring_full++;
}

/* Core's frames at once; the kernel's wait for the end of the turn, and the port gets its burst back only then.
   A function of its own: where there is no exception path, the loop of `receive` stays as tight as it was. */
__attribute__((noinline)) static int accept_sorted(struct io *io, const struct port_frame *frames, int count,
                                                   int64_t now_ns, int64_t ticks)
{
    for (int position = 0; position < count; position++) {
        const struct port_frame *frame = &frames[position];
        if (frame->size < frame->size_wire || exception_is_fast(io->exception, frame->data, frame->size)) {
            io->time_published_ticks = ticks;
            accept_frame(io, 0, frame, now_ns, ticks);
        } else {
            exception_keep(io->exception, frame);
        }
    }
    return io->exception->waiting_count;
}

static int64_t receive(struct io *io, uint16_t index)
{
    struct port *port = &io->ports[index];
    struct port_frame frames[PORT_BURST_MAX];
    if (port->operations->patient && ring_room(&io->frames) < PORT_BURST_MAX)
        return 0;
    int count = port->operations->receive(port, frames, (int)io->burst);
    if (count <= 0) {
        io->ended[index] = count < 0;
        return 0;
    }
    int64_t ticks = clock_ticks();
    int64_t now_ns = clock_ticks_to_ns(&io->control->clock, ticks);
    if (io->exception && index == 0) {
        if (accept_sorted(io, frames, count, now_ns, ticks) > 0)
            return count;
    } else {
        io->time_published_ticks = ticks;
        for (int position = 0; position < count; position++)
            accept_frame(io, index, &frames[position], now_ns, ticks);
    }
    ring_warm(&io->frames, frames[count - 1].size);
    port->operations->release(port);
    return count;
}

/* A quiet port still has a clock: core's timers run on the records it gets, in replay as in life. */
static void publish_time(struct io *io)
{
    int64_t ticks = clock_ticks();
    if (!io->time_interval_ticks || ticks - io->time_published_ticks < io->time_interval_ticks)
        return;
    io->time_published_ticks = ticks;
    if (ring_room(&io->frames) < io->frames.depth / 2)
        return; /* core is behind: frames need the room more than it needs the time */
    publish(io, "", 0, FRAME_TIME, 0, clock_ticks_to_ns(&io->control->clock, ticks), ticks);
}

/* Tells core, once, that nothing will follow. */
static void publish_end(struct io *io)
{
    for (uint32_t index = 0; index < io->port_count; index++)
        if (!io->ended[index])
            return;
    if (!io->end_published && publish(io, "", 0, FRAME_END_OF_INPUT, 0, io->ports[0].time_ns, clock_ticks())) {
        io->end_published = 1;
        io->counters->io.end_of_input = 1;
    }
}

/* ---- ⑧ orders out --------------------------------------------------------------------------------------------- */

/* Why an order must not leave now; 0: it may. Reads the shared words afresh. What can only reduce passes a kill. */
static uint64_t refusal_of(struct io *io, const struct order_slot *order)
{
    struct control_block *control = io->control;
    if (order->kind == ORDER_SLOT_NEW && __atomic_load_n(&control->kill_latch, __ATOMIC_ACQUIRE) != KILL_CLEAR)
        return REFUSAL_KILL;
    if (__atomic_load_n(&control->epoch, __ATOMIC_ACQUIRE) != order->epoch)
        return REFUSAL_EPOCH;
    int64_t now_ns = io->ports[0].time_ns ? io->ports[0].time_ns : clock_now_ns(&control->clock);
    uint64_t lease_ns = __atomic_load_n(&control->lease_expires_ns, __ATOMIC_ACQUIRE);
    if (lease_ns != 0 && (uint64_t)now_ns >= lease_ns)
        return REFUSAL_EPOCH;
    if (io->order_age_max_ns && now_ns - order->time_receive_ns > io->order_age_max_ns)
        return REFUSAL_LATE;
    return 0;
}

/* Core reserved exposure for this order: tell it that the order never left. */
static void refuse(struct io *io, const struct order_slot *order, uint64_t reason)
{
    struct io_counters *counters = &io->counters->io;
    struct order_refusal refusal = {.reference = order->reference, .reason = reason};
    int64_t ticks = clock_ticks();
    counters->orders_blocked_kill += reason == REFUSAL_KILL;
    counters->orders_blocked_epoch += reason == REFUSAL_EPOCH;
    counters->orders_blocked_late += reason == REFUSAL_LATE;
    counters->orders_failed += reason == REFUSAL_PORT;
    if (reason == REFUSAL_KILL && counters->observed_kill_ns == 0)
        counters->observed_kill_ns = (uint64_t)clock_ticks_to_ns(&io->control->clock, ticks);
    publish(io, &refusal, sizeof refusal, FRAME_ORDER_REFUSED, 0, clock_ticks_to_ns(&io->control->clock, ticks), ticks);
}

static void record_spans(struct io *io, const struct order_slot *order)
{
    const struct clock_calibration *clock = &io->control->clock;
    struct histogram *spans = io->counters->spans;
    int64_t sent = clock_ticks();
    histogram_add(&spans[SPAN_RECEIVE_DECODE], clock_span_ns(clock, order->ticks_decode - order->ticks_receive));
    histogram_add(&spans[SPAN_DECODE_ORDER], clock_span_ns(clock, order->ticks_order - order->ticks_decode));
    histogram_add(&spans[SPAN_ORDER_TRANSMIT], clock_span_ns(clock, sent - order->ticks_order));
    histogram_add(&spans[SPAN_TICK_TO_ORDER], clock_span_ns(clock, sent - order->ticks_receive));
}

static int hand_over(struct io *io, const struct order_slot *order)
{
    struct port *port = &io->ports[0];
    struct port_frame frame = {.data = (const uint8_t *)(order + 1), .size = order->size, .size_wire = order->size};
    if (port->operations->transmit(port, &frame, 1) != 1)
        return 0;
    io->counters->io.frames_transmitted++;
    io->counters->io.bytes_transmitted += order->size;
    return 1;
}

static int send_new(struct io *io, const struct order_slot *order)
{
    uint64_t reason = refusal_of(io, order);
    if (!reason && !hand_over(io, order))
        reason = REFUSAL_PORT;
    if (reason) {
        refuse(io, order, reason);
    } else {
        io->counters->io.orders_transmitted++;
        io->counters->io.reference_transmitted = order->reference;
        record_spans(io, order);
    }
    return 1;
}

/*
 * Cancels pass every check. A port that is full gets IO_TRANSMIT_NS before one is given up. What is neither order nor
 * cancel (a simulated venue's frames) then waits no more until the port has taken something: nobody is there who reads.
 */
static int send_cancel(struct io *io, const struct order_slot *order)
{
    if (hand_over(io, order)) {
        io->counters->io.cancels_transmitted += order->kind != ORDER_SLOT_OTHER;
        io->transmit_since = 0;
        return 1;
    }
    int64_t ticks = clock_ticks();
    if (io->transmit_since == 0)
        io->transmit_since = ticks;
    if (clock_span_ns(&io->control->clock, ticks - io->transmit_since) < IO_TRANSMIT_NS)
        return 0;
    if (order->kind != ORDER_SLOT_OTHER)
        io->transmit_since = 0; /* the next cancel waits as long */
    io->counters->io.cancels_failed++;
    return 1;
}

/* A request for market data: no latch holds it up, and no cancel waits behind it. Core asks again. */
static int send_request(struct io *io, const struct order_slot *order)
{
    int sent = hand_over(io, order);
    io->counters->io.requests_transmitted += sent != 0;
    io->counters->io.requests_failed += sent == 0;
    return 1;
}

static int send_one(struct io *io, const struct order_slot *order)
{
    if (order->kind == ORDER_SLOT_NEW || (order->kind == ORDER_SLOT_REDUCE && order->flags & ORDER_SLOT_ENTERS))
        return send_new(io, order);
    if (order->kind == ORDER_SLOT_REQUEST)
        return send_request(io, order);
    return send_cancel(io, order);
}

static int fits(const struct ring_reader *ring, const struct order_slot *order)
{
    return order->size <= ring->slot_bytes - sizeof *order;
}

static int64_t send_orders(struct io *io, uint32_t index)
{
    int64_t sent = 0;
    struct ring_reader *ring = &io->orders[index];
    struct order_slot *order;
    while (sent < IO_ORDERS_PER_TURN && (order = (struct order_slot *)ring_peek(ring))) {
        uint64_t transmitted = io->counters->io.frames_transmitted;
        if (!fits(ring, order))
            io->counters->io.orders_failed++;
        else if (!send_one(io, order))
            break;
        if (io->counters->io.frames_transmitted == transmitted)
            note_order_kept(&io->notes, index, ring->position); /* before the cursor: a recorder asks in that order */
        ring_advance(ring);
        ring_acknowledge(ring); /* one by one: a crash repeats at most one frame, which the venue knows by its reference */
        sent++;
    }
    return sent;
}

/* ---- the kernel's frames -------------------------------------------------------------------------------------- */

__attribute__((noinline)) static int64_t serve_kernel(struct io *io)
{
    struct port *port = &io->ports[0];
    int64_t ticks = clock_ticks();
    publish_time(io); /* on a busy turn too: frames of the kernel's alone tell core no time */
    if (io->exception->waiting_count) {
        exception_deliver(io->exception, ticks);
        port->operations->release(port);
    }
    return exception_send(io->exception, port, ticks);
}

/* ---- the stage ------------------------------------------------------------------------------------------------ */

int64_t io_step(void *context)
{
    struct io *io = context;
    int64_t work = 0;
    uint32_t ended = 0;
    for (uint32_t index = 0; index < io->order_ring_count; index++) /* first: nobody waits for an empty port's answer */
        work += send_orders(io, index);
    for (uint32_t index = 0; index < io->port_count; index++) {
        if (!io->ended[index])
            work += receive(io, (uint16_t)index);
        ended += io->ended[index];
    }
    if (io->exception)
        work += serve_kernel(io);
    else if (work == 0)
        publish_time(io);
    if (ended == io->port_count) {
        publish_end(io);
        return work || !io->end_published ? work : -1;
    }
    return work;
}

static void copy_out(struct io_counters *counters, const struct port_statistics *sum)
{
    counters->drop_port = sum->receive_dropped;
    counters->receive_errors = sum->receive_errors;
    counters->drop_no_buffer = sum->receive_no_buffer;
    counters->checksum_bad = sum->checksum_bad;
    counters->transmit_retries = sum->transmit_retries;
    counters->link_flaps = sum->link_flaps;
    counters->link_state = sum->link_state;
    counters->buffers_lost = sum->buffers_lost;
}

void io_housekeep(void *context)
{
    struct io *io = context;
    struct port_statistics sum = {0};
    for (uint32_t index = 0; index < io->port_count; index++) {
        struct port_statistics statistics = {0};
        io->ports[index].operations->statistics(&io->ports[index], &statistics);
        sum.receive_dropped += statistics.receive_dropped;
        sum.receive_errors += statistics.receive_errors;
        sum.receive_no_buffer += statistics.receive_no_buffer;
        sum.checksum_bad += statistics.checksum_bad;
        sum.transmit_retries += statistics.transmit_retries;
        sum.link_flaps += statistics.link_flaps;
        sum.buffers_lost += statistics.buffers_lost;
        sum.link_state = index == 0 ? statistics.link_state : sum.link_state;
    }
    copy_out(&io->counters->io, &sum);
}

uintptr_t io_step_address(void)
{
    return (uintptr_t)io_step;
}

uintptr_t io_housekeep_address(void)
{
    return (uintptr_t)io_housekeep;
}
