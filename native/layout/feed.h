/*
 * feed.h — one sequenced channel of a feed on two lines: what arbitration remembers between packets. Process-local.
 *
 *                 in order, or overlapping what is next ──────────────► deliver (skip what was seen)
 *   packet ──┬──► all of it seen already ─────────────────────────────► counted DUPLICATE or LATE
 *            └──► ahead of what is next ──► held ──┬─ hole filled ────► deliver
 *                                                  └─ window over ────► GAP event, then deliver
 */
enum feed_constant {
    FEED_LINES = 2,
    FEED_HELD_MAX = 256,
    FEED_HELD_BYTES = 2048
};

enum channel_role {
    CHANNEL_INCREMENTAL = 0,
    CHANNEL_SNAPSHOT = 1,  /* a loop of snapshots: a gap in it makes no book stale */
    CHANNEL_DEFINITION = 2 /* a loop of instrument definitions */
};

enum feed_ready {
    READY_NOTHING = 0,
    READY_PACKET = 1, /* ready_payload, ready_size, ready_skip, ready_time_ns */
    READY_GAP = 2     /* gap_first, gap_count: say so before anything else */
};

struct held_packet {
    uint64_t sequence;
    uint32_t count; /* messages; 0: a heartbeat that tells of later ones */
    uint32_t size;  /* payload bytes, kept at held_bytes + index * FEED_HELD_BYTES */
    int64_t time_receive_ns;
    uint32_t used;
    uint32_t end_of_session;
};

struct feed {
    uint64_t session_first;  /* bytes 0–7 of the session name */
    uint64_t session_last;   /* bytes 8–9 */
    uint64_t next_sequence;  /* first message not delivered yet; 0: no session followed */
    uint64_t first_sequence; /* where we joined */
    uint64_t gap_first;      /* the last range declared lost */
    uint64_t gap_count;
    uint64_t ready_payload;
    uint32_t ready_size;
    uint32_t ready_skip;
    int64_t ready_time_ns;
    int64_t hold_since_ns;   /* when the hole in front of the held packets was first seen */
    int64_t window_ns;       /* how long a hole may stay before it is a gap */
    uint32_t held;
    uint32_t ended;          /* end of session delivered: the next session may begin */
    uint32_t unsequenced;    /* 1: packets with sequence 0 are taken as they come; 0: refused */
    uint32_t joined;         /* 1: a session was just adopted; whoever acts on it clears it */
    uint32_t channel;        /* index of this row */
    uint32_t role;           /* enum channel_role */
    uint32_t key_address;    /* destination that names the channel: its line A's, or what a rule made of it */
    uint32_t key_port;
    uint64_t decoder;        /* struct decoder of the feed this channel belongs to */
    uint64_t format;         /* struct packet_format of its packets */
    uint64_t held_bytes;     /* address of FEED_HELD_MAX * FEED_HELD_BYTES */
    struct held_packet rows[256];
};
