/*
 * book.h — order-by-order books ⑤ of every instrument: the top that strategies see, price levels, live orders.
 *
 * Writer: core alone. Readers: strategies in core; monitoring attaches read-only and may see a row mid-update.
 *
 *   region books        struct book × instruments
 *   region levels       struct book_node × nodes: leaf i and branch i, two pools in one row
 *   region book_orders  struct book_order × orders, a power of two
 *
 * Levels hang in path-compressed radix trees, two per side. A key is split into 6-bit digits; the last digit picks one
 * of the 64 levels of a leaf, the digits above pick the child of a branch, and a branch stands only where two leaves
 * part. The key of the first tree is price / tick; prices that are no multiple of the tick have the second, "fine" tree,
 * keyed by the price itself. Any 32-bit price has its exact place, a neighbour is a bit scan, no walk is longer than
 * six nodes, and a tree of n leaves has fewer than n branches, whatever the feed sends.
 *
 * Zero-filled memory is a valid empty store: pools grow by a high-water mark, returned nodes go to a free list.
 */
enum book_flag {
    BOOK_VALID = 1,   /* fed from the first message on, or recovered */
    BOOK_STALE = 2,   /* a gap is not healed */
    BOOK_CROSSED = 4, /* best bid >= best ask */
    BOOK_FAULT = 8,   /* the feed contradicted the book, or a capacity ended: untrusted until rebuilt */
    BOOK_KNOWN = 16,  /* the row is in use and listed */
    BOOK_NAMED = 32,  /* the symbol is set */
    BOOK_QUIET = 65536 /* no event for longer than the bound of [quality]; the next one clears it */
};

enum book_constant {
    BOOK_LEAF_WAYS = 8,      /* leaves of one side remembered in one line */
    BOOK_ORDERS_REACH = 256, /* an order stands less than this many rows behind its home row */
    BOOK_BRANCH = 1 << 30    /* a node reference with this bit is a branch, without it a leaf; 0 is none */
};

/* Where the leaf of a key prefix is: spares the walk for the prices that move. `leaf` 0: empty way. */
struct leaf_way {
    uint32_t tag; /* key >> 6; bit 30 is set for the fine tree */
    uint32_t leaf;
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
    uint32_t bid_root; /* node references, 0: empty tree */
    uint32_t ask_root;
    uint32_t bid_fine_root; /* prices that are not a multiple of the tick */
    uint32_t ask_fine_root;
    char symbol[8]; /* as the venue writes it, space padded */
    uint32_t listed; /* row i: one plus the i-th instrument in use; 0: the list ends before it */
    uint32_t reserved_words[9];

    /* way `tag & 7` of each side: one line each */
    struct leaf_way bid_ways[8];
    struct leaf_way ask_ways[8];
};

/* One price level: 16 bytes. Without orders it is empty and its price means nothing. */
struct level {
    int64_t quantity;
    uint32_t orders;
    uint32_t price; /* in the instrument's units */
};

/* 64 neighbouring levels. Level index = leaf * 64 + last digit of the key. Leaf 0 is never used. */
struct leaf {
    uint64_t occupied; /* bit per level that has orders; 0 only in the free list */
    uint32_t parent;   /* branch index, 0: this is the root; in the free list the next free leaf */
    uint32_t prefix;   /* key >> 6 */
    uint64_t reserved[6];
    struct level levels[64];
};

/* A fork: two children at least. Branch 0 is never used. */
struct branch {
    uint64_t occupied; /* bit per child */
    uint32_t parent;   /* as in a leaf */
    uint32_t prefix;   /* key >> (shift + 6) */
    uint32_t shift;    /* position of its digit: 6, 12 … 30 */
    uint32_t reserved[11];
    uint32_t children[64]; /* node references */
};

/*
 * One live order of the venue: 32 bytes. Quantity 0 is an empty row, so every 64-bit order_id is usable.
 * An order stands at its home row, (order_id * multiplier >> shift) * 2, the first of a cache line, or at most `reach`
 * rows of that home behind it, cyclically. A row never moves while its order lives.
 */
struct book_order {
    uint64_t order_id;
    uint32_t level; /* index of its struct level */
    uint32_t quantity;
    uint32_t price;
    uint16_t instrument;
    uint8_t side;
    uint8_t reach;     /* belongs to the row as a home, not to the order in it: the farthest of its orders */
    uint64_t priority; /* venue sequence at which it took its place in the queue */
};

/* One row of the level region. */
struct book_node {
    struct leaf leaf;
    struct branch branch;
};

/* Process-local handle of the whole: addresses, capacities and pool cursors. */
struct book_store {
    uint64_t books; /* address of struct book 0 */
    uint64_t nodes;
    uint64_t orders;
    uint64_t multiplier; /* of the order hash, odd */
    uint64_t shift;      /* 64 - log2(lines of order rows) */
    uint64_t mask;       /* order rows - 1 */
    uint64_t tick;
    uint64_t orders_live;

    uint64_t orders_max;  /* half the rows: beyond it an order is refused */
    uint64_t nodes_max;   /* capacity of either pool, index 0 included */
    uint64_t instruments; /* rows of books */
    uint64_t used;        /* of them in use */
    uint32_t leaves_used; /* high-water mark, leaf 0 included */
    uint32_t leaves_free; /* head of the free list */
    uint32_t branches_used;
    uint32_t branches_free;
    uint32_t flags_new;      /* flags a row begins with */
    uint32_t marked_set;     /* masks of the last mark over every book, while they still hold for every book */
    uint32_t marked_cleared;
    uint32_t reserved;
};
