/*
 * recovery.h — what heals stale books from snapshots, between protocol ④ and book ⑤. Process-local to core.
 *
 *   book waits (neither VALID nor RECOVERABLE, or FAULT):   its events go to the ring of kept events
 *   snapshot of it begins, and the ring covers what follows ──► applied ──► ends ──► kept events beyond it ──► VALID
 *
 * Zero-filled rows are valid. The ring is one for all instruments; each has a list in it, oldest first.
 */
struct kept_event {
    struct event event;
    uint32_t next;   /* 1 + slot of the next kept event of the instrument; 0: none */
    uint32_t serial; /* of the row when it was kept: another one now means that it is of no more use */
    uint64_t reserved;
};

/* By instrument. */
struct heal_row {
    uint32_t head;   /* 1 + slot of its oldest kept event; 0: none */
    uint32_t tail;
    uint32_t serial; /* rises when its list is dropped */
    uint32_t generation; /* of its channel, when this row was last looked at */
    uint32_t keeping;    /* 1: every event of the instrument beyond `covered` is in the list */
    uint32_t building;   /* 1: a snapshot of it is being applied */
    uint32_t snapshot_generation; /* of the channel the snapshot comes on */
    uint32_t snapshot_channel;
    int64_t covered;     /* feed sequence; a snapshot that holds all up to here can be completed */
    int64_t snapshot;    /* feed sequence of the snapshot being applied; below 0: it states none */
    int64_t applied;     /* feed sequence of the last snapshot applied: events up to here are in the book */
    uint64_t reserved;
};

/* By channel. */
struct heal_channel {
    uint32_t generation; /* rises when events are lost, and when a run begins */
    uint32_t complete;   /* 1: this run is followed from its first event on, nothing was lost */
    int64_t covered;     /* last feed sequence before what we have seen without a loss */
    int64_t applied;     /* the highest `applied` of its rows */
    uint64_t reserved;
};

struct healing {
    uint64_t rows;     /* struct heal_row 0 */
    uint64_t channels; /* struct heal_channel 0 */
    uint64_t kept;     /* struct kept_event 0 */
    uint64_t kept_max; /* a power of two */
    uint64_t kept_count; /* since start: the next goes to slot kept_count % kept_max */
    uint64_t instruments;
    uint64_t store;    /* struct book_store */
    uint32_t eager;    /* 1: there is a source of snapshots, configured or seen: events of waiting books are kept */
    uint32_t reserved;
};

enum heal_verdict {
    HEAL_PASS = 0,  /* nothing to do now: kept, or of no use */
    HEAL_APPLY = 1, /* goes on to the book */
    HEAL_DONE = 2   /* the end of a snapshot: goes on to the book, and behind it what was kept */
};
