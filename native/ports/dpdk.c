/*
 * dpdk.c ① — any Ethernet device that DPDK drives: one receive queue, one transmit queue, polled.
 *
 *   dpdk:0000:3b:00.0[,KEY=VALUE…]          a PCI device, bound to vfio-pci
 *   dpdk:net_memif0,role=client,…           a virtual device; keys that are not ours go to its driver
 *
 * Our keys: huge=yes|no, memory=MIB (without huge pages), descriptors=N (per queue), eal=ARG;ARG.
 * Its hard rule: every buffer taken from the pool goes back to it; frames are read in place until `release`.
 */
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../port.h"
#include "dpdk_argument.h"
#include "dpdk_device.h"

enum {
    TRANSMIT_ATTEMPTS = 16 /* a full queue is asked again so many times, then the frame is refused */
};

struct dpdk_state {
    struct rte_mempool *pool;
    struct dpdk_device device;
    int probed; /* the device exists */
    uint16_t held_count;
    struct rte_mbuf *held[PORT_BURST_MAX]; /* frames of the last `receive` */
    struct port_statistics statistics;
};

static int refuse(char *error, const struct dpdk_argument *argument, const char *what, int number)
{
    const char *log = eal_first_log();
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %s: %.120s", (int)RTE_MIN(strcspn(argument->device, ","), 40u),
             argument->device, what, log[0] ? log : rte_strerror(number < 0 ? -number : number));
    return PORT_INCAPABLE;
}

/* Buffers for both rings, for one burst in our hands each way, and for what a driver keeps back. */
static struct rte_mempool *make_pool(const struct dpdk_state *state, uint16_t receive, uint16_t transmit)
{
    static unsigned pools; /* a name is never used twice, in case a driver keeps an old pool alive */
    char name[RTE_MEMPOOL_NAMESIZE];
    int node = rte_eth_dev_socket_id(state->device.ethernet);
    snprintf(name, sizeof name, "gateway_%u", pools++);
    return rte_pktmbuf_pool_create(name, (unsigned)receive + transmit + 8 * PORT_BURST_MAX, PORT_BURST_MAX, 0,
                                   RTE_MBUF_DEFAULT_BUF_SIZE, node);
}

static int prepare(struct dpdk_state *state, const struct dpdk_argument *argument, char *error)
{
    struct rte_eth_conf configuration = {0};
    uint16_t receive = argument->descriptors, transmit = argument->descriptors;
    int outcome = rte_eth_dev_configure(state->device.ethernet, 1, 1, &configuration);
    if (outcome == 0)
        outcome = rte_eth_dev_adjust_nb_rx_tx_desc(state->device.ethernet, &receive, &transmit);
    if (outcome != 0)
        return refuse(error, argument, "the device cannot be configured", outcome);
    state->pool = make_pool(state, receive, transmit);
    if (state->pool == NULL)
        return refuse(error, argument, "no memory for packet buffers; raise memory=", rte_errno);
    int node = rte_eth_dev_socket_id(state->device.ethernet);
    outcome = rte_eth_rx_queue_setup(state->device.ethernet, 0, receive, (unsigned)node, NULL, state->pool);
    if (outcome == 0)
        outcome = rte_eth_tx_queue_setup(state->device.ethernet, 0, transmit, (unsigned)node, NULL);
    if (outcome == 0)
        outcome = dpdk_device_start(&state->device);
    return outcome == 0 ? 0 : refuse(error, argument, "the device does not start", outcome);
}

static void dpdk_release(struct port *port)
{
    struct dpdk_state *state = port->state;
    rte_pktmbuf_free_bulk(state->held, state->held_count);
    state->held_count = 0;
}

