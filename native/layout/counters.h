/*
 * counters.h — what each stage counted. Every block has one writer; readers may be one turn behind.
 * Names here are the names that commands print: a counter exists once.
 */
struct io_counters {
    uint64_t frames_received;
    uint64_t bytes_received;
    uint64_t frames_published;
    uint64_t drop_ring_full;
    uint64_t drop_oversized;   /* longer than a slot */
    uint64_t drop_truncated;   /* the port delivered less than the frame's own length */
    uint64_t drop_port;        /* lost before us, as the port reports it */
    uint64_t frames_transmitted;
    uint64_t bytes_transmitted;
    uint64_t orders_transmitted;  /* new orders handed to the port */
    uint64_t cancels_transmitted;
    uint64_t orders_blocked_kill;
    uint64_t orders_blocked_epoch;
    uint64_t orders_blocked_late; /* cause older than the limit */
    uint64_t orders_failed;       /* the port did not take the frame */
    uint64_t cancels_failed;
    uint64_t receive_errors;
    uint64_t observed_kill_ns;  /* when io first saw the latch */
    uint64_t end_of_input;
    uint64_t requests_transmitted; /* for retransmissions of market data */
    uint64_t requests_failed;
    uint64_t exception_in;        /* frames from the port that the kernel took: of those received, never published */
    uint64_t exception_out;       /* frames of the kernel that the port took */
    uint64_t exception_throttled; /* of those received: dropped, beyond what a turn or a second may cost */
    uint64_t exception_failed;    /* the kernel or the port did not take the frame */
    uint64_t drop_no_buffer;      /* of drop_port: no buffer was free */
    uint64_t checksum_bad;        /* the device says so; core judges for itself and counts why */
    uint64_t link_state;          /* of the first port, enum port_link: 0 unknown, 1 up, 2 down */
    uint64_t link_flaps;          /* times a link went down */
    uint64_t buffers_lost;        /* packet buffers that never came back */
    uint64_t transmit_retries;    /* times a full queue was asked again */
    uint64_t reference_transmitted; /* of the last new order handed to the port */
};

/* Why a frame or message did not become events. */
enum feed_reason {
    FEED_OK = 0,
    FEED_FRAME_SHORT = 1,       /* shorter than its headers say */
    FEED_NOT_IPV4 = 2,
    FEED_NOT_UDP = 3,
    FEED_FRAGMENT = 4,
    FEED_IP_HEADER = 5,         /* version, header length or total length impossible */
    FEED_IP_CHECKSUM = 6,
    FEED_UDP_LENGTH = 7,
    FEED_UDP_CHECKSUM = 8,
    FEED_NOT_OURS = 9,          /* a valid datagram for another port or group */
    FEED_PACKET_SHORT = 10,     /* no room for the transport header */
    FEED_SESSION_OTHER = 11,    /* another session than the one followed */
    FEED_BLOCK_OVERRUN = 12,    /* a message block leaves the packet */
    FEED_PACKET_TRAILING = 13,  /* bytes behind the last message block */
    FEED_MESSAGE_LENGTH = 14,   /* length differs from the specification's */
    FEED_MESSAGE_UNKNOWN = 15,
    FEED_MESSAGE_FIELD = 16,    /* a field outside its domain */
    FEED_DUPLICATE = 17,        /* sequence already seen (the other line) */
    FEED_LATE = 18,             /* sequence already declared lost */
    FEED_REORDER_FULL = 19,
    FEED_SEQUENCE_INVALID = 20, /* the sequence would wrap, or runs ahead beyond belief */
    FEED_ORDER_UNKNOWN = 21,    /* delete, execute or replace of an order the book does not have */
    FEED_ORDER_DUPLICATE = 22,
    FEED_QUANTITY_EXCESS = 23,  /* execution or cancel of more than is left */
    FEED_ORDERS_FULL = 24,
    FEED_LEVELS_FULL = 25,
    FEED_REPORT_UNKNOWN = 26,   /* a report for an order we do not have */
    FEED_INSTRUMENT_MISMATCH = 27, /* a message about an order names another instrument */
    FEED_END_OF_SESSION = 28,   /* data behind the session's declared end */
    FEED_JSON_MALFORMED = 29,   /* no JSON, cut short, or a field is missing or of another kind */
    FEED_BOOK_CHECKSUM = 30,    /* the venue's checksum of its book is not ours */
    FEED_INSTRUMENT_GAP = 31,   /* the sequence of one instrument does not follow */
    FEED_OFF_TICK = 32,         /* a price that is no multiple of the tick */
    FEED_INSTRUMENTS_FULL = 33, /* no row for another instrument */
    FEED_SCHEMA_OTHER = 34,     /* the message header names another schema */
    FEED_COMPRESSION = 35,      /* a compressed packet that does not decompress */
    FEED_LEVEL_UNKNOWN = 36,    /* deletes or changes a price level the book does not have */
    FEED_GROUP_OVERRUN = 37,    /* a group or variable data leaves the message */
    FEED_SNAPSHOT_USELESS = 38, /* a snapshot that is incomplete, or older than what we can still add to it */
    FEED_SEQUENCE_RESET = 39,   /* a channel began anew at 1 */
    FEED_EVENTS_FULL = 40,      /* no room to keep an event until its instrument is healed */
    FEED_REASONS = 64
};

