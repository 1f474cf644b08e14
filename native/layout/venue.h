/*
 * venue.h — the simulated venue: its counters (shared, read-only for everybody else) and its own state (process-local).
 *
 * Writer: the venue's step alone. One price ladder per symbol serves both sides: a level holds bids or asks, never both,
 * because the engine matches before it rests. Row 0 of orders is never used: index 0 says "none" in every link.
 */
enum venue_constant {
    VENUE_SYMBOLS_MAX = 4096,
    VENUE_LADDER_LEVELS = 1024, /* the price window of a symbol, in ticks */
    VENUE_LADDER_WORDS = 16,
    VENUE_LINES = 2,
    VENUE_REPLIES = 2,          /* streams behind the two lines: what the fault plan has a row for */
    VENUE_SNAPSHOTS = 3,
    VENUE_STREAMS = 4,
    VENUE_REPORTS = 4,          /* template of the order session, which no fault touches */
    VENUE_TEMPLATES = 5,
    VENUE_HEADERS_BYTES = 42,   /* Ethernet, IPv4, UDP */
    VENUE_PAYLOAD_MAX = 1400,   /* MoldUDP64 packet, header included */
    VENUE_BLOCK_MAX = 128,      /* bytes of one message block, at most */
    VENUE_HELD_MAX = 64,        /* frames held back by the fault plan at one time */
    VENUE_HELD_BYTES = 1472,
    VENUE_OUTBOX_FRAMES = 16384, /* frames that wait for room in core_io */
    VENUE_OUTBOX_BYTES = 1472,
    VENUE_LOST_MAX = 65536,     /* ranges lost on both lines that the report names */
    VENUE_CLIENT_ROWS = 65536,  /* user references in flight: row = reference % this */
    VENUE_SYMBOL_SLOTS = 8192,  /* open addressing by symbol word */
    VENUE_STORE_MESSAGES_MAX = 1 << 20, /* recent messages of the feed that can be asked for again: 64 MiB */
    VENUE_STORE_SLOT_BYTES = 64, /* one of them: length 2, message */
    VENUE_REQUEST_BURST = 64    /* requests answered at once, whatever the rate */
};

enum venue_phase {
    VENUE_WAITING = 0, /* heartbeats only */
    VENUE_OPENING = 1, /* start-of-day messages */
    VENUE_OPEN = 2,
    VENUE_CLOSED = 3,  /* no flow, new orders rejected, cancels honoured */
    VENUE_ENDED = 4    /* end of session sent: the books stand still */
};

enum venue_fault {
    VENUE_FAULT_DROP = 0,
    VENUE_FAULT_DUPLICATE = 1,
    VENUE_FAULT_REORDER = 2, /* leaves after the next packet of its line */
    VENUE_FAULT_DELAY = 3,   /* leaves `delay_ns` later */
    VENUE_FAULTS = 4
};

struct venue_counters {
    struct region_header region;

    uint64_t phase; /* enum venue_phase */
    int64_t time_ns; /* of the last step */
    int64_t time_open_ns;
    uint64_t symbols;
    uint64_t resting_orders;
    uint64_t resting_shares;
    uint64_t steps_blocked; /* steps that found core_io full */
    uint64_t frames_lost;   /* no room in the outbox or for a message: a fault of ours, never of the plan */

    /* the feed */
    uint64_t feed_sequence; /* of the next message */
    uint64_t feed_messages;
    uint64_t feed_packets;
    uint64_t feed_heartbeats;
    uint64_t feed_ends; /* end-of-session packets, each on both lines */
    uint64_t lost_packets;  /* on both lines, by plan or by chance */
    uint64_t lost_messages;
    uint64_t lost_ranges;
    uint64_t line_frames[4]; /* by stream: A, B, replies, snapshots; handed to core_io, duplicates included */
    uint64_t line_dropped[4];
    uint64_t line_duplicated[4];
    uint64_t line_reordered[4];
    uint64_t line_delayed[4];
    uint64_t drop_both; /* packets the plan dropped on both lines, counted in line_dropped too */
    uint64_t held_full; /* faults not applied: no room to hold the frame */
    uint64_t messages_by_type[256];

    /* the flow */
    uint64_t actions_add;
    uint64_t actions_cancel;
    uint64_t actions_reduce;
    uint64_t actions_replace;
    uint64_t actions_take;
    uint64_t actions_void; /* found nothing to act on */

    /* shares: entered = 2 * traded + cancelled + resting */
    uint64_t shares_entered;
    uint64_t shares_traded;
    uint64_t shares_cancelled;
    uint64_t matches;

