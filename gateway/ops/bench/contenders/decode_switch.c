/*
 * decode_switch.c — the decoder a good C programmer writes first: one switch over the type, one bounds check per
 * block, one length check per type. Reads MoldUDP64 packets with ITCH 5.0 messages, writes the same 64-byte struct
 * event rows and the same counters as gateway/protocols/itch50_decode.py, and refuses what that refuses.
 */
#include <string.h>

#include "layout.h"

#define LOAD(name, type, swap)                                                                                      \
    static inline type name(const uint8_t *at)                                                                      \
    {                                                                                                               \
        type value;                                                                                                 \
        memcpy(&value, at, sizeof value);                                                                           \
        return swap(value);                                                                                         \
    }
LOAD(be16, uint16_t, __builtin_bswap16)
LOAD(be32, uint32_t, __builtin_bswap32)
LOAD(be64, uint64_t, __builtin_bswap64)
LOAD(text8, uint64_t, )

static inline int64_t be48(const uint8_t *at)
{
    return (int64_t)((uint64_t)be16(at) << 32 | be32(at + 2));
}

static inline uint8_t side_of(uint8_t letter)
{
    return letter == 'B' ? SIDE_BUY : letter == 'S' ? SIDE_SELL : SIDE_NONE;
}

static int add(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_ADD;
    event->order_id = be64(message + 11);
    event->side = side_of(message[19]);
    event->quantity = be32(message + 20);
    event->other_id = text8(message + 24);
    event->price = be32(message + 32);
    return event->side != SIDE_NONE;
}

static int trade(const uint8_t *message, struct event *event)
{
    int good = add(message, event);
    event->kind = EVENT_TRADE;
    event->other_id = be64(message + 36);
    return good;
}

static int execute(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_EXECUTE;
    event->order_id = be64(message + 11);
    event->quantity = be32(message + 19);
    event->other_id = be64(message + 23);
    return 1;
}

static int execute_priced(const uint8_t *message, struct event *event)
{
    event->flags = EVENT_PRICED | (message[31] == 'N' ? EVENT_NON_PRINTABLE : 0);
    event->price = be32(message + 32);
    return execute(message, event);
}

static int reduce(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_REDUCE;
    event->order_id = be64(message + 11);
    event->quantity = be32(message + 19);
    return 1;
}

static int delete(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_DELETE;
    event->order_id = be64(message + 11);
    return 1;
}

static int replace(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_REPLACE;
    event->order_id = be64(message + 11);
    event->other_id = be64(message + 19);
    event->quantity = be32(message + 27);
    event->price = be32(message + 31);
    return 1;
}

static int cross(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_TRADE;
    event->quantity = (int64_t)be64(message + 11);
    event->price = be32(message + 27);
    event->other_id = be64(message + 31);
    return 1;
}

static int status(const uint8_t *message, struct event *event)
{
    uint8_t state = message[19];
    event->kind = EVENT_STATUS;
    event->order_id = text8(message + 11);
    event->quantity = state == 'T'   ? TRADING_OPEN
                      : state == 'H' ? TRADING_HALTED
                      : state == 'P' ? TRADING_PAUSED
                      : state == 'Q' ? TRADING_QUOTE_ONLY
                                     : TRADING_UNKNOWN;
    return 1;
}

static int instrument(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_INSTRUMENT;
    event->order_id = text8(message + 11);
    event->quantity = be32(message + 21);
    event->price = 100;
    return 1;
}

static int system_event(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_SYSTEM;
    event->quantity = message[11];
    return 1;
}

static int broken(const uint8_t *message, struct event *event)
{
    event->kind = EVENT_INFORMATION;
    event->other_id = be64(message + 11);
    return 1;
}

static inline int information(uint16_t length, uint16_t expected, struct event *event)
{
    event->kind = EVENT_INFORMATION;
    return length == expected;
}

