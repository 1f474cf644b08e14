/*
 * dpdk_queue.h ① — the queues of a device and the buffers that travel through them.
 *
 *   queue 0 ─┐                     plain: each turn begins with another queue
 *   queue 1 ─┼─► one burst         steered: queue 0 holds what core follows and goes first; the others take what room is
 *   queue n ─┘                     left, and one turn in eight begins with them
 *
 * Its hard rule: every queue that receives is polled, and the frames of one queue stay in order.
 */
#ifndef GATEWAY_PORT_DPDK_QUEUE_H
#define GATEWAY_PORT_DPDK_QUEUE_H

#include <rte_ethdev.h>

#include "dpdk_argument.h"

struct dpdk_queues {
    uint16_t ethernet;
    uint16_t count; /* to receive from; as many transmit, and we use the first */
    uint16_t receive_descriptors, transmit_descriptors;
    uint16_t next;    /* where the next turn begins */
    uint16_t steered; /* 1: queue 0 goes first */
    uint32_t kept_by_driver; /* buffers that a driver may hold beside its descriptors */
    struct rte_mempool *pool;
    uint64_t frames[DPDK_QUEUES_MAX];
};

/* Buffers and queues of a device that is configured. 0, or a negative errno and `what` failed. */
int dpdk_queues_set_up(struct dpdk_queues *queues, uint32_t frame_bytes, const char **what);

/* Up to `room` buffers of all queues, as drawn above. */
uint16_t dpdk_queues_receive(struct dpdk_queues *queues, struct rte_mbuf **buffers, uint16_t room);

/* Buffers in use that no queue and not the caller, who has `held` of them, accounts for. */
uint64_t dpdk_queues_lost(const struct dpdk_queues *queues, uint16_t held);

/* Gives the pool back once the device is closed. Buffers that did not return: their pool stays, so that nothing dangles. */
uint64_t dpdk_queues_tear_down(struct dpdk_queues *queues);

#endif
