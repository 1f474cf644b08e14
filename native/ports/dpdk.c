/*
 * dpdk.c ① — any Ethernet device that DPDK drives: one receive queue, one transmit queue, polled.
 *
 *   dpdk:0000:3b:00.0[,KEY=VALUE…]          a PCI device, bound to vfio-pci
 *   dpdk:net_memif0,role=client,…           a virtual device; keys that are not ours go to its driver
 *
 * Our keys: huge=yes|no, memory=MIB (without huge pages), descriptors=N (per queue), eal=ARG;ARG.
 * Its hard rule: every buffer taken from the pool goes back to it; frames are read in place until `release`.
 */
#include <ctype.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../port.h"
#include "dpdk_eal.h"
#include "option.h"

enum {
    DESCRIPTORS_DEFAULT = 1024,
    DESCRIPTORS_MAX = 8192,
    MEMORY_MIB_DEFAULT = 128,
    TRANSMIT_ATTEMPTS = 16 /* a full queue is asked again so many times, then the frame is refused */
};

enum { OPTION_HUGE, OPTION_MEMORY, OPTION_DESCRIPTORS, OPTION_EAL, OPTIONS };

struct dpdk_state {
    struct rte_mempool *pool;
    uint16_t ethernet;
    uint16_t held_count;
    int probed;  /* the Ethernet port exists */
    int started; /* and runs */
    struct rte_mbuf *held[PORT_BURST_MAX]; /* frames of the last `receive` */
    struct port_statistics statistics;
};

static int refuse(char *error, int outcome, const char *device, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %.170s", (int)RTE_MIN(strcspn(device, ","), 40u), device, text);
    return outcome;
}

static int refuse_log(char *error, const char *device, const char *what, int number)
{
    char text[192];
    const char *log = eal_first_log();
    snprintf(text, sizeof text, "%s: %.120s", what, log[0] ? log : rte_strerror(number < 0 ? -number : number));
    return refuse(error, PORT_INCAPABLE, device, text);
}

/* Splits the argument into the device with its driver's keys, and our own keys. */
static int split_argument(const char *argument, char *device, struct option *options, char *error)
{
    size_t used = strcspn(argument, ","), length = 0;
    if (strlen(argument) >= OPTION_TEXT_BYTES)
        return refuse(error, PORT_REFUSED, argument, "the argument is longer than 511 bytes");
    snprintf(device, OPTION_TEXT_BYTES, "%.*s", (int)used, argument);
    for (const char *pair = argument + used; *pair == ','; pair += length) {
        length = strcspn(++pair, ",");
        struct option *ours = NULL;
        for (int index = 0; index < OPTIONS && ours == NULL; index++)
            if (strncmp(pair, options[index].key, strlen(options[index].key)) == 0 &&
                pair[strlen(options[index].key)] == '=')
                ours = &options[index];
        if (ours)
            snprintf(ours->value, sizeof ours->value, "%.*s", (int)(length - strlen(ours->key) - 1),
                     pair + strlen(ours->key) + 1);
        else
            used += (size_t)snprintf(device + used, OPTION_TEXT_BYTES - used, ",%.*s", (int)length, pair);
    }
    return 0;
}

/* domain:bus:device.function, all hexadecimal */
static int is_pci(const char *device)
{
    static const char shape[] = "xxxx:xx:xx.x";
    size_t length = strcspn(device, ",");
    if (length != sizeof shape - 1)
        return 0;
    for (size_t at = 0; at < length; at++)
        if (shape[at] == 'x' ? !isxdigit((unsigned char)device[at]) : device[at] != shape[at])
            return 0;
    return 1;
}

/* What EAL would only say in many lines: an absent PCI device, or one that the kernel still drives. */
static int check_device(const char *device, char *error)
{
    char path[128], driver[256] = "";
    if (!is_pci(device) && strncmp(device, "net_", 4) != 0)
        return refuse(error, PORT_REFUSED, device, "name a PCI address such as 0000:3b:00.0, or a driver such as net_memif0");
    if (!is_pci(device))
        return 0;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s", device);
    if (access(path, F_OK) != 0)
        return refuse(error, PORT_INCAPABLE, device, "no such PCI device; list them with: lspci -D");
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s/driver", device);
    if (readlink(path, driver, sizeof driver - 1) < 0)
        return refuse(error, PORT_INCAPABLE, device, "no driver; bind it with: dpdk-devbind.py -b vfio-pci ADDRESS");
    if (strstr(driver, "/vfio-pci") || strstr(driver, "uio") || strstr(driver, "/mlx"))
        return 0;
    return refuse(error, PORT_INCAPABLE, device, "the kernel drives it; bind it with: dpdk-devbind.py -b vfio-pci ADDRESS");
}

static int check_eal(const char *device, const char *extra, char *error)
{
    const char *forbidden[] = {"-h", "--help", "-v", "--version", "--log-level=help", "--proc-type", "-d"}; /* end the process, or load code */
    for (const char *word = extra; *word; word += strspn(word, ";")) {
        size_t length = strcspn(word, ";");
        for (size_t index = 0; index < sizeof forbidden / sizeof *forbidden; index++)
            if (strncmp(word, forbidden[index], strlen(forbidden[index])) == 0)
                return refuse(error, PORT_REFUSED, device, "eal= must not hold -h, -v, -d or --proc-type");
        word += length;
    }
    return 0;
}

