/*
 * event.h — the normalised event: what every protocol becomes before books and strategies see it. 64 bytes.
 *
 * Prices and quantities are integers in the instrument's own units (ITCH: price in 1/10000, quantity in shares).
 */
enum event_kind {
    EVENT_NONE = 0,
    EVENT_ADD = 1,        /* order_id, side, quantity, price */
    EVENT_EXECUTE = 2,    /* order_id, quantity executed, other_id = match number; price when flag PRICED */
    EVENT_REDUCE = 3,     /* order_id, quantity taken away */
    EVENT_DELETE = 4,     /* order_id */
    EVENT_REPLACE = 5,    /* order_id old, other_id new, quantity, price */
    EVENT_TRADE = 6,      /* off-book or cross print: quantity, price, other_id = match number */
    EVENT_STATUS = 7,     /* trading state of an instrument: quantity = enum trading_state */
    EVENT_INSTRUMENT = 8, /* definition: quantity = lot, price = tick */
    EVENT_SYSTEM = 9,     /* session event: quantity = the venue's code */
    EVENT_INFORMATION = 10, /* decoded and valid, moves neither book nor state */
    EVENT_GAP = 11,       /* quantity = messages lost, sequence = first one lost */
    EVENT_CLEAR = 12      /* the book of `instrument` is empty from here */
};

enum event_side {
    SIDE_NONE = 0,
    SIDE_BUY = 1,
    SIDE_SELL = 2
};

enum event_flag {
    EVENT_PRICED = 1,      /* an execution at a price other than the order's */
    EVENT_NON_PRINTABLE = 2
};

enum trading_state {
    TRADING_UNKNOWN = 0,
    TRADING_OPEN = 1,
    TRADING_HALTED = 2,
    TRADING_PAUSED = 3,
    TRADING_QUOTE_ONLY = 4
};

struct event {
    uint64_t sequence;       /* the venue's sequence number of the message */
    int64_t time_venue_ns;   /* as the venue states it (ITCH: since midnight) */
    uint64_t order_id;
    uint64_t other_id;       /* new order id, or match number */
    int64_t price;
    int64_t quantity;
    uint32_t instrument;     /* index of the instrument row (ITCH: stock locate) */
    uint8_t kind;            /* enum event_kind */
    uint8_t side;            /* enum event_side */
    uint8_t flags;           /* enum event_flag */
    uint8_t message_type;    /* the venue's own type byte */
    int64_t time_receive_ns; /* of the frame that carried it */
};