struct core_counters {
    uint64_t frames;
    uint64_t packets;  /* transport packets of the feed */
    uint64_t heartbeats;
    uint64_t messages; /* decoded, once each */
    uint64_t events;
    uint64_t gaps;     /* times messages were declared lost */
    uint64_t gap_messages;
    uint64_t sessions; /* sessions followed since start */
    uint64_t end_of_session;
    uint64_t unsequenced; /* packets that carry no sequence (number 0) */
    uint64_t reordered;   /* packets that waited for an earlier one */
    uint64_t line_a_first;
    uint64_t line_b_first;
    uint64_t crossed;     /* times a book became crossed */
    uint64_t instruments;
    uint64_t live_orders;
    uint64_t strategy_calls;
    uint64_t intents;
    uint64_t orders_sent;
    uint64_t cancels_sent;
    uint64_t reports;
    uint64_t report_gaps;
    uint64_t fills;
    uint64_t fill_quantity;
    uint64_t venue_rejects;
    uint64_t checksum_absent; /* frames with an IP checksum of 0: taken on trust, counted */
    uint64_t venue_accepts;
    uint64_t venue_cancels;
    uint64_t strategy_faults; /* times the strategy raised: it is halted after the first */
    uint64_t healed;          /* times a stale book became valid again */
    uint64_t orders_lost;     /* that went down with a connection of the order session and never came to the venue */
    uint64_t orders_adopted;  /* that core heard of from the venue */
    uint64_t unknown_orders;  /* times an order had no answer in time */
    uint64_t orders_resolved; /* by control, with what the venue says of itself */
    uint64_t reports_parked;  /* reports that waited for their instrument to be named */
    uint64_t mirror_mismatches; /* mirrored books that a scan did not fill as its source said: the link asks for another */
    uint64_t reasons[64];          /* by enum feed_reason */
    uint64_t messages_by_type[256]; /* by the venue's type byte */
};

enum histogram_constant {
    HISTOGRAM_SUB_BITS = 5,
    HISTOGRAM_BUCKETS = 1888 /* 59 magnitudes of 32 buckets: 0 .. 2^63-1 with 3 % resolution */
};

struct histogram {
    uint64_t count;
    int64_t min_ns;
    int64_t max_ns;
    int64_t sum_ns;
    uint64_t reserved[4];
    uint64_t buckets[1888];
};

enum stage_span {
    SPAN_RECEIVE_DECODE = 0, /* frame visible in io → core begins with it */
    SPAN_DECODE_ORDER = 1,   /* → order frame written to core_io */
    SPAN_ORDER_TRANSMIT = 2, /* → handed to the port */
    SPAN_TICK_TO_ORDER = 3,  /* the whole */
    SPAN_COUNT = 4
};

struct counters {
    struct region_header region;
    struct io_counters io;
    struct core_counters core;
    struct core_counters reports; /* the order session's packets: arbitration counts them apart from the market's */
    struct histogram spans[4];
    struct histogram stale; /* how long each book that healed had been stale, by the frames' own times */
    uint8_t port[256];      /* how io's first port was set up: KEY=VALUE words, 0 behind them */
};
