/*
 * feed.h — one sequenced channel of a feed on its lines: what arbitration remembers between packets.
 *
 *                 in order, or overlapping what is next ──────────────► deliver (skip what was seen)
 *   packet ──┬──► all of it seen already ─────────────────────────────► counted DUPLICATE or LATE
 *            └──► ahead of what is next ──► held ──┬─ hole filled ────► deliver
 *                                                  ├─ window over, no request server ──► GAP (lost), deliver
 *                                                  └─ window over ──► GAP, requests ──┬─ filled ► deliver, RECOVERED
 *                                                                                     └─ in vain ► GAP (lost), deliver
 *
 * struct feed and the pool are process-local; struct channel_statistics is shared: core writes, everybody reads.
 */
enum feed_constant {
    FEED_LINES = 3,        /* A, B, and where retransmissions come */
    FEED_RETRANSMISSIONS = 2,
    FEED_HELD_MAX = 256,   /* packets that wait for an earlier one */
    FEED_KEPT_MAX = 2048,  /* the same while a retransmission is asked for */
    FEED_HELD_BYTES = 2048,
    FEED_SEEN_MAX = 1024   /* packets whose second copy is still recognised; a power of two */
};

enum channel_role {
    CHANNEL_INCREMENTAL = 0,
    CHANNEL_SNAPSHOT = 1,  /* a loop of snapshots: a gap in it makes no book stale */
    CHANNEL_DEFINITION = 2 /* a loop of instrument definitions */
};

enum feed_ready {
    READY_NOTHING = 0,
    READY_PACKET = 1,   /* ready_payload, ready_size, ready_skip, ready_sequence, ready_time_ns */
    READY_GAP = 2,      /* gap_first, gap_count, gap_lost: say so before anything else */
    READY_REQUEST = 3,  /* request_first, request_count: ask the venue for them */
    READY_RECOVERED = 4 /* what the last gap missed has been delivered, and what stood behind it too */
};

enum recovery_state {
    RECOVERY_NONE = 0,
    RECOVERY_ASKING = 1, /* a gap was declared, nothing of it is lost yet */
    RECOVERY_PARTLY = 2  /* some of it is lost, the rest may still come */
};

/* A packet that waits, in the list of its channel: by sequence, of two such the shorter first. */
struct held_packet {
    uint64_t sequence;
    int64_t time_receive_ns;
    int64_t since_ns;       /* arrival of the first packet at this place or behind it: the hole in front is as old */
    uint32_t count;         /* sequence numbers it takes; 0: a heartbeat that tells of later ones */
    uint32_t size;          /* payload bytes, kept at pool.bytes + index * FEED_HELD_BYTES */
    uint32_t next;          /* index in the pool, 0: none; in the free list the next free row */
    uint32_t previous;
    uint32_t line;          /* that brought it first */
    uint32_t missing;       /* bit per line of which a copy is still expected */
    uint32_t end_of_session;
    uint32_t reserved[3];
};

/* Room for waiting packets, shared by the channels of a feed. Zeros are a valid empty pool. Row 0 is never used. */
struct packet_pool {
    uint64_t rows;     /* struct held_packet 0 */
    uint64_t bytes;
    uint32_t rows_max; /* rows, row 0 included */
    uint32_t used;     /* high-water mark: rows 1 … used have been given out */
    uint32_t free;     /* head of the free list */
    uint32_t taken;
};

/* A delivered packet whose other copies may still come. Rows stand in the order of their sequence. */
struct seen_packet {
    uint64_t sequence;
    int64_t time_receive_ns;
    uint32_t line;    /* that brought it first */
    uint32_t missing; /* bit per line of which a copy is still expected */
};

struct line_statistics {
    uint64_t first;    /* packets this line brought before every other */
    uint64_t second;   /* copies of what another line had brought */
    uint64_t repeated; /* copies of what this very line had brought */
    uint64_t missed;   /* packets delivered that this line never brought */
    uint64_t other;    /* heartbeats, and packets too old to be known */
    int64_t lead_sum_ns; /* by how much its first ones led the copy of the other line: mean = sum / the other's second */
    int64_t lead_max_ns;
    int64_t last_seen_ns;
};

