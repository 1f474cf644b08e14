/*
 * frame.h — the record of io_core: one raw Ethernet frame with its stamps.
 *
 * Written by io ② in place, read by core ④. `size` bytes of frame follow the header; a frame longer than the slot is
 * counted by io and never enters.
 */
enum frame_flag {
    FRAME_CHECKSUM_UNREADY = 1, /* the kernel says the transport checksum is not filled in yet */
    FRAME_END_OF_INPUT = 2,     /* no frame: the port (a capture) has nothing more */
    FRAME_ORDER_REFUSED = 4,    /* no frame: struct order_refusal, an order that io did not transmit */
    FRAME_TIME = 8,             /* no frame: the port is quiet and its clock goes on; time enters core only by records */
    FRAME_MESSAGE = 16,         /* no frame: a message, or a part of one, of a session over TCP (WebSocket); whole and of
                                   size 0: a connection was opened, what the one before said is over */
    FRAME_MORE = 32,            /* the message goes on in the next slot */
    FRAME_CHECKSUM_GOOD = 64,   /* the device has verified the transport checksum */
    FRAME_REPORTS = 128,        /* no frame: a packet of the order session, numbered like one of MoldUDP64 */
    FRAME_SESSION = 256         /* no frame: struct session_news, the order session is up and all it missed lies before */
};

enum frame_constant {
    FRAME_PART_BYTES = 2080 /* parts of a message are cut at this size: what a slot of io_core holds */
};

enum refusal_reason {
    REFUSAL_KILL = 1,
    REFUSAL_EPOCH = 2,
    REFUSAL_LATE = 3, /* the frame that caused it is older than the limit */
    REFUSAL_PORT = 4, /* the port did not take it */
    REFUSAL_LOST = 5, /* it went down with its connection: the venue says that it never came */
    REFUSAL_NEVER_ARRIVED = 6, /* control found out that the venue does not know it */
    REFUSAL_UNKNOWN = 7,       /* no refusal: no answer in time, the order is UNKNOWN */
    REFUSAL_WORKING = 8        /* no refusal: control found out that the venue works it */
};

struct order_refusal {
    uint64_t reference;
    uint64_t reason; /* enum refusal_reason */
};

/* What a connection of the order session begins with, once everything before it has been said. */
struct session_news {
    uint64_t connection;            /* rises by one with every connection, from 1 */
    uint64_t next_reference;        /* the venue has seen every reference below, and none from here on */
    uint64_t reference_transmitted; /* highest reference of a new order that was handed to a connection before */
};

struct frame_slot {
    uint64_t sequence;
    uint32_t size;
    uint16_t port; /* index of the port that received it */
    uint16_t flags; /* enum frame_flag */
    int64_t time_receive_ns; /* the port's own clock: real time, or the capture's */
    int64_t ticks_receive;   /* TSC when io saw it */
};
