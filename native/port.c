/* port.c ① — finds the port that a name means. */
#include <stdio.h>
#include <string.h>

#include "port.h"

extern const struct port_operations port_pcap, port_pair, port_binaryfile, port_recording, port_af_packet, port_tap;
#if GATEWAY_WITH_DPDK
extern const struct port_operations port_dpdk;
#endif

static const struct port_operations *const kinds[] = {
    &port_pcap, &port_pair, &port_binaryfile, &port_recording, &port_af_packet, &port_tap,
#if GATEWAY_WITH_DPDK
    &port_dpdk,
#endif
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const char *port_kinds(void)
{
    return "pcap pair binaryfile recording af_packet tap"
#if GATEWAY_WITH_DPDK
           " dpdk"
#endif
        ;
}

static int refuse_unknown(const char *name, char *error)
{
    if (!GATEWAY_WITH_DPDK && strncmp(name, "dpdk:", 5) == 0) {
        snprintf(error, PORT_ERROR_BYTES, "port %.80s: this build has no DPDK; install libdpdk-dev and build again", name);
        return PORT_INCAPABLE;
    }
    snprintf(error, PORT_ERROR_BYTES, "port %.80s: no such kind; write KIND:ARGUMENT with one of: %s", name, port_kinds());
    return PORT_MISNAMED;
}

/* The kind in front of the colon; `argument` is what follows. NULL: there is no such kind. */
static const struct port_operations *find(const char *name, const char **argument)
{
    for (int index = 0; index < KINDS; index++) {
        size_t length = strlen(kinds[index]->kind);
        *argument = name + length + 1;
        if (strncmp(name, kinds[index]->kind, length) == 0 && name[length] == ':')
            return kinds[index];
    }
    return NULL;
}

int port_check(const char *name, char *error)
{
    const char *argument;
    const struct port_operations *operations = find(name, &argument);
    error[0] = '\0';
    if (operations == NULL)
        return refuse_unknown(name, error);
    return operations->check ? operations->check(argument, error) : 0;
}

int port_open(struct port *port, const char *name, const struct clock_calibration *clock, char *error)
{
    const char *argument;
    memset(port, 0, sizeof *port);
    error[0] = '\0';
    port->operations = find(name, &argument);
    if (port->operations == NULL)
        return refuse_unknown(name, error);
    port->clock = clock;
    int outcome = port->operations->open(port, argument, error);
    if (outcome != 0)
        port->operations = NULL;
    return outcome;
}

void port_close(struct port *port)
{
    if (port->operations) {
        port->operations->close(port);
        port->operations = NULL;
    }
}

int port_hardware_address(struct port *port, uint8_t *address)
{
    return port->operations->hardware_address ? port->operations->hardware_address(port, address) : -1;
}

void port_describe(struct port *port, char *text)
{
    text[0] = '\0';
    if (port->operations->describe)
        port->operations->describe(port, text);
}

void port_follow(struct port *port, const uint64_t *destinations, int count)
{
    if (port->operations->follow)
        port->operations->follow(port, destinations, count);
}
