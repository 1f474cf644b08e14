/*
 * recording.c ① — a recorded WebSocket session as a port: every message comes out as records of FRAME_MESSAGE, in parts
 * of at most FRAME_PART_BYTES, as a live session would hand them over.
 *
 *   recording:FILE
 *
 * A line is one of
 *
 *   <nanoseconds> <message>          received; nanoseconds since 1970
 *   <seconds>: <message>             received; seconds since 1970 with a fraction
 *   <address> <- <seconds>: <…>      sent by the recorded client: passed over, counted as transmitted
 *   <address> <-> <seconds>          a connection was opened: an empty message
 *
 * Its hard rule: no byte behind the end of the line is looked at, and a line of another kind is counted, never guessed at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../port.h"
#include "mapping.h"
#include "option.h"

enum { TIME_DIGITS_MAX = 19, SECOND_DIGITS_MAX = 10, ADDRESS_BYTES_MAX = 2048 };

struct recording_state {
    struct mapping mapping;
    uint64_t position;
    const uint8_t *message; /* what is left of a message that is being handed over */
    uint64_t left;
    struct port_statistics statistics;
};

enum line_kind { LINE_NOTHING, LINE_MESSAGE, LINE_CONNECTION, LINE_SENT, LINE_UNKNOWN };

struct text_line {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next line without its end; 0 at the end of the file. */
static int next_line(struct recording_state *state, struct text_line *line)
{
    uint64_t left = state->mapping.size - state->position;
    if (left == 0)
        return 0;
    line->at = state->mapping.bytes + state->position;
    const uint8_t *end = memchr(line->at, '\n', left);
    state->position += end ? (uint64_t)(end - line->at) + 1 : left;
    line->end = end ? end : line->at + left;
    if (line->end > line->at && line->end[-1] == '\r')
        line->end--;
    return 1;
}

/* Digits at the line's front as a number; how many there were, 0 also when there are more than `most`. */
static int take_digits(struct text_line *line, int most, int64_t *number)
{
    int count = 0;
    uint64_t value = 0; /* 19 digits fit */
    for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++)
        value = ++count <= most ? value * 10 + (*line->at - '0') : value;
    *number = (int64_t)value;
    return count <= most && value <= INT64_MAX ? count : 0;
}

/* "<seconds>[.<fraction>]": what stands behind nine digits of the fraction is less than a nanosecond. */
static int take_fraction(struct text_line *line, int64_t seconds, int64_t *time_ns)
{
    int64_t scale = 1000000000;
    if (seconds >= INT64_MAX / scale)
        return 0;
    *time_ns = seconds * scale;
    if (line->at == line->end || *line->at != '.')
        return 1;
    for (line->at++; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++)
        *time_ns += (*line->at - '0') * (scale /= 10);
    return 1;
}

static int take_text(struct text_line *line, const char *text)
{
    size_t bytes = strlen(text);
    if ((size_t)(line->end - line->at) < bytes || memcmp(line->at, text, bytes) != 0)
        return 0;
    line->at += bytes;
    return 1;
}

/* A line that begins with an address: what the recorder wrote about the session itself. */
static enum line_kind read_marker(struct text_line *line, int64_t *time_ns)
{
    size_t bytes = (size_t)(line->end - line->at), reach = bytes < ADDRESS_BYTES_MAX ? bytes : ADDRESS_BYTES_MAX;
    int64_t seconds;
    if (!take_text(line, "ws"))
        return LINE_UNKNOWN;
    const uint8_t *space = memchr(line->at, ' ', reach - 2);
    if (!space)
        return LINE_UNKNOWN;
    line->at = space;
    int opened = take_text(line, " <-> ");
    enum line_kind kind = opened ? LINE_CONNECTION : take_text(line, " <- ") ? LINE_SENT : LINE_UNKNOWN;
    int digits = kind == LINE_UNKNOWN ? 0 : take_digits(line, SECOND_DIGITS_MAX, &seconds);
    return digits && take_fraction(line, seconds, time_ns) ? kind : LINE_UNKNOWN;
}

