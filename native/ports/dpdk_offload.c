/* dpdk_offload.c ① — see dpdk_offload.h. Source: DPDK 22.11 programmer's guide, "Mbuf Library: Meta Information". */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_read_clock: the one way to a device's clock that reads no registers of ours */
#include "dpdk_offload.h"

#include <rte_mbuf_dyn.h>
#include <rte_net.h>
#include <unistd.h>

#include "../checksum.h"

enum { READINGS = 4, READING_APART_US = 4000 };

static const uint64_t checksums_in =
    RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
static const uint64_t checksums_out = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;

void dpdk_offload_choose(struct dpdk_offload *offload, const struct rte_eth_dev_info *offers, int in_pieces)
{
    uint64_t pieces = in_pieces ? RTE_ETH_RX_OFFLOAD_SCATTER : 0;
    offload->receive = offers->rx_offload_capa & (checksums_in | RTE_ETH_RX_OFFLOAD_TIMESTAMP | pieces);
    offload->transmit = offers->tx_offload_capa & checksums_out;
    if (offload->transmit != checksums_out)
        offload->transmit = 0;
    if (!(offload->receive & RTE_ETH_RX_OFFLOAD_TIMESTAMP))
        return;
    if (rte_mbuf_dyn_rx_timestamp_register(&offload->stamp_at, &offload->stamp_flag) == 0)
        offload->stamps = STAMPS_DEVICE;
    else
        offload->receive &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_TIMESTAMP;
}

void dpdk_offload_forget(struct dpdk_offload *offload)
{
    *offload = (struct dpdk_offload){.stamps = STAMPS_BURST};
}

/* The clock that stamps: its raw count, or the time of IEEE 1588 where a driver stamps with that. */
static int read_card(uint16_t ethernet, uint64_t *card)
{
    struct timespec time;
    if (rte_eth_read_clock(ethernet, card) == 0)
        return 0;
    if (rte_eth_timesync_read_time(ethernet, &time) != 0)
        return -1;
    *card = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    return 0;
}

void dpdk_offload_compare_clocks(struct dpdk_offload *offload, uint16_t ethernet, const struct clock_calibration *clock)
{
    uint64_t card = 0;
    if (offload->stamps != STAMPS_DEVICE)
        return;
    int64_t before = clock_ticks();
    int outcome = read_card(ethernet, &card);
    int64_t after = clock_ticks();
    if (outcome == 0)
        stamp_observe(&offload->clock, card, clock_ticks_to_ns(clock, before + (after - before) / 2));
}

void dpdk_offload_learn_clock(struct dpdk_offload *offload, uint16_t ethernet, const struct clock_calibration *clock)
{
    for (int reading = 0; reading < READINGS && offload->stamps == STAMPS_DEVICE; reading++) {
        dpdk_offload_compare_clocks(offload, ethernet, clock);
        usleep(READING_APART_US);
    }
    if (offload->clock.multiplier == 0) {
        offload->stamps = STAMPS_BURST;
        offload->stamp_flag = 0;
    }
}

int dpdk_offload_fill(const struct dpdk_offload *offload, struct rte_mbuf *buffer)
{
    struct rte_net_hdr_lens lengths;
    uint32_t type = offload->transmit ? rte_net_get_ptype(buffer, &lengths, RTE_PTYPE_ALL_MASK) : 0;
    uint32_t network = type & RTE_PTYPE_L3_MASK, transport = type & RTE_PTYPE_L4_MASK;
    int is_ipv4 = network == RTE_PTYPE_L3_IPV4 || network == RTE_PTYPE_L3_IPV4_EXT;
    if ((transport != RTE_PTYPE_L4_UDP && transport != RTE_PTYPE_L4_TCP) || (!is_ipv4 && network != RTE_PTYPE_L3_IPV6)) {
        checksum_fill(rte_pktmbuf_mtod(buffer, uint8_t *), rte_pktmbuf_data_len(buffer));
        return 0;
    }
    buffer->l2_len = lengths.l2_len;
    buffer->l3_len = lengths.l3_len;
    buffer->ol_flags |= is_ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
    buffer->ol_flags |= transport == RTE_PTYPE_L4_UDP ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
    rte_net_intel_cksum_prepare(buffer); /* the pseudo header's sum, which every device expects in the field */
    return 1;
}
