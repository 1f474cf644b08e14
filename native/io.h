/*
 * io.h ②⑧ — the stage that owns the port: frames in, orders out.
 */
#ifndef GATEWAY_IO_H
#define GATEWAY_IO_H

#include "exception.h"
#include "port.h"

/* cdef: begin */
enum io_limit { IO_PORTS_MAX = 2, IO_ORDER_RINGS_MAX = 2, IO_ORDERS_PER_TURN = 32, IO_TRANSMIT_NS = 1000000000 };

struct io {
    struct port ports[2];                 /* orders leave through the first */
    uint32_t port_count;
    uint32_t order_ring_count;
    struct ring_writer frames;            /* io_core */
    struct ring_reader orders[2];         /* core_io, control_io */
    struct ring_writer notes;             /* io_recorder; its header 0: the instance has none */
    struct control_block *control;
    struct counters *counters;
    int64_t order_age_max_ns;             /* 0: no limit */
    uint32_t burst;                       /* frames taken from a port in one turn, 1 to PORT_BURST_MAX */
    uint32_t reserved;
    uint32_t ended[2];                    /* the port will never deliver again */
    uint32_t end_published;
    int64_t transmit_since;               /* ticks since which the port refuses a ring's first frame; 0: it does not */
    int64_t time_published_ticks;         /* when core last heard from us */
    int64_t time_interval_ticks;          /* how long it may hear nothing while the port is quiet; 0: for ever */
    struct exception *exception;          /* beside the first port; NULL: every frame is core's */
};

/* One turn: the waiting orders, a burst from each port, then the kernel's frames. Negative once every port has ended
   and no order waits. */
int64_t io_step(void *context);
/* Copies the ports' own drop counts out; the loop's housekeeping calls it. */
void io_housekeep(void *context);
/* The address Python hands to the loop. */
uintptr_t io_step_address(void);
uintptr_t io_housekeep_address(void);
/* cdef: end */

#endif
