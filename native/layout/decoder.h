/*
 * decoder.h — the contract of a protocol ④: int64 decode(struct decoder *) turns one packet into events.
 *
 * The corridor fills the packet's part and calls; decode writes at most EVENTS_MAX rows to `events` and returns how many.
 * When the packet holds more, it leaves `more` 1 and what it needs to go on in `cursor`, and is called again for the
 * same packet. Process-local, one per feed; `context` is the protocol's own table.
 */
struct decoder {
    uint64_t function;    /* C address of int64 decode(int64 decoder) */
    uint64_t context;     /* the protocol's own */
    uint64_t format;      /* struct packet_format, or 0 */
    uint64_t instruments; /* struct instrument_table: identifiers to rows; 0: the protocol numbers rows itself */
    uint64_t events;      /* struct event × EVENTS_MAX */
    uint64_t counters;    /* struct core_counters */

    /* the packet, its header included */
    uint64_t payload;
    uint32_t size;
    uint32_t skip;        /* messages at the front that were seen already */
    uint64_t sequence;    /* of the first message, or of the packet */
    int64_t time_receive_ns;
    uint32_t channel;     /* index of the channel it came on */
    uint32_t more;        /* 1: call again for the rest */
    uint64_t cursor;
    uint64_t reserved[4];
};
