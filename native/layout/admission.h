/*
 * admission.h — who may be traded: core gives an instrument its gate row when the venue defines it.
 *
 * Written whole by control before the loops start, read by core. `words` are symbols as ITCH writes them (8 bytes, space
 * padded) read as little-endian words, sorted as signed integers.
 */
struct carried_position {
    int64_t quantity; /* signed */
    int64_t price;    /* paid for it on average */
    uint64_t given;   /* 1 once its instrument has it */
    uint64_t reserved;
};

struct admission {
    uint64_t permitted;       /* address of the sorted words */
    uint64_t permitted_count;
    uint64_t restricted;
    uint64_t restricted_count;
    uint64_t permit_all;      /* 1: "*" */
    uint64_t named;           /* sorted words of the symbols that have limits of their own, */
    uint64_t named_count;
    uint64_t named_limits;    /* and their struct gate_row, in the same order */
    uint64_t halted;          /* struct post_trade_account of region post_trade; 0: there is none */
    uint64_t carried_words;   /* sorted words of the symbols held from earlier days, */
    uint64_t carried;         /* and their struct carried_position, in the same order */
    uint64_t carried_count;
    uint64_t reserved[4];
    struct gate_row limits;   /* what every admitted instrument starts with */
};
