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
    KILL_POST_TRADE = 7,
    KILL_HTTP = 8,
    KILL_DEVICE = 9
};

enum process_state {
    PROCESS_ABSENT = 0,
    PROCESS_STARTING = 1,
    PROCESS_RUNNING = 2,
    PROCESS_STOPPED = 3,
    PROCESS_GIVEN_UP = 4 /* it ended too often, and nobody starts it again but a person */
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
    uint64_t reference_used; /* the highest that control has sent by itself: core's go on behind it */
    uint64_t reserved_kill[5];

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
    GATE_REDUCE = 20,  /* reduce-only, and the position could grow by it */
    GATE_KEYS = 21,    /* the link holds no valid key, or nobody knows: POST_TRADE_KEYS of the account's halts */
    GATE_REASONS = 22
};

enum instrument_flag {
    INSTRUMENT_PERMITTED = 1,  /* configured for trading */
    INSTRUMENT_RESTRICTED = 2,
    INSTRUMENT_LIMITS_SET = 4, /* every required limit is present */
    INSTRUMENT_AUCTION = 8     /* may be traded in an auction too */
};

enum strategy_flag {
    STRATEGY_SET = 1 /* configured, every required limit present */
};

enum gate_constant {
    GATE_STRATEGIES = 8,
    GATE_CURRENCIES = 16,    /* row 0: the account's own */
    GATE_GROUPS = 64,        /* row 0: no group */
    GATE_EXECUTIONS = 1024,  /* of a strategy: as many as REPEAT may count */
    GATE_RECENT_WAYS = 4,
    GATE_SAMPLES = 10        /* of the rolling window of PRICE */
};

/*
 * One instrument. Two lines of limits (control or admission, versioned), four of state (core): the first three and the
 * third alone are what a decision reads. Values are price units * quantity of the instrument's currency; those named
 * *_value are already in the account's currency. Fractions are fixed point, 2^32 is one.
 */
struct gate_row {
    uint64_t flags;          /* enum instrument_flag */
    uint64_t tick_multiple;  /* (2^64 - 1) / tick: a multiple is told without a division; 0 denies */
    uint64_t lot_multiple;
    int64_t quantity_max;
    int64_t value_max;
    int64_t position_max;
    uint32_t collar_ppm;     /* of the reference price */
    uint32_t window_ppm;     /* of the mean of the rolling window */
    int64_t stale_ns;        /* oldest book an order may be based on */

    uint64_t permits;        /* bit 2 * strategy: may buy, the next one: may sell */
    int64_t margin_fraction; /* of the worst exposure */
    int64_t weight_fraction; /* in its group; negative moves against it */
    uint32_t currency;
    uint32_t group;          /* 0: none */
    int64_t last_age_ns;     /* oldest last trade that serves as a reference */
    int64_t tick;
    int64_t lot;
    uint64_t halted; /* by control, bits of enum post_trade_control; admission leaves it, or sets it for a halted symbol */

    int64_t position;
    int64_t open_buy;     /* reserved from send to a terminal state */
    int64_t open_sell;
    int64_t long_value;   /* exposure if every buy filled and no sale, rounded up */
    int64_t short_value;  /* the same downward; the larger of the two is what the instrument can cost */
    uint32_t own_bid;     /* best price of an own working order; 0: none */
    uint32_t own_ask;
    int64_t window_price; /* mean of the rolling window; 0: none */
    int64_t window_ns;    /* when its newest sample was taken */

    int64_t cash;           /* minus bought plus sold */
    int64_t cost;           /* what the position was bought for, average price method; negative when short */
    int64_t mark;           /* price the position is valued at; 0: none */
    int64_t open_buy_notional;
    int64_t open_sell_notional;
    int64_t profit_value;   /* cash and position at its mark, rounded down */
    int64_t margin_value;
    int64_t time_last_order_ns;

    int64_t group_long;     /* what this row adds to its group */
    int64_t group_short;
    uint32_t buys;          /* own working orders: one plus the row of the first, 0: none */
    uint32_t sells;
    int64_t last_price;     /* as last seen in the book, and when it was first seen there */
    int64_t last_price_ns;
    uint64_t orders_sent;
    uint64_t fills;
    uint32_t settled_version; /* low half of limits_version when the row last worked out what it may cost */
    uint32_t settled_group;   /* which group has its share */
};

