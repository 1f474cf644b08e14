/*
 * book_map.c — the book a good C programmer writes: orders in a hash map with open addressing and linear probing, the levels of
 * a side in a sorted array with the best at its end. The same packets and checks as ours; no gaps, no channels, no events for
 * strategies, no counters. Its map has as many rows as our order table has, on huge pages as ours.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "book_feed.h"

#define SYMBOLS 65536
#define ROWS_BITS 22
#define MASK ((1u << ROWS_BITS) - 1)

struct order {
    uint64_t id; /* 0: the row is empty; ITCH begins with 1 */
    int64_t price;
    uint32_t shares;
    uint16_t symbol;
    uint16_t side;
};

struct level {
    int64_t price;
    int64_t quantity;
    int64_t orders;
};

struct side {
    struct level *levels; /* the best last: bids rise, asks fall */
    uint32_t count;
    uint32_t room;
};

struct books {
    struct side sides[SYMBOLS][2];
    struct order *orders;
};

static inline uint32_t home(uint64_t id)
{
    return (uint32_t)(id * 0x9E3779B97F4A7C15ull >> (64 - ROWS_BITS));
}

static inline struct order *find(const struct books *books, uint64_t id)
{
    for (uint32_t row = home(id); books->orders[row].id != 0; row = (row + 1) & MASK)
        if (books->orders[row].id == id)
            return &books->orders[row];
    return NULL;
}

/* Empties a row; what follows it moves back, so that no probe ends too soon. */
static void empty_row(struct books *books, uint32_t row)
{
    for (uint32_t next = (row + 1) & MASK; books->orders[next].id != 0; next = (next + 1) & MASK)
        if (((next - home(books->orders[next].id)) & MASK) >= ((next - row) & MASK)) {
            books->orders[row] = books->orders[next];
            row = next;
        }
    books->orders[row].id = 0;
}

/* How many levels are worse than the price: its place in the array. */
static inline uint32_t place_of(const struct side *levels, int side, int64_t price)
{
    uint32_t low = 0, left = levels->count;
    while (left > 0) {
        uint32_t half = left / 2;
        int64_t there = levels->levels[low + half].price;
        int worse = side ? there > price : there < price;
        low = worse ? low + half + 1 : low;
        left = worse ? left - half - 1 : half;
    }
    return low;
}

static inline void raise_level(struct side *levels, int side, int64_t price, uint32_t shares)
{
    uint32_t place = place_of(levels, side, price);
    if (place == levels->count || levels->levels[place].price != price) {
        if (levels->count == levels->room) {
            levels->room = levels->room ? levels->room * 2 : 16;
            levels->levels = realloc(levels->levels, levels->room * sizeof(struct level));
            if (!levels->levels)
                abort();
        }
        memmove(&levels->levels[place + 1], &levels->levels[place], (levels->count - place) * sizeof(struct level));
        levels->levels[place] = (struct level){price, 0, 0};
        levels->count++;
    }
    levels->levels[place].quantity += shares;
    levels->levels[place].orders++;
}

static inline void lower_level(struct side *levels, int side, int64_t price, uint32_t shares, int gone)
{
    uint32_t place = place_of(levels, side, price);
    levels->levels[place].quantity -= shares;
    levels->levels[place].orders -= gone;
    if (levels->levels[place].orders == 0) {
        levels->count--;
        memmove(&levels->levels[place], &levels->levels[place + 1], (levels->count - place) * sizeof(struct level));
    }
}

static inline void join(struct books *books, uint32_t symbol, int side, uint64_t id, int64_t price, uint32_t shares)
{
    uint32_t row = home(id);
    while (books->orders[row].id != 0)
        row = (row + 1) & MASK;
    books->orders[row] = (struct order){id, price, shares, (uint16_t)symbol, (uint16_t)side};
    raise_level(&books->sides[symbol][side], side, price, shares);
}

static inline void leave(struct books *books, uint32_t symbol, uint64_t id, uint32_t shares)
{
    struct order *order = find(books, id);
    if (!order || order->symbol != symbol)
        return;
    uint32_t taken = shares < order->shares ? shares : order->shares;
    int gone = taken == order->shares;
    lower_level(&books->sides[symbol][order->side], order->side, order->price, taken, gone);
    order->shares -= taken;
    if (gone)
        empty_row(books, (uint32_t)(order - books->orders));
}

static inline void replace(struct books *books, uint32_t symbol, uint64_t id, uint64_t id_new, int64_t price,
                           uint32_t shares)
{
    struct order *order = find(books, id);
    if (!order)
        return;
    int side = order->side;
    leave(books, symbol, id, ALL);
    join(books, symbol, side, id_new, price, shares);
}

static struct total level(const struct books *books, uint32_t symbol, int side, int64_t price)
{
    const struct side *levels = &books->sides[symbol][side];
    uint32_t place = place_of(levels, side, price);
    if (place == levels->count || levels->levels[place].price != price)
        return (struct total){0, 0};
    return (struct total){levels->levels[place].quantity, levels->levels[place].orders};
}

static int64_t level_count(const struct books *books, uint32_t symbol, int side)
{
    return books->sides[symbol][side].count;
}

struct books *book_map_new(void)
{
    struct books *books = calloc(1, sizeof *books);
    size_t bytes = sizeof(struct order) << ROWS_BITS;
    if (!books || posix_memalign((void **)&books->orders, 1 << 21, bytes))
        abort();
    madvise(books->orders, bytes, MADV_HUGEPAGE);
    memset(books->orders, 0, bytes);
    return books;
}

void book_map_free(struct books *books)
{
    for (int symbol = 0; symbol < SYMBOLS; symbol++)
        for (int side = 0; side < 2; side++)
            free(books->sides[symbol][side].levels);
    free(books->orders);
    free(books);
}

int64_t book_map_feed(struct books *books, const uint8_t *data, const int64_t *offsets, const int64_t *sizes,
                      int64_t packets)
{
    return feed(books, data, offsets, sizes, packets);
}

int64_t book_map_differences(const struct books *books, const int64_t *middles, const int64_t *steps,
                             const int32_t *levels, const int32_t *counts, int64_t symbols, int64_t places)
{
    return differences(books, middles, steps, levels, counts, symbols, places);
}
