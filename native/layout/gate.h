/*
 * gate.h — the control block every process watches, and the flat state block of the pre-trade gate ⑦.
 *
 * control_block: written by control (latch, epoch, stop), each heartbeat by its own process. io reads latch and epoch
 * before every transmission. The latch is monotonic: once set, nothing running clears it.
 */
enum process_index {
    PROCESS_CONTROL = 0,
    PROCESS_IO = 1,
    PROCESS_CORE = 2,
    PROCESS_SESSION = 3,
    PROCESS_LINK = 4,
    PROCESS_JOURNAL = 5,
    PROCESS_COUNT = 8
};

enum kill_reason {
    KILL_CLEAR = 0,
    KILL_COMMAND = 1,
    KILL_SIGNAL = 2,
    KILL_CONTROL_STALE = 3,
    KILL_CORE_STALE = 4,
    KILL_CORE_DIED = 5,
    KILL_FILE = 6,
    KILL_POST_TRADE = 7
};

enum process_state {
    PROCESS_ABSENT = 0,
    PROCESS_STARTING = 1,
    PROCESS_RUNNING = 2,
    PROCESS_STOPPED = 3
};

struct heartbeat {
    int64_t time_ns; /* last sign of life, by clock_now_ns */
    uint64_t turns;
    uint64_t turns_busy;
    uint32_t pid;
    uint32_t state; /* enum process_state */
    uint64_t stuck; /* times a watched neighbour was found silent */
    uint64_t reserved[3];
};

/* One calibration for all processes: ns = ns_base + ((ticks - ticks_base) * multiplier >> 32). */
struct clock_calibration {
    int64_t ticks_base;
    int64_t ns_base;
    uint64_t multiplier;
    uint64_t ticks_per_second;
    uint64_t reserved[4];
};

struct control_block {
    struct region_header region;

    uint64_t kill_latch; /* enum kill_reason; 0: clear */
    int64_t kill_time_ns;
    uint64_t reserved_kill[6];

    uint64_t epoch; /* fencing epoch this node holds */
    uint64_t lease_expires_ns; /* 0: single node, no lease */
    uint64_t reserved_epoch[6];

    uint64_t stop; /* control asks every loop to leave */
    uint64_t session_connection; /* number of the order session's connection that is up; 0: none, or none is needed.
                                    Writer: session, and control once session has died */
    uint64_t reserved_stop[6];

    struct clock_calibration clock;
    struct heartbeat heartbeats[8];
};

/* Bits of the reason mask, in the order of the specification's table; 0: the order may pass. */
enum gate_reason {
    GATE_KILL = 0,
    GATE_FENCE = 1,
    GATE_STATE = 2,
    GATE_STALE = 3,
    GATE_PERM = 4,
    GATE_QTY = 5,
    GATE_PRICE = 6,
    GATE_VALUE = 7,
    GATE_POSITION = 8,
    GATE_EXPOSURE = 9,
    GATE_MARGIN = 10,
    GATE_RATE = 11,
    GATE_DUP = 12,
    GATE_SELF = 13,
    GATE_REPEAT = 14,
    GATE_DISABLED = 15,
    GATE_JOURNAL = 16, /* the journal is full: an intent that cannot be journalled is not sent */
    GATE_RING = 17,    /* core_io is full */
    GATE_ORDERS = 18,  /* no free row for one more order, or the order to cancel is unknown */
    GATE_SESSION = 19, /* the order session lost a report: positions are uncertain */
    GATE_REASONS = 20
};

enum instrument_flag {
    INSTRUMENT_PERMITTED = 1,  /* configured for trading */
    INSTRUMENT_RESTRICTED = 2,
    INSTRUMENT_LIMITS_SET = 4  /* every required limit is present */
};

/* One instrument: a line of limits (written by control, versioned) and a line of state (written by core). 128 bytes. */
struct gate_row {
    uint64_t flags; /* enum instrument_flag */
    int64_t tick;
    int64_t lot;
    int64_t quantity_max;
    int64_t value_max;    /* price units * quantity */
    int64_t position_max;
    int64_t collar_ppm;   /* of the reference price, parts per million */
    int64_t stale_ns;     /* oldest book an order may be based on */

    int64_t position;
    int64_t open_buy;  /* reserved from send to a terminal state */
    int64_t open_sell;
    int64_t cash;      /* minus bought plus sold, price units * quantity */
    int64_t time_last_order_ns;
    uint64_t orders_sent;
    uint64_t fills;
    uint64_t reserved_state;
};

/* The account: limits that are not per instrument, the rate bucket, and a counter per reason. */
struct gate_account {
    struct region_header region;

    uint64_t limits_version; /* odd while control writes: core keeps its last decision, deny */
    int64_t rate_per_second; /* messages; 0: nothing may be sent */
    int64_t rate_burst;
    int64_t reserve_percent; /* of the bucket kept for cancels */
    int64_t day_messages_max;
    uint64_t session_lost; /* reports lost on the order session: deny until reconciled */
    uint64_t session_connection; /* whose beginning core has heard, and so every report before it: deny unless it is up */
    uint64_t reserved_limits[1];

    int64_t bucket_ns;       /* token bucket as a time: allowance already used up to here */
    int64_t day_messages;
    uint64_t decisions;
    uint64_t accepted;
    uint64_t cancels;
    uint64_t reserved_account[3];

    uint64_t rejects[32]; /* by enum gate_reason: a decision counts under every reason that failed */
};