struct gate_rate {
    int64_t fraction; /* units of the account's currency for one of this, 2^32 is one */
    int64_t time_ns;
};

/* Correlated instruments: what they may cost together. */
struct gate_group {
    int64_t value_max;
    int64_t long_value;
    int64_t short_value;
    uint64_t reserved[5];
};

/* One strategy: a line of control's, a line of core's. */
struct gate_strategy {
    uint64_t flags;  /* enum strategy_flag */
    uint64_t halted; /* by control, bits of enum post_trade_control: deny */
    int64_t position_max; /* in every single instrument */
    int64_t repeat_max;   /* executions in repeat_ns that disable it */
    int64_t repeat_ns;
    uint64_t size_shift;  /* by control: its caps of quantity, value and position are divided by 2 to this; 64 or more: 0 */
    uint64_t reserved_limits[2];

    uint64_t repeated; /* disabled by REPEAT until a human enables it */
    uint64_t executions;
    int64_t repeated_ns;
    uint64_t orders_sent;
    uint64_t reserved_state[4];
};

/* The account: limits that are not per instrument, what it has and owes, and a counter per reason. */
struct gate_account {
    struct region_header region;

    uint64_t limits_version; /* odd while control writes: deny */
    int64_t rate_interval_ns; /* what one message costs; 0: nothing may be sent */
    int64_t rate_span_ns;     /* how far new orders may run ahead: burst without its reserve, less one */
    int64_t day_messages_max;
    int64_t gross_max;
    int64_t net_max;
    int64_t hours_open_ns;    /* of the day that is or comes: no order before it, */
    int64_t hours_close_ns;   /* and none from here on */

    int64_t bucket_ns; /* token bucket as a time: allowance already used up to here */
    int64_t day_messages;
    int64_t gross_value;
    int64_t net_long;
    int64_t net_short;
    int64_t free_value;   /* equity without the margin that is required */
    int64_t signal_value; /* VALUE: what equity allows one order */
    int64_t group_value;  /* EXPOSURE: what equity allows a group */

    uint64_t accepted;
    uint64_t session_lost; /* reports lost on the order session: deny until reconciled */
    uint64_t halted;       /* by control, bits of enum post_trade_control: deny */
    int64_t dup_ns;
    int64_t rate_age_ns;   /* oldest rate that converts a foreign value */
    int64_t window_ns;     /* length of the rolling window */
    uint64_t decisions;
    uint64_t session_connection; /* whose beginning core has heard, and so every report before it: deny unless it is up */

    int64_t rate_whole_ns;   /* what cancels may overdraw the bucket to */
    int64_t value_fraction;  /* of equity, one order */
    int64_t group_fraction;  /* of equity, one group */
    int64_t capital;
    int64_t equity;
    int64_t margin_value;
    int64_t profit_value;    /* of every row; with the capital it is the equity */
    uint64_t swept;          /* cursor of the sweep over instruments */

    uint64_t cancels;
    uint64_t reserved_account[7];

    uint64_t rejects[32]; /* by enum gate_reason: a decision counts under every reason that failed */
    struct gate_rate rates[16];
    struct gate_group groups[64];
    struct gate_strategy strategies[8];
};

/* What one strategy holds in one instrument: row strategy * instruments + instrument. Writer: core. */
struct gate_holding {
    int64_t position;
    int64_t open_buy;
    int64_t open_sell;
    int64_t cash;
    int64_t cost;
    uint64_t fills;
    uint64_t reserved[2];
};

/* The rolling window of one instrument: a price per tenth of it. Writer: core. */
struct gate_window {
    uint32_t prices[10]; /* 0: none */
    uint32_t reserved;
    uint32_t taken;
    int64_t slot; /* number of the tenth that was written last */
    uint64_t reserved_word;
};

/* Recent orders, for DUP: a line of four ways, found by hash. A way is free once its time is older than the window. */
struct gate_recent {
    uint64_t fingerprints[4];
    int64_t times_ns[4];
};

/* When a strategy's last executions were reported, a ring. Writer: core. */
struct gate_executions {
    int64_t times_ns[1024];
};
