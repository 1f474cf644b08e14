/* dpdk_eal_check.c ① — see dpdk_eal_check.h. Source: DPDK 22.11 Linux guide, "EAL parameters". */
#define _GNU_SOURCE
#include "dpdk_eal_check.h"

#include <ctype.h>
#include <errno.h>
#include <rte_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../port.h"

enum { OPTIONS_MAX = 64, WORD_BYTES = 512 };

/* How a value is written. */
enum shape { SHAPE_NONE, SHAPE_NUMBER, SHAPE_OPTIONAL, SHAPE_ADDRESS, SHAPE_LIST, SHAPE_WORD, SHAPE_TOKEN };

struct eal_option {
    const char *name; /* as EAL knows it */
    enum shape shape;
    long low, high;      /* SHAPE_NUMBER */
    const char *words;   /* SHAPE_WORD: the words, each between spaces */
    int needs_huge;
    const char *refusal; /* why it must not be given; NULL: it may */
};

#define PLACES "the port runs where its caller runs: place that with cpu="
#define MEMORY "say it with huge= and memory="
#define FILES "the port shares no files and names its own"
#define DEVICES "name the device as the port itself"
#define QUIET "the first line of the log is part of the error, the rest is not printed"
#define ENDS "it would end the process, load code, or share memory with a stranger"

static const struct eal_option options[] = {
    {.name = "-n", .shape = SHAPE_NUMBER, .low = 1, .high = 32},
    {.name = "-r", .shape = SHAPE_NUMBER, .low = 1, .high = 16},
    {.name = "--base-virtaddr", .shape = SHAPE_ADDRESS},
    {.name = "--create-uio-dev", .shape = SHAPE_NONE},
    {.name = "--force-max-simd-bitwidth", .shape = SHAPE_WORD, .words = " 64 128 256 512 "},
    {.name = "--huge-worker-stack", .shape = SHAPE_OPTIONAL, .low = 16, .high = 65536},
    {.name = "--iova-mode", .shape = SHAPE_WORD, .words = " pa va "},
    {.name = "--match-allocations", .shape = SHAPE_NONE, .needs_huge = 1},
    {.name = "--mbuf-pool-ops-name",
     .shape = SHAPE_WORD,
     .words = " ring_mp_mc ring_sp_sc ring_mp_sc ring_sp_mc ring_mt_rts ring_mt_hts stack lf_stack "},
    {.name = "--no-hpet", .shape = SHAPE_NONE},
    {.name = "--single-file-segments", .shape = SHAPE_NONE, .needs_huge = 1},
    {.name = "--socket-limit", .shape = SHAPE_LIST, .needs_huge = 1},
    {.name = "--socket-mem", .shape = SHAPE_LIST, .needs_huge = 1},
    {.name = "--syslog",
     .shape = SHAPE_WORD,
     .words = " auth cron daemon ftp kern lpr mail news syslog user uucp local0 local1 local2 local3 local4 local5 local6 "
              "local7 "},
    {.name = "--vfio-intr", .shape = SHAPE_WORD, .words = " legacy msi msix "},
    {.name = "--vfio-vf-token", .shape = SHAPE_TOKEN},
    {.name = "--vmware-tsc-map", .shape = SHAPE_NONE},
    {.name = "-c", .refusal = PLACES},
    {.name = "-l", .refusal = PLACES},
    {.name = "-s", .refusal = PLACES},
    {.name = "-S", .refusal = PLACES},
    {.name = "--lcores", .refusal = PLACES},
    {.name = "--main-lcore", .refusal = PLACES},
    {.name = "-m", .refusal = MEMORY},
    {.name = "--no-huge", .refusal = MEMORY},
    {.name = "--in-memory", .refusal = MEMORY},
    {.name = "--legacy-mem", .refusal = MEMORY},
    {.name = "--huge-dir", .refusal = FILES},
    {.name = "--huge-unlink", .refusal = FILES},
    {.name = "--file-prefix", .refusal = FILES},
    {.name = "--no-shconf", .refusal = FILES},
    {.name = "--telemetry", .refusal = FILES},
    {.name = "--no-telemetry", .refusal = FILES},
    {.name = "--trace", .refusal = FILES},
    {.name = "--trace-dir", .refusal = FILES},
    {.name = "--trace-bufsz", .refusal = FILES},
    {.name = "--trace-mode", .refusal = FILES},
    {.name = "-a", .refusal = DEVICES},
    {.name = "-b", .refusal = DEVICES},
    {.name = "--allow", .refusal = DEVICES},
    {.name = "--block", .refusal = DEVICES},
    {.name = "--vdev", .refusal = DEVICES},
    {.name = "--no-pci", .refusal = DEVICES},
    {.name = "--log-level", .refusal = QUIET},
    {.name = "-d", .refusal = ENDS},
    {.name = "-h", .refusal = ENDS},
    {.name = "-v", .refusal = ENDS},
    {.name = "--help", .refusal = ENDS},
    {.name = "--version", .refusal = ENDS},
    {.name = "--proc-type", .refusal = ENDS},
};
enum { OPTIONS = sizeof options / sizeof *options };

