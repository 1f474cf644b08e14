/*
 * pcap.c ① — a capture as a port: frames come out of a pcap or pcapng file, transmitted frames go into a pcapng file.
 *
 *   pcap:IN[,out=OUT.pcapng][,speed=max|recorded|FACTOR][,direction=in]     pcap:,out=OUT.pcapng writes only
 *
 * With direction=in, frames that the capture marks as sent are passed over: a recording of both ways plays back one.
 *
 * Its hard rule: frames are handed out in place, inside the mapping; the file must not shrink while it is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../clock.h"
#include "../port.h"
#include "capture.h"
#include "capture_writer.h"
#include "mapping.h"
#include "option.h"

enum { BLOCKS_PER_FRAME = 4 }; /* bounds one `receive` over a capture with little for us in it */

struct pcap_state {
    struct mapping mapping; /* none: writes only */
    double speed; /* recorded seconds per second; 0: as fast as asked */
    int pending;  /* `next` waits for its time */
    int started;
    int ended;
    int64_t clock_first_ns;
    int64_t time_first_ns;
    struct port_frame next;
    struct port_statistics statistics;
    struct capture_writer writer;
    struct capture capture;
};

static int refuse(char *error, const char *path, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port pcap:%.120s: %.120s", path, text);
    return -1;
}

/* The argument, not a file, is off. */
static int misname(char *error, const char *text)
{
    refuse(error, "", text);
    return PORT_MISNAMED;
}

static int parse_speed(struct port *port, const char *text, char *error)
{
    struct pcap_state *state = port->state;
    char *end = NULL;
    if (text[0] == '\0' || strcmp(text, "max") == 0)
        return 0;
    state->speed = strcmp(text, "recorded") == 0 ? 1.0 : strtod(text, &end);
    if (!(state->speed >= 1e-6 && state->speed <= 1e9) || (end && *end != '\0'))
        return misname(error, "speed= is max, recorded, or a factor from 0.000001 to 1000000000");
    return port->clock ? 0 : misname(error, "speed= needs a clock; open the port with one");
}

static int map_capture(struct pcap_state *state, const char *path, char *error)
{
    char reason[PORT_ERROR_BYTES];
    const char *problem = mapping_open(&state->mapping, path);
    if (problem == NULL)
        problem = capture_begin(&state->capture, state->mapping.bytes, state->mapping.size, reason);
    return problem ? refuse(error, path, problem) : 0;
}

static int open_both(struct port *port, const char *argument, char *error)
{
    struct pcap_state *state = port->state;
    struct option options[] = {{.key = "out"}, {.key = "speed"}, {.key = "direction"}};
    const char *out = options[0].value, *direction = options[2].value;
    char path[OPTION_TEXT_BYTES];
    if (option_parse("pcap", argument, path, options, 3, error) != 0 || parse_speed(port, options[1].value, error) != 0)
        return PORT_MISNAMED;
    if (direction[0] && strcmp(direction, "in") != 0)
        return misname(error, "direction= is in, or left away");
    if (path[0] == '\0' && out[0] == '\0')
        return misname(error, "name a capture to read, or out=FILE to write");
    if (path[0] != '\0' && map_capture(state, path, error) != 0)
        return -1;
    state->capture.inbound_only = direction[0] != 0;
    const char *problem = out[0] ? capture_writer_open(&state->writer, out, state->mapping.file) : NULL;
    return problem ? refuse(error, out, problem) : 0;
}

static void pcap_close(struct port *port)
{
    struct pcap_state *state = port->state;
    capture_writer_close(&state->writer);
    mapping_close(&state->mapping);
    free(state);
    port->state = NULL;
}

static int pcap_open(struct port *port, const char *argument, char *error)
{
    struct pcap_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return refuse(error, "", "out of memory");
    state->mapping.file = -1;
    state->writer.file = -1;
    port->state = state;
    int outcome = open_both(port, argument, error);
    if (outcome != 0)
        pcap_close(port);
    return outcome;
}

/* Puts the next frame into `next`. 1, 0 after too many blocks without one, -1 at the end. */
static int advance(struct pcap_state *state, int *blocks_left)
{
    while (!state->pending) {
        if (state->mapping.bytes == NULL || state->ended)
            return -1;
        if ((*blocks_left)-- <= 0)
            return 0;
        enum capture_step step = capture_next(&state->capture, &state->next);
        state->pending = step == CAPTURE_FRAME;
        state->ended = step == CAPTURE_END;
    }
    return 1;
}

/* Whether as much time has passed since the first frame as when it was recorded, divided by the factor. */
static int is_due(struct port *port)
{
    struct pcap_state *state = port->state;
    if (state->speed == 0.0)
        return 1;
    int64_t now_ns = clock_now_ns(port->clock);
    if (!state->started) {
        state->started = 1;
        state->clock_first_ns = now_ns;
        state->time_first_ns = state->next.time_ns;
    }
    double recorded_ns = (double)(state->next.time_ns - state->time_first_ns);
    return (double)(now_ns - state->clock_first_ns) * state->speed >= recorded_ns;
}

static int pcap_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct pcap_state *state = port->state;
    int count = 0, blocks_left = limit * BLOCKS_PER_FRAME, outcome = 1;
    while (count < limit && (outcome = advance(state, &blocks_left)) > 0 && is_due(port)) {
        frames[count++] = state->next;
        port->time_ns = state->next.time_ns;
        state->pending = 0;
    }
    state->statistics.frames_received += (uint64_t)count;
    return count == 0 && outcome < 0 ? -1 : count;
}

static void pcap_release(struct port *port)
{
    (void)port; /* frames stay in the mapping until the port is closed */
}

static int pcap_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct pcap_state *state = port->state;
    int64_t time_ns = port->time_ns;
    int written = 0;
    if (time_ns == 0 && port->clock)
        time_ns = clock_now_ns(port->clock);
    if (state->writer.file >= 0)
        written = capture_writer_append(&state->writer, frames, count, time_ns);
    state->statistics.frames_transmitted += (uint64_t)written;
    state->statistics.transmit_refused += (uint64_t)(count - written);
    return written;
}

static void pcap_statistics(struct port *port, struct port_statistics *statistics)
{
    struct pcap_state *state = port->state;
    *statistics = state->statistics;
    statistics->receive_errors = state->capture.errors;
}

const struct port_operations port_pcap = {
    .kind = "pcap",
    .usage = "IN.pcap[,out=OUT.pcapng][,speed=max|recorded|FACTOR][,direction=in]",
    .patient = 1,
    .open = pcap_open,
    .receive = pcap_receive,
    .release = pcap_release,
    .transmit = pcap_transmit,
    .statistics = pcap_statistics,
    .close = pcap_close,
};
