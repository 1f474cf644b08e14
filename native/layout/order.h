/*
 * order.h — our own orders: what a strategy intends, what the gate lets pass, what io transmits, what is open.
 */
enum intent_kind {
    INTENT_NONE = 0,
    INTENT_NEW = 1,
    INTENT_CANCEL = 2,  /* reduce to `quantity`, 0: cancel whole */
    INTENT_REPLACE = 3,
    INTENT_MASS_CANCEL = 4
};

enum time_in_force {
    TIME_DAY = 0, /* the venue's own codes (OUCH 5.0, Time In Force) */
    TIME_IOC = 3,
    TIME_GTC = 16, /* our own: OUCH has none, the gate refuses it */
    TIME_FOK = 17  /* our own: on the wire it is IOC with a minimum quantity, the whole of it */
};

enum intent_flag {
    INTENT_POST_ONLY = 1,  /* never takes: the venue cancels what would trade at once */
    INTENT_REDUCE_ONLY = 2 /* the gate lets it pass only if the position cannot grow by it, then a kill does not stop it */
};

struct intent {
    uint8_t kind; /* enum intent_kind */
    uint8_t side; /* enum event_side */
    uint8_t time_in_force;
    uint8_t flags; /* enum intent_flag */
    uint32_t instrument;
    int64_t price;
    int64_t quantity;
    uint64_t order_reference; /* cancel, replace: the order meant */
    uint64_t signal_id;
    uint32_t strategy;
    uint32_t reserved;
    uint64_t reserved_words[2];
};

enum intents_constant {
    INTENTS_MAX = 16
};

/* Filled by the strategy during one call, emptied by the corridor right after it. */
struct intents {
    uint32_t count;
    uint32_t refused; /* intents that found no row, since start */
    uint64_t next_reference; /* reference the next new order will get */
    uint64_t table;   /* address of our struct order rows */
    uint64_t gate;    /* address of struct gate_row 0, read-only for strategies */
    int64_t time_ns;  /* receive time of the event being answered */
    uint64_t orders_mask; /* rows of `table`, minus one */
    uint32_t instruments; /* rows of `gate` */
    uint32_t strategy;    /* index of the strategy that is being asked */
    uint32_t halted;      /* 1: the strategy raised; it is not asked again, the gate denies what it left */
    uint32_t faults;      /* times it raised, since start */
    struct intent rows[16];
    uint64_t signal_id; /* what the intents of this call carry: core gives every call its own, a strategy may say another */
    uint64_t reserved[7];
};

enum order_state {
    ORDER_FREE = 0,
    ORDER_SENT = 1,
    ORDER_ACCEPTED = 2,
    ORDER_PARTIAL = 3,
    ORDER_FILLED = 4,
    ORDER_CANCELLED = 5,
    ORDER_REJECTED = 6,
    ORDER_CANCELLING = 7,
    ORDER_UNKNOWN = 8
};

enum order_flag {
    ORDER_POST_ONLY = 1, /* as INTENT_POST_ONLY, INTENT_REDUCE_ONLY */
    ORDER_REDUCE_ONLY = 2,
    ORDER_ADOPTED = 4, /* core heard of it from the venue: control's, or of a run before this one */
    ORDER_FOUND = 8    /* adopted before the first connection was up: a run before this one left it */
};

/* One of our orders, at row `reference % ORDERS_MAX`: 128 bytes. */
struct order {
    uint64_t reference; /* OUCH UserRefNum: strictly rising within a session */
    uint64_t venue_order_id;
    uint64_t replaces;
    uint64_t signal_id;
    int64_t price;
    int64_t quantity; /* as entered */
    int64_t open;     /* still working, reserved in the gate */
    int64_t filled;
    int64_t notional_filled; /* sum of price * quantity */
    int64_t time_sent_ns;
    int64_t time_last_ns;
    uint32_t instrument;
    uint32_t strategy;
    uint8_t state; /* enum order_state */
    uint8_t side;
    uint8_t time_in_force;
    uint8_t reject_code;
    uint16_t fills; /* 65,535: so many or more */
    uint16_t flags; /* enum order_flag */
    uint64_t last_match;
    int64_t time_cancel_venue_ns; /* the venue's stamp of the last cancel report: the same stamp again is a duplicate */
    uint32_t next;     /* own working orders of the instrument and side: one plus a row, 0: the end */
    uint32_t previous;
};

