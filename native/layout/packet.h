/*
 * packet.h — how the packets of a feed are numbered: read by arbitration between ④ and ⑤. Process-local, one per feed.
 *
 * Filled once from the feed's definition; every field says where a number stands in the packet header.
 */
struct packet_field {
    uint16_t offset; /* from the first byte of the packet */
    uint8_t bytes;   /* 1, 2, 4 or 8; 0: the packet has no such field */
    uint8_t big_endian;
    uint32_t reserved;
};

struct packet_format {
    struct packet_field sequence;
    struct packet_field count;         /* messages in the packet; none: one, or as many as fit */
    struct packet_field session_first; /* name of the session, up to eight bytes each; none: one endless session */
    struct packet_field session_last;
    struct packet_field time;          /* the venue's sending time: only compared with itself */
    struct packet_field type;          /* packet type, at most one byte is looked at */
    struct packet_field header_length; /* bytes of the header as the packet itself states them */
    uint32_t header_bytes;             /* of the fixed header; a packet is never shorter */
    uint32_t sequence_counts_messages; /* 1: the next sequence is this one plus count; 0: plus one */
    uint32_t zero_unsequenced;         /* 1: sequence 0 says that the packet has none */
    uint32_t count_end;                /* this count ends the session; 0: no such mark */
    uint64_t silent_types[4];          /* bit per packet type that carries no messages and takes no sequence */
    uint64_t time_margin;              /* in units of `time`: how far two lines differ; 0: the field counts nanoseconds */
};
