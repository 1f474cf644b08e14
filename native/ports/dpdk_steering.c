/* dpdk_steering.c ① — see dpdk_steering.h. Source: DPDK 22.11 programmer's guide, "Generic flow API (rte_flow)". */
#include "dpdk_steering.h"

#include <errno.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <string.h>

enum { MULTICAST = 14 /* the first four bits of a group (RFC 1112 section 4) */ };

const char *dpdk_steering_way_name(enum dpdk_way way)
{
    static const char *const names[] = {"single", "peer", "hash", "rules"};
    return names[way];
}

const char *dpdk_steering_filter_name(enum dpdk_filter filter)
{
    static const char *const names[] = {"own", "promiscuous", "all-multicast", "groups"};
    return names[filter];
}

void dpdk_steering_choose(struct dpdk_steering *steering, const struct rte_eth_dev_info *offers,
                          struct rte_eth_conf *configuration)
{
    uint64_t kinds = offers->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);
    steering->way = steering->queues == 1 ? WAY_SINGLE : WAY_PEER;
    if (steering->queues == 1 || kinds == 0 || offers->reta_size == 0) /* net_tap lists kinds, and hashes nothing */
        return;
    steering->way = WAY_HASH;
    steering->hash_rows = offers->reta_size;
    configuration->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    configuration->rx_adv_conf.rss_conf.rss_hf = kinds;
}

void dpdk_steering_forget_hash(struct dpdk_steering *steering, struct rte_eth_conf *configuration)
{
    if (steering->way == WAY_HASH)
        steering->way = WAY_PEER;
    steering->hash_rows = 0;
    configuration->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
    configuration->rx_adv_conf.rss_conf.rss_hf = 0;
}

int dpdk_steering_open(struct dpdk_steering *steering)
{
    int outcome = -ENOTSUP;
    steering->filter = FILTER_NONE;
    if (steering->promiscuous != PROMISCUOUS_NO)
        outcome = rte_eth_promiscuous_enable(steering->ethernet);
    if (outcome == 0) {
        steering->filter = FILTER_PROMISCUOUS;
        return 0;
    }
    if (rte_eth_allmulticast_enable(steering->ethernet) == 0)
        steering->filter = FILTER_ALL_MULTICAST;
    return steering->promiscuous == PROMISCUOUS_YES ? outcome : 0;
}

/* The device's own list of groups (RFC 1112 section 6.4); a device without one goes on letting in all of them. */
static void list_groups(struct dpdk_steering *steering, const uint64_t *destinations, int count)
{
    /* 224.0.0.1 first: there a router asks who listens, and the kernel must hear it (RFC 3376 section 4.1.12) */
    struct rte_ether_addr groups[DPDK_RULES_MAX + 1] = {{{0x01, 0x00, 0x5E, 0, 0, 1}}};
    uint32_t listed = 1;
    for (int index = 0; index < count; index++) {
        uint32_t address = (uint32_t)(destinations[index] >> 16);
        struct rte_ether_addr group = {{0x01, 0x00, 0x5E, (uint8_t)(address >> 16 & 0x7F), (uint8_t)(address >> 8),
                                        (uint8_t)address}};
        int known = address >> 28 != MULTICAST;
        for (uint32_t earlier = 0; earlier < listed && !known; earlier++)
            known = rte_is_same_ether_addr(&groups[earlier], &group);
        if (!known)
            groups[listed++] = group;
    }
    if (listed == 1 || rte_eth_dev_set_mc_addr_list(steering->ethernet, groups, listed) != 0)
        return;
    if (rte_eth_allmulticast_disable(steering->ethernet) == 0)
        steering->filter = FILTER_GROUPS;
}

static struct rte_flow *add_rule(uint16_t ethernet, uint64_t destination)
{
    struct rte_flow_attr attributes = {.ingress = 1};
    struct rte_flow_item_ipv4 network = {.hdr.dst_addr = rte_cpu_to_be_32((uint32_t)(destination >> 16))};
    struct rte_flow_item_ipv4 network_mask = {.hdr.dst_addr = UINT32_MAX};
    struct rte_flow_item_udp transport = {.hdr.dst_port = rte_cpu_to_be_16((uint16_t)destination)};
    struct rte_flow_item_udp transport_mask = {.hdr.dst_port = UINT16_MAX};
    struct rte_flow_item pattern[] = {
        {.type = RTE_FLOW_ITEM_TYPE_ETH},
        {.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &network, .mask = &network_mask},
        {.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &transport, .mask = &transport_mask},
        {.type = RTE_FLOW_ITEM_TYPE_END},
    };
    struct rte_flow_action_queue first = {.index = 0};
    struct rte_flow_action actions[] = {{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &first},
                                        {.type = RTE_FLOW_ACTION_TYPE_END}};
    struct rte_flow_error problem;
    if (rte_flow_validate(ethernet, &attributes, pattern, actions, &problem) != 0)
        return NULL;
    return rte_flow_create(ethernet, &attributes, pattern, actions, &problem);
}

/* The hash spreads what no rule takes over the other queues. A device that refuses leaves queue 0 shared: no harm. */
static void keep_first_queue_free(const struct dpdk_steering *steering)
{
    struct rte_eth_rss_reta_entry64 rows[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];
    if (steering->way != WAY_HASH || steering->hash_rows > RTE_ETH_RSS_RETA_SIZE_512)
        return;
    memset(rows, 0, sizeof rows);
    for (uint16_t row = 0; row < steering->hash_rows; row++) {
        rows[row / RTE_ETH_RETA_GROUP_SIZE].mask |= UINT64_C(1) << row % RTE_ETH_RETA_GROUP_SIZE;
        rows[row / RTE_ETH_RETA_GROUP_SIZE].reta[row % RTE_ETH_RETA_GROUP_SIZE] = 1 + row % (steering->queues - 1);
    }
    rte_eth_dev_rss_reta_update(steering->ethernet, rows, steering->hash_rows);
}

static void steer(struct dpdk_steering *steering, const uint64_t *destinations, int count)
{
    for (int index = 0; index < count; index++) {
        if (add_rule(steering->ethernet, destinations[index]) == NULL) {
            dpdk_steering_end(steering);
            return;
        }
        steering->rules++;
    }
    keep_first_queue_free(steering);
    steering->way = WAY_RULES;
}

void dpdk_steering_follow(struct dpdk_steering *steering, const uint64_t *destinations, int count)
{
    if (count > DPDK_RULES_MAX)
        return;
    if (steering->filter == FILTER_ALL_MULTICAST && steering->promiscuous == PROMISCUOUS_NO)
        list_groups(steering, destinations, count);
    if (steering->queues > 1 && count > 0)
        steer(steering, destinations, count);
}

void dpdk_steering_end(struct dpdk_steering *steering)
{
    struct rte_flow_error problem;
    if (steering->rules)
        rte_flow_flush(steering->ethernet, &problem);
    steering->rules = 0;
}
