/*
 * tap.c ① — a TAP interface: what the kernel sends into it is received here, what is transmitted here the kernel receives.
 * It lives as long as the port is open, unless somebody made it persistent before.
 *
 *   tap:NAME
 *
 * Its hard rule: one read is one frame; what does not fit into a buffer is counted by its true length, never split.
 * Source: Linux Documentation/networking/tuntap.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../port.h"
#include "interface.h"
#include "option.h"

enum { BUFFER_BYTES = 4096, OVERFLOW_BYTES = 65536 };

struct tap_state {
    int device;
    int dropped; /* descriptor of the kernel's drop counter, or -1 */
    int failing; /* the last read met an error: counted once, not per poll */
    uint64_t dropped_before;
    struct port_statistics statistics;
    uint8_t buffers[PORT_BURST_MAX][BUFFER_BYTES];
    uint8_t overflow[OVERFLOW_BYTES];
};

static int refuse(char *error, int outcome, const char *name, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port tap:%.32s: %.180s", name, text);
    return outcome;
}

static int refuse_device(char *error, const char *name)
{
    if (errno == EPERM || errno == EACCES)
        return refuse(error, PORT_INCAPABLE, name, "not permitted to open /dev/net/tun; run as root");
    return refuse(error, PORT_INCAPABLE, name, "no /dev/net/tun; load it with: modprobe tun");
}

static int refuse_interface(char *error, const char *name)
{
    if (errno == EPERM)
        return refuse(error, PORT_INCAPABLE, name, "not permitted; needs CAP_NET_ADMIN, run as root");
    if (errno == EBUSY)
        return refuse(error, PORT_REFUSED, name, "in use by another process; choose another name");
    if (errno == EINVAL)
        return refuse(error, PORT_REFUSED, name, "exists and is no TAP interface; choose another name");
    return refuse(error, PORT_REFUSED, name, strerror(errno));
}

static int make_interface(struct tap_state *state, const char *name, char *error)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    state->device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (state->device < 0)
        return refuse_device(error, name);
    memcpy(request.ifr_name, name, strlen(name) + 1);
    if (ioctl(state->device, TUNSETIFF, &request) != 0)
        return refuse_interface(error, name);
    if (interface_raise(name) != 0)
        return refuse(error, PORT_INCAPABLE, name, "cannot be brought up; needs CAP_NET_ADMIN, run as root");
    state->dropped = interface_open_dropped(name);
    state->dropped_before = interface_read_dropped(state->dropped);
    return 0;
}

static void tap_close(struct port *port)
{
    struct tap_state *state = port->state;
    if (state->dropped >= 0)
        close(state->dropped);
    if (state->device >= 0)
        close(state->device);
    free(state);
    port->state = NULL;
}

static int tap_check(const char *argument, char *error)
{
    char name[OPTION_TEXT_BYTES];
    int outcome = option_parse("tap", argument, name, NULL, 0, error);
    return outcome != 0 || interface_check_name("tap", name, error) != 0 ? PORT_MISNAMED : 0;
}

static int tap_open(struct port *port, const char *argument, char *error)
{
    char name[OPTION_TEXT_BYTES];
    if (tap_check(argument, error) != 0)
        return PORT_MISNAMED;
    snprintf(name, sizeof name, "%s", argument);
    struct tap_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return refuse(error, PORT_REFUSED, name, "out of memory");
    state->device = -1;
    state->dropped = -1;
    port->state = state;
    int outcome = make_interface(state, name, error);
    if (outcome != 0)
        tap_close(port);
    return outcome;
}

/* One frame: 1, 0 nothing now, -1 the interface is gone. The overflow only takes the rest of an oversized frame. */
static int read_frame(struct tap_state *state, uint8_t *buffer, struct port_frame *frame)
{
    struct iovec pieces[] = {{buffer, BUFFER_BYTES}, {state->overflow, OVERFLOW_BYTES}};
    ssize_t size = readv(state->device, pieces, 2);
    if (size <= 0) {
        int quiet = size == 0 || errno == EAGAIN || errno == EINTR;
        if (!quiet && !state->failing)
            state->statistics.receive_errors++;
        state->failing = !quiet;
        return size < 0 && errno == EBADFD ? -1 : 0;
    }
    state->failing = 0;
    frame->data = buffer;
    frame->size = size < BUFFER_BYTES ? (uint32_t)size : BUFFER_BYTES;
    frame->size_wire = (uint32_t)size;
    frame->time_ns = 0;
    frame->flags = 0;
    return 1;
}

static int tap_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct tap_state *state = port->state;
    int count = 0, outcome = 1;
    while (count < limit && count < PORT_BURST_MAX) {
        outcome = read_frame(state, state->buffers[count], &frames[count]);
        if (outcome <= 0)
            break;
        count++;
    }
    state->statistics.frames_received += (uint64_t)count;
    return count == 0 && outcome < 0 ? -1 : count;
}

static void tap_release(struct port *port)
{
    (void)port; /* the next `receive` overwrites the buffers */
}

static int tap_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct tap_state *state = port->state;
    int sent = 0;
    while (sent < count && write(state->device, frames[sent].data, frames[sent].size) == (ssize_t)frames[sent].size)
        sent++;
    state->statistics.frames_transmitted += (uint64_t)sent;
    state->statistics.transmit_refused += (uint64_t)(count - sent);
    return sent;
}

static void tap_statistics(struct port *port, struct port_statistics *statistics)
{
    struct tap_state *state = port->state;
    state->statistics.receive_dropped = interface_read_dropped(state->dropped) - state->dropped_before;
    *statistics = state->statistics;
}

const struct port_operations port_tap = {
    .kind = "tap",
    .usage = "NAME",
    .open = tap_open,
    .receive = tap_receive,
    .release = tap_release,
    .transmit = tap_transmit,
    .statistics = tap_statistics,
    .close = tap_close,
    .check = tap_check,
};
