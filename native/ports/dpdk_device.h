/*
 * dpdk_device.h ① — the moments at which a DPDK device starts, loses its peer and stops.
 *
 * Its hard rule: a memif device changes its state on EAL's interrupt thread only. There its driver answers its peer, and
 * it has no lock against anybody else. The polling thread keeps its hands off until `running` says so.
 *
 *            start ok                link down for a while
 *   stopped ─────────► running ──────────────────────────► stopped      (memif clients: asked again and again)
 */
#ifndef GATEWAY_PORT_DPDK_DEVICE_H
#define GATEWAY_PORT_DPDK_DEVICE_H

#include "dpdk_steering.h"

struct dpdk_device {
    uint16_t ethernet;
    int is_memif;
    int waits_for_peer; /* a memif client: it can start only while its server listens */
    int running;        /* written with release by whoever starts it; the polling thread acquires it */
    int joining;        /* an attempt to start is under way on the interrupt thread */
    int64_t ticks_next_look;
    struct dpdk_steering *steering; /* applied after every start */
    int refused;                    /* what the device said to it */
    int link_socket;                /* to ask the kernel about the interface behind the device; -1: none */
    uint64_t link_state;            /* enum port_link */
    uint64_t link_flaps;
};

/* Before the first start: which interface of the kernel is behind it, where there is one. */
void dpdk_device_prepare(struct dpdk_device *device);

/* Looks at the link and counts when it went down. Not for every turn: some drivers ask the kernel. */
void dpdk_device_watch_link(struct dpdk_device *device);

/* 0, or a negative errno. A memif client whose server is absent is no error: it is looked for later. */
int dpdk_device_start(struct dpdk_device *device);

/* Called by the polling thread when nothing came: starts a memif client again once its server is back. */
void dpdk_device_look(struct dpdk_device *device);

/* Stops and removes the device. Its queues give their buffers back. */
void dpdk_device_close(struct dpdk_device *device);

static inline int dpdk_device_runs(const struct dpdk_device *device)
{
    return __atomic_load_n(&device->running, __ATOMIC_ACQUIRE);
}

#endif
