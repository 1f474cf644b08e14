/*
 * dpdk_name.h ① — the device that a dpdk port names: is it there, and does nobody else have it?
 *
 * Its hard rule: a device belongs to one process. The claim is a lock that the kernel takes back when the process ends,
 * however it ends; no file is made for it.
 */
#ifndef GATEWAY_PORT_DPDK_NAME_H
#define GATEWAY_PORT_DPDK_NAME_H

/* domain:bus:device.function, all hexadecimal */
int dpdk_name_is_pci(const char *device);

/* A virtual device that makes a socket for its peer, and is there first. */
int dpdk_name_listens(const char *device);

/* What EAL would only say in many lines, or not at all. 0, or enum port_outcome with one line in `error`. */
int dpdk_name_check(const char *device, char *error);

/* A descriptor that holds the claim until it is closed; -1: nothing to claim; PORT_INCAPABLE - 1: taken, with `error`. */
int dpdk_name_claim(const char *device, char *error);

#endif