/* 1: the event is whole; 0: a field or the length is wrong; -1: no such type. */
static int decode_message(const uint8_t *message, uint16_t length, struct event *event)
{
    switch (message[0]) {
    case 'A':
        return length == 36 && add(message, event);
    case 'D':
        return length == 19 && delete (message, event);
    case 'U':
        return length == 35 && replace(message, event);
    case 'E':
        return length == 31 && execute(message, event);
    case 'X':
        return length == 23 && reduce(message, event);
    case 'F':
        return length == 40 && add(message, event);
    case 'C':
        return length == 36 && execute_priced(message, event);
    case 'P':
        return length == 44 && trade(message, event);
    case 'Q':
        return length == 40 && cross(message, event);
    case 'H':
        return length == 25 && status(message, event);
    case 'R':
        return length == 39 && instrument(message, event);
    case 'S':
        return length == 12 && system_event(message, event);
    case 'B':
        return length == 19 && broken(message, event);
    case 'Y':
    case 'N':
        return information(length, 20, event);
    case 'L':
        return information(length, 26, event);
    case 'V':
    case 'J':
        return information(length, 35, event);
    case 'W':
        return information(length, 12, event);
    case 'K':
        return information(length, 28, event);
    case 'h':
        return information(length, 21, event);
    case 'I':
        return information(length, 50, event);
    case 'O':
        return information(length, 48, event);
    default:
        return -1;
    }
}

static void refuse(struct event *event, int outcome, uint8_t type, struct core_counters *counters)
{
    uint64_t sequence = event->sequence;
    int64_t time_receive_ns = event->time_receive_ns;
    *event = (struct event){.sequence = sequence, .time_receive_ns = time_receive_ns, .message_type = type};
    event->kind = outcome < 0 ? EVENT_INFORMATION : EVENT_GAP;
    event->quantity = outcome < 0 ? 0 : 1;
    counters->reasons[outcome < 0 ? FEED_MESSAGE_UNKNOWN : FEED_MESSAGE_LENGTH]++;
}

int64_t switch_decode_packet(const uint8_t *payload, int64_t size, int64_t time_receive_ns, struct event *events,
                             struct core_counters *counters)
{
    if (size < 20)
        return 0;
    uint64_t sequence = be64(payload + 10);
    uint16_t count = be16(payload + 18);
    const uint8_t *end = payload + size, *at = payload + 20;
    int64_t written = 0;
    for (; written < count; written++) {
        if (end - at < 2 || end - at - 2 < be16(at))
            break;
        uint16_t length = be16(at);
        const uint8_t *message = at + 2;
        struct event *event = &events[written];
        *event = (struct event){.sequence = sequence + (uint64_t)written, .time_receive_ns = time_receive_ns};
        at += 2 + length;
        int outcome = 0;
        if (length >= 11) {
            event->instrument = be16(message + 1);
            event->time_venue_ns = be48(message + 5);
            event->message_type = message[0];
            outcome = decode_message(message, length, event);
        }
        if (outcome == 1) {
            counters->messages++;
            counters->messages_by_type[message[0]]++;
        } else
            refuse(event, outcome, length ? message[0] : 0, counters);
    }
    if (written < count) {
        counters->reasons[FEED_BLOCK_OVERRUN]++;
        events[written] = (struct event){.sequence = sequence + (uint64_t)written,
                                         .kind = EVENT_GAP,
                                         .quantity = count - written,
                                         .time_receive_ns = time_receive_ns};
        written++;
    }
    return written;
}

/* Every packet in turn; returns the events. `step` 0: each packet's over the last one's, 1: one behind the other. */
int64_t switch_decode_stream(const uint8_t *data, const int64_t *offsets, const int64_t *sizes, int64_t packets,
                             int64_t time_base_ns, struct event *events, int64_t step, struct core_counters *counters)
{
    int64_t total = 0;
    for (int64_t index = 0; index < packets; index++)
        total += switch_decode_packet(data + offsets[index], sizes[index], time_base_ns + index,
                                      events + (step ? total : 0), counters);
    return total;
}
