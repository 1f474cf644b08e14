/*
 * exception.c ② — which frames are the kernel's, and their way to a TAP and back. See exception.h.
 *
 * Hard rule: what a flood costs is bounded per turn and per second; beyond it frames are dropped and counted, never kept.
 */
#include "exception.h"

#include <string.h>

#include "checksum.h"
#include "clock.h"
#include "note.h"

enum {
    ETHERNET_BYTES = 14,
    TAG_BYTES = 4,
    TAGS_MAX = 2, /* as gateway/protocols/udp.py */
    IP_BYTES = 20,
    UDP_BYTES = 8,
    TYPE_IPV4 = 0x0800,
    TYPE_TAG = 0x8100,       /* IEEE 802.1Q */
    TYPE_TAG_OUTER = 0x88A8, /* IEEE 802.1ad */
    PROTOCOL_UDP = 17,
    FRAGMENT_MASK = 0x3FFF, /* more fragments, or an offset (RFC 791) */
    MULTICAST = 14          /* 224.0.0.0/4, its first four bits (RFC 1112 section 4) */
};

static uint16_t load_be16(const uint8_t *bytes)
{
    uint16_t number;
    memcpy(&number, bytes, sizeof number);
    return __builtin_bswap16(number);
}

static uint32_t load_be32(const uint8_t *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return __builtin_bswap32(number);
}

/* ---- whose frame it is ---------------------------------------------------------------------------------------- */

static uint32_t home_of(uint64_t key)
{
    return (uint32_t)((key * 0x9E3779B97F4A7C15ULL) >> 40) % EXCEPTION_ROWS; /* 2^64 / golden ratio */
}

int exception_follow(struct exception *exception, uint32_t address, uint16_t port)
{
    uint64_t key = (uint64_t)address << 16 | port;
    uint32_t row = home_of(key), used = 0;
    for (uint32_t index = 0; index < EXCEPTION_ROWS; index++)
        used += exception->destinations[index] != 0;
    while (exception->destinations[row] != 0 && exception->destinations[row] != key)
        row = (row + 1) % EXCEPTION_ROWS;
    if (exception->destinations[row] == 0 && used == EXCEPTION_DESTINATIONS_MAX)
        return -1;
    exception->destinations[row] = key;
    return 0;
}

static int follows(const struct exception *exception, uint32_t address, uint16_t port)
{
    uint64_t key = (uint64_t)address << 16 | port;
    for (uint32_t row = home_of(key); exception->destinations[row] != 0; row = (row + 1) % EXCEPTION_ROWS)
        if (exception->destinations[row] == key)
            return 1;
    return 0;
}

/* Where the IPv4 header begins, with room for a whole one; 0: the frame carries none. */
static uint32_t find_ip(const uint8_t *frame, uint32_t size)
{
    uint32_t at = ETHERNET_BYTES;
    if (size < ETHERNET_BYTES)
        return 0;
    uint16_t type = load_be16(frame + at - 2);
    for (int tags = 0; type == TYPE_TAG || type == TYPE_TAG_OUTER; tags++) {
        at += TAG_BYTES;
        if (tags == TAGS_MAX || size < at)
            return 0;
        type = load_be16(frame + at - 2);
    }
    return type == TYPE_IPV4 && size - at >= IP_BYTES ? at : 0;
}

int exception_is_fast(const struct exception *exception, const uint8_t *frame, uint32_t size)
{
    uint32_t at = find_ip(frame, size);
    const uint8_t *header = frame + at;
    if (at == 0 || header[0] >> 4 != 4 || header[9] != PROTOCOL_UDP)
        return 0;
    uint32_t destination = load_be32(header + 16);
    uint32_t header_bytes = (header[0] & 15) * 4u, room = load_be16(header + 2);
    if (room > size - at)
        room = size - at;
    if (header_bytes < IP_BYTES || room < header_bytes + UDP_BYTES || load_be16(header + 6) & FRAGMENT_MASK)
        return destination >> 28 == MULTICAST; /* its port cannot be read: core counts why */
    if (exception->any_multicast && destination >> 28 == MULTICAST)
        return 1;
    return follows(exception, destination, load_be16(header + header_bytes + 2));
}

/* ---- the way there and back ----------------------------------------------------------------------------------- */

