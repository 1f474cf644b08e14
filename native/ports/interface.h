/* interface.h ① — what the ports that live on a kernel network interface ask about it before they open. */
#ifndef GATEWAY_PORT_INTERFACE_H
#define GATEWAY_PORT_INTERFACE_H

#include <stdint.h>

/* A name that the kernel would take. 0, or PORT_MISNAMED with one line in `error`. */
int interface_check_name(const char *kind, const char *name, char *error);

/* Exists, is up, carries Ethernet. 0 and its index, or enum port_outcome with one line in `error`. */
int interface_check(const char *kind, const char *name, unsigned *index, char *error);

/* Sets IFF_UP. 0, or -1 with errno. */
int interface_raise(const char *name);

/* A descriptor on the counter of frames that the kernel dropped on their way out of `name`, or -1 where none is shown. */
int interface_open_dropped(const char *name);
uint64_t interface_read_dropped(int file);

#endif
