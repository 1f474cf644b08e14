/*
 * book.h — books ⑤ of every instrument, order by order or level by level: the top that strategies see, price levels,
 * live orders.
 *
 * Writer: core alone. Readers: strategies in core; monitoring attaches read-only and may see a row mid-update.
 *
 *   region books        struct book × instruments
 *   region levels       struct book_node × nodes: leaf i and branch i, two pools in one row
 *   region book_orders  struct book_order × orders, a power of two
 *
 * Prices are signed: -2^62 <= price < 2^62. Levels hang in path-compressed radix trees, two per side. A key is split into
 * 6-bit digits; the last digit picks one of the 64 levels of a leaf, the digits above pick the child of a branch, and a
 * branch stands only where two leaves part. The key of the first tree is 2^62 + price / tick; prices that are no multiple
 * of the tick have the second, "fine" tree with the key 2^63 + 2^62 + price. So every price has its exact place whatever
 * the tick, a neighbour is a bit scan, no walk is longer than eleven nodes, and a tree of n leaves has fewer than n
 * branches, whatever the feed sends. A level's price is that of its leaf: base + digit * step.
 *
 * A book holds orders or levels, not both: an event of the other kind is refused until the book is empty of the first.
 *
 *            gap, was VALID               sequence follows, or RECOVERED
 *   VALID ───────────────────► RECOVERABLE ───────────────────► VALID      (STALE while RECOVERABLE)
 *     │                              │ gap of its own, or LOST
 *     └── gap of its own, or LOST ───┴───► STALE ── CLEAR, or SNAPSHOT_BEGIN … SNAPSHOT_END ──► VALID
 *
 * Zero-filled memory is a valid empty store: pools grow by a high-water mark, returned nodes go to a free list.
 */
enum book_flag {
    BOOK_VALID = 1,        /* fed from the first message on, or recovered */
    BOOK_STALE = 2,        /* a gap is not healed */
    BOOK_CROSSED = 4,      /* best bid >= best ask */
    BOOK_FAULT = 8,        /* the feed contradicted the book, or a capacity ended: untrusted until rebuilt */
    BOOK_KNOWN = 16,       /* the row is in use and listed */
    BOOK_NAMED = 32,       /* the symbol is set */
    BOOK_RECOVERABLE = 64, /* stale by a gap that may still be filled, valid before it */
    BOOK_SKIPPING = 128,   /* what comes was applied before: until the next sequence of the instrument */
    BOOK_LEVELS = 256,     /* its levels are the venue's own, it holds no orders */
    BOOK_SNAPSHOT = 512,   /* between the begin and the end of a snapshot */
    BOOK_BOUND = 1024,     /* `channel` is that of an event that moved the book, not only of one that named it */
    BOOK_QUIET = 65536     /* no event for longer than the bound of [quality]; the next one clears it */
};

enum book_constant {
    BOOK_LEAF_WAYS = 8,      /* leaves of one side remembered in its line */
    BOOK_ORDERS_REACH = 256, /* an order stands less than this many rows behind its home row */
    BOOK_CHANNELS = 256,     /* channels told apart; those beyond share the last */
    BOOK_BRANCH = 1 << 30    /* a node reference with this bit is a branch, without it a leaf; 0 is none */
};

/* The books of a channel that the next gap must mark, and those that a filled gap heals: a storm of gaps walks neither. */
enum book_list {
    BOOK_LIST_NONE = 0,
    BOOK_LIST_FRESH = 1,
    BOOK_LIST_RECOVERABLE = 2
};

/* One side of a book: a line. Way `key >> 6 & 7` holds the leaf of that prefix, or of another one, or 0. */
struct book_side {
    int64_t tick;       /* of the keys in the trees: the same on both sides, changes only while both are empty */
    uint32_t root;      /* node reference, 0: empty tree */
    uint32_t fine_root; /* prices that are not a multiple of the tick */
    uint32_t levels;    /* how many there are, in a book of levels */
    uint32_t reserved[3];
    uint32_t ways[8];
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

