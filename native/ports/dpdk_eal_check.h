/*
 * dpdk_eal_check.h ① — the words of eal=, judged one by one before EAL would answer them with its usage text or an abort.
 *
 * Its hard rule: a word that is not in the table never reaches EAL.
 */
#ifndef GATEWAY_PORT_DPDK_EAL_CHECK_H
#define GATEWAY_PORT_DPDK_EAL_CHECK_H

#include "dpdk_eal.h"

/* 0, or PORT_MISNAMED with one line in `error`. */
int eal_check_words(const struct eal_choice *choice, char *error);

#endif