enum order_constant {
    ORDER_REFERENCE_MAX = 0x7fffffff, /* OUCH UserRefNum is 4 bytes wide; half of them is more than a day needs */
    ORDER_QUANTITY_MAX = 0x7fffffff,  /* above these bounds nothing is multiplied and nothing is sent */
    ORDER_PRICE_MAX = 0x7fffffff      /* a book may hold negative prices, an order may not carry them */
};

/*
 * Head of the region of our own orders; struct order rows follow. Writer: core. It outlives a core: the next goes on
 * with `next_reference` and finds every live order and reservation where it was.
 */
struct order_table {
    struct region_header region;
    uint64_t next_reference; /* never falls; a reference the gate refused is spent too */
    uint64_t fills;          /* rows used in the table of fills */
    uint64_t reserved[6];
};

/* One execution, at the row its hash gives or behind it (open addressing); reference 0 is an empty row. 32 bytes. */
struct fill {
    uint64_t match;
    uint64_t reference; /* both sides of a trade with ourselves carry one match number */
    int64_t price;
    uint32_t quantity;
    uint32_t broken; /* 1: the venue took the trade back */
};

/* What carries one kind of order message, ready to leave: only what differs between two orders is written into a copy. */
struct order_frame {
    uint32_t size;            /* bytes of the whole */
    uint32_t checksum;        /* one's complement sum of pseudo header and UDP header, not folded */
    uint32_t message_offset;  /* where the order message begins */
    uint32_t checksum_offset; /* where the checksum over it goes; 0: the carriage has one of its own */
    uint8_t bytes[112];    /* zeros behind `size` */
};

struct order_template {
    struct order_frame enter;
    struct order_frame enter_whole; /* with a minimum quantity: FOK */
    struct order_frame enter_post;  /* post-only */
    struct order_frame replace;
    struct order_frame replace_post;
    struct order_frame cancel;
    struct order_frame mass_cancel;
};

/* Everything between an intent and the wire, and back: one base pointer for the kernels. Process-local to core. */
struct order_path {
    uint64_t account;     /* struct gate_account */
    uint64_t rows;        /* struct gate_row 0 */
    uint64_t books;       /* struct book row 0 */
    uint64_t instruments; /* rows of both */
    uint64_t control;     /* struct control_block */
    uint64_t epoch;       /* fencing epoch this core was started with */
    uint64_t intents;     /* struct intents */
    uint64_t core_io;     /* struct ring_writer of core_io, or of core_session: where orders leave */

    uint64_t journal;     /* struct ring_writer of core_journal */
    uint64_t table;       /* struct order_table */
    uint64_t orders;      /* struct order row 0 */
    uint64_t orders_mask;
    uint64_t fills;       /* struct fill row 0 */
    uint64_t fills_mask;
    uint64_t counters;    /* struct core_counters */
    uint64_t frames;      /* struct order_template */
    uint64_t requests_out; /* struct ring_writer of core_io: where requests for market data leave */

    uint64_t holdings;    /* struct gate_holding 0 */
    uint64_t windows;     /* struct gate_window 0 */
    uint64_t recent;      /* struct gate_recent 0 */
    uint64_t recent_mask;
    uint64_t executions;  /* struct gate_executions 0, one per strategy */
    uint64_t adoption;    /* struct adoption */
    uint64_t passed_ticks; /* int64 that gets the time at which the gate let an order pass; 0: nobody asks */
};

enum adoption_constant {
    ADOPTION_SYMBOLS = 4096, /* of the symbols last asked for, by hash */
    ADOPTION_PARKED = 16384, /* reports that wait for the directory */
    ADOPTION_PARKED_BYTES = 112
};

/* A report about an order of an instrument that the directory has not named yet. */
struct parked_report {
    uint64_t reference; /* 0: the row is free */
    uint32_t size;
    uint32_t reserved;
    uint8_t bytes[112];
};

