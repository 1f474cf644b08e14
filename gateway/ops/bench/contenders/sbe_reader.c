/*
 * sbe_reader.c — the reader a good C programmer writes by hand for four templates of CME MDP 3.0: structs with every
 * field, one check per block and per group, fields loaded one by one. The same rows and refusals as the generated readers.
 */
#include <stdint.h>
#include <string.h>

#define LOAD(name, type)                                                                                            \
    static inline type name(const uint8_t *at)                                                                      \
    {                                                                                                               \
        type value;                                                                                                 \
        memcpy(&value, at, sizeof value);                                                                           \
        return value;                                                                                               \
    }
LOAD(u16, uint16_t)
LOAD(u32, uint32_t)
LOAD(i32, int32_t)
LOAD(i64, int64_t)
LOAD(u64, uint64_t)

enum { PACKET_HEADER = 12, HEADER = 10, ROWS_MAX = 255, MESSAGE_LENGTH = -14, GROUP_OVERRUN = -37 };

struct span { uint32_t first, count; };
struct root { uint64_t time; uint8_t indicator; struct span entries; uint32_t version; };
struct trade_root { uint64_t time; uint8_t indicator; struct span entries, orders; uint32_t version; };
struct book {
    int64_t price;
    int32_t size, security;
    uint32_t number;
    int32_t orders;
    uint8_t level, action, kind;
};
struct statistic {
    int64_t price;
    int32_t security;
    uint32_t number;
    uint8_t flag, action, kind;
};
struct volume { int32_t size, security; uint32_t number; uint8_t action; uint8_t padding[3]; };
struct trade {
    int64_t price;
    int32_t size, security;
    uint32_t number;
    int32_t orders;
    uint8_t side, action;
};
struct order { uint64_t order; int32_t last; };

/* The dimensions of a group at *cursor: its entries fit and are long enough; the count, or a refusal. */
static inline int64_t group(const uint8_t **cursor, const uint8_t *end, int head, int at, int least, int64_t *bytes)
{
    int64_t count;
    if (end - *cursor < head)
        return GROUP_OVERRUN;
    *bytes = u16(*cursor);
    count = (*cursor)[at];
    *cursor += head;
    if (count > end - *cursor || count * *bytes > end - *cursor)
        return GROUP_OVERRUN;
    return count != 0 && *bytes < least ? MESSAGE_LENGTH : count;
}

#define ENTRIES(head, at, least, span, body)                                                                        \
    do {                                                                                                            \
        int64_t bytes, count = group(&cursor, end, head, at, least, &bytes);                                        \
        if (count < 0)                                                                                              \
            return count;                                                                                           \
        (span).first = 0;                                                                                           \
        (span).count = (uint32_t)count;                                                                             \
        for (int64_t index = 0; index < count; index++, cursor += bytes, row++)                                     \
            body                                                                                                    \
    } while (0)

#define ROOT(kind)                                                                                                  \
    const uint8_t *cursor = at + block, *end = at + size;                                                           \
    struct kind *root = place;                                                                                      \
    if (block > size || block < 9)                                                                                  \
        return MESSAGE_LENGTH;                                                                                      \
    root->time = u64(at);                                                                                           \
    root->indicator = at[8];                                                                                        \
    root->version = version

static inline int64_t read_book(const uint8_t *restrict at, int64_t size, int64_t block, uint32_t version, void *place,
                                struct book *restrict row)
{
    ROOT(root);
    ENTRIES(3, 2, 27, root->entries, {
        row->price = i64(cursor);
        row->size = i32(cursor + 8);
        row->security = i32(cursor + 12);
        row->number = u32(cursor + 16);
        row->orders = i32(cursor + 20);
        row->level = cursor[24];
        row->action = cursor[25];
        row->kind = cursor[26];
    });
    return cursor - at;
}

