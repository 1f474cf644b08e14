/* dpdk_device.c ① — see dpdk_device.h. */
#include "dpdk_device.h"

#include <errno.h>
#include <net/if.h>
#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../clock.h"
#include "../port.h"

enum {
    LOOK_TICKS = 200000000, /* about a tenth of a second between two attempts to start */
    LOOKS_OF_HANDSHAKE = 10, /* so many of them for a started handshake to come through */
    ERRAND_WAITS = 50000,
    ERRAND_WAIT_US = 100
};

/* One call on the interrupt thread, for which the caller waits. */
struct errand {
    void (*call)(struct dpdk_device *device);
    struct dpdk_device *device;
    int done;
};

static void run_errand(void *argument)
{
    struct errand *errand = argument;
    errand->call(errand->device);
    __atomic_store_n(&errand->done, 1, __ATOMIC_RELEASE);
}

/* Calls at once for all but memif, see the hard rule. */
static void call(struct dpdk_device *device, void (*function)(struct dpdk_device *device))
{
    struct errand errand = {function, device, 0};
    if (!device->is_memif || rte_eal_alarm_set(1, run_errand, &errand) != 0) {
        function(device);
        return;
    }
    for (int wait = 0; wait < ERRAND_WAITS && !__atomic_load_n(&errand.done, __ATOMIC_ACQUIRE); wait++)
        usleep(ERRAND_WAIT_US);
    rte_eal_alarm_cancel(run_errand, &errand); /* waits for one that is running; the errand leaves with our stack */
}

static void start(struct dpdk_device *device)
{
    int outcome = rte_eth_dev_start(device->ethernet);
    if (outcome == 0)
        device->refused = dpdk_steering_open(device->steering);
    __atomic_store_n(&device->running, outcome == 0, __ATOMIC_RELEASE);
}

static void stop(struct dpdk_device *device)
{
    rte_eth_dev_stop(device->ethernet);
}

static void stop_and_close(struct dpdk_device *device)
{
    rte_eth_dev_stop(device->ethernet);
    rte_eth_dev_close(device->ethernet);
}

static void wait_for(struct dpdk_device *device, int looks)
{
    device->ticks_next_look = clock_ticks() + (int64_t)looks * LOOK_TICKS;
}

void dpdk_device_prepare(struct dpdk_device *device)
{
    struct rte_eth_dev_info information = {0};
    device->link_socket = -1;
    if (rte_eth_dev_info_get(device->ethernet, &information) == 0 && information.if_index != 0)
        device->link_socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* net_af_packet says that its link is up whatever happens to the interface; the kernel knows. */
static int kernel_says_down(const struct dpdk_device *device)
{
    struct rte_eth_dev_info information = {0};
    struct ifreq request = {0};
    if (device->link_socket < 0 || rte_eth_dev_info_get(device->ethernet, &information) != 0)
        return 0;
    if (if_indextoname(information.if_index, request.ifr_name) == NULL)
        return 1; /* removed */
    return ioctl(device->link_socket, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_RUNNING);
}

void dpdk_device_watch_link(struct dpdk_device *device)
{
    struct rte_eth_link link = {0};
    if (__atomic_load_n(&device->joining, __ATOMIC_ACQUIRE) || rte_eth_link_get_nowait(device->ethernet, &link) != 0)
        return;
    int is_up = link.link_status == RTE_ETH_LINK_UP && !kernel_says_down(device);
    device->link_flaps += device->link_state == PORT_LINK_UP && !is_up;
    device->link_state = is_up ? PORT_LINK_UP : PORT_LINK_DOWN;
}

int dpdk_device_start(struct dpdk_device *device)
{
    call(device, start);
    wait_for(device, LOOKS_OF_HANDSHAKE);
    if (dpdk_device_runs(device))
        return device->refused;
    return device->waits_for_peer ? 0 : -ENODEV;
}

static void join(void *argument)
{
    struct dpdk_device *device = argument;
    stop(device);
    start(device);
    __atomic_store_n(&device->joining, 0, __ATOMIC_RELEASE);
}

void dpdk_device_look(struct dpdk_device *device)
{
    struct rte_eth_link link = {0};
    if (!device->waits_for_peer || __atomic_load_n(&device->joining, __ATOMIC_ACQUIRE) ||
        clock_ticks() < device->ticks_next_look)
        return;
    wait_for(device, 1);
    if (dpdk_device_runs(device) && (rte_eth_link_get_nowait(device->ethernet, &link) != 0 || link.link_status))
        return;
    __atomic_store_n(&device->running, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&device->joining, 1, __ATOMIC_RELAXED);
    wait_for(device, LOOKS_OF_HANDSHAKE);
    if (rte_eal_alarm_set(1, join, device) != 0)
        __atomic_store_n(&device->joining, 0, __ATOMIC_RELAXED);
}

void dpdk_device_close(struct dpdk_device *device)
{
    struct rte_eth_dev_info information = {0};
    int known = rte_eth_dev_info_get(device->ethernet, &information) == 0;
    rte_eal_alarm_cancel(join, device);
    dpdk_steering_end(device->steering);
    if (device->link_socket >= 0)
        close(device->link_socket);
    call(device, stop_and_close);
    if (known && information.device)
        rte_dev_remove(information.device);
}