    /* orders from the client */
    uint64_t frames_received;
    uint64_t frames_foreign;   /* not a datagram to our order port or to the re-request server */
    uint64_t frames_malformed; /* no OUCH message of the specification's length */
    uint64_t messages_unsupported; /* an OUCH message this venue does not serve */
    uint64_t orders_received;
    uint64_t replaces_received;
    uint64_t cancels_received; /* mass cancels included */
    uint64_t mass_cancels_received;
    uint64_t duplicates_ignored; /* user reference not above the last one */
    uint64_t cancels_ignored;    /* of an order that is not open */
    uint64_t queries_received;   /* Account Queries */
    uint64_t sessions_lost;      /* connections of the client that ended with its orders to be cancelled */
    uint64_t orders_canceled_lost; /* orders cancelled for that */
    int64_t time_last_order_ns;  /* receive time of the last enter or replace */
    int64_t time_last_cancel_ns;
    uint64_t orders_accepted;
    uint64_t orders_replaced;
    uint64_t orders_rejected;
    uint64_t orders_canceled; /* Canceled messages sent */
    uint64_t cancels_rejected;
    uint64_t executions; /* Executed messages sent */
    uint64_t executed_shares;
    uint64_t faults_rejected;
    uint64_t faults_partial;
    uint64_t rejects[64]; /* by the venue's reject reason */

    /* reports to the client */
    uint64_t report_sequence; /* of the next message */
    uint64_t report_packets;
    uint64_t report_frames;
    uint64_t report_heartbeats;

    /* the re-request server: received = malformed + session + empty + ahead + expired + limited + answered */
    uint64_t requests_received;
    uint64_t requests_malformed; /* not 20 bytes, or from an address that no answer may go to */
    uint64_t requests_session;   /* of another session */
    uint64_t requests_empty;     /* for no message */
    uint64_t requests_ahead;     /* sequence 0, or not sent yet */
    uint64_t requests_expired;   /* out of store */
    uint64_t requests_limited;   /* above the rate */
    uint64_t requests_answered;  /* whatever the fault plan did to the answer */
    uint64_t reply_messages;

    /* the snapshot channel */
    uint64_t snapshot_sequence; /* of the next message */
    uint64_t snapshot_packets;
    uint64_t snapshot_orders;
    uint64_t snapshot_heartbeats;
    uint64_t snapshots;         /* of one symbol each, whole */
    uint64_t reserved[6];
};

/* One resting order: a line. */
struct venue_order {
    uint64_t order_id;       /* ITCH order reference number; 0: free row */
    uint32_t next;           /* behind it in the queue; of a free row: the next free one */
    uint32_t previous;
    uint32_t level;          /* index in its symbol's ladder */
    uint32_t quantity;       /* open */
    uint32_t executed;       /* of the client's order and of those it replaced */
    uint32_t user_reference; /* the client's; 0: an order of the flow */
    uint32_t symbol;
    uint32_t pool_index;     /* place in the flow's list of its live orders */
    uint32_t client_next;    /* open orders of the client, oldest first */
    uint32_t client_previous;
    uint8_t side;            /* enum event_side */
    uint8_t reserved_bytes[7];
    uint64_t reserved;
};

struct venue_level {
    int64_t quantity;
    uint32_t head;
    uint32_t tail;
    uint32_t orders;
    uint32_t reserved;
};

struct venue_symbol {
    uint64_t word;       /* the symbol's 8 characters as ITCH writes them, read as a little-endian word */
    uint64_t levels;     /* address of its ladder */
    int64_t floor_price; /* price of level 0 */
    int64_t tick;
    int64_t best_bid;    /* level index, -1: none */
    int64_t best_ask;    /* level index, VENUE_LADDER_LEVELS: none */
    int64_t last_price;
    int64_t orders;
    int64_t client_position;
    int64_t client_cash; /* minus bought plus sold, price * quantity */
    int64_t client_bought;
    int64_t client_sold;
    uint64_t reserved[4];
    uint64_t occupied[16]; /* a bit per level that holds orders */
};

/* One MoldUDP64 session: messages gather as blocks during a step and are cut into packets at its end. */
struct venue_packet {
    uint64_t sequence;       /* of the next message to leave */
    uint64_t blocks;         /* address of the gathering blocks: length 2, message */
    uint64_t blocks_size;    /* bytes gathered */
    uint64_t blocks_limit;   /* room for the most that one step can say; behind it VENUE_BLOCK_MAX bytes to spill into */
    int64_t time_sent_ns;    /* of the last packet or heartbeat */
    char session[10];
    uint8_t reserved_bytes[6];
    uint64_t reserved[1];
    uint8_t payload[1408];   /* the packet being sent */
};

struct venue_template {
    uint8_t bytes[42]; /* Ethernet, IPv4 and UDP headers with lengths and checksums 0 */
    uint8_t reserved_bytes[6];
    uint64_t sum;            /* of the UDP pseudo header and the ports as 16-bit words, lengths left out */
    uint64_t identification; /* of the last IPv4 packet */
};

