/*
 * link.h — the records of the regional link: core_link (core → link) and link_core (link → core), and the link's own state.
 *
 * What core does to its books leaves it as records, in ONE total order, the positions of core_link. Beside the live ones
 * stand those of a scan, which a reader that comes late builds the same books from while the live ones go on:
 *
 *   SCAN_BEGIN ─ LISTING, BOOK × instrument ─ ORDER × live order ─ LEVEL × level ─ CHANNEL × channel ─ SETTLED × book
 *       │                                                                                                      │
 *       └──────────────── EVENT, RUN: live, in between, some of them UNSCANNED ──────────────────────── SCAN_END
 *
 * Two readers, one order. Who is synchronised applies every live record and ignores those of scans. Who is not ignores
 * everything up to a SCAN_BEGIN, then applies the scan's records and the live ones that are not UNSCANNED. An order's row
 * never moves while it lives: what happens to one whose row the scan has not reached is UNSCANNED, the scan brings it as it
 * is then. What leaves one row and takes another across that line (REPLACE, SET, an overlaid level) is UNSCANNED too, and in
 * front of it stands its scanned half, JOINING: an order that goes, or one that comes. So both end with the same books. From
 * its SETTLED on a book is what the source's is, flags included. A RUN ends the scan that runs; another begins.
 *
 * core_link   writer core, reader link. When full, records are shed and counted, a scan is given up (it begins anew), and
 *             before the next record stands LINK_LOST with how many: readers then wait for a SCAN_BEGIN.
 * link_core   writer link, reader core: the same records of one source, in its order; when full, the link waits. Numbers are
 *             left out: of scans that others asked for, of what who reads so does not apply. What was lost, a LINK_LOST says
 *             before the next record. A record that comes twice (the link was started again) is passed over by its
 *             source_sequence. LINK_LOST with source_sequence 0 is the link's own: the source is another one, or another
 *             life of it, and its numbers begin anew. A SCAN_BEGIN there always begins the books anew. LINK_DOWN says that
 *             the source is not heard: books are stale until LINK_UP, until its next record, or until a scan has ended.
 * region link writer link, readers all. Core reads `snapshot_wanted` alone: where it rises, a scan begins.
 */
enum link_kind {
    LINK_NONE = 0,
    LINK_EVENT = 1,      /* an event, after the source applied it */
    LINK_RUN = 2,        /* a run of `channel` begins with sequence `count`: nothing of the last one holds */
    LINK_LOST = 3,       /* `count` records before this one are missing */
    LINK_SCAN_BEGIN = 4, /* count = books in use; of a new book: tick in event.price, depth in event.quantity */
    LINK_LISTING = 5,    /* struct link_listing; only of instruments that have one */
    LINK_BOOK = 6,       /* struct link_book: which books there are; they hold nothing yet */
    LINK_ORDER = 7,      /* event ADD, `priority` is its place in the queue */
    LINK_LEVEL = 8,      /* event LEVEL of a book of levels */
    LINK_CHANNEL = 9,    /* count = flags that a new book of `channel` begins with */
    LINK_SETTLED = 10,   /* struct link_book: the book is whole, and this is what the source thinks of it */
    LINK_SCAN_END = 11,  /* count = books settled */
    LINK_DOWN = 12,      /* link_core only: the source is not heard any more */
    LINK_UP = 13         /* link_core only: it is heard again, and no record was lost meanwhile */
};

enum link_flag {
    LINK_UNSCANNED = 1, /* who is being synchronised ignores it, unless the book is settled */
    LINK_QUIET = 2,     /* no news: the source's strategies were not asked (parts of snapshots, what was kept) */
    LINK_LIVE = 4,      /* a LISTING or BOOK that is no part of a scan: an instrument has come, or is defined anew */
    LINK_NEWS = 8,      /* told before, without news: the source's strategies hear of it now */
    LINK_JOINING = 16   /* only who is being synchronised applies it: the scanned half of the UNSCANNED record behind it */
};

struct link_slot {
    uint64_t sequence;
    uint32_t size;     /* 64: bytes behind the first line */
    uint16_t kind;     /* enum link_kind */
    uint16_t flags;    /* enum link_flag */
    uint32_t channel;  /* of the events that come: book_store.channel */
    uint32_t arrivals; /* book_store.arrivals before it was applied: orders here have the places they have there */
    uint64_t source_sequence; /* link_core: what `sequence` was in the source's core_link; 0: the link itself says it */
    int64_t time_ns;   /* core's: receive time of the record it was working on */
    uint64_t count;
    uint32_t priority; /* LINK_ORDER */
    uint32_t scan;     /* LINK_SCAN_BEGIN, LINK_SCAN_END: its number */
    uint64_t reserved;
    struct event event;
};

