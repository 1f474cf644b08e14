/*
 * region.h — the first 64 bytes of every shared file.
 *
 * Owner: whoever creates the instance folder. Everybody else attaches, and attaching compares magic, version,
 * layout_hash and kind before touching anything behind the header. `ready` is written last, so a half-made
 * file is refused too.
 */
enum region_constant {
    REGION_VERSION = 1
};

enum region_kind {
    REGION_RING = 1,
    REGION_CONTROL = 2,
    REGION_GATE = 3,
    REGION_BOOKS = 4,
    REGION_LEVELS = 5,
    REGION_BOOK_ORDERS = 6,
    REGION_ORDERS = 7,
    REGION_COUNTERS = 8,
    REGION_PAIR = 9,
    REGION_STATE = 10,
    REGION_FILLS = 11,
    REGION_INSTRUMENTS = 12,
    REGION_QUALITY = 13,
    REGION_SESSION = 14,
    REGION_HOLDINGS = 15,
    REGION_WINDOWS = 16,
    REGION_RECENT = 17,
    REGION_EXECUTIONS = 18,
    REGION_POST_TRADE = 19,
    REGION_RECONCILIATION = 20,
    REGION_LINK = 21
};

struct region_header {
    uint64_t magic;       /* "GATEWAY1" read as a little-endian word */
    uint32_t version;     /* REGION_VERSION */
    uint32_t kind;        /* enum region_kind */
    uint64_t layout_hash; /* hash of native/layout, the same in C and in Python */
    uint64_t size_bytes;  /* of the whole file */
    uint64_t ready;       /* 1 once the creator has filled the region */
    uint64_t reserved[3];
};
