/*
 * core.h — what the core stage holds between turns: handles and addresses, nothing else. Process-local.
 */

/* What core cancels with when control, which ends a kill otherwise, is silent. Process-local. */
struct unattended {
    uint64_t intents;  /* struct intents of its own */
    int64_t silent_ns; /* control without a sign of life for longer than this is gone */
    uint64_t cursor;   /* row of our own orders that was looked at last */
};

struct core {
    struct ring_reader frames; /* io_core */
    struct ring_reader session; /* session_core */
    uint64_t datagram;         /* scratch: struct datagram */
    uint64_t channels;         /* struct feed 0: the channels of market data, each on lines A and B */
    uint64_t lines;            /* struct line_table: destination to channel, and how many channels there are */
    uint64_t message;          /* struct message_buffer of the session that carries market data; 0: there is none */
    uint64_t message_channel;  /* struct feed its messages belong to */
    uint64_t reports;          /* struct feed: the order session's reports, one line */
    uint64_t report_counters;  /* struct core_counters of the report stream: counters.reports */
    uint64_t events;           /* scratch: one struct event of core's own, for a gap */
    uint64_t store;            /* struct book_store */
    uint64_t healing;          /* struct healing; 0: nothing sends snapshots */
    uint64_t books;            /* struct book row 0 */
    uint64_t path;             /* struct order_path: intents → gate → submit, and reports back */
    uint64_t intents;          /* struct intents */
    uint64_t strategy;         /* void(void *state, struct event *, struct book *, struct intents *) */
    uint64_t strategy_state;
    uint64_t counters;         /* struct core_counters */
    uint64_t account;          /* struct gate_account */
    uint64_t gate_rows;        /* struct gate_row 0 */
    uint64_t admission;        /* struct admission */
    uint64_t quality;          /* struct quality; 0: prices are not judged, silence is not looked for */
    uint64_t frame_flags;      /* enum frame_flag added to every frame's own: what the configuration takes on trust */
    int64_t now_ns;            /* receive time of the last record */
    int64_t checked_ns;        /* when every channel's timers were last looked at */
    int64_t ticks_receive;
    int64_t ticks_decode;
    struct ring_reader external; /* external_core */
    uint64_t external_intents; /* struct intents that its records are copied into; 0: nobody may send any */
    struct ring_reader resolutions; /* control_core */
    uint64_t unattended;       /* struct unattended; 0: there is no control that could fall silent */
    struct ring_reader link;   /* link_core */
    uint64_t mirror;           /* struct link_mirror; 0: no other region is mirrored here */
    uint64_t tap;              /* struct link_tap; 0: no link is configured */
    uint64_t idle_turns;       /* turns in which nothing had come */
    uint64_t finished;         /* the input ended and everything held was delivered */
};