/* A frame the fault plan holds back. */
struct venue_held {
    int64_t release_ns; /* of a delay; 0: leaves behind the next packet of its line */
    uint32_t line;
    uint32_t size;
    uint8_t frame[1472];
};

struct venue_frame {
    uint32_t size;
    uint32_t is_report; /* leaves by report_writer */
    uint8_t frame[1472];
};

struct venue_lost {
    uint64_t sequence;
    uint64_t count;
};

struct venue {
    /* addresses */
    uint64_t counters;
    uint64_t symbols_rows; /* struct venue_symbol */
    uint64_t orders;       /* struct venue_order */
    uint64_t pool;         /* uint32_t: rows of the flow's live orders */
    uint64_t client_rows;  /* uint32_t by user reference */
    uint64_t symbol_slots; /* uint32_t: symbol index + 1 */
    uint64_t popularity;   /* int64_t: cumulative share of each symbol, of 2^31 */
    uint64_t held;         /* struct venue_held */
    uint64_t outbox;       /* struct venue_frame */
    uint64_t lost;         /* struct venue_lost */
    uint64_t reader;       /* struct ring_reader of io_core; 0: no orders come in */
    uint64_t writer;       /* struct ring_writer of core_io */
    uint64_t report_writer; /* of core_io too, or of the ring that the order gateway over TCP reads */
    uint64_t session_reader; /* struct ring_reader of the ring it writes; 0: there is none */
    uint64_t calibration;  /* struct clock_calibration */
    uint64_t clock_word;   /* int64_t: a simulated clock; 0: the calibrated TSC */
    uint64_t datagram;     /* struct datagram, scratch */
    uint64_t stop_word;    /* uint64_t set to 1 once `leave_ns` has passed; 0: nobody to tell */
    uint64_t store;        /* VENUE_STORE_SLOT_BYTES × store_messages: slot = sequence & (store_messages - 1) */

    /* configuration */
    int64_t seed;
    int64_t symbols;
    int64_t order_rows;
    int64_t rate;       /* messages per second; 0: as fast as the rings allow */
    int64_t depth;      /* resting orders per symbol the flow keeps up on average */
    int64_t delay_ns;
    int64_t heartbeat_ns;
    int64_t message_limit; /* the flow stops after so many messages; 0: no limit */
    int64_t fault_ppm[16]; /* stream * VENUE_FAULTS + fault */
    int64_t drop_both_ppm;
    int64_t reject_ppm;
    int64_t partial_ppm;
    uint64_t order_address; /* IPv4 and port that orders are sent to */
    uint64_t order_port;
    uint64_t request_address; /* IPv4 and port that requests are sent to */
    uint64_t request_port;
    int64_t store_messages;   /* a power of two; 0: no re-request server */
    int64_t request_rate;     /* requests answered per second */
    int64_t snapshot_rate;    /* symbols per second on the snapshot channel; 0: no such channel */
    uint64_t reply_sum;       /* of the replies' template without the receiver's words */

    /* times */
    int64_t now_ns;
    int64_t midnight_ns;
    int64_t open_ns;  /* opening begins */
    int64_t close_ns; /* 0: never by itself */
    int64_t end_ns;
    int64_t leave_ns; /* an ended venue nobody stops leaves by itself; 0: never */
    int64_t flow_ns;  /* the flow is paid up to here */
    int64_t credit;   /* message-nanoseconds the flow may spend */
    int64_t request_ns;     /* the re-request server is paid up to here */
    int64_t request_credit; /* request-nanoseconds it may spend */
    int64_t snapshot_ns;    /* the next snapshot is due */

    /* running state */
    uint64_t random_flow;
    uint64_t random_fault;
    uint64_t random_service; /* faults of replies and snapshots: requests do not shift those of the lines */
    int64_t phase;
    int64_t opening_cursor;
    int64_t free_row;
    int64_t pool_count;
    int64_t client_head;
    int64_t client_tail;
    int64_t client_open;
    int64_t last_reference;
    int64_t next_order_id;
    int64_t next_match;
    int64_t held_count;
    int64_t outbox_head;
    int64_t outbox_count;
    int64_t snapshot_cursor; /* symbol of the next snapshot */
    int64_t snapshot_sent;   /* bytes of the gathered snapshot that have left */
    uint64_t reserved[1];

    struct venue_packet feed;
    struct venue_packet reports;
    struct venue_packet snapshots;
    struct venue_template templates[5]; /* by stream; the reports' behind them */
    uint8_t reply[1408];   /* the answer being sent */
    uint8_t scratch[1472]; /* the frame being built */
};
