/*
 * dpdk_host.h ① — what EAL needs of the host, looked at before it starts: where it would find out itself it leaves files
 * behind, or aborts the process from a thread of its own.
 */
#ifndef GATEWAY_PORT_DPDK_HOST_H
#define GATEWAY_PORT_DPDK_HOST_H

#include "dpdk_eal.h"

enum { HOST_HUGE_MIB_MIN = 16 }; /* fewer are no use: EAL itself and one pool of buffers */

/* Huge pages, memory, open files, the folder that EAL makes. 0, or PORT_INCAPABLE with one line in `error`. */
int host_check(const struct eal_choice *choice, char *error);
/* The part of it that only looks: huge pages, or ordinary memory. */
int host_check_memory(const struct eal_choice *choice, char *error);

/* Huge pages of any size, in MiB, that are free on this host. */
long host_free_huge_mib(void);

#endif