/* Orders that core hears of without having sent them, and orders whose fate is not known. Process-local to core. */
struct adoption {
    uint64_t cancel_found; /* 1: new risk waits until control has cancelled what a run before this one left */
    uint64_t up;           /* 1 once a connection was up and everything before it settled */
    uint64_t connection;   /* the one that new risk waits for; 0: none */
    uint64_t parked_count;
    uint64_t parked;       /* address of ADOPTION_PARKED struct parked_report */
    uint64_t listed;       /* events of the directory when the parked ones were last looked at */
    uint64_t books_used;   /* address of the word that counts the rows of books in use */
    uint64_t swept;        /* cursor of the look for orders without an answer */
    int64_t unknown_ns;    /* without an answer for so long an order is UNKNOWN */
    int64_t looked_ns;     /* when what new risk waits for was last looked at */
    int64_t parked_ns;     /* when the parked reports were last tried */
    uint64_t reserved[5];
    uint32_t symbols[4096]; /* one plus the row of a symbol, by hash */
};

enum resolution_kind {
    RESOLUTION_NEVER_ARRIVED = 1, /* the venue does not know the order, and can not take it any more: it is over */
    RESOLUTION_WORKING = 2,       /* the venue works the order: its cancel was lost, or refused */
    RESOLUTION_ASK = 3            /* reserved: nothing happens */
};

/* The record of control_core: what control found out at the venue about one of our orders. */
struct resolution_slot {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind; /* enum resolution_kind */
    uint16_t flags;
    uint64_t reference;
    int64_t time_ns; /* when control found it out */
    uint64_t reserved[4];
};

/* The record of external_core: a struct intent follows. Writer: a strategy in another process; nothing in it is believed. */
struct intent_slot {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind;
    uint16_t flags;
    int64_t time_ns; /* when it was meant, by the instance's clock: core refuses one that is too old */
    uint64_t reserved[5];
};

enum order_slot_flag {
    ORDER_SLOT_ENTERS = 1 /* of a REDUCE: an order that may only reduce; epoch, lease and age stop it, no kill does */
};

enum order_slot_kind {
    ORDER_SLOT_NEW = 1,
    ORDER_SLOT_CANCEL = 2, /* passes a kill */
    ORDER_SLOT_REDUCE = 3, /* passes a kill */
    ORDER_SLOT_OTHER = 4,  /* no order at all (a simulated venue's own frames): passes */
    ORDER_SLOT_REQUEST = 5 /* asks for a retransmission of market data: passes, and is dropped when the port is full */
};

/* The record of core_io and core_session, control_io and control_session: one whole Ethernet frame, or one packet of a
   stream (`size` bytes behind the header), ready to leave. */
struct order_slot {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind; /* enum order_slot_kind */
    uint16_t flags;
    uint64_t epoch;          /* fencing epoch the sender believed in */
    int64_t time_receive_ns; /* of the frame that caused it: io refuses an order whose cause is too old */
    int64_t ticks_receive;
    int64_t ticks_decode;
    int64_t ticks_order;
    uint64_t reference;
};

/* The record of core_journal: 192 bytes, what happened to one order, or to the feed. */
enum journal_kind {
    JOURNAL_NONE = 0,
    JOURNAL_DECISION = 1, /* intent and the gate's reason mask */
    JOURNAL_REPORT = 2,   /* a venue report, in front of what it changes; or what io or core says instead of the venue */
    JOURNAL_GAP = 3
};

/*
 * Of a decision, `intent` is what was asked. Of a report it is what our table has of the order (all zero: nothing), its
 * kind NONE; `order_reference` is the order that this one replaces.
 */
struct journal_slot {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind; /* enum journal_kind */
    uint16_t flags; /* of a report: the venue's own reason */
    int64_t time_ns;
    uint64_t reference;
    uint64_t reasons; /* gate mask of a decision; of a report its type letter, or enum refusal_reason */
    struct intent intent;
    uint64_t match; /* of an execution; of a decision: the version of the limits it was judged by */
    int64_t price;  /* what the report says; 0 where it says nothing */
    int64_t quantity;
    uint64_t venue_order_id;
    int64_t time_venue_ns; /* the venue's stamp: nanoseconds since its midnight */
    int64_t bid; /* best prices and our position in the instrument, at that moment */
    int64_t ask;
    int64_t position;
    int64_t ticks_receive; /* of a decision: the stamps of its order (struct order_slot) */
    int64_t ticks_decode;
    int64_t ticks_order; /* of a refused one: when it was refused */
};
