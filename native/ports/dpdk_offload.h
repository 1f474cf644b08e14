/*
 * dpdk_offload.h ① — what a device takes off our hands: checksums in both directions, and the moment of arrival.
 *
 * Its hard rule: nothing is asked for that the device does not offer, and what it does not do is done in C or by core.
 */
#ifndef GATEWAY_PORT_DPDK_OFFLOAD_H
#define GATEWAY_PORT_DPDK_OFFLOAD_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "../clock.h"
#include "../port.h"
#include "../stamp.h"

enum dpdk_stamps { STAMPS_BURST, STAMPS_DEVICE };

struct dpdk_offload {
    uint64_t receive;  /* RTE_ETH_RX_OFFLOAD_… in force */
    uint64_t transmit; /* RTE_ETH_TX_OFFLOAD_… in force */
    enum dpdk_stamps stamps;
    int stamp_at;        /* where a buffer carries its stamp */
    uint64_t stamp_flag; /* and whether it does */
    struct stamp_clock clock;
};

/* Before the device is configured: takes of its offers what we use. `in_pieces`: frames may come in several buffers. */
void dpdk_offload_choose(struct dpdk_offload *offload, const struct rte_eth_dev_info *offers, int in_pieces);

/* Takes all of it back: the device does not keep what it offered. */
void dpdk_offload_forget(struct dpdk_offload *offload);

/* With the device running: learns its clock, where it stamps. It falls back to stamps of the burst where that fails. */
void dpdk_offload_learn_clock(struct dpdk_offload *offload, uint16_t ethernet, const struct clock_calibration *clock);

/* Compares the two clocks once more; a few register reads. */
void dpdk_offload_compare_clocks(struct dpdk_offload *offload, uint16_t ethernet, const struct clock_calibration *clock);

/* Has a checksum filled in that the kernel left open. 1: by the device, ask its `tx_prepare`; 0: it is done. */
int dpdk_offload_fill(const struct dpdk_offload *offload, struct rte_mbuf *buffer);

/* enum frame_flag of a received buffer. */
static inline uint16_t dpdk_offload_flags(uint64_t flags)
{
    uint64_t transport = flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    return transport == RTE_MBUF_F_RX_L4_CKSUM_NONE ? FRAME_CHECKSUM_UNREADY
           : transport == RTE_MBUF_F_RX_L4_CKSUM_GOOD ? FRAME_CHECKSUM_GOOD
                                                      : 0;
}

static inline int dpdk_offload_is_bad(uint64_t flags)
{
    return (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
           (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
}

/* When the frame met the wire, in our time; 0: io stamps the burst. */
static inline int64_t dpdk_offload_stamp(const struct dpdk_offload *offload, struct rte_mbuf *buffer, int64_t now_ns)
{
    if (!(buffer->ol_flags & offload->stamp_flag))
        return 0;
    return stamp_to_ns(&offload->clock, *RTE_MBUF_DYNFIELD(buffer, offload->stamp_at, uint64_t *), now_ns);
}

#endif