/* Some drivers (net_af_packet) strip the 802.1Q tag without being asked: it goes back in front of the payload. */
static void fill_frame(struct rte_mbuf **buffer, struct port_frame *frame)
{
    if ((*buffer)->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
        rte_vlan_insert(buffer);
    frame->data = rte_pktmbuf_mtod(*buffer, const uint8_t *);
    frame->size = rte_pktmbuf_data_len(*buffer);
    frame->size_wire = rte_pktmbuf_pkt_len(*buffer);
    frame->time_ns = 0;
    frame->flags = ((*buffer)->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE
                       ? FRAME_CHECKSUM_UNREADY
                       : 0;
}

static int dpdk_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct dpdk_state *state = port->state;
    uint16_t room = (uint16_t)(limit < PORT_BURST_MAX ? limit : PORT_BURST_MAX);
    dpdk_release(port);
    if (dpdk_device_runs(&state->device))
        state->held_count = rte_eth_rx_burst(state->device.ethernet, 0, state->held, room);
    for (uint16_t index = 0; index < state->held_count; index++)
        fill_frame(&state->held[index], &frames[index]);
    if (state->held_count == 0)
        dpdk_device_look(&state->device);
    state->statistics.frames_received += state->held_count;
    return state->held_count;
}

/* Copies up to one burst into buffers. Fewer where the pool is empty or a frame is longer than a buffer. */
static uint16_t copy_burst(struct dpdk_state *state, const struct port_frame *frames, int count,
                           struct rte_mbuf **buffers)
{
    uint16_t copied = 0;
    for (; copied < count && copied < PORT_BURST_MAX && frames[copied].size <= UINT16_MAX; copied++) {
        struct rte_mbuf *buffer = rte_pktmbuf_alloc(state->pool);
        char *room = buffer ? rte_pktmbuf_append(buffer, (uint16_t)frames[copied].size) : NULL;
        if (room == NULL) {
            rte_pktmbuf_free(buffer);
            break;
        }
        memcpy(room, frames[copied].data, frames[copied].size);
        buffers[copied] = buffer;
    }
    return copied;
}

static int transmit_burst(struct dpdk_state *state, const struct port_frame *frames, int count)
{
    struct rte_mbuf *buffers[PORT_BURST_MAX];
    uint16_t copied = copy_burst(state, frames, count, buffers), sent = 0;
    for (int attempt = 0; sent < copied && attempt < TRANSMIT_ATTEMPTS; attempt++) {
        uint16_t step = rte_eth_tx_burst(state->device.ethernet, 0, buffers + sent, copied - sent);
        sent += step;
        if (step == 0)
            rte_pause();
    }
    rte_pktmbuf_free_bulk(buffers + sent, copied - sent);
    return sent;
}

static int dpdk_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct dpdk_state *state = port->state;
    int sent = 0;
    for (int step = dpdk_device_runs(&state->device); sent < count && step > 0; sent += step)
        step = transmit_burst(state, frames + sent, count - sent);
    state->statistics.frames_transmitted += (uint64_t)sent;
    state->statistics.transmit_refused += (uint64_t)(count - sent);
    return sent;
}

static void dpdk_statistics(struct port *port, struct port_statistics *statistics)
{
    struct dpdk_state *state = port->state;
    struct rte_eth_stats device;
    if (rte_eth_stats_get(state->device.ethernet, &device) == 0) {
        state->statistics.receive_dropped = device.imissed + device.rx_nombuf;
        state->statistics.receive_errors = device.ierrors;
    }
    *statistics = state->statistics;
}

static int dpdk_hardware_address(struct port *port, uint8_t *address)
{
    struct rte_ether_addr own;
    struct dpdk_state *state = port->state;
    if (rte_eth_macaddr_get(state->device.ethernet, &own) != 0 || rte_is_zero_ether_addr(&own))
        return -1;
    memcpy(address, own.addr_bytes, sizeof own.addr_bytes);
    return 0;
}

/* Takes what still waits inside the device: net_ring would forget these buffers. Bounded, for some never run dry. */
static void drain(struct port *port)
{
    struct port_frame frames[PORT_BURST_MAX];
    for (int burst = 0; burst < DPDK_DESCRIPTORS_MAX / PORT_BURST_MAX; burst++)
        if (dpdk_receive(port, frames, PORT_BURST_MAX) == 0)
            return;
    dpdk_release(port);
}

static void dpdk_close(struct port *port)
{
    struct dpdk_state *state = port->state;
    state->device.waits_for_peer = 0;
    drain(port);
    if (state->probed)
        dpdk_device_close(&state->device);
    if (state->pool && rte_mempool_in_use_count(state->pool) == 0)
        rte_mempool_free(state->pool); /* else a driver kept a buffer: its pool stays, so that nothing dangles */
    free(state);
    port->state = NULL;
}

static int dpdk_open(struct port *port, const char *text, char *error)
{
    struct dpdk_argument argument;
    int outcome = dpdk_argument_read(text, &argument, error);
    if (outcome != 0)
        return outcome;
    struct dpdk_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        snprintf(error, PORT_ERROR_BYTES, "port dpdk: out of memory");
        return PORT_REFUSED;
    }
    port->state = state;
    state->device.is_memif = argument.is_memif;
    state->device.waits_for_peer = argument.waits_for_peer;
    outcome = eal_probe(&argument.choice, &state->device.ethernet, error);
    state->probed = outcome == 0;
    if (outcome == 0)
        outcome = prepare(state, &argument, error);
    if (outcome != 0)
        dpdk_close(port);
    return outcome;
}

const struct port_operations port_dpdk = {
    .kind = "dpdk",
    .usage = "PCI_ADDRESS|net_DRIVER[,huge=no][,memory=MIB][,descriptors=N][,eal=ARG;ARG][,DRIVER_KEY=VALUE…]",
    .open = dpdk_open,
    .receive = dpdk_receive,
    .release = dpdk_release,
    .transmit = dpdk_transmit,
    .statistics = dpdk_statistics,
    .close = dpdk_close,
    .hardware_address = dpdk_hardware_address,
};
