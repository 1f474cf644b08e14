/*
 * dpdk_state.h ① — one open dpdk port: its parts, set up in order and taken down in the reverse one.
 *
 *   argument ─► name ─► claim ─► EAL, probe ─► configure ─► buffers, queues ─► start ─► clock
 *
 * Its hard rule: wherever that breaks off, what came before is given back, and the error is one line.
 */
#ifndef GATEWAY_PORT_DPDK_STATE_H
#define GATEWAY_PORT_DPDK_STATE_H

#include "../port.h"
#include "dpdk_device.h"
#include "dpdk_offload.h"
#include "dpdk_queue.h"

enum { DPDK_WHOLE_BYTES = 9728 /* of a frame that came in pieces */ };

struct dpdk_state {
    struct dpdk_queues queues;
    struct dpdk_device device;
    struct dpdk_steering steering;
    struct dpdk_offload offload;
    int probed; /* the device exists */
    int claim;  /* see dpdk_name.h; -1: none */
    int64_t ticks_next_watch;
    char driver[32];
    uint16_t held_count;
    struct rte_mbuf *held[PORT_BURST_MAX]; /* frames of the last `receive` */
    uint8_t *whole;                        /* DPDK_WHOLE_BYTES for each of them */
    struct port_statistics statistics;
};

/* What can be said against the argument before EAL starts: 0, or enum port_outcome with one line in `error`. */
int dpdk_check(const char *text, char *error);

/* Fills `port->state`. 0, or enum port_outcome with one line in `error`. */
int dpdk_set_up(struct port *port, const char *text, char *error);

/* Closes the device and gives everything back; counts in the port what did not come. */
void dpdk_take_down(struct port *port);

/* How it was set up, as KEY=VALUE words. */
void dpdk_describe(struct port *port, char *text);

#endif
