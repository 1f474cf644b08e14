/*
 * message.h — a message of a TCP session (WebSocket) that came in several slots, put together again. Process-local to core.
 */
enum message_state {
    MESSAGE_WHOLE = 0, /* the next part begins a message */
    MESSAGE_OPEN = 1,
    MESSAGE_OVERRUN = 2 /* longer than the buffer: the rest of it is passed over */
};

struct message_buffer {
    uint64_t bytes;    /* address of `capacity` bytes */
    uint64_t capacity;
    uint64_t size;     /* bytes so far */
    uint32_t state;    /* enum message_state */
    uint32_t reserved;
};
