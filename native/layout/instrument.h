/*
 * instrument.h — every instrument by row: the same index in the books, the gate and here.
 *
 * Writer: core alone. Readers: strategies, tools. A row is given out when an identifier is first seen, and never again.
 * Price × 10^price_exponent is in the instrument's currency; `tick` and `lot` are in those units, 0: not known yet.
 */
enum instrument_constant {
    INSTRUMENT_SYMBOL_BYTES = 48,
    INSTRUMENT_PROBES = 128,       /* slots looked at, at most */
    INSTRUMENT_EXPONENT_LAST = 18, /* exponents are -18 to 18 */
    INSTRUMENT_BY_TEXT = 1 << 30   /* in the layer of a slot */
};

enum listing_flag {
    LISTING_IN_USE = 1,
    LISTING_DEFINED = 2, /* a definition message or file has named it */
    LISTING_DIVERGENT = 4, /* quality: away from the same instrument at other venues */
    LISTING_BY_TEXT = 8    /* the identifier is a hash of `symbol`, which therefore never changes */
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

/* One slot of the table: 16 bytes, so that a lookup touches one line and no row. `row_next` 0: free. Never emptied. */
struct instrument_slot {
    uint64_t identifier;
    uint32_t layer;    /* with INSTRUMENT_BY_TEXT when the identifier is a hash of the symbol */
    uint32_t row_next; /* row + 1 */
};

/*
 * Process-local handle: open addressing by identifier and layer. One per feed; feeds share the rows, each its own range
 * of them. An entry stands at most INSTRUMENT_PROBES slots behind its home, whatever identifiers a feed invents.
 */
struct instrument_table {
    uint64_t rows;       /* address of struct instrument 0 */
    uint64_t slots;      /* struct instrument_slot × a power of two */
    uint64_t slot_mask;
    uint64_t slot_shift; /* 64 - log2(slots) */
    uint64_t multiplier; /* of the hash, odd */
    uint64_t first;      /* the first row of this feed */
    uint64_t rows_max;   /* rows of this feed */
    uint64_t used;       /* rows given out, from `first` on */
    uint64_t books;      /* struct book row 0, or 0: an exponent may not change under a book that has prices */
    int32_t price_exponent;    /* what a new row begins with */
    int32_t quantity_exponent;
    int64_t tick;
    int64_t lot;
    uint64_t refused;      /* identifiers that found no room */
    uint64_t contradicted; /* definitions that would have changed what a book already stands on */
    uint32_t layer_depths[4]; /* price levels a side of a book of layer 1, 2, 3, 4; 0: as the store says */
};
