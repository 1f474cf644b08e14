/*
 * book.h — order-by-order books ⑤ of every instrument: the top that strategies see, price levels, live orders.
 *
 * Writer: core alone. Readers: strategies in core; monitoring attaches read-only and may see a row mid-update.
 *
 * Levels hang in one radix tree per side: `key = price / tick` split into 6-bit digits, one node per used digit prefix,
 * a 64-bit occupancy word per node. Any 32-bit price has its exact place, finding the neighbour of a level is a bit
 * scan, and the depth of the tree bounds every operation whatever the feed sends.
 */
enum book_flag {
    BOOK_VALID = 1,   /* fed from the first message on, or recovered */
    BOOK_STALE = 2,   /* a gap is not healed */
    BOOK_CROSSED = 4, /* best bid >= best ask */
    BOOK_FAULT = 8    /* the feed contradicted the book, or a capacity ended: untrusted until rebuilt */
};

struct book {
    /* what a strategy reads: one line */
    int64_t bid_price; /* 0 with bid_quantity 0: no bid */
    int64_t bid_quantity;
    int64_t ask_price;
    int64_t ask_quantity;
    int64_t time_ns; /* receive time of the last event that touched the book */
    int64_t last_price; /* last execution or trade; 0: none yet */
    uint32_t instrument;
    uint32_t flags; /* enum book_flag */
    uint32_t trading; /* enum trading_state */
    uint32_t orders;  /* live orders */

    /* what the book itself needs: one line */
    uint32_t bid_root; /* node index in the level pool, 0: none */
    uint32_t ask_root;
    uint32_t bid_fine_root; /* prices that are not a multiple of the tick */
    uint32_t ask_fine_root;
    uint32_t bid_best; /* level index of the best bid, 0: none */
    uint32_t ask_best;
    uint32_t bid_levels;
    uint32_t ask_levels;
    uint64_t events;  /* applied to this book */
    char symbol[8];   /* as the venue writes it, space padded */
    uint64_t reserved[2];
};

/* One price level: 16 bytes, 64 of them make a leaf. */
struct level {
    int64_t quantity;
    uint32_t orders;
    uint32_t price; /* in the instrument's units */
};

/* One live order of the venue: 32 bytes, open addressing by order_id; order_id 0 is an empty row. */
struct book_order {
    uint64_t order_id;
    uint32_t level; /* index of its struct level */
    uint32_t quantity;
    uint32_t price;
    uint16_t instrument;
    uint8_t side;
    uint8_t reserved;
    uint64_t priority; /* venue sequence at which it took its place in the queue */
};
