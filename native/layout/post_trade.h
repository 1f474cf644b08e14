/*
 * post_trade.h — what the controls after the trade have found, for whoever looks: `gateway top`, `run --json`, the demo.
 *
 * Writer: control alone. Readers: core reads the list of halted symbols when the venue defines an instrument, so that one
 * that was halted in an earlier run is halted from its first moment on; everybody else only looks.
 *
 *   region post_trade   struct post_trade_account, then struct halted_symbol × limits.HALTED_SYMBOLS_MAX
 */
enum post_trade_control {
    POST_TRADE_DRAWDOWN = 0,  /* equity below its highest of the rolling window: account */
    POST_TRADE_DAILY = 1,     /* equity below that of the day's beginning: account, for the day */
    POST_TRADE_SIZE = 2,      /* a strategy's result below its highest: its sizes are halved */
    POST_TRADE_STRATEGY = 3,  /* further below: the strategy is halted */
    POST_TRADE_SLIPPAGE = 4,  /* a fill too far from the price of its decision: strategy */
    POST_TRADE_GAP = 5,       /* a book without its data for too long: instrument */
    POST_TRADE_REPEAT = 6,    /* too many executions of a strategy in a window: strategy, found by core */
    POST_TRADE_BALANCE = 7,   /* a position differs from the venue's: account */
    POST_TRADE_ORDERS = 8,    /* an open order differs from the venue's: account */
    POST_TRADE_UNKNOWN = 9,   /* an order whose fate is not known in time: account */
    POST_TRADE_RECORD = 10,   /* the file of halts cannot be read or written: account */
    POST_TRADE_KEYS = 11,     /* the link's keys have run out: account, refused as GATE_KEYS; ends with its cause */
    POST_TRADE_CONTROLS = 12
};

struct post_trade_account {
    struct region_header region;

    uint64_t fired[16]; /* by enum post_trade_control: how often each fired in this run */

    int64_t equity;      /* as last looked at, price units of the account's currency */
    int64_t equity_high; /* highest of the rolling window */
    int64_t drawdown_max; /* largest distance between the two in this run */
    int64_t drawdown_max_ppm; /* of the high it was measured from */
    int64_t day_base;    /* equity at the beginning of the day */
    uint64_t halted;     /* bits of enum post_trade_control: what halts the account now */
    uint64_t symbols;    /* rows of halted_symbol that may be in use: none behind them is */
    int64_t looked_ns;   /* when the controls last ran */

    uint64_t comparisons; /* with the venue's account, complete ones */
    uint64_t reserved[7];
};

/* A symbol whose instrument is halted, 8 bytes as ITCH writes it; 0: the row is free. */
struct halted_symbol {
    uint64_t symbol;
};
