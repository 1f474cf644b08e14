/* dpdk_state.c ① — see dpdk_state.h. */
#include "dpdk_state.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dpdk_host.h"
#include "dpdk_name.h"

enum { NET_RING_BUFFERS = 1024 /* net_ring's own queue, whatever `descriptors` says */ };

static int refuse(char *error, const struct dpdk_argument *argument, const char *what, int number)
{
    const char *log = eal_first_log();
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %s: %.120s", (int)RTE_MIN(strcspn(argument->device, ","), 40u),
             argument->device, what, log[0] ? log : rte_strerror(number < 0 ? -number : number));
    return PORT_INCAPABLE;
}

/* Virtual drivers state a length of frame that they do not mean; a card means it. */
static int set_mtu(struct dpdk_state *state, const struct dpdk_argument *argument, const struct rte_eth_dev_info *offers,
                   char *error)
{
    char what[64];
    if (argument->mtu == 0)
        return 0;
    int outcome = rte_eth_dev_set_mtu(state->device.ethernet, argument->mtu);
    if (outcome == 0 || outcome == -ENOTSUP || (!argument->choice.is_pci && argument->mtu <= offers->max_mtu))
        return 0;
    snprintf(what, sizeof what, "the device refuses mtu=%u", argument->mtu);
    return refuse(error, argument, what, outcome);
}

static int configure(struct dpdk_state *state, const struct dpdk_argument *argument,
                     const struct rte_eth_dev_info *offers, char *error)
{
    struct rte_eth_conf configuration = {0};
    struct dpdk_queues *queues = &state->queues;
    uint16_t most = RTE_MIN(offers->max_rx_queues, offers->max_tx_queues);
    if (argument->queues > most) {
        snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: queues=%u, but the device has %u; write queues=%u",
                 (int)RTE_MIN(strcspn(argument->device, ","), 40u), argument->device, argument->queues, most, most);
        return PORT_INCAPABLE;
    }
    dpdk_steering_choose(&state->steering, offers, &configuration);
    /* a card lets no frame in that is longer than its MTU; a virtual driver may, and would drop it uncounted */
    dpdk_offload_choose(&state->offload, offers, !argument->choice.is_pci);
    configuration.rxmode.offloads = state->offload.receive;
    configuration.txmode.offloads = state->offload.transmit;
    if (argument->choice.is_pci)
        configuration.rxmode.mtu = argument->mtu;
    int outcome = rte_eth_dev_configure(queues->ethernet, queues->count, queues->count, &configuration);
    if (outcome != 0) { /* some drivers offer what the other side then refuses: without it, all is done by us */
        dpdk_steering_forget_hash(&state->steering, &configuration);
        dpdk_offload_forget(&state->offload);
        configuration.rxmode.offloads = configuration.txmode.offloads = 0;
        outcome = rte_eth_dev_configure(queues->ethernet, queues->count, queues->count, &configuration);
    }
    if (outcome == 0)
        outcome = rte_eth_dev_adjust_nb_rx_tx_desc(queues->ethernet, &queues->receive_descriptors,
                                                   &queues->transmit_descriptors);
    return outcome == 0 ? 0 : refuse(error, argument, "the device cannot be configured", outcome);
}

static void fill_in(struct dpdk_state *state, const struct dpdk_argument *argument, const char *driver)
{
    uint16_t ethernet = state->device.ethernet;
    snprintf(state->driver, sizeof state->driver, "%s", driver);
    state->device.steering = &state->steering;
    state->steering.ethernet = state->queues.ethernet = ethernet;
    state->steering.queues = state->queues.count = argument->queues;
    state->steering.promiscuous = argument->promiscuous;
    state->queues.receive_descriptors = state->queues.transmit_descriptors = argument->descriptors;
    state->queues.kept_by_driver = strcmp(driver, "net_ring") == 0 ? NET_RING_BUFFERS : 0;
}

