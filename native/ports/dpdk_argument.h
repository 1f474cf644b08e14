/* dpdk_argument.h ① — what the argument of a dpdk port asks for, checked before DPDK sees any of it. */
#ifndef GATEWAY_PORT_DPDK_ARGUMENT_H
#define GATEWAY_PORT_DPDK_ARGUMENT_H

#include "dpdk_eal.h"
#include "option.h"

enum {
    DPDK_DESCRIPTORS_DEFAULT = 1024,
    DPDK_DESCRIPTORS_MAX = 8192,
    DPDK_MEMORY_MIB_DEFAULT = 128,
    DPDK_QUEUES_MAX = 16,
    DPDK_MTU_MIN = 68, /* RFC 791 */
    DPDK_MTU_MAX = 9600
};

enum dpdk_promiscuous { PROMISCUOUS_AUTO, PROMISCUOUS_YES, PROMISCUOUS_NO };

struct dpdk_argument {
    char device[OPTION_TEXT_BYTES]; /* with its driver's own keys */
    char extra[OPTION_TEXT_BYTES];  /* EAL arguments, separated by semicolons */
    struct eal_choice choice;       /* points into the two above */
    uint16_t descriptors;
    uint16_t queues;                /* to receive from */
    uint16_t mtu;                   /* 0: the device's own */
    enum dpdk_promiscuous promiscuous;
    int is_memif;
    int waits_for_peer; /* a memif client */
};

/* 0, or enum port_outcome with one line in `error`. */
int dpdk_argument_read(const char *text, struct dpdk_argument *argument, char *error);

#endif
