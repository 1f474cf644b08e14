/*
 * dpdk_eal.h ① — DPDK's environment: one per process, started by the first dpdk port and never stopped.
 *
 * Its hard rule: nothing that EAL meets may end the process or move the caller to another CPU; its log is caught, and the
 * first line of it becomes part of the one-line error.
 */
#ifndef GATEWAY_PORT_DPDK_EAL_H
#define GATEWAY_PORT_DPDK_EAL_H

#include <rte_ethdev.h>

struct eal_choice {
    const char *device; /* PCI address or virtual device, with the driver's own arguments behind a comma */
    int is_pci;
    const char *extra;  /* more EAL arguments, separated by semicolons; may be empty */
    int huge_pages;     /* 0: ordinary memory */
    long memory_mib;    /* of ordinary memory */
};

/* Starts EAL unless it runs, and probes the device. 0 and its Ethernet port, or enum port_outcome with `error` filled. */
int eal_probe(const struct eal_choice *choice, uint16_t *ethernet, char *error);

/* The first line that DPDK logged since `eal_forget_log`; empty when there was none. */
const char *eal_first_log(void);
void eal_forget_log(void);

#endif