/* LINK_BOOK, LINK_SETTLED: a row of book.h without what orders and levels say. */
struct link_book {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind;
    uint16_t flags;
    uint32_t channel; /* of the book */
    uint32_t arrivals;
    uint64_t source_sequence;
    uint32_t instrument;
    uint32_t book_flags; /* enum book_flag */
    int64_t time_ns; /* receive time of the last event that touched the book */
    uint64_t book_sequence;
    uint64_t snapshot_sequence;
    int64_t last_price;
    int64_t tick;
    int64_t tick_next;
    char symbol[8];
    uint32_t trading;    /* enum trading_state */
    uint32_t depth;
    uint32_t orders;     /* live orders, LINK_SETTLED: what the reader must have */
    uint32_t bid_levels; /* in a book of levels, the same */
    uint32_t ask_levels;
    uint32_t reserved;
    int64_t stale_since_ns;
};

/* LINK_LISTING: a row of instrument.h. */
struct link_listing {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind;
    uint16_t flags;
    uint32_t channel;
    uint32_t arrivals;
    uint64_t source_sequence;
    uint32_t instrument;
    uint32_t layer;
    uint64_t identifier;
    int64_t tick;
    int64_t lot;
    int32_t price_exponent;
    int32_t quantity_exponent;
    uint32_t listing_flags; /* enum listing_flag */
    uint32_t symbol_bytes;
    char symbol[48];
};

/* One execution of our own, as it travels: never lost, numbered by its source from 1. */
struct link_execution {
    uint64_t sequence;
    uint64_t reference;
    uint64_t match;
    uint64_t venue_order_id;
    int64_t price;
    int64_t quantity;
    int64_t time_ns;       /* core's, when the report came */
    int64_t time_venue_ns; /* since the venue's midnight */
    int64_t position;      /* in the instrument, behind it */
    char symbol[8];
    uint32_t instrument;
    uint32_t strategy;
    uint8_t side;
    uint8_t broken;        /* 1: the venue took the trade back */
    uint8_t letter;        /* the report's type, as the venue writes it */
    uint8_t reserved[37];
};

/* The best prices of one instrument: only the latest is of interest. */
struct link_quote {
    uint64_t sequence;   /* last record of core_link that is in it */
    int64_t bid_price;
    int64_t bid_quantity;
    int64_t ask_price;
    int64_t ask_quantity;
    int64_t last_price;
    int64_t time_ns;     /* receive time at the source */
    uint32_t instrument;
    uint32_t book_flags; /* enum book_flag */
};

enum link_phase {
    LINK_ABSENT = 0,  /* no link is configured */
    LINK_WAITING = 1, /* for the next attempt, or for the other side to come */
    LINK_CONNECTING = 2,
    LINK_CONNECTED = 3,   /* a session is up */
    LINK_SUSPECT = 4, /* up, but its heartbeats are missing */
    LINK_REFUSED = 5, /* a person must act */
    LINK_STOPPED = 6  /* by kill, goaway or our own end */
};

/* What the process link knows, for core and for those who watch. It outlives the process. */
struct link_state {
    struct region_header region;

    uint64_t snapshot_wanted; /* rises by 1 with each scan that is asked for */
    uint64_t reserved_wanted[7];

    uint64_t phase;          /* enum link_phase */
    int64_t time_phase_ns;   /* since when */
    uint64_t node;           /* our own number, and the other's */
    uint64_t peer_node;
    uint64_t sessions;       /* that came up */
    uint64_t losses;         /* of sessions that were up */
    uint64_t alarms;
    int64_t round_trip_ns;   /* last one measured */

    int64_t time_heard_ns;   /* last valid frame or heartbeat */
    uint64_t records_sent;   /* of core_link */
    uint64_t records_received; /* into link_core */
    uint64_t records_lost;   /* that core_link shed, by its LINK_LOST */
    uint64_t scans_asked;    /* by readers of ours */
    uint64_t frames_sent;
    uint64_t frames_received;
    uint64_t bytes_sent;