void exception_prepare(struct exception *exception, const struct clock_calibration *clock, struct io_counters *counters)
{
    int64_t per_second = (int64_t)clock->ticks_per_second;
    exception->counters = counters;
    exception->clock = clock;
    exception->inward.ticks_frame = exception->outward.ticks_frame = per_second / EXCEPTION_FRAMES_PER_SECOND + 1;
    exception->ticks_interval = per_second / 1000000 * EXCEPTION_POLL_NS / 1000;
    exception->ticks_between = per_second / 1000 * EXCEPTION_ANNOUNCE_MS;
}

/* Frames that may pass now. A pause is worth EXCEPTION_FRAMES_AHEAD of them at most. */
static int pace_room(struct exception_pace *pace, int64_t ticks)
{
    int64_t earliest = ticks - EXCEPTION_FRAMES_AHEAD * pace->ticks_frame;
    if (pace->ticks_paid < earliest)
        pace->ticks_paid = earliest;
    int64_t room = (ticks - pace->ticks_paid) / pace->ticks_frame;
    return room < 0 ? 0 : room < EXCEPTION_FRAMES_PER_TURN ? (int)room : EXCEPTION_FRAMES_PER_TURN;
}

/* One by one: the kernel refuses a frame for what it is, and the next one may be better. */
static int hand_over(struct exception *exception, const struct port_frame *frame)
{
    struct port_frame whole = *frame;
    if (frame->flags & FRAME_CHECKSUM_UNREADY && frame->size <= EXCEPTION_FRAME_BYTES) {
        memcpy(exception->frame, frame->data, frame->size);
        checksum_fill(exception->frame, frame->size);
        whole.data = exception->frame;
    }
    return !exception->ended && exception->tap.operations->transmit(&exception->tap, &whole, 1) == 1;
}

void exception_keep(struct exception *exception, const struct port_frame *frame)
{
    exception->counters->frames_received++;
    exception->counters->bytes_received += frame->size;
    exception->waiting[exception->waiting_count++] = *frame;
}

void exception_deliver(struct exception *exception, int64_t ticks)
{
    struct io_counters *counters = exception->counters;
    int count = exception->waiting_count, room = pace_room(&exception->inward, ticks);
    int passed = count < room ? count : room;
    int64_t now_ns = clock_ticks_to_ns(exception->clock, ticks);
    for (int index = 0; index < passed; index++) {
        int taken = hand_over(exception, &exception->waiting[index]);
        note_frame(exception->notes, NOTE_FRAME_IN, &exception->waiting[index], now_ns);
        counters->exception_in += taken != 0;
        counters->exception_failed += taken == 0;
    }
    exception->inward.ticks_paid += passed * exception->inward.ticks_frame;
    counters->exception_throttled += (uint64_t)(count - passed);
    exception->waiting_count = 0;
    exception->ticks_poll = 0; /* the kernel answers at once */
}

/* Frames of the TAP that came whole, moved together. */
static int keep_whole(struct port_frame *frames, int count)
{
    int kept = 0;
    for (int index = 0; index < count; index++)
        if (frames[index].size == frames[index].size_wire)
            frames[kept++] = frames[index];
    return kept;
}

/* A report that left while the link was down is lost, and a network may have no router that asks: so we ask. */
static void announce(struct exception *exception, int64_t ticks)
{
    struct port_frame query = {
        .data = exception->query, .size = exception->query_bytes, .size_wire = exception->query_bytes};
    exception->ticks_announce = ticks + exception->ticks_between;
    exception->tap.operations->transmit(&exception->tap, &query, 1);
}

int64_t exception_send(struct exception *exception, struct port *port, int64_t ticks)
{
    struct port_frame frames[EXCEPTION_FRAMES_PER_TURN];
    struct port *tap = &exception->tap;
    if (exception->ended || ticks < exception->ticks_poll)
        return 0;
    if (exception->query_bytes && ticks >= exception->ticks_announce)
        announce(exception, ticks);
    exception->ticks_poll = ticks + exception->ticks_interval;
    int room = pace_room(&exception->outward, ticks);
    int count = room ? tap->operations->receive(tap, frames, room) : 0;
    exception->ended = count < 0;
    if (count <= 0)
        return 0;
    exception->ticks_poll = 0; /* more may wait behind them */
    exception->outward.ticks_paid += count * exception->outward.ticks_frame;
    int sent = port->operations->transmit(port, frames, keep_whole(frames, count));
    for (int index = 0; index < sent; index++)
        note_frame(exception->notes, NOTE_FRAME_OUT, &frames[index], clock_ticks_to_ns(exception->clock, ticks));
    tap->operations->release(tap);
    exception->counters->exception_out += (uint64_t)sent;
    exception->counters->exception_failed += (uint64_t)(count - sent);
    return count;
}