    /* what the book itself needs, seldom: one line */
    char symbol[8]; /* as the venue writes it, space padded */
    uint64_t sequence;          /* last sequence of the instrument that was applied; 0: none yet */
    uint64_t snapshot_sequence; /* what it will be when the snapshot is complete */
    int64_t tick_next;          /* learnt while the book was not empty; 0: none */
    uint32_t listed;  /* row i: one plus the i-th instrument in use; 0: the list ends before it */
    uint32_t channel; /* whose gaps concern the book */
    uint32_t depth;   /* levels a side the venue keeps; 0: unlimited */
    uint32_t list;    /* enum book_list: the list it stands in */
    uint32_t next;    /* in that list: one plus the instrument, 0: the end */
    uint32_t previous;
    int64_t stale_since_ns; /* receive time of the event that made it stale; 0: it is not */

    struct book_side bid;
    struct book_side ask;
};

/* One price level: 16 bytes. Quantity 0: there is none. */
struct level {
    int64_t quantity;
    uint32_t orders; /* in a book of levels as the venue states it, 0: not stated */
    uint32_t reserved;
};

/* 64 neighbouring levels. Level index = leaf * 64 + last digit of the key. Leaf 0 is never used. */
struct leaf {
    uint64_t occupied; /* bit per level that there is; 0 only in the free list */
    uint64_t prefix;   /* key >> 6 */
    int64_t base;      /* price of level 0 */
    int64_t step;      /* between two levels: the tick; 1 in a fine tree */
    uint32_t parent;   /* branch index, 0: this is the root; in the free list the next free leaf */
    uint32_t reserved[7];
    struct level levels[64];
};

/* A fork: two children at least. Branch 0 is never used. */
struct branch {
    uint64_t occupied; /* bit per child */
    uint64_t prefix;   /* key >> shift >> 6 */
    uint32_t parent;   /* as in a leaf */
    uint32_t shift;    /* position of its digit: 6, 12 … 60 */
    uint32_t reserved[10];
    uint32_t children[64]; /* node references */
};

/*
 * One live order of the venue: 32 bytes. Quantity 0 is an empty row, so every 64-bit order_id is usable.
 * An order stands at its home row, (((order_id >> 5) * multiplier >> shift) ^ (order_id & 31)) * 2, the first of a cache
 * line, or at most `reach` rows of that home behind it, cyclically. A row never moves while its order lives.
 */
struct book_order {
    uint64_t order_id;
    int64_t price;
    uint32_t level; /* index of its struct level */
    uint32_t quantity;
    uint32_t priority; /* its place in the queue: struct book_store.arrivals when it took it, wrapping */
    uint16_t instrument;
    uint8_t side;
    uint8_t reach;     /* belongs to the row as a home, not to the order in it: the farthest of its orders */
};

/* One row of the level region. */
struct book_node {
    struct leaf leaf;
    struct branch branch;
};

/* What the core knows of the books of one channel. */
struct book_channel {
    uint32_t flags_new;   /* flags a row begins with */
    uint32_t fresh;       /* heads of its lists: one plus the instrument, 0: empty */
    uint32_t recoverable;
    uint32_t reserved;
};

/* Process-local handle of the whole: addresses, capacities and pool cursors. */
struct book_store {
    uint64_t books; /* address of struct book 0 */
    uint64_t nodes;
    uint64_t orders;
    uint64_t multiplier; /* of the order hash, odd */
    uint64_t shift;      /* 64 - log2(lines of order rows) */
    uint64_t mask;       /* order rows - 1 */
    int64_t tick;        /* of a new book */
    uint64_t orders_live;

    uint64_t orders_max;  /* half the rows: beyond it an order is refused */
    uint64_t nodes_max;   /* capacity of either pool, index 0 included */
    uint64_t instruments; /* rows of books */
    uint64_t used;        /* of them in use */
    uint32_t leaves_used; /* high-water mark, leaf 0 included */
    uint32_t leaves_free; /* head of the free list */
    uint32_t branches_used;
    uint32_t branches_free;
    uint32_t arrivals; /* orders that took a place in a queue, wrapping */
    uint32_t channel;  /* of the events that come: the corridor sets it before it applies them */
    uint32_t depth;    /* of a new book */
    uint32_t reserved;

    struct book_channel channels[256];
    int64_t time_ns;      /* receive time of the last event of those that come seldom: gaps and healing among them */
    uint64_t stale_times; /* struct histogram: how long books that healed had been stale; 0: nobody asks */
};
