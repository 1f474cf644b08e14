/*
 * checksum.h — fills in the transport checksum that a kernel on this host left to hardware which was not there.
 */
#ifndef GATEWAY_CHECKSUM_H
#define GATEWAY_CHECKSUM_H

#include <stdint.h>

/* cdef: begin */
/* TCP or UDP in IPv4 or IPv6, whole, behind up to two VLAN tags: 1. Every other frame stays as it is: 0. */
int checksum_fill(uint8_t *frame, uint32_t size);
/* cdef: end */

#endif