static int choose(struct option *options, const char *device, struct eal_choice *choice, char *error)
{
    const char *huge = options[OPTION_HUGE].value;
    *choice = (struct eal_choice){.device = device, .is_pci = is_pci(device), .extra = options[OPTION_EAL].value};
    if (huge[0] && strcmp(huge, "yes") != 0 && strcmp(huge, "no") != 0)
        return refuse(error, PORT_REFUSED, device, "huge= is yes or no");
    choice->huge_pages = huge[0] ? huge[0] == 'y' : eal_has_huge_pages();
    return option_number("dpdk", &options[OPTION_MEMORY], 64, 65536, MEMORY_MIB_DEFAULT, &choice->memory_mib, error);
}

/* Buffers for both rings, for one burst in our hands each way, and for what a driver keeps back. */
static struct rte_mempool *make_pool(const struct dpdk_state *state, uint16_t receive, uint16_t transmit)
{
    char name[RTE_MEMPOOL_NAMESIZE];
    int node = rte_eth_dev_socket_id(state->ethernet);
    snprintf(name, sizeof name, "gateway_%u", state->ethernet);
    return rte_pktmbuf_pool_create(name, (unsigned)receive + transmit + 8 * PORT_BURST_MAX, PORT_BURST_MAX, 0,
                                   RTE_MBUF_DEFAULT_BUF_SIZE, node);
}

static int start(struct dpdk_state *state, const char *device, uint16_t descriptors, char *error)
{
    struct rte_eth_conf configuration = {0};
    uint16_t receive = descriptors, transmit = descriptors;
    int outcome = rte_eth_dev_configure(state->ethernet, 1, 1, &configuration);
    if (outcome == 0)
        outcome = rte_eth_dev_adjust_nb_rx_tx_desc(state->ethernet, &receive, &transmit);
    if (outcome != 0)
        return refuse_log(error, device, "the device cannot be configured", outcome);
    state->pool = make_pool(state, receive, transmit);
    if (state->pool == NULL)
        return refuse_log(error, device, "no memory for packet buffers; raise memory=", rte_errno);
    int node = rte_eth_dev_socket_id(state->ethernet);
    outcome = rte_eth_rx_queue_setup(state->ethernet, 0, receive, (unsigned)node, NULL, state->pool);
    if (outcome == 0)
        outcome = rte_eth_tx_queue_setup(state->ethernet, 0, transmit, (unsigned)node, NULL);
    if (outcome == 0)
        outcome = rte_eth_dev_start(state->ethernet);
    if (outcome != 0)
        return refuse_log(error, device, "the device does not start", outcome);
    state->started = 1;
    rte_eth_promiscuous_enable(state->ethernet); /* a driver that knows no other mode says ENOTSUP */
    return 0;
}

static void dpdk_release(struct port *port)
{
    struct dpdk_state *state = port->state;
    rte_pktmbuf_free_bulk(state->held, state->held_count);
    state->held_count = 0;
}

static void dpdk_close(struct port *port)
{
    struct dpdk_state *state = port->state;
    struct rte_eth_dev_info information = {0};
    dpdk_release(port);
    if (state->started)
        rte_eth_dev_stop(state->ethernet);
    if (state->probed) {
        int known = rte_eth_dev_info_get(state->ethernet, &information) == 0;
        rte_eth_dev_close(state->ethernet);
        if (known && information.device)
            rte_dev_remove(information.device);
    }
    if (state->pool && rte_mempool_in_use_count(state->pool) == 0)
        rte_mempool_free(state->pool); /* else a driver kept a buffer: its pool stays, so that nothing dangles */
    free(state);
    port->state = NULL;
}

static int dpdk_open(struct port *port, const char *argument, char *error)
{
    struct option options[OPTIONS] = {{.key = "huge"}, {.key = "memory"}, {.key = "descriptors"}, {.key = "eal"}};
    struct eal_choice choice;
    char device[OPTION_TEXT_BYTES];
    long descriptors = 0;
    if (split_argument(argument, device, options, error) != 0 || choose(options, device, &choice, error) != 0 ||
        option_number("dpdk", &options[OPTION_DESCRIPTORS], 64, DESCRIPTORS_MAX, DESCRIPTORS_DEFAULT, &descriptors,
                      error) != 0 ||
        check_eal(device, choice.extra, error) != 0)
        return PORT_REFUSED;
    int outcome = check_device(device, error);
    if (outcome != 0)
        return outcome;
    struct dpdk_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return refuse(error, PORT_REFUSED, device, "out of memory");
    port->state = state;
    outcome = eal_probe(&choice, &state->ethernet, error);
    state->probed = outcome == 0;
    if (outcome == 0)
        outcome = start(state, device, (uint16_t)descriptors, error);
    if (outcome != 0)
        dpdk_close(port);
    return outcome;
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
    state->held_count = rte_eth_rx_burst(state->ethernet, 0, state->held, room);
    for (uint16_t index = 0; index < state->held_count; index++)
        fill_frame(&state->held[index], &frames[index]);
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
        uint16_t step = rte_eth_tx_burst(state->ethernet, 0, buffers + sent, copied - sent);
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
    for (int step = 1; sent < count && step > 0; sent += step)
        step = transmit_burst(state, frames + sent, count - sent);
    state->statistics.frames_transmitted += (uint64_t)sent;
    state->statistics.transmit_refused += (uint64_t)(count - sent);
    return sent;
}

static void dpdk_statistics(struct port *port, struct port_statistics *statistics)
{
    struct dpdk_state *state = port->state;
    struct rte_eth_stats device;
    if (rte_eth_stats_get(state->ethernet, &device) == 0) {
        state->statistics.receive_dropped = device.imissed + device.rx_nombuf;
        state->statistics.receive_errors = device.ierrors;
    }
    *statistics = state->statistics;
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
};
