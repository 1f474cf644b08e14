/*
 * quality.h — what is known of how a price should look: outliers, quiet instruments, divergence. Between ⑤ and ⑥.
 *
 * Region quality: struct quality_account, then a row per instrument. Writer: core alone. Readers: tools. The only floats
 * of the data plane stand here: they become flags, never a price in a book and never a number in the gate.
 */
enum quality_flag {
    QUALITY_NAMED = 1,    /* the row's symbol was looked up among the groups */
    QUALITY_DIVERGENT = 2 /* its group is apart for longer than the bound */
};

enum quality_constant {
    QUALITY_GROUPS_MAX = 256,
    QUALITY_MEMBERS_MAX = 16, /* rows of one group */
    QUALITY_SWEEP_MAX = 256,  /* books looked at in one go, however long it took */
    QUALITY_SWEEP_GROUPS = 16, /* groups looked at in one go */
    QUALITY_STREAK_TIMES = 8   /* outliers one after another, over `agree`, after which any price is believed */
};

struct quality_account {
    struct region_header region;

    uint64_t judged;      /* prices that were samples: trades, and middles that moved */
    uint64_t outliers;
    uint64_t accepted;    /* times outliers agreed among themselves and became the mean */
    uint64_t quiet;       /* times an instrument was marked quiet */
    uint64_t divergences; /* times a group came apart for longer than the bound */
    uint64_t groups_apart; /* now */
    uint64_t reserved[2];
};

/* One instrument: one line. */
struct quality_row {
    double mean;
    double variance;
    double candidate; /* mean of the outliers that agree so far */
    int64_t time_ns;  /* of the last sample */
    uint64_t name;    /* symbol of the book when the samples began: another one begins anew */
    uint32_t samples;
    uint32_t agreeing; /* outliers that agree with the candidate */
    uint32_t streak;   /* outliers since the last price that was none */
    uint32_t outliers;
    uint32_t group;    /* one plus its group; 0: none */
    uint32_t flags;    /* enum quality_flag */
};

/* Rows of the same product. Process-local. */
struct quality_group {
    int64_t since_ns; /* when the members came apart; 0: they are together */
    uint32_t members;
    uint32_t apart;   /* 1: for longer than the bound */
    uint32_t rows[16];
    int32_t scales[16]; /* price × 10^scale is comparable */
};

/* A symbol that belongs to a group; sorted by hash, as signed words. Process-local. */
struct quality_name {
    int64_t hash;
    uint32_t group;
    int32_t scale;
    uint32_t symbol_bytes;
    uint32_t reserved;
    char symbol[48];
};

/* Process-local handle; 0 in struct core: quality is off. */
struct quality {
    uint64_t account;  /* struct quality_account */
    uint64_t rows;     /* struct quality_row 0 */
    uint64_t rows_max;
    uint64_t store;    /* struct book_store */
    uint64_t listings; /* struct instrument 0 */
    uint64_t groups;   /* struct quality_group 0 */
    uint64_t group_count;
    uint64_t names;    /* struct quality_name 0 */
    uint64_t name_count;
    uint64_t events;   /* struct event × QUALITY_SWEEP_MAX: what a sweep has to tell strategies */
    uint64_t filters;  /* 0: prices are not judged */

    double weight;     /* of a new sample, once there are 1 / weight of them */
    double z_squared;  /* 0: no Z-score */
    double deviation;  /* of the mean, a share; 0: no bound on it */
    double floor;      /* share of the mean below which no distance is an outlier */
    uint64_t warm_up;  /* samples before anything is judged */
    uint64_t agree;    /* outliers in agreement that become the mean */

    int64_t stale_after_ns; /* 0: no instrument is called quiet */
    double apart;           /* share; 0: groups are not compared */
    int64_t apart_ns;
    int64_t price_exponent; /* of rows without a listing */
    int64_t books_per_ms;

    int64_t swept_ns;
    uint64_t cursor;       /* the next book in use to be looked at */
    uint64_t group_cursor;
};
