/* capture_writer.c ① — see capture_writer.h. Written in this machine's byte order, as the format allows. */
#include "capture_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture.h"

/* draft-ietf-opsawg-pcapng, sections 4.1 and 4.2: a section of unknown length, an interface with if_tsresol 9. */
static const struct {
    uint32_t section[7];
    uint32_t interface[8];
} file_header = {
    .section = {0x0A0D0D0A, 28, 0x1A2B3C4D, 0x00000001, 0xFFFFFFFF, 0xFFFFFFFF, 28},
    .interface = {1, 32, 0x00000001, 0, 0x00010009, 0x00000009, 0x00000000, 32},
};

/* Section 4.2, with if_name (option 2): eighteen characters, padded to twenty. */
static const struct {
    uint32_t type, length, link, snap_bytes, name_option;
    char name[20];
    uint32_t resolution_option, resolution, options_end, length_again;
} exception_interface = {1, 56, 1, 0, 0x00120002, CAPTURE_EXCEPTION, 0x00010009, 9, 0, 56};

/* Section 4.3. */
struct packet_block {
    uint32_t type, length, interface, time_high, time_low, size, size_wire;
};
/* Section 4.3.1: epb_flags with the direction, epb_dropcount, end of options, the block's length again. */
struct packet_tail {
    uint32_t flags_option, flags, drop_option, drop_low, drop_high, options_end, length;
};
enum { PACKET_BLOCK = 6, FLAGS_OPTION = 0x00040002, DROP_OPTION = 0x00080004 };

static int write_whole(struct capture_writer *writer, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t step = write(writer->file, bytes + done, size - done);
        if (step < 0 && errno == EINTR)
            continue;
        if (step <= 0) {
            if (ftruncate(writer->file, (off_t)writer->whole_bytes) == 0)
                lseek(writer->file, (off_t)writer->whole_bytes, SEEK_SET);
            return -1;
        }
        done += (uint64_t)step;
    }
    writer->whole_bytes += size;
    return 0;
}

static const char *open_file(struct capture_writer *writer, const char *path, int source)
{
    struct stat input = {0}, output = {0};
    writer->file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (writer->file < 0)
        return strerror(errno);
    if (fstat(writer->file, &output) != 0 || !S_ISREG(output.st_mode))
        return "not a regular file";
    if (source >= 0 && fstat(source, &input) == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino)
        return "the same file as the input; name another";
    return ftruncate(writer->file, 0) == 0 ? NULL : strerror(errno);
}

const char *capture_writer_open(struct capture_writer *writer, const char *path, int source)
{
    memset(writer, 0, sizeof *writer);
    const char *problem = open_file(writer, path, source);
    if (problem == NULL && (writer->buffer = malloc(WRITER_BUFFER_BYTES)) == NULL)
        problem = "out of memory";
    if (problem == NULL && write_whole(writer, (const uint8_t *)&file_header, sizeof file_header) != 0)
        problem = strerror(errno);
    if (problem)
        capture_writer_close(writer);
    return problem;
}

static uint64_t block_bytes(uint32_t size)
{
    return sizeof(struct packet_block) + (((uint64_t)size + 3) & ~3ull) + sizeof(struct packet_tail);
}

static void put_frame(struct capture_writer *writer, const struct port_frame *frame, enum capture_side side,
                      uint32_t direction, uint64_t dropped)
{
    uint64_t length = block_bytes(frame->size), time = (uint64_t)frame->time_ns;
    uint32_t flags = direction | (frame->flags & FRAME_CHECKSUM_UNREADY ? CAPTURE_CHECKSUM_UNREADY : 0);
    uint8_t *block = writer->buffer + writer->used_bytes;
    struct packet_block head = {
        PACKET_BLOCK, (uint32_t)length, side, (uint32_t)(time >> 32), (uint32_t)time, frame->size,
        frame->size_wire > frame->size ? frame->size_wire : frame->size,
    };
    struct packet_tail tail = {
        FLAGS_OPTION, flags, DROP_OPTION, (uint32_t)dropped, (uint32_t)(dropped >> 32), 0, (uint32_t)length,
    };
    memset(block, 0, length); /* the padding */
    memcpy(block, &head, sizeof head);
    memcpy(block + sizeof head, frame->data, frame->size);
    memcpy(block + length - sizeof tail, &tail, sizeof tail);
    writer->used_bytes += length;
    writer->count_buffered++;
}

/* Frames of the buffer that are in the file now. */
static int flush(struct capture_writer *writer)
{
    int count = writer->count_buffered, failed = 0;
    if (writer->used_bytes)
        failed = write_whole(writer, writer->buffer, writer->used_bytes);
    writer->used_bytes = 0;
    writer->count_buffered = 0;
    return failed ? 0 : count;
}

int capture_writer_append(struct capture_writer *writer, const struct port_frame *frames, int count, int64_t time_ns)
{
    int written = 0;
    for (int index = 0; index < count && frames[index].size <= WRITER_FRAME_BYTES_MAX; index++) {
        if (writer->used_bytes + block_bytes(frames[index].size) > WRITER_BUFFER_BYTES) {
            int whole = writer->count_buffered;
            if (flush(writer) != whole)
                return written;
            written += whole;
        }
        struct port_frame frame = frames[index];
        frame.time_ns = frame.time_ns ? frame.time_ns : time_ns;
        put_frame(writer, &frame, CAPTURE_SIDE_PORT, CAPTURE_OUTBOUND, 0);
    }
    return written + flush(writer);
}

int capture_writer_flush(struct capture_writer *writer)
{
    int whole = writer->count_buffered;
    return flush(writer) == whole ? 0 : -1;
}

int capture_writer_add_exception(struct capture_writer *writer)
{
    return write_whole(writer, (const uint8_t *)&exception_interface, sizeof exception_interface);
}

int capture_writer_put(struct capture_writer *writer, const struct port_frame *frame, enum capture_side side,
                       uint32_t direction, uint64_t dropped)
{
    if (frame->size > WRITER_FRAME_BYTES_MAX)
        return 0;
    if (writer->used_bytes + block_bytes(frame->size) > WRITER_BUFFER_BYTES && capture_writer_flush(writer) != 0)
        return -1;
    put_frame(writer, frame, side, direction, dropped);
    return 0;
}

void capture_writer_close(struct capture_writer *writer)
{
    if (writer->file >= 0)
        close(writer->file);
    free(writer->buffer);
    writer->buffer = NULL;
    writer->file = -1;
}
