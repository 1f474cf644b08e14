/*
 * line.h — which channel a datagram belongs to, by its destination. Filled once at start; process-local to core.
 *
 * Open addressing: a destination stands at its home row, line_home(address, port), or behind it before the first free row.
 */
enum line_role {
    LINE_FREE = 0,
    LINE_FEED = 1,   /* line 0 (A), 1 (B) or 2 (retransmissions) of channel `channel` */
    LINE_REPORTS = 2 /* the order session's reports */
};

struct line {
    uint32_t address; /* IPv4 destination, host order */
    uint16_t port;
    uint16_t index;   /* 0, 1 or 2 */
    uint32_t channel;
    uint32_t role;    /* enum line_role */
};

struct line_table {
    uint64_t rows;    /* address of struct line 0 */
    uint64_t mask;    /* rows - 1, rows a power of two, a quarter used at most */
    uint64_t fallback; /* address of the struct line for every other destination; 0: they are not ours */
};
