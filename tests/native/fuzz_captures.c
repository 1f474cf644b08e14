/*
 * fuzz_captures.c — a seeded mutation fuzzer over everything in C that reads a recorded file or a port's argument.
 *
 *   fuzz_captures SEED ROUNDS SEED_FILE…
 *
 * Every file is cut, patched and spliced, then walked from a heap block of exactly its size, so that AddressSanitizer
 * sees the first byte read outside. The walk also has to be orderly: frames inside the file, positions that only grow, an
 * end that stays the end. A failure prints seed and round; both alone reproduce it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports/binaryfile.c" /* its reader works on a mapping; here the mapping is a heap block */

#include "ports/capture.h"

enum { FILES_MAX = 64, FILE_BYTES_MAX = 65536, PATCHES_MAX = 8 };

struct text {
    uint8_t *bytes;
    size_t size;
};

static struct text corpus[FILES_MAX];
static int corpus_count;
static uint64_t seed, random_state;
static long round_now;
static uint64_t frames_seen, refused_seen, errors_seen;
static volatile uint8_t sink; /* reading every byte of a frame must not be optimised away */

/* splitmix64 */
static uint64_t chance(void)
{
    uint64_t word = random_state += 0x9E3779B97F4A7C15ull;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
    return word ^ (word >> 31);
}

static void demand(int holds, const char *rule)
{
    if (holds)
        return;
    fprintf(stderr, "seed %llu round %ld: %s\n", (unsigned long long)seed, round_now, rule);
    exit(1);
}

static void read_all(const struct port_frame *frame)
{
    uint8_t sum = 0;
    for (uint32_t at = 0; at < frame->size; at++)
        sum = (uint8_t)(sum + frame->data[at]);
    sink = sum;
}

/* One word of a size that readers stumble over, in either byte order. */
static uint32_t awkward(size_t size)
{
    static const uint32_t words[] = {0, 1, 3, 4, 8, 11, 12, 16, 28, 32, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000,
                                     0x40000, 0x40001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFC, 0xFFFFFFFF};
    uint32_t word = chance() % 4 ? words[chance() % (sizeof words / sizeof *words)] : (uint32_t)(chance() % (size + 8));
    return chance() % 2 ? word : __builtin_bswap32(word);
}

static void patch(uint8_t *bytes, size_t size)
{
    uint32_t word = awkward(size);
    size_t at = chance() % size, width = (size_t)1 << chance() % 3;
    if (chance() % 2)
        at &= ~(size_t)3; /* where the fields are */
    memcpy(bytes + at, &word, width <= size - at ? width : size - at);
}

/* A new file: one of the corpus, perhaps with the tail of another, perhaps cut, with a few patches. */
static struct text mutate(void)
{
    const struct text *head = &corpus[chance() % (uint64_t)corpus_count], *tail = &corpus[chance() % (uint64_t)corpus_count];
    size_t kept = chance() % 3 ? head->size : chance() % (head->size + 1);
    size_t from = chance() % 4 ? tail->size : chance() % (tail->size + 1) & ~(size_t)3;
    struct text made = {malloc(kept + tail->size - from + 1), kept + tail->size - from};
    memcpy(made.bytes, head->bytes, kept);
    memcpy(made.bytes + kept, tail->bytes + from, tail->size - from);
    for (uint64_t left = chance() % (PATCHES_MAX + 1); left > 0 && made.size > 0; left--)
        patch(made.bytes, made.size);
    struct text exact = {malloc(made.size ? made.size : 1), made.size};
    memcpy(exact.bytes, made.bytes, made.size);
    free(made.bytes);
    return exact;
}

