/*
 * dpdk_steering.h ① — which frames a device lets in, and which queue each of them lands on.
 *
 * One queue: nothing to steer. Several: rules of the device put what core follows on queue 0 (`rules`); where it takes no
 * such rules its hash spreads all frames (`hash`), and where it has no hash either its other side does (`peer`).
 *
 * Its hard rule: a device that takes some rules and refuses one gets none, so that nobody relies on half a promise.
 */
#ifndef GATEWAY_PORT_DPDK_STEERING_H
#define GATEWAY_PORT_DPDK_STEERING_H

#include <rte_ethdev.h>
#include <rte_flow.h>

#include "dpdk_argument.h"

enum dpdk_way { WAY_SINGLE, WAY_PEER, WAY_HASH, WAY_RULES };
enum dpdk_filter { FILTER_NONE, FILTER_PROMISCUOUS, FILTER_ALL_MULTICAST, FILTER_GROUPS };
enum { DPDK_RULES_MAX = 256 };

struct dpdk_steering {
    uint16_t ethernet, queues, hash_rows;
    enum dpdk_way way;
    enum dpdk_filter filter;
    enum dpdk_promiscuous promiscuous;
    uint32_t rules;
};

/* Before the device is configured: its hash, where it has one and there is more than one queue. */
void dpdk_steering_choose(struct dpdk_steering *steering, const struct rte_eth_dev_info *offers,
                          struct rte_eth_conf *configuration);

/* Takes the hash back: the device does not keep what it offered. */
void dpdk_steering_forget_hash(struct dpdk_steering *steering, struct rte_eth_conf *configuration);

/* After every start: promiscuous or all groups. 0, or a negative errno: the device refuses what was asked for. */
int dpdk_steering_open(struct dpdk_steering *steering);

/* With the device running: rules for each destination (address << 16 | UDP port), and filters of their groups. */
void dpdk_steering_follow(struct dpdk_steering *steering, const uint64_t *destinations, int count);

/* Takes the rules back. */
void dpdk_steering_end(struct dpdk_steering *steering);

const char *dpdk_steering_way_name(enum dpdk_way way);
const char *dpdk_steering_filter_name(enum dpdk_filter filter);

#endif