static int refuse_word(char *error, const struct eal_choice *choice, const char *word, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: eal=%.60s: %.120s",
             (int)RTE_MIN(strcspn(choice->device, ","), 40u), choice->device, word, text);
    return PORT_MISNAMED;
}

static const struct eal_option *find(const char *word)
{
    /* a short option may carry its value at once: -n4 */
    size_t length = word[1] == '-' ? strcspn(word, "=") : strnlen(word, 2);
    for (int index = 0; index < OPTIONS; index++)
        if (strlen(options[index].name) == length && strncmp(options[index].name, word, length) == 0)
            return &options[index];
    return NULL;
}

static int is_number(const char *value, int base, long low, long high)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(value, &end, base);
    return isxdigit((unsigned char)value[0]) && errno == 0 && *end == '\0' && number >= low && number <= high;
}

/* Numbers between commas: of megabytes, one for each memory node. Commas end a key of ours, so `:` stands for them. */
static int is_list(const char *value)
{
    size_t digits = strspn(value, "0123456789:");
    return value[0] != '\0' && value[digits] == '\0' && value[0] != ':' && strstr(value, "::") == NULL;
}

/* 8-4-4-4-12 hexadecimal digits (RFC 9562 section 4). */
static int is_token(const char *value)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(value) != sizeof shape - 1)
        return 0;
    for (size_t at = 0; shape[at]; at++)
        if (shape[at] == 'x' ? !isxdigit((unsigned char)value[at]) : value[at] != '-')
            return 0;
    return 1;
}

/* NULL, or what a value of this shape looks like. */
static const char *judge(const struct eal_option *option, const char *value)
{
    static char line[PORT_ERROR_BYTES];
    char word[WORD_BYTES];
    snprintf(word, sizeof word, " %s ", value ? value : "");
    if (option->shape == SHAPE_NONE)
        return value ? "takes no value" : NULL;
    if (option->shape == SHAPE_OPTIONAL && value == NULL)
        return NULL;
    if (value == NULL || value[0] == '\0')
        return "needs a value";
    if (option->shape == SHAPE_WORD && (strchr(value, ' ') || strstr(option->words, word) == NULL)) {
        snprintf(line, sizeof line, "is one of:%s", option->words);
        line[strlen(line) - 1] = '\0';
        return line;
    }
    if ((option->shape == SHAPE_NUMBER || option->shape == SHAPE_OPTIONAL) &&
        !is_number(value, 10, option->low, option->high)) {
        snprintf(line, sizeof line, "is a whole number from %ld to %ld", option->low, option->high);
        return line;
    }
    if (option->shape == SHAPE_ADDRESS && !is_number(value, 16, 4096, INT64_MAX))
        return "is an address in hexadecimal";
    if (option->shape == SHAPE_LIST && !is_list(value))
        return "is a list of megabytes such as 512 or 512:512";
    return option->shape == SHAPE_TOKEN && !is_token(value) ? "is a UUID" : NULL;
}

/* The value that is written with the word itself, or NULL. */
static const char *value_of(const char *word)
{
    if (word[1] != '-')
        return word[2] ? word + 2 + (word[2] == '=') : NULL;
    const char *equals = strchr(word, '=');
    return equals ? equals + 1 : NULL;
}

static int check_word(const struct eal_choice *choice, const char *word, const char *next, int *seen, char *error)
{
    const struct eal_option *option = word[0] == '-' && word[1] ? find(word) : NULL;
    const char *value = value_of(word);
    if (option == NULL)
        return refuse_word(error, choice, word, "no option of EAL that is known here; see docs/operating/ports.md");
    if (option->refusal)
        return refuse_word(error, choice, word, option->refusal);
    if (option->needs_huge && !choice->huge_pages)
        return refuse_word(error, choice, word, "only with huge=yes");
    if (seen[option - options]++)
        return refuse_word(error, choice, word, "given twice");
    int takes_next = value == NULL && next && next[0] != '-' && option->shape != SHAPE_NONE;
    const char *shape = judge(option, takes_next ? next : value);
    return shape ? refuse_word(error, choice, word, shape) : takes_next;
}

int eal_check_words(const struct eal_choice *choice, char *error)
{
    char extra[WORD_BYTES], *words[OPTIONS_MAX + 1] = {NULL};
    int count = 0, seen[OPTIONS] = {0};
    snprintf(extra, sizeof extra, "%s", choice->extra);
    for (char *rest = extra, *word; (word = strtok_r(rest, ";", &rest)) != NULL;) {
        if (count == OPTIONS_MAX)
            return refuse_word(error, choice, word, "more words than EAL has options");
        words[count++] = word;
    }
    for (int at = 0; at < count; at++) {
        int taken = check_word(choice, words[at], words[at + 1], seen, error);
        if (taken < 0)
            return PORT_MISNAMED;
        at += taken;
    }
    return 0;
}