static void walk_capture(const struct text *file)
{
    static struct capture capture;
    char reason[PORT_ERROR_BYTES] = "";
    struct port_frame frame;
    if (capture_begin(&capture, file->bytes, file->size, reason) != NULL) {
        demand(reason[0] != '\0' && strchr(reason, '\n') == NULL, "a refusal is one line");
        refused_seen++;
        return;
    }
    for (;;) {
        uint64_t before = capture.position;
        enum capture_step step = capture_next(&capture, &frame);
        demand(capture.position <= file->size, "the walk stays inside the file");
        if (step == CAPTURE_END)
            break;
        demand(capture.position > before, "every step gets further");
        if (step != CAPTURE_FRAME)
            continue;
        demand(frame.data >= file->bytes + before && frame.data + frame.size <= file->bytes + capture.position,
               "a frame stands inside its own record");
        demand(frame.size <= frame.size_wire && frame.size <= CAPTURE_FRAME_BYTES_MAX, "sizes are believable");
        demand(frame.time_ns >= 0, "no time before 1970");
        read_all(&frame);
        frames_seen++;
    }
    uint64_t errors = capture.errors;
    demand(capture_next(&capture, &frame) == CAPTURE_END && capture.errors == errors, "the end stays the end");
    errors_seen += errors;
}

static void walk_binaryfile(const struct text *file)
{
    static struct binaryfile_state state;
    struct port port = {.state = &state};
    struct port_frame frames[PORT_BURST_MAX];
    int count;
    memset(&state, 0, offsetof(struct binaryfile_state, frames));
    state.mapping = (struct mapping){.file = -1, .bytes = file->bytes, .size = file->size};
    state.sequence = 1;
    while ((count = binaryfile_receive(&port, frames, 1 + (int)(chance() % PORT_BURST_MAX))) >= 0)
        for (int index = 0; index < count; index++) {
            demand(frames[index].size > MESSAGE_AT && frames[index].size <= ETHERNET_BYTES + PACKET_BYTES_MAX,
                   "a frame holds one message and fits a packet");
            read_all(&frames[index]);
            frames_seen++;
        }
    demand(binaryfile_receive(&port, frames, 1) == -1, "the end stays the end");
    demand(state.position <= file->size, "the reader stays inside the file");
    errors_seen += state.statistics.receive_errors;
}

static void parse_argument(void)
{
    static const char letters[] = "out=speed==max.pcap/x\t ,,"; /* the commas last: half the arguments do without */
    static struct option options[] = {{.key = "out"}, {.key = "speed"}};
    char main_text[OPTION_TEXT_BYTES], error[PORT_ERROR_BYTES] = "";
    size_t size = chance() % 2 ? chance() % 40 : chance() % 1200, kinds = sizeof letters - 1 - (chance() % 2 ? 2 : 0);
    char *argument = malloc(size + 1);
    long number = 0;
    for (size_t at = 0; at < size; at++)
        argument[at] = chance() % 8 ? letters[chance() % kinds] : (char)(45 + chance() % 211);
    argument[size] = '\0';
    int outcome = option_parse("pcap", argument, main_text, options, 2, error);
    demand((outcome == 0) == (error[0] == '\0'), "a refusal says why");
    demand(memchr(error, '\0', sizeof error) != NULL, "an error ends");
    error[0] = '\0';
    outcome = option_number("pcap", &options[1], 1, 100, 7, &number, error);
    demand(outcome != 0 || (number >= 1 && number <= 100), "a number is inside its bounds");
    free(argument);
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct text *text = &corpus[corpus_count];
    if (file == NULL || corpus_count == FILES_MAX) {
        fprintf(stderr, "%s cannot be read, or is one too many\n", path);
        exit(2);
    }
    text->bytes = malloc(FILE_BYTES_MAX);
    text->size = fread(text->bytes, 1, FILE_BYTES_MAX, file);
    fclose(file);
    corpus_count++;
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: fuzz_captures SEED ROUNDS SEED_FILE...\n");
        return 2;
    }
    seed = random_state = strtoull(arguments[1], NULL, 10);
    long rounds = strtol(arguments[2], NULL, 10);
    for (int index = 3; index < count; index++)
        load(arguments[index]);
    for (round_now = 0; round_now < rounds; round_now++) {
        struct text file = mutate();
        walk_capture(&file);
        walk_binaryfile(&file);
        parse_argument();
        free(file.bytes);
    }
    for (int index = 0; index < corpus_count; index++)
        free(corpus[index].bytes);
    printf("frames %llu refused %llu errors %llu\n", (unsigned long long)frames_seen, (unsigned long long)refused_seen,
           (unsigned long long)errors_seen);
    return 0;
}
