/* binaryfile.c — placeholder until the port lands in its own commit. */
#include <stdio.h>

#include "../port.h"

static int open_absent(struct port *port, const char *argument, char *error)
{
    (void)port;
    (void)argument;
    snprintf(error, PORT_ERROR_BYTES, "port binaryfile: not built yet");
    return -1;
}

const struct port_operations port_binaryfile = {.kind = "binaryfile", .open = open_absent};
