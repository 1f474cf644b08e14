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
    TIME_IOC = 3
};

struct intent {
    uint8_t kind; /* enum intent_kind */
    uint8_t side; /* enum event_side */
    uint8_t time_in_force;
    uint8_t flags;
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
    uint64_t reserved[3];
    struct intent rows[16];
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
    uint32_t fills;
    uint64_t last_match;
    uint64_t reserved[2];
};

enum order_slot_kind {
    ORDER_SLOT_NEW = 1,
    ORDER_SLOT_CANCEL = 2, /* passes a kill */
    ORDER_SLOT_REDUCE = 3, /* passes a kill */
    ORDER_SLOT_OTHER = 4   /* no order at all (a simulated venue's own frames): passes */
};

/* The record of core_io and control_io: one whole Ethernet frame (`size` bytes behind the header), ready to leave. */
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

/* The record of core_journal: 128 bytes, what happened to one order, or to the feed. */
enum journal_kind {
    JOURNAL_NONE = 0,
    JOURNAL_DECISION = 1, /* intent and the gate's reason mask */
    JOURNAL_REPORT = 2,   /* a venue report as applied */
    JOURNAL_GAP = 3
};

struct journal_slot {
    uint64_t sequence;
    uint32_t size;
    uint16_t kind; /* enum journal_kind */
    uint16_t flags;
    int64_t time_ns;
    uint64_t reference;
    uint64_t reasons; /* gate mask of a decision; venue code of a report */
    struct intent intent;
    uint64_t match;
    uint64_t reserved[2];
};
