/*
 * ring.h — a ring of cache-line aligned slots in shared memory.
 *
 *   [ region_header | geometry | producer line | reader line ][ slot 0 ][ slot 1 ] … [ slot depth-1 ]
 *
 * Slot `position & (depth - 1)` carries the record of `position` (0, 1, 2 …) and its own sequence word, which is
 * position + 1 once the record is whole. News and first payload bytes therefore cross in one cache line.
 *
 * Writers:  producer line and slots: the one producer.  reader line: the one reliable reader.  geometry: the creator.
 * Order:    producer: claimed = position + 1;  payload;  sequence = position + 1 (release).
 *           reader:   sequence == position + 1 (acquire);  payload;  cursor = position + 1 (release).
 *           observer: sequence == position + 1 (acquire);  copy;  acquire fence;  claimed <= position + depth, else the
 *                     copy may be torn and counts as overrun.
 * Lifetime: a slot belongs to the producer from the moment cursor > position (or at once, when nobody reads reliably).
 * Failure:  the producer may die at any instruction: the next one resumes at `claimed` when that slot's sequence says
 *           published and at `claimed - 1` otherwise. The reader may die at any instruction: the next one resumes at
 *           `cursor`, so a record that was read but not acknowledged is read again (at least once).
 */
enum { RING_WARM_BYTES_MAX = 512 }; /* of the next slot, taken by a producer that has nothing more for now */

struct ring_header {
    struct region_header region;

    uint32_t depth;      /* slots, a power of two */
    uint32_t slot_bytes; /* a multiple of 64, header included */
    uint64_t reserved_geometry[7];

    uint64_t claimed; /* producer: one past the position being written */
    uint64_t shed;    /* producer: records refused because the ring was full */
    uint64_t reserved_producer[6];

    uint64_t cursor;   /* reliable reader: one past the last acknowledged position */
    uint64_t reliable; /* 1 while the producer must not overtake `cursor`; 0: observers only */
    uint64_t reserved_reader[6];
};

/* What every slot begins with. */
struct ring_slot {
    uint64_t sequence; /* position + 1 */
    uint32_t size;     /* payload bytes behind the record's own header */
    uint16_t kind;     /* enum of the record */
    uint16_t flags;
};

/* Process-local handles, made by ring_attach_*; the hot path sees nothing else. */
struct ring_writer {
    uint64_t slots;  /* address of slot 0 */
    uint64_t header; /* address of struct ring_header */
    uint64_t mask;
    uint64_t slot_bytes;
    uint64_t depth;
    uint64_t position;      /* next to write */
    uint64_t cursor_cached; /* the reader's cursor when last looked at */
    uint64_t shed;
};

struct ring_reader {
    uint64_t slots;
    uint64_t header;
    uint64_t mask;
    uint64_t slot_bytes;
    uint64_t depth;
    uint64_t position; /* next to read */
    uint64_t reliable; /* 1: publishes its cursor; 0: observer */
    uint64_t missed;   /* observer: records overrun */
};
