/*
 * port.h ① — the contract of a port. Replay, TAP, AF_PACKET, shared-memory pair and DPDK are the same thing behind it,
 * and nothing after it knows which one it is.
 *
 * A port is opened, polled and closed by one thread. `receive` fills up to `limit` frames that stay valid until `release`;
 * `transmit` copies before it returns. Neither blocks. Nothing is allocated after `open`.
 */
#ifndef GATEWAY_PORT_H
#define GATEWAY_PORT_H

#include "layout.h"

/* cdef: begin */
#define PORT_ERROR_BYTES 256
#define PORT_BURST_MAX 64
#define PORT_TEXT_BYTES 256

/* What `open` returns beside 0. */
enum port_outcome {
    PORT_REFUSED = -1,   /* the file is off, or somebody else has what is named */
    PORT_INCAPABLE = -2, /* the host lacks a privilege, a device or a library */
    PORT_MISNAMED = -3   /* the name is off, wherever it stands: a kind, a key or a value that there is not */
};

/* What is known of the wire behind a port. */
enum port_link { PORT_LINK_UNKNOWN = 0, PORT_LINK_UP = 1, PORT_LINK_DOWN = 2 };

struct port_frame {
    const uint8_t *data;
    uint32_t size;          /* bytes at `data` */
    uint32_t size_wire;     /* bytes on the wire; larger than `size`: the port cut the frame */
    int64_t time_ns;        /* hardware or capture time; 0: io stamps it */
    uint16_t flags;         /* enum frame_flag */
};

struct port_statistics {
    uint64_t frames_received;
    uint64_t frames_transmitted;
    uint64_t receive_dropped; /* lost before `receive` could see them */
    uint64_t receive_errors;
    uint64_t transmit_refused;
    uint64_t receive_no_buffer; /* of receive_dropped: no buffer was free */
    uint64_t checksum_bad;      /* the device says so; delivered all the same, core judges and counts why */
    uint64_t transmit_retries;  /* times a full queue was asked again */
    uint64_t link_state;        /* enum port_link */
    uint64_t link_flaps;        /* times it went down */
    uint64_t buffers_lost;      /* in use, and neither a queue's nor ours */
};

struct port;

struct port_operations {
    const char *kind;
    const char *usage; /* what follows the colon, for error messages */
    int patient;       /* 1: input waits while nobody reads (a capture); 0: input is lost (a NIC) */

    /* 0, or enum port_outcome with one line in `error` that says the mend. */
    int (*open)(struct port *port, const char *argument, char *error);
    /* Frames filled (0: nothing now), or -1: nothing will ever come again (end of a capture). */
    int (*receive)(struct port *port, struct port_frame *frames, int limit);
    /* Gives the frames of the last `receive` back. */
    void (*release)(struct port *port);
    /* Frames taken, in order; fewer than `count` when the port is full. */
    int (*transmit)(struct port *port, const struct port_frame *frames, int count);
    void (*statistics)(struct port *port, struct port_statistics *statistics);
    void (*close)(struct port *port);
    /* The six bytes of the device's own hardware address: 0. NULL, or -1: it has none that we should use. */
    int (*hardware_address)(struct port *port, uint8_t *address);
    /* How the port was set up, as KEY=VALUE words (PORT_TEXT_BYTES). NULL: there is nothing to choose. */
    void (*describe)(struct port *port, char *text);
    /* What can be said against an argument before anything is opened: 0, or enum port_outcome. NULL: nothing. */
    int (*check)(const char *argument, char *error);
    /* What core follows, each address << 16 | UDP port: the device may sort by it. NULL: it cannot. */
    void (*follow)(struct port *port, const uint64_t *destinations, int count);
};

struct port {
    const struct port_operations *operations;
    void *state;           /* the port's own */
    const struct clock_calibration *clock;
    int64_t time_ns;       /* the port's clock when it is not real time (a capture): time of the last frame; else 0 */
    uint64_t buffers_lost; /* at `close`: never came back */
};

/* `name` is "kind:argument". Returns 0, or enum port_outcome with one line in `error` (PORT_ERROR_BYTES). */
int port_open(struct port *port, const char *name, const struct clock_calibration *clock, char *error);
/* The same without opening anything, as far as that can tell. Nobody waits for kernels to learn of a typing error. */
int port_check(const char *name, char *error);
void port_close(struct port *port);
/* The hardware address of the device behind an open port: 0, or -1 where none is known. */
int port_hardware_address(struct port *port, uint8_t *address);
/* Fills `text` (PORT_TEXT_BYTES); empty where the port has nothing to say. */
void port_describe(struct port *port, char *text);
/* Tells an open port which destinations are core's, each address (host order) << 16 | UDP port. */
void port_follow(struct port *port, const uint64_t *destinations, int count);
/* Kinds compiled in, separated by spaces. */
const char *port_kinds(void);
/* cdef: end */

#endif
