/*
 * dpdk_eal_check.h ① — everything that EAL would only find out half-way, or answer with its usage text or an abort, found
 * out before it starts: its arguments word by word, and what it needs of the host.
 *
 * Its hard rule: a word that is not in the table never reaches EAL.
 */
#ifndef GATEWAY_PORT_DPDK_EAL_CHECK_H
#define GATEWAY_PORT_DPDK_EAL_CHECK_H

#include "dpdk_eal.h"

enum { EAL_HUGE_MIB_MIN = 16 }; /* fewer are no use: EAL itself and one pool of buffers */

/* The words of eal=. 0, or PORT_REFUSED with one line in `error`. */
int eal_check_words(const struct eal_choice *choice, char *error);

/* Huge pages, memory, the folder that EAL makes. 0, or PORT_INCAPABLE with one line in `error`. */
int eal_check_host(const struct eal_choice *choice, char *error);

/* Huge pages of any size, in MiB, that are free on this host. */
long eal_free_huge_mib(void);

#endif
