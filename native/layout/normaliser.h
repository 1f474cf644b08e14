/*
 * normaliser.h — what a generated normaliser ④ keeps while it turns one packet into events. Process-local, one per feed.
 *
 * `events` to `time_receive_ns` are copies from struct decoder, made when a packet begins. `body` to `done` say where to go
 * on when the events of a packet did not fit: `at` is the message to read again and `done` how many of its events are out.
 */
struct normaliser {
    uint64_t events;
    uint64_t counters;
    uint64_t instruments;
    int64_t time_receive_ns;
    uint64_t written;  /* events of this call */
    uint64_t skip;     /* events of this message that the last call wrote */
    uint64_t sequence; /* of this message */
    uint64_t next;     /* first byte behind this message, as its groups and data say */
    uint64_t body;     /* first message of the packet, unpacked */
    uint64_t end;
    uint64_t at;
    uint64_t number;   /* of the message at `at`, from 0 */
    uint64_t done;
    uint64_t message_type;
    uint64_t unpacked; /* scratch of PACKET_UNPACKED_MAX bytes */
    uint64_t reserved;
};
