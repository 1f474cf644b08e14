/* stream.c ⑧ — the port of an order session over a TCP socket. See stream.h. */
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "stream.h"

/* Bytes the kernel took now, or -1 with `problem` set when it never will. */
static ssize_t push(struct stream *stream, const uint8_t *data, uint32_t size)
{
    ssize_t sent = send(stream->socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS))
        return 0;
    if (sent < 0)
        stream->problem = errno;
    else
        stream->bytes_sent += (uint64_t)sent;
    return sent;
}

/* 1 when nothing of an earlier packet is left. */
static int finish_rest(struct stream *stream)
{
    if (!stream->rest)
        return 1;
    ssize_t sent = push(stream, stream->rest_bytes, stream->rest);
    if (sent <= 0)
        return 0;
    stream->rest -= (uint32_t)sent;
    memmove(stream->rest_bytes, stream->rest_bytes + sent, stream->rest);
    return stream->rest == 0;
}

uint32_t stream_held(const struct stream *stream)
{
    int held = 0;
    if (stream->socket < 0 || ioctl(stream->socket, SIOCOUTQNSD, &held))
        held = 0;
    return (uint32_t)held + stream->rest;
}

int stream_send(struct stream *stream, const uint8_t *data, uint32_t size)
{
    if (stream->socket < 0 || stream->problem || size > sizeof stream->rest_bytes || !finish_rest(stream))
        return 0;
    ssize_t sent = push(stream, data, size);
    if (sent <= 0)
        return 0;
    stream->rest = size - (uint32_t)sent;
    memcpy(stream->rest_bytes, data + sent, stream->rest);
    return 1;
}

static int stream_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct stream *stream = port->state;
    int taken = 0;
    while (taken < count && stream_held(stream) <= stream->held_max &&
           stream_send(stream, frames[taken].data, frames[taken].size))
        taken++;
    stream->refused += (uint64_t)(count - taken);
    return taken;
}

static int stream_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct stream *stream = port->state;
    int count = 0;
    for (; count < limit && (uint32_t)count < stream->inbox_count; count++) {
        const struct stream_row *row = &stream->inbox[count];
        frames[count] = (struct port_frame){
            .data = row->bytes, .size = row->size, .size_wire = row->size, .flags = row->flags};
    }
    stream->inbox_read = (uint32_t)count;
    return count;
}

static void stream_release(struct port *port)
{
    struct stream *stream = port->state;
    stream->inbox_count -= stream->inbox_read;
    memmove(stream->inbox, stream->inbox + stream->inbox_read, stream->inbox_count * sizeof stream->inbox[0]);
    stream->inbox_read = 0;
}

static void stream_statistics(struct port *port, struct port_statistics *statistics)
{
    statistics->transmit_refused = ((struct stream *)port->state)->refused;
}

static void stream_close(struct port *port)
{
    port->state = NULL;
}

static const struct port_operations operations = {
    .kind = "stream",
    .usage = "",
    .patient = 1, /* TCP holds the other side up while core is behind */
    .receive = stream_receive,
    .release = stream_release,
    .transmit = stream_transmit,
    .statistics = stream_statistics,
    .close = stream_close,
};

void stream_port(struct port *port, struct stream *stream, const struct clock_calibration *clock)
{
    *port = (struct port){.operations = &operations, .state = stream, .clock = clock};
    stream->socket = -1;
}