/* What the line is; of a message, `line` becomes its text. */
static enum line_kind read_line(struct text_line *line, int64_t *time_ns)
{
    int64_t number, time_before_ns = *time_ns;
    struct text_line whole = *line;
    if (line->at == line->end)
        return LINE_NOTHING;
    if (*line->at < '0' || *line->at > '9')
        return read_marker(line, time_ns);
    if (take_digits(line, TIME_DIGITS_MAX, time_ns) && take_text(line, " "))
        return LINE_MESSAGE;
    *line = whole;
    if (take_digits(line, SECOND_DIGITS_MAX, &number) && take_fraction(line, number, time_ns) && take_text(line, ": "))
        return LINE_MESSAGE;
    *time_ns = time_before_ns;
    return LINE_UNKNOWN;
}

/* The next line that becomes a record; 0 at the end of the file. An empty message says that a connection was opened. */
static int next_message(struct port *port, struct recording_state *state)
{
    struct text_line line;
    while (next_line(state, &line)) {
        enum line_kind kind = read_line(&line, &port->time_ns);
        state->statistics.frames_transmitted += kind == LINE_SENT;
        state->statistics.receive_errors += kind == LINE_UNKNOWN || (kind == LINE_MESSAGE && line.at == line.end);
        if (kind != LINE_CONNECTION && (kind != LINE_MESSAGE || line.at == line.end))
            continue;
        state->message = line.at;
        state->left = kind == LINE_MESSAGE ? (uint64_t)(line.end - line.at) : 0;
        return 1;
    }
    return 0;
}

static int recording_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct recording_state *state = port->state;
    int count = 0;
    for (; count < limit && count < PORT_BURST_MAX; count++) {
        if (!state->message && !next_message(port, state))
            break;
        int more = state->left > FRAME_PART_BYTES;
        uint32_t bytes = more ? FRAME_PART_BYTES : (uint32_t)state->left;
        uint16_t flags = more ? FRAME_MESSAGE | FRAME_MORE : FRAME_MESSAGE;
        frames[count] = (struct port_frame){state->message, bytes, bytes, port->time_ns, flags};
        state->message = more ? state->message + bytes : NULL;
        state->left -= bytes;
    }
    state->statistics.frames_received += (uint64_t)count;
    return count == 0 ? -1 : count;
}

static void recording_release(struct port *port)
{
    (void)port; /* the frames lie in the mapping */
}

static int recording_transmit(struct port *port, const struct port_frame *frames, int count)
{
    (void)frames;
    ((struct recording_state *)port->state)->statistics.transmit_refused += (uint64_t)count;
    return 0;
}

static void recording_statistics(struct port *port, struct port_statistics *statistics)
{
    *statistics = ((struct recording_state *)port->state)->statistics;
}

static void recording_close(struct port *port)
{
    struct recording_state *state = port->state;
    mapping_close(&state->mapping);
    free(state);
    port->state = NULL;
}

static int recording_open(struct port *port, const char *argument, char *error)
{
    char path[OPTION_TEXT_BYTES];
    if (option_parse("recording", argument, path, NULL, 0, error) != 0)
        return PORT_MISNAMED;
    struct recording_state *state = calloc(1, sizeof *state);
    const char *problem = state ? mapping_open(&state->mapping, path) : "out of memory";
    if (problem) {
        snprintf(error, PORT_ERROR_BYTES, "port recording:%.120s: %.100s", path, problem);
        free(state);
        return PORT_REFUSED;
    }
    port->state = state;
    return 0;
}

const struct port_operations port_recording = {
    .kind = "recording",
    .usage = "FILE",
    .patient = 1,
    .open = recording_open,
    .receive = recording_receive,
    .release = recording_release,
    .transmit = recording_transmit,
    .statistics = recording_statistics,
    .close = recording_close,
};
