/* dpdk_queue.c ① — see dpdk_queue.h. */
#include "dpdk_queue.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <stdio.h>

#include "../port.h"

enum {
    OTHERS_FIRST_TURNS = 8 /* one turn in so many, so that the kernel's frames are not shut out by a burst of ours */
};

/* Buffers for all rings, for one burst in our hands each way, and for what a driver keeps back. */
static struct rte_mempool *make_pool(const struct dpdk_queues *queues, uint32_t frame_bytes)
{
    static unsigned pools; /* a name is never used twice, in case a driver keeps an old pool alive */
    char name[RTE_MEMPOOL_NAMESIZE];
    uint32_t bytes = RTE_MAX((uint32_t)RTE_MBUF_DEFAULT_BUF_SIZE, RTE_ALIGN(frame_bytes, 64u) + RTE_PKTMBUF_HEADROOM);
    unsigned count = queues->count * ((unsigned)queues->receive_descriptors + queues->transmit_descriptors);
    snprintf(name, sizeof name, "gateway_%u", pools++);
    return rte_pktmbuf_pool_create(name, count + 8 * PORT_BURST_MAX, PORT_BURST_MAX, 0, (uint16_t)bytes,
                                   rte_eth_dev_socket_id(queues->ethernet));
}

int dpdk_queues_set_up(struct dpdk_queues *queues, uint32_t frame_bytes, const char **what)
{
    int node = rte_eth_dev_socket_id(queues->ethernet), outcome = 0;
    *what = "no memory for packet buffers; raise memory=";
    queues->pool = make_pool(queues, frame_bytes);
    if (queues->pool == NULL)
        return -rte_errno;
    *what = "the device takes no such queues; lower queues= or descriptors=";
    for (uint16_t queue = 0; queue < queues->count && outcome == 0; queue++)
        outcome = rte_eth_rx_queue_setup(queues->ethernet, queue, queues->receive_descriptors, (unsigned)node, NULL,
                                         queues->pool);
    for (uint16_t queue = 0; queue < queues->count && outcome == 0; queue++)
        outcome = rte_eth_tx_queue_setup(queues->ethernet, queue, queues->transmit_descriptors, (unsigned)node, NULL);
    return outcome;
}

static uint16_t poll_one(struct dpdk_queues *queues, uint16_t queue, struct rte_mbuf **buffers, uint16_t room)
{
    uint16_t count = rte_eth_rx_burst(queues->ethernet, queue, buffers, room);
    queues->frames[queue] += count;
    return count;
}

/* Every queue from `first` on, round to the one before it, as long as there is room. */
static uint16_t poll_round(struct dpdk_queues *queues, uint16_t first, struct rte_mbuf **buffers, uint16_t room)
{
    uint16_t received = 0;
    for (uint16_t step = 0, queue = first; step < queues->count && received < room; step++) {
        received += poll_one(queues, queue, buffers + received, room - received);
        queue = queue + 1 == queues->count ? 0 : queue + 1;
    }
    return received;
}

uint16_t dpdk_queues_receive(struct dpdk_queues *queues, struct rte_mbuf **buffers, uint16_t room)
{
    if (queues->count == 1)
        return poll_one(queues, 0, buffers, room);
    if (queues->steered) {
        queues->next = (uint16_t)((queues->next + 1) % OTHERS_FIRST_TURNS);
        return poll_round(queues, queues->next == 0, buffers, room);
    }
    queues->next = queues->next + 1 >= queues->count ? 0 : queues->next + 1;
    return poll_round(queues, queues->next, buffers, room);
}

uint64_t dpdk_queues_lost(const struct dpdk_queues *queues, uint16_t held)
{
    if (queues->pool == NULL)
        return 0;
    uint64_t in_use = rte_mempool_in_use_count(queues->pool);
    uint64_t known = (uint64_t)queues->count * (queues->receive_descriptors + queues->transmit_descriptors);
    known += held + queues->kept_by_driver;
    return in_use > known ? in_use - known : 0;
}

uint64_t dpdk_queues_tear_down(struct dpdk_queues *queues)
{
    uint64_t lost = queues->pool ? rte_mempool_in_use_count(queues->pool) : 0;
    if (queues->pool && lost == 0)
        rte_mempool_free(queues->pool);
    queues->pool = NULL;
    return lost;
}