static inline int64_t read_statistic(const uint8_t *restrict at, int64_t size, int64_t block, uint32_t version, void *place,
                                     struct statistic *restrict row)
{
    ROOT(root);
    ENTRIES(3, 2, 19, root->entries, {
        row->price = i64(cursor);
        row->security = i32(cursor + 8);
        row->number = u32(cursor + 12);
        row->flag = cursor[16];
        row->action = cursor[17];
        row->kind = cursor[18];
    });
    return cursor - at;
}

static inline int64_t read_volume(const uint8_t *restrict at, int64_t size, int64_t block, uint32_t version, void *place,
                                  struct volume *restrict row)
{
    ROOT(root);
    ENTRIES(3, 2, 13, root->entries, {
        row->size = i32(cursor);
        row->security = i32(cursor + 4);
        row->number = u32(cursor + 8);
        row->action = cursor[12];
    });
    return cursor - at;
}

static inline int64_t read_trade(const uint8_t *restrict at, int64_t size, int64_t block, uint32_t version, void *place,
                                 struct trade *restrict row, struct order *restrict orders)
{
    ROOT(trade_root);
    ENTRIES(3, 2, 26, root->entries, {
        row->price = i64(cursor);
        row->size = i32(cursor + 8);
        row->security = i32(cursor + 12);
        row->number = u32(cursor + 16);
        row->orders = i32(cursor + 20);
        row->side = cursor[24];
        row->action = cursor[25];
    });
    {
        struct order *row = orders;
        ENTRIES(8, 7, 12, root->orders, {
            row->order = u64(cursor);
            row->last = i32(cursor + 8);
        });
    }
    return cursor - at;
}

#define CASE(template, type, index, call)                                                                           \
    case template: {                                                                                                \
        type *root = (type *)table[index];                                                                          \
        if (call >= 0) {                                                                                            \
            total += root->entries.count;                                                                           \
            if (step)                                                                                               \
                advance_##template(table, root);                                                                    \
        }                                                                                                           \
        break;                                                                                                      \
    }

#define ADVANCE(template, type, row, index)                                                                         \
    static inline void advance_##template(uint8_t **table, type *root)                                              \
    {                                                                                                               \
        table[index + 1] += root->entries.count * sizeof(row);                                                      \
        table[index] += sizeof(type);                                                                               \
    }
ADVANCE(32, struct root, struct book, 0)
ADVANCE(35, struct root, struct statistic, 2)
ADVANCE(37, struct root, struct volume, 4)

static inline void advance_42(uint8_t **table, struct trade_root *root)
{
    table[7] += root->entries.count * sizeof(struct trade);
    table[8] += root->orders.count * sizeof(struct order);
    table[6] += sizeof(struct trade_root);
}

int64_t sbe_decode_stream(const uint8_t *data, const int64_t *offsets, const int64_t *sizes, int64_t packets,
                          uint8_t *const *places, int64_t step)
{
    uint8_t *table[9];
    int64_t total = 0;
    memcpy(table, places, sizeof table);
    for (int64_t index = 0; index < packets; index++) {
        const uint8_t *cursor = data + offsets[index], *end = cursor + sizes[index];
        cursor += PACKET_HEADER;
        while (end - cursor >= HEADER) {
            const uint8_t *at = cursor + HEADER;
            int64_t size = u16(cursor), body = size - HEADER, block = u16(cursor + 2);
            uint32_t version = u16(cursor + 8);
            if (((size - HEADER) | (end - cursor - size)) < 0)
                break;
            switch (u16(cursor + 4)) {
                CASE(32, struct root, 0, read_book(at, body, block, version, root, (void *)table[1]))
                CASE(35, struct root, 2, read_statistic(at, body, block, version, root, (void *)table[3]))
                CASE(37, struct root, 4, read_volume(at, body, block, version, root, (void *)table[5]))
                CASE(42, struct trade_root, 6,
                     read_trade(at, body, block, version, root, (void *)table[7], (void *)table[8]))
            }
            cursor += size;
        }
    }
    return total;
}
