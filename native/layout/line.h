/*
 * line.h — which channel a datagram belongs to, by its destination. Process-local to core.
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

/*
 * Where no line is listed (a capture of unknown addresses), a rule makes a channel of each new destination: ports from
 * `port_first` to `port_last` are line `index` of the channel with key port - port_offset. The first rule that
 * fits counts.
 */
struct line_rule {
    uint16_t port_first;
    uint16_t port_last;
    uint16_t port_offset;
    uint16_t index;
    uint32_t channel_role;     /* enum channel_role of the channel it makes */
    uint32_t address_counts;   /* 1: the address belongs to the key; 0: lines A and B are in different groups */
};

struct line_table {
    uint64_t rows;     /* address of struct line 0 */
    uint64_t mask;     /* rows - 1, rows a power of two, a quarter used at most */
    uint64_t fallback; /* address of the struct line for every other destination; 0: they are not ours */
    uint64_t channels; /* address of struct feed 0 */
    uint32_t channels_used;
    uint32_t channels_max;
    uint32_t lines_used;
    uint32_t rules_used; /* 0: no destination is taken that is not listed */
    struct line_rule rules[16];
};