static int prepare(struct port *port, const struct dpdk_argument *argument, char *error)
{
    struct dpdk_state *state = port->state;
    struct rte_eth_dev_info offers;
    const char *what = "the device does not start";
    uint32_t frame_bytes = argument->mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN;
    int outcome = rte_eth_dev_info_get(state->device.ethernet, &offers);
    if (outcome != 0)
        return refuse(error, argument, "the device does not say what it offers", outcome);
    fill_in(state, argument, offers.driver_name);
    outcome = configure(state, argument, &offers, error);
    if (outcome == 0)
        outcome = set_mtu(state, argument, &offers, error);
    if (outcome != 0)
        return outcome;
    outcome = dpdk_queues_set_up(&state->queues, frame_bytes, &what);
    if (outcome != 0)
        return refuse(error, argument, what, outcome);
    dpdk_device_prepare(&state->device);
    outcome = dpdk_device_start(&state->device);
    if (outcome != 0)
        return refuse(error, argument,
                      dpdk_device_runs(&state->device) ? "it is not promiscuous; write promiscuous=no" : "it does not start",
                      outcome);
    dpdk_offload_learn_clock(&state->offload, state->device.ethernet, port->clock);
    return 0;
}

void dpdk_describe(struct port *port, char *text)
{
    const struct dpdk_state *state = port->state;
    uint16_t mtu = 0, used;
    rte_eth_dev_get_mtu(state->device.ethernet, &mtu);
    used = (uint16_t)snprintf(text, PORT_TEXT_BYTES, "driver=%s queues=%u steering=%s rules=%u filter=%s mtu=%u stamps=%s "
                              "checksums_in=%s checksums_out=%s", state->driver, state->queues.count,
                              dpdk_steering_way_name(state->steering.way), state->steering.rules,
                              dpdk_steering_filter_name(state->steering.filter), mtu,
                              state->offload.stamps == STAMPS_DEVICE ? "device" : "burst",
                              state->offload.receive & RTE_ETH_RX_OFFLOAD_UDP_CKSUM ? "device" : "software",
                              state->offload.transmit ? "device" : "software");
    for (uint16_t queue = 0; queue < state->queues.count && state->queues.count > 1 && used < PORT_TEXT_BYTES; queue++)
        used += (uint16_t)snprintf(text + used, (size_t)(PORT_TEXT_BYTES - used), " queue%u=%lu", queue,
                                   (unsigned long)state->queues.frames[queue]);
}

void dpdk_take_down(struct port *port)
{
    struct dpdk_state *state = port->state;
    if (state->probed)
        dpdk_device_close(&state->device);
    port->buffers_lost = dpdk_queues_tear_down(&state->queues);
    if (state->claim >= 0)
        close(state->claim);
    free(state->whole);
    free(state);
    port->state = NULL;
}

static struct dpdk_state *make_state(const struct dpdk_argument *argument)
{
    struct dpdk_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return NULL;
    state->whole = malloc((size_t)PORT_BURST_MAX * DPDK_WHOLE_BYTES);
    state->device.is_memif = argument->is_memif;
    state->device.waits_for_peer = argument->waits_for_peer;
    state->device.steering = &state->steering;
    state->device.link_socket = state->claim = -1;
    if (state->whole)
        return state;
    free(state);
    return NULL;
}

int dpdk_check(const char *text, char *error)
{
    struct dpdk_argument argument;
    int outcome = dpdk_argument_read(text, &argument, error);
    if (outcome == 0)
        outcome = dpdk_name_check(argument.device, error);
    return outcome ? outcome : host_check_memory(&argument.choice, error);
}

int dpdk_set_up(struct port *port, const char *text, char *error)
{
    struct dpdk_argument argument;
    int outcome = dpdk_argument_read(text, &argument, error);
    if (outcome == 0)
        outcome = dpdk_name_check(argument.device, error);
    if (outcome != 0)
        return outcome;
    struct dpdk_state *state = port->state = make_state(&argument);
    if (state == NULL) {
        snprintf(error, PORT_ERROR_BYTES, "port dpdk: out of memory");
        return PORT_REFUSED;
    }
    state->claim = dpdk_name_claim(argument.device, error);
    outcome = state->claim < -1 ? state->claim + 1 : eal_probe(&argument.choice, &state->device.ethernet, error);
    state->probed = outcome == 0;
    if (outcome == 0)
        outcome = prepare(port, &argument, error);
    if (outcome != 0)
        dpdk_take_down(port);
    return outcome;
}
