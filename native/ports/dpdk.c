/*
 * dpdk.c ① — any Ethernet device that DPDK drives, polled. Its parts: dpdk_argument (what is asked for), dpdk_name (is
 * the device there), dpdk_eal (the library), dpdk_state (all of it set up), dpdk_device (start, link, stop), dpdk_queue,
 * dpdk_steering, dpdk_offload.
 *
 *   dpdk:0000:3b:00.0[,KEY=VALUE…]          a PCI device, bound to vfio-pci
 *   dpdk:net_memif0,role=client,…           a virtual device; keys that are not ours go to its driver
 *
 * Its hard rule: every buffer taken from the pool goes back to it; frames are read in place until `release`.
 */
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <string.h>

#include "dpdk_state.h"

enum {
    TRANSMIT_ATTEMPTS = 16, /* a full queue is asked again so many times, then the frame is refused */
    WATCH_MS = 100          /* between two looks at link, clock and pool */
};

static void dpdk_release(struct port *port)
{
    struct dpdk_state *state = port->state;
    rte_pktmbuf_free_bulk(state->held, state->held_count);
    state->held_count = 0;
}

/* A frame in several pieces is copied together; one that is longer than any device's is left cut, and counted as that. */
static void gather(struct rte_mbuf *buffer, uint8_t *whole, struct port_frame *frame)
{
    if (frame->size_wire > DPDK_WHOLE_BYTES)
        return;
    frame->data = rte_pktmbuf_read(buffer, 0, frame->size_wire, whole);
    frame->size = frame->size_wire;
}

/* Some drivers (net_af_packet) strip the 802.1Q tag without being asked: it goes back in front of the payload. */
static void fill_frame(struct dpdk_state *state, uint16_t index, struct port_frame *frame, int64_t now_ns)
{
    struct rte_mbuf **buffer = &state->held[index];
    uint64_t flags = (*buffer)->ol_flags;
    if (flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
        rte_vlan_insert(buffer);
    frame->data = rte_pktmbuf_mtod(*buffer, const uint8_t *);
    frame->size = rte_pktmbuf_data_len(*buffer);
    frame->size_wire = rte_pktmbuf_pkt_len(*buffer);
    frame->time_ns = now_ns ? dpdk_offload_stamp(&state->offload, *buffer, now_ns) : 0;
    frame->flags = dpdk_offload_flags(flags);
    if (frame->size < frame->size_wire)
        gather(*buffer, state->whole + (size_t)index * DPDK_WHOLE_BYTES, frame);
    state->statistics.checksum_bad += (uint64_t)dpdk_offload_is_bad(flags);
}

static int dpdk_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct dpdk_state *state = port->state;
    uint16_t room = (uint16_t)(limit < PORT_BURST_MAX ? limit : PORT_BURST_MAX);
    dpdk_release(port);
    if (dpdk_device_runs(&state->device))
        state->held_count = dpdk_queues_receive(&state->queues, state->held, room);
    if (state->held_count == 0) {
        dpdk_device_look(&state->device);
        return 0;
    }
    int64_t now_ns = state->offload.stamps == STAMPS_DEVICE ? clock_now_ns(port->clock) : 0;
    for (uint16_t index = 0; index < state->held_count; index++)
        fill_frame(state, index, &frames[index], now_ns);
    state->statistics.frames_received += state->held_count;
    return state->held_count;
}

/* Copies up to one burst into buffers. Fewer where the pool is empty or a frame is longer than a buffer. */
static uint16_t copy_burst(struct dpdk_state *state, const struct port_frame *frames, int count,
                           struct rte_mbuf **buffers)
{
    uint16_t copied = 0;
    int by_device = 0;
    for (; copied < count && copied < PORT_BURST_MAX && frames[copied].size <= UINT16_MAX; copied++) {
        struct rte_mbuf *buffer = rte_pktmbuf_alloc(state->queues.pool);
        char *room = buffer ? rte_pktmbuf_append(buffer, (uint16_t)frames[copied].size) : NULL;
        if (room == NULL) {
            rte_pktmbuf_free(buffer);
            break;
        }
        memcpy(room, frames[copied].data, frames[copied].size);
        if (frames[copied].flags & FRAME_CHECKSUM_UNREADY)
            by_device |= dpdk_offload_fill(&state->offload, buffer);
        buffers[copied] = buffer;
    }
    if (by_device) {
        uint16_t ready = rte_eth_tx_prepare(state->device.ethernet, 0, buffers, copied);
        rte_pktmbuf_free_bulk(buffers + ready, copied - ready); /* the driver refuses the first of them */
        copied = ready;
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
        if (sent < copied) {
            state->statistics.transmit_retries++;
            rte_pause();
        }
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

/* What takes a few register reads, or a look into every cache of the pool. */
static void watch(struct port *port)
{
    struct dpdk_state *state = port->state;
    int64_t ticks = clock_ticks();
    if (ticks < state->ticks_next_watch)
        return;
    state->ticks_next_watch = ticks + (int64_t)(port->clock->ticks_per_second / 1000 * WATCH_MS);
    dpdk_device_watch_link(&state->device);
    dpdk_offload_compare_clocks(&state->offload, state->device.ethernet, port->clock);
    state->statistics.buffers_lost = dpdk_queues_lost(&state->queues, state->held_count);
}

static void dpdk_statistics(struct port *port, struct port_statistics *statistics)
{
    struct dpdk_state *state = port->state;
    struct rte_eth_stats device;
    if (rte_eth_stats_get(state->device.ethernet, &device) == 0) {
        state->statistics.receive_dropped = device.imissed + device.rx_nombuf;
        state->statistics.receive_no_buffer = device.rx_nombuf;
        state->statistics.receive_errors = device.ierrors;
    }
    watch(port);
    *statistics = state->statistics;
    statistics->link_state = state->device.link_state;
    statistics->link_flaps = state->device.link_flaps;
}

static void dpdk_follow(struct port *port, const uint64_t *destinations, int count)
{
    struct dpdk_state *state = port->state;
    dpdk_steering_follow(&state->steering, destinations, count);
    state->queues.steered = state->steering.way == WAY_RULES;
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
    struct dpdk_state *state = port->state;
    struct port_frame frames[PORT_BURST_MAX];
    state->device.waits_for_peer = 0;
    for (int burst = 0; burst < DPDK_DESCRIPTORS_MAX / PORT_BURST_MAX; burst++)
        if (dpdk_receive(port, frames, PORT_BURST_MAX) == 0)
            return;
    dpdk_release(port);
}

static void dpdk_close(struct port *port)
{
    drain(port);
    dpdk_take_down(port);
}

const struct port_operations port_dpdk = {
    .kind = "dpdk",
    .usage = "PCI_ADDRESS|net_DRIVER[,queues=N][,huge=no][,memory=MIB][,descriptors=N][,mtu=BYTES][,promiscuous=auto|yes|no]"
             "[,eal=ARG;ARG][,DRIVER_KEY=VALUE…]",
    .open = dpdk_set_up,
    .receive = dpdk_receive,
    .release = dpdk_release,
    .transmit = dpdk_transmit,
    .statistics = dpdk_statistics,
    .close = dpdk_close,
    .hardware_address = dpdk_hardware_address,
    .describe = dpdk_describe,
    .follow = dpdk_follow,
    .check = dpdk_check,
};
