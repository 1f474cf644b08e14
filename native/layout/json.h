/*
 * json.h — what a decoder of JSON messages remembers: the keys it knows, what it found in one message, the rows of levels
 * and trades it is about to hand out. Process-local, one per feed; decoder.context points at struct json_context.
 *
 * A message is read whole into slots and rows before its first event is written: a refusal leaves nothing behind.
 */
enum json_constant {
    JSON_SLOTS = 32,
    JSON_STACK = 8,       /* objects within objects that a shape may descend into */
    JSON_TEXT_BYTES = 64  /* room of one text whose escapes had to be resolved */
};

/* What stands behind a key. */
enum json_kind {
    JSON_SKIP = 0,
    JSON_TEXT = 1,
    JSON_DECIMAL = 2, /* a number, quoted or bare */
    JSON_INTEGER = 3, /* the same without fraction */
    JSON_BOOLEAN = 4,
    JSON_OBJECT = 5,  /* an object of shape `child`, or an array of such objects */
    JSON_BIDS = 6,    /* an array of levels, each an array */
    JSON_ASKS = 7,
    JSON_CHANGES = 8, /* an array of levels that name their side first */
    JSON_BEST = 9     /* an array: first a price, third a quantity for slot `child` */
};

/* What was found, whatever the venue calls it. */
enum json_slot_name {
    SLOT_NONE = 0,
    SLOT_EVENT = 1,      /* the venue's name of the message */
    SLOT_CHANNEL = 2,
    SLOT_SYMBOL = 3,
    SLOT_ACTION = 4,     /* snapshot, update, change */
    SLOT_TIME = 5,
    SLOT_FIRST = 6,      /* ids of a depth message: first and last it covers, the one before it */
    SLOT_LAST = 7,
    SLOT_BEFORE = 8,
    SLOT_CHECKSUM = 9,
    SLOT_BIDS = 10,
    SLOT_ASKS = 11,
    SLOT_CHANGES = 12,
    SLOT_PRICE = 13,     /* of a trade */
    SLOT_QUANTITY = 14,
    SLOT_SIDE = 15,
    SLOT_TRADE = 16,     /* id of a trade */
    SLOT_BID_PRICE = 17,
    SLOT_BID_QUANTITY = 18,
    SLOT_ASK_PRICE = 19,
    SLOT_ASK_QUANTITY = 20,
    SLOT_DATA = 21,
    SLOT_SNAPSHOT_ID = 22,
    SLOT_ARGUMENT = 23,
    SLOT_TIME_TRADE = 24,
    SLOT_RESULT = 25,
    SLOT_BIDS_ALL = 26,  /* of a snapshot, where its key is another */
    SLOT_ASKS_ALL = 27,
    SLOT_SYMBOL_HERE = 28 /* of an object that is one of several: they must all name the same */
};

enum json_message {
    JSON_CONTROL = 1,  /* subscription answers, heartbeats: valid, no events */
    JSON_UPDATE = 2,
    JSON_SNAPSHOT = 3,
    JSON_TRADES = 4,
    JSON_TICKER = 5
};

/* One key of an object: its bytes with the closing quote, in words as a load sees them. */
struct json_key {
    uint64_t first;
    uint64_t mask; /* of `first`: as many bytes as count */
    uint64_t last; /* the last eight bytes, closing quote included, when there are more than eight */
    uint32_t bytes;
    uint16_t kind; /* enum json_kind */
    uint16_t slot; /* enum json_slot_name */
    uint32_t child;
    uint32_t reserved;
    uint64_t reserved_word;
};

struct json_shape {
    uint32_t first; /* row of its first key */
    uint32_t count;
    uint64_t guess; /* row of the key that came last: its successor is tried first */
};

struct json_slot {
    uint64_t text; /* address of a text */
    int64_t number; /* mantissa, integer, or boolean */
    int32_t exponent;
    uint32_t bytes; /* of the text */
    uint64_t reserved;
};

struct json_row {
    int64_t price; /* mantissa as read; units once the message is settled */
    int64_t quantity;
    int16_t price_exponent;
    int16_t quantity_exponent;
    uint16_t side;
    uint16_t reserved;
    uint64_t id; /* of a trade; of a level: orders at it */
    int64_t time_ns;
};

struct json_context {
    uint64_t keys;
    uint64_t shapes;
    uint64_t rows;
    uint64_t rows_max;
    uint64_t texts;      /* JSON_SLOTS + 1 rooms of JSON_TEXT_BYTES: a text with escapes, resolved; the last is for keys */
    uint64_t shuffles;   /* how to bring the digits of a decimal to the right, by point and end */
    uint64_t present;    /* bit per slot found */
    uint64_t row_count;

    /* what becomes events */
    uint64_t kind;       /* enum json_message; 0: not known (yet) */
    uint64_t message_type;
    uint64_t instrument;
    uint64_t sequence;
    int64_t time_ns;
    uint64_t first;
    uint64_t last;
    uint64_t before;
    uint64_t depth;      /* levels a side that the venue keeps; 0: all */
    uint64_t method;     /* enum checksum_method of `checksum` */
    uint64_t checksum;
    int64_t price_exponent;     /* of the instrument's units */
    int64_t quantity_exponent;
    uint64_t price_printed;    /* decimals as printed: what a checksum is taken over */
    uint64_t quantity_printed;
    uint64_t announced;  /* address of a byte per row: its EVENT_INSTRUMENT was sent */
    uint64_t numbered;   /* 1: the venue numbers its updates, a lost one shows by itself */
    uint64_t only_instrument; /* row + 1 of the only instrument seen; all ones: there are more; 0: none yet */
    uint64_t levels_named;    /* 1: the first element of a level may be a text: its side, or what becomes of it */
    uint64_t levels_counted;  /* 1: the fourth element of a level is the number of orders at it */
    uint64_t levels_timed;    /* 1: the third is its time in seconds */
    uint64_t elements[8]; /* where the elements of a message that is an array begin */
    uint64_t stack[8];
    struct json_slot slots[32];
};
