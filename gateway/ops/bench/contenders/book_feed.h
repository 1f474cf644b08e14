/*
 * book_feed.h — what the books written by hand have in common: MoldUDP64 packets with ITCH 5.0 messages, checked as ours
 * checks them (block inside the packet, length of its type), and the comparison with the dense twin of the suite.
 *
 * Who includes it says what an order does to his books:
 *     join(books, symbol, side, id, price, shares)      leave(books, symbol, id, shares), ALL for what is left
 *     replace(books, symbol, id, id_new, price, shares)     level(books, symbol, side, price) -> quantity, orders
 */
#include <stdint.h>
#include <string.h>

#define ALL UINT32_MAX
#define HEADER_BYTES 20

struct books;
struct total {
    int64_t quantity;
    int64_t orders;
};
static void join(struct books *books, uint32_t symbol, int side, uint64_t id, int64_t price, uint32_t shares);
static void leave(struct books *books, uint32_t symbol, uint64_t id, uint32_t shares);
static void replace(struct books *books, uint32_t symbol, uint64_t id, uint64_t id_new, int64_t price, uint32_t shares);
static struct total level(const struct books *books, uint32_t symbol, int side, int64_t price);
static int64_t level_count(const struct books *books, uint32_t symbol, int side);

static inline uint16_t be16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t be32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t be64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_bswap64(value);
}

/* 1: applied; 0: a length that is not its type's. Types that move no book pass. */
static inline int apply_message(struct books *books, const uint8_t *message, uint16_t length)
{
    uint32_t symbol = be16(message + 1);
    switch (message[0]) {
    case 'A':
    case 'F':
        if (length != (message[0] == 'A' ? 36 : 40))
            return 0;
        join(books, symbol, message[19] != 'B', be64(message + 11), be32(message + 32), be32(message + 20));
        return 1;
    case 'D':
        if (length != 19)
            return 0;
        leave(books, symbol, be64(message + 11), ALL);
        return 1;
    case 'E':
    case 'C':
    case 'X':
        if (length != (message[0] == 'E' ? 31 : message[0] == 'C' ? 36 : 23))
            return 0;
        leave(books, symbol, be64(message + 11), be32(message + 19));
        return 1;
    case 'U':
        if (length != 35)
            return 0;
        replace(books, symbol, be64(message + 11), be64(message + 19), be32(message + 31), be32(message + 27));
        return 1;
    default:
        return 1;
    }
}

/* Messages applied, of `packets` packets: packet i is sizes[i] bytes at data + offsets[i]. */
static int64_t feed(struct books *books, const uint8_t *data, const int64_t *offsets, const int64_t *sizes, int64_t packets)
{
    int64_t applied = 0;
    for (int64_t index = 0; index < packets; index++) {
        const uint8_t *block = data + offsets[index] + HEADER_BYTES, *end = data + offsets[index] + sizes[index];
        while (end - block > 2) {
            uint16_t length = be16(block);
            if (length == 0 || length > end - block - 2)
                break;
            applied += apply_message(books, block + 2, length);
            block += 2 + length;
        }
    }
    return applied;
}

/* Levels that differ from the twin's: [symbol][side][steps from the middle]. */
static int64_t differences(const struct books *books, const int64_t *middles, const int64_t *steps, const int32_t *levels,
                           const int32_t *counts, int64_t symbols, int64_t places)
{
    int64_t wrong = 0;
    for (int64_t symbol = 1; symbol < symbols; symbol++)
        for (int side = 0; side < 2; side++) {
            int64_t there = 0;
            for (int64_t place = 0; place < places; place++) {
                int64_t at = (symbol * 2 + side) * places + place;
                if (counts[at] == 0)
                    continue;
                struct total found = level(books, symbol, side, middles[symbol] + (side ? place : -place) * steps[symbol]);
                wrong += found.quantity != levels[at] || found.orders != counts[at];
                there++;
            }
            wrong += there != level_count(books, symbol, side);
        }
    return wrong;
}
