/*
 * session.h — the order session over TCP: what its process knows, for those who watch and for the process that follows it.
 *
 * Writer: session. It outlives the process: the next one logs in with `session` and `next_sequence`. A death between a
 * report and the word behind it repeats that report; core knows it by its sequence.
 */
enum session_phase {
    SESSION_ABSENT = 0,     /* orders do not travel by a session */
    SESSION_WAITING = 1,    /* for the next attempt */
    SESSION_CONNECTING = 2,
    SESSION_LOGIN = 3,      /* connected, the login is not answered */
    SESSION_REPLAY = 4,     /* logged in: what was missed comes first */
    SESSION_UP = 5,
    SESSION_REFUSED = 6,    /* the venue does not know our name or password: a person must act, nothing is tried again */
    SESSION_ENDED = 7       /* the venue ended the session: over for this day */
};

enum session_loss {
    LOSS_NONE = 0,
    LOSS_CONNECT = 1,       /* nobody listens, or no way there */
    LOSS_CLOSED = 2,        /* the other side closed or reset the connection */
    LOSS_SILENCE = 3,       /* no packet for the heartbeat timeout */
    LOSS_LOGIN_SILENCE = 4, /* the login was not answered in time */
    LOSS_LOGIN_REFUSED = 5, /* not authorised */
    LOSS_LOGIN_BUSY = 6,    /* session not available */
    LOSS_LENGTH_ZERO = 7,   /* a packet without a type */
    LOSS_LENGTH_OVERSIZED = 8,
    LOSS_LENGTH_WRONG = 9,  /* not the length of its type */
    LOSS_TYPE_UNKNOWN = 10,
    LOSS_TYPE_UNEXPECTED = 11, /* a packet that this side sends, or data before the login */
    LOSS_FIELD = 12,        /* a field of a login answer is no text or no number */
    LOSS_SESSION_OTHER = 13, /* logged in to another session than the one asked for */
    LOSS_SEND = 14,         /* our kernel refused to send */
    LOSS_LATCH = 15,        /* the kill latch was set while our kernel still held orders: they were discarded */
    LOSS_ENDED = 16,        /* end of session */
    LOSS_LEAVING = 17,      /* the process was asked to stop */
    LOSS_REPLACED = 18,     /* of a server: the same user logged in again elsewhere */
    LOSS_REASONS = 32
};

/* What control found when it held our account against the venue's drop copy. Writer: control. */
struct reconciliation_state {
    struct region_header region;

    uint64_t reconciliations; /* comparisons made */
    uint64_t mismatches;      /* comparisons that found a difference twice, a second apart */
    uint64_t differences;     /* of the last comparison; new risk may not be resumed while there is one */
    int64_t time_last_ns;     /* when it was made */
    int64_t time_clean_ns;    /* when the last one without a difference was made; 0: none yet */
    uint64_t resolved;        /* unknown orders that the venue's stream decided */
    uint64_t flagged;         /* unknown orders that nobody could decide in time */
    uint64_t found;           /* working orders that the start found */
    uint64_t drop_copy;       /* 1: the drop copy is connected and read to its end */
    uint64_t reserved[7];
};

struct session_state {
    struct region_header region;

    uint64_t phase; /* enum session_phase */
    uint64_t connections;   /* that came up: the number of the last one */
    uint64_t next_sequence; /* of the report that comes next; 0: none was ever heard */
    char session[16];       /* as the venue names it, blanks behind; empty before the first login */
    int64_t time_phase_ns;  /* since when the phase is what it is */
    uint64_t cancel_on_disconnect; /* what the venue is set to do with our open orders, as configured */

    uint64_t attempts;
    uint64_t losses;        /* connections that were lost after they came up */
    uint64_t reports;       /* sequenced messages received */
    uint64_t reports_replayed; /* of those, before the session was up again */
    uint64_t packets_received;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t heartbeats_sent;
    uint64_t last_loss;     /* enum session_loss */
    uint64_t reserved[7];
    uint64_t losses_by_reason[32]; /* by enum session_loss */
};
