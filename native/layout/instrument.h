/*
 * instrument.h — every instrument by row: the same index in the books, the gate and here.
 *
 * Writer: core alone. Readers: strategies, tools. A row is given out when an identifier is first seen, and never again.
 * Price × 10^price_exponent is in the instrument's currency; `tick` and `lot` are in those units, 0: not known yet.
 */
enum instrument_constant {
    INSTRUMENT_SYMBOL_BYTES = 48
};

enum listing_flag {
    LISTING_IN_USE = 1,
    LISTING_DEFINED = 2, /* a definition message or file has named it */
    LISTING_DIVERGENT = 4
};

struct instrument {
    uint64_t identifier; /* the venue's: a number, or a hash of the text when it names instruments by text */
    uint32_t layer;      /* 0: the book; others: a second book of the same instrument (implied, market by order …) */
    uint32_t flags;      /* enum listing_flag */
    int64_t tick;
    int64_t lot;
    int32_t price_exponent;
    int32_t quantity_exponent;
    uint32_t symbol_bytes;
    uint32_t channel;
    char symbol[48];     /* padded with zeros */
    uint64_t off_tick;   /* prices that were no multiple of the tick */
    uint64_t reserved[3];
};

/* Process-local handle: open addressing by identifier and layer. */
struct instrument_table {
    uint64_t rows;      /* address of struct instrument 0 */
    uint64_t slots;     /* uint32 per slot: row + 1, 0 is free; a power of two */
    uint64_t slot_mask;
    uint64_t rows_max;
    uint64_t used;      /* rows given out, from row 0 on */
    int32_t price_exponent;    /* what a new row begins with */
    int32_t quantity_exponent;
    int64_t tick;
    uint64_t refused;   /* identifiers that found no room */
    uint64_t reserved;
};
