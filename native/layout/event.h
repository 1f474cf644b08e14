/*
 * event.h — the normalised event: what every protocol becomes before books and strategies see it. 64 bytes.
 *
 * Prices and quantities are integers in the instrument's own units (ITCH: price in 1/10000, quantity in shares; other
 * feeds: 10^price_exponent and 10^quantity_exponent of struct instrument). Prices may be negative.
 *
 * A level event carries in order_id the number of orders at the level (low 32 bits, 0: not stated) and the position of
 * the level from the best, counted from 1 (high 32 bits, 0: not stated); in other_id the sequence of its instrument
 * (0: none), which then must follow the last one of that instrument by 1.
 */
enum event_kind {
    EVENT_NONE = 0,
    EVENT_ADD = 1,        /* order_id, side, quantity, price */
    EVENT_EXECUTE = 2,    /* order_id, quantity executed, other_id = match number; price when flag PRICED */
    EVENT_REDUCE = 3,     /* order_id, quantity taken away */
    EVENT_DELETE = 4,     /* order_id */
    EVENT_REPLACE = 5,    /* order_id old, other_id new (may be the same), quantity, price: leaves the queue and joins it */
    EVENT_TRADE = 6,      /* off-book or cross print: quantity, price, side of the aggressor, other_id = match number */
    EVENT_STATUS = 7,     /* trading state of an instrument: quantity = enum trading_state {
    TRADING_UNKNOWN = 0,
    TRADING_OPEN = 1,
    TRADING_HALTED = 2,
    TRADING_PAUSED = 3,
    TRADING_QUOTE_ONLY = 4,
    TRADING_AUCTION = 5,  /* orders gather, a crossed book is normal */
    TRADING_CLOSED = 6
};

struct event {
    uint64_t sequence;       /* the venue's sequence number of the message */
    int64_t time_venue_ns;   /* as the venue states it (ITCH: since midnight) */
    uint64_t order_id;
    uint64_t other_id;       /* new order id, or match number */
    int64_t price;
    int64_t quantity;
    uint32_t instrument;     /* index of the book, gate and instrument rows (ITCH: stock locate) */
    uint8_t kind;            /* enum event_kind */
    uint8_t side;            /* enum event_side */
    uint8_t flags;           /* enum event_flag */
    uint8_t message_type;    /* the venue's own type byte; SBE: low byte of the template id */
    int64_t time_receive_ns; /* of the frame that carried it */
};