    uint64_t bytes_received;
    uint64_t raw_bytes_sent; /* before compression */
    uint64_t retransmissions;
    uint64_t crc_failures;
    uint64_t key_epoch;
    uint64_t rekeys;
    uint64_t conflated;      /* quotes that a newer one replaced */
    uint64_t executions;     /* sent */

    uint64_t subscribers;    /* streams open now */
    uint64_t denials;        /* of streams and tokens */
    uint64_t position_received; /* sequence of the source's last record in link_core */
    uint64_t source_boot_low;   /* and of which life of it */
    uint64_t source_boot_high;
    int64_t time_confirmed_ns;  /* until when the mirrored books are known to be the source's; 0: they are not */
    int64_t keys_until_ns;      /* until when the keys last held allow new risk; 0: there was none. Reader: control */
    uint64_t reserved[1];
    uint64_t refusals[64];   /* of frames and handshakes, by reason */
};

/* Process-local to core: what publishes and scans. */
struct link_tap {
    struct ring_writer out; /* core_link */
    uint64_t wanted;     /* address of link_state.snapshot_wanted */
    uint64_t answered;   /* its value when the last scan that ended began */
    uint64_t asked;      /* its value when the running one did */
    uint64_t store;      /* struct book_store */
    uint64_t listings;   /* struct instrument row 0 */
    uint64_t now;        /* address of core.now_ns */
    uint64_t used;       /* books that readers know of */
    uint64_t lost;       /* records shed that no LINK_LOST has told of */

    uint32_t phase;      /* enum link_scan_phase */
    uint32_t scan;       /* number of the running scan, or of the last */
    uint64_t cursor;     /* next: position in the list of books, row of orders, or channel */
    uint64_t told;       /* address of a byte per instrument, enum link_told: how far SCAN_LEVELS is */
    uint64_t instruments;
    int64_t price;       /* of the last level told */
    uint32_t side;       /* which it is of; 0: neither is begun */
    uint32_t begun;      /* 1: a level of this side was told */
    uint64_t row;        /* row of the order, or index of the level, that an event names before it is applied; 0: none */
    int64_t price_before; /* of that level */
    uint32_t arrivals_before;
    uint32_t reserved;
    uint64_t scans;      /* that ended */
    uint64_t given_up;   /* that a full ring or a run ended */
    struct event event;  /* scratch: of a scan, or half of another event */
};

enum link_told {
    TOLD_NOTHING = 0,
    TOLD_BIDS = 1, /* they are being told */
    TOLD_ASKS = 2, /* the bids were, the asks are being told */
    TOLD_ALL = 3
};

enum link_scan_phase {
    SCAN_IDLE = 0,
    SCAN_BOOKS = 1,
    SCAN_ORDERS = 2,
    SCAN_LEVELS = 3,
    SCAN_CHANNELS = 4,
    SCAN_SETTLING = 5
};

enum link_mirror_state {
    MIRROR_WAITING = 0, /* for a SCAN_BEGIN: nothing is applied */
    MIRROR_SCANNING = 1,
    MIRROR_LIVE = 2,
    MIRROR_SILENT = 3   /* live, but the source is not heard */
};

/* Process-local to core: what takes link_core. */
struct link_mirror {
    uint64_t settled;   /* address of a byte per instrument: 1, its book is whole */
    uint64_t flags;     /* address of a uint32 per instrument: flags of its book when the source fell silent */
    uint64_t events;    /* address of 64 struct event: copies of what is being applied */
    uint64_t slots;     /* address of 64 struct link_slot: the same, before it is looked at */
    uint64_t listings;  /* struct instrument row 0 */
    uint64_t store;     /* struct book_store */
    uint32_t state;     /* enum link_mirror_state */
    uint32_t scan;      /* number of the one being followed */
    uint64_t instruments;
    uint64_t counters;  /* struct core_counters */
    uint64_t sequence;  /* of the last record taken, as its source numbers them; 0: any may come */
    uint64_t whole;     /* books settled in the scan being followed */
    uint64_t applied;   /* live records */
    uint64_t scanned;   /* records of scans */
    uint64_t passed;    /* records passed over */
    uint64_t lost;      /* times the order was broken */
    uint64_t synchronised; /* scans that were followed to their end */
    uint64_t mismatches;   /* books that did not hold what SETTLED says they do */
    uint64_t refused;      /* records that no source could have made */
};
