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
    EVENT_REPLACE = 5,    /* order_id old, other_id new (may be the same), quantity, price: leaves the queue, joins it */
    EVENT_TRADE = 6,      /* off-book or cross print: quantity, price, side of the aggressor, other_id = match number */
    EVENT_STATUS = 7,     /* trading state of an instrument: quantity = enum trading_state */
    EVENT_INSTRUMENT = 8, /* definition: quantity = lot, price = tick */
    EVENT_SYSTEM = 9,     /* session event: quantity = the venue's code */
    EVENT_INFORMATION = 10, /* decoded and valid, moves neither book nor state */
    EVENT_GAP = 11,       /* quantity = messages lost, sequence = first one lost; of one instrument: flag ONE_INSTRUMENT */
    EVENT_CLEAR = 12,     /* the book of `instrument` is empty from here */
    EVENT_LEVEL = 13,     /* the level at `price` of `side` has `quantity` now; quantity 0: it is gone */
    EVENT_LEVELS_FROM = 14,    /* the levels of `side` from the position on, the worse ones, are gone */
    EVENT_LEVELS_THROUGH = 15, /* the levels of `side` from the best through the position are gone */
    EVENT_LEVEL_OVERLAY = 16,  /* the level at the position has another price now: price, quantity */
    EVENT_SNAPSHOT_BEGIN = 17, /* a snapshot of `instrument` follows; quantity = last feed sequence in it (-1: not given),
                                  other_id = last sequence of the instrument in it (0: none) */
    EVENT_SNAPSHOT_END = 18,   /* the snapshot of `instrument` is complete */
    EVENT_RECOVERED = 19,      /* what the last gap of this feed lost has been delivered after all */
    EVENT_INSTRUMENT_SEQUENCE = 20, /* what follows has sequence other_id of `instrument`; order_id = the one before it;
                                       price = first one it covers (0: other_id) */
    EVENT_CHECKSUM = 21,       /* the venue's checksum of its book of `instrument` at this point: quantity; price = enum
                                  checksum_method; decimals as printed in order_id, of our units in other_id: prices' in
                                  the lowest byte, quantities' in the one above */
    EVENT_SET = 22             /* order order_id has this price (the least int64: the one it had) and quantity now; it keeps
                                  its place unless flag REQUEUED */
};

enum event_side {
    SIDE_NONE = 0,
    SIDE_BUY = 1,
    SIDE_SELL = 2
};

enum event_flag {
    EVENT_PRICED = 1,         /* an execution at a price other than the order's */
    EVENT_NON_PRINTABLE = 2,
    EVENT_OF_SNAPSHOT = 4,    /* part of a snapshot, no news */
    EVENT_ONE_INSTRUMENT = 8, /* a gap that concerns `instrument` alone */
    EVENT_REQUEUED = 16,      /* EVENT_SET: the order goes to the end of the queue */
    EVENT_OUTLIER = 32,       /* quality: price beyond the Z-score or moving-average bound */
    EVENT_DIVERGENT = 64,     /* quality: away from the same instrument at other venues */
    EVENT_LOST = 128          /* a gap that nothing will fill */
};

enum trading_state {
    TRADING_UNKNOWN = 0,
    TRADING_OPEN = 1,
    TRADING_HALTED = 2,
    TRADING_PAUSED = 3,
    TRADING_QUOTE_ONLY = 4,
    TRADING_AUCTION = 5, /* orders gather, a crossed book is normal */
    TRADING_CLOSED = 6
};

enum checksum_method {
    CHECKSUM_NONE = 0,
    CHECKSUM_KRAKEN = 1, /* CRC-32 of ten levels a side, asks first, digits without point and leading zeros */
    CHECKSUM_OKX = 2     /* CRC-32 of 25 levels a side, bid and ask by turns, "price:quantity" as printed */
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