struct channel_statistics {
    struct line_statistics lines[3];
    uint64_t gaps;
    uint64_t gap_messages;
    uint64_t recovered;     /* gaps that were filled after all */
    uint64_t lost_messages; /* of gap_messages: what nothing filled */
    uint64_t requests;      /* retransmissions asked for */
    uint64_t resets;        /* times the channel began anew without an end */
    uint64_t next_sequence;
    uint64_t reserved;
};

/* A run of packets that is not the followed one; it is, once the followed one has been silent for long. */
struct feed_candidate {
    uint64_t session_first;
    uint64_t session_last;
    uint64_t next_sequence;
    uint64_t count; /* packets in sequence */
};

struct feed {
    /* read for every packet */
    uint64_t next_sequence;  /* first number not delivered yet; 0: no session followed */
    uint64_t session_first;  /* the first 8 bytes of the session's name */
    uint64_t session_last;   /* the rest */
    uint64_t format;         /* struct packet_format of its packets */
    uint64_t statistics;     /* struct channel_statistics */
    uint64_t seen;           /* struct seen_packet × FEED_SEEN_MAX */
    uint64_t seen_count;     /* entered since start; the next goes to row seen_count % FEED_SEEN_MAX */
    uint32_t expected;       /* bit per line on which a copy of every packet comes */
    uint32_t ended;          /* end of session delivered: the next session may begin */

    uint64_t ready_payload;
    uint32_t ready_size;
    uint32_t ready_skip;
    uint64_t ready_sequence; /* of the first message that is news, or of the packet */
    int64_t ready_time_ns;
    int64_t heard_ns;        /* when the followed session was last heard */
    uint32_t held;           /* packets that wait */
    uint32_t held_first;     /* index in the pool; 0: none */
    uint32_t held_last;
    uint32_t recovery;       /* enum recovery_state */
    uint64_t pool;           /* struct packet_pool */

    uint64_t decoder;        /* struct decoder of the feed this channel belongs to */
    uint32_t channel;        /* index of this row */
    uint32_t role;           /* enum channel_role */
    uint32_t key_address;    /* destination that names the channel: its line A's, or what a rule made of it */
    uint32_t key_port;
    uint32_t attempts;       /* requests since the hole last shrank */
    uint32_t snapshot_of;    /* index of the channel whose books it says; itself: in band, or no snapshots */
    uint32_t unsequenced;    /* 1: packets with sequence 0 are taken as they come; 0: refused, unless the format says so */
    uint32_t joined;         /* 1: a session was just adopted; whoever acts on it clears it */
    uint64_t first_sequence; /* where we joined */
    int64_t began_ns;        /* when this run was adopted */
    uint64_t time_newest;    /* the venue's newest time delivered, in its own units */
    uint64_t gap_first;      /* the last range declared */
    uint64_t gap_count;
    uint64_t gap_lost;       /* 1: nothing will fill it */
    int64_t window_ns;       /* how long a hole may stay before it is a gap; negative: the input has ended */
    int64_t silence_ns;      /* how long the followed run is silent before another may take its place; 0: for ever */
    int64_t restart_ns;      /* how old a run without times is before sequence 1 means a new one; 0: never */

    /* retransmission */
    uint64_t request;        /* struct order_frame of a request packet; 0: there is no request server */
    int64_t deadline_ns;     /* how long a gap may take to fill */
    int64_t give_up_ns;      /* when this one is given up */
    uint64_t hole_end;       /* first number behind the gap being filled */
    uint64_t request_first;
    uint64_t request_count;
    int64_t request_sent_ns;
    int64_t request_due_ns;  /* when the next request may leave */
    uint64_t random;         /* state of the jitter, never 0 */

    uint64_t cursors[3];     /* per line: the seen packet its next copy should be of */
    struct feed_candidate candidates[2];
};
