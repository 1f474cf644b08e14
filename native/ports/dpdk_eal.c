/* dpdk_eal.c ① — see dpdk_eal.h. Source: DPDK 22.11 Linux guide, "EAL parameters". */
#define _GNU_SOURCE
#include "dpdk_eal.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../port.h"
#include "dpdk_host.h"

enum { ARGUMENTS_MAX = 48, TEXT_BYTES = 2048, LOG_BYTES = 160 };

static int started;         /* 1: EAL runs, -1: it failed and cannot be started again in this process */
static int started_with_pci;
static char log_line[LOG_BYTES];
static char text[TEXT_BYTES]; /* EAL keeps pointers into its arguments */

const char *eal_first_log(void)
{
    return log_line;
}

void eal_forget_log(void)
{
    log_line[0] = '\0';
}

/* Keeps the first line: the cause comes before its consequences. */
static ssize_t catch_log(void *cookie, const char *message, size_t size)
{
    (void)cookie;
    if (log_line[0] == '\0') {
        snprintf(log_line, sizeof log_line, "%.*s", (int)(size < LOG_BYTES ? size : LOG_BYTES - 1), message);
        log_line[strcspn(log_line, "\n")] = '\0';
    }
    return (ssize_t)size;
}

/* EAL prints its usage and a FATAL line past the log; both streams point to nowhere meanwhile. -1: nothing to restore. */
static int silence(int stream)
{
    int kept = dup(stream), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (kept >= 0 && nowhere >= 0)
        dup2(nowhere, stream);
    if (nowhere >= 0)
        close(nowhere);
    return kept;
}

static void restore(int stream, int kept)
{
    if (kept < 0)
        return;
    dup2(kept, stream);
    close(kept);
}

/* Appends one argument; the text lives in `text`. */
static int add(char **arguments, int count, size_t *used, const char *argument)
{
    size_t bytes = strlen(argument) + 1;
    if (count >= ARGUMENTS_MAX - 1 || *used + bytes > TEXT_BYTES)
        return -1;
    arguments[count] = memcpy(text + *used, argument, bytes);
    *used += bytes;
    return count + 1;
}

/* --in-memory and --no-huge exclude each other in 22.11; --no-shconf leaves no files behind either. */
static int build_arguments(const struct eal_choice *choice, char **arguments)
{
    char lcore[32], memory[32], prefix[48], extra[1024];
    size_t used = 0;
    /* vhost-user shares memory piece by piece, and takes eight pieces at most */
    int single = choice->huge_pages && strncmp(choice->device, "net_virtio_user", 15) == 0 &&
                 strstr(choice->extra, "--single-file-segments") == NULL;
    const char *fixed[] = {
        "gateway", "--no-telemetry", "--log-level=error", lcore, prefix,
        choice->huge_pages ? "--in-memory" : "--no-shconf",
        choice->huge_pages ? NULL : "--no-huge",
        choice->huge_pages ? NULL : memory,
        choice->is_pci ? "-a" : "--no-pci",
        choice->is_pci ? choice->device : NULL,
        single ? "--single-file-segments" : NULL,
    };

    snprintf(lcore, sizeof lcore, "--lcores=0@%d", sched_getcpu());
    snprintf(memory, sizeof memory, "-m%ld", choice->memory_mib);
    snprintf(prefix, sizeof prefix, "--file-prefix=gateway_%d", (int)getpid());
    int count = 0;
    for (size_t index = 0; index < sizeof fixed / sizeof *fixed && count >= 0; index++)
        if (fixed[index])
            count = add(arguments, count, &used, fixed[index]);
    snprintf(extra, sizeof extra, "%s", choice->extra);
    for (char *at = extra; (at = strchr(at, ':')) != NULL;)
        *at = ','; /* of a list; see dpdk_eal_check.c */
    for (char *rest = extra, *word; count >= 0 && (word = strtok_r(rest, ";", &rest)) != NULL;)
        count = add(arguments, count, &used, word);
    return count;
}

/* EAL makes it even when it shares nothing, and forgets it when it fails half-way. It carries our process's number. */
static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(path);
}

/* EAL pins its caller to the first lcore; the caller's own placement is restored behind it. */
static int initialise(const struct eal_choice *choice)
{
    char *arguments[ARGUMENTS_MAX] = {NULL};
    cpu_set_t placement;
    int count = build_arguments(choice, arguments);
    if (count < 0) {
        snprintf(log_line, sizeof log_line, "more than %d bytes of EAL arguments", TEXT_BYTES);
        return -1;
    }
    static const cookie_io_functions_t catcher = {.write = catch_log};
    FILE *stream = fopencookie(NULL, "w", catcher);
    if (stream) {
        setvbuf(stream, NULL, _IOLBF, BUFSIZ);
        rte_openlog_stream(stream);
    }
    int known = pthread_getaffinity_np(pthread_self(), sizeof placement, &placement) == 0;
    fflush(stdout);
    int output = silence(STDOUT_FILENO), errors = silence(STDERR_FILENO);
    int outcome = rte_eal_init(count, arguments);
    fflush(stdout);
    restore(STDOUT_FILENO, output);
    restore(STDERR_FILENO, errors);
    if (known)
        pthread_setaffinity_np(pthread_self(), sizeof placement, &placement);
    remove_folder(rte_eal_get_runtime_dir());
    started = outcome < 0 ? -1 : 1;
    started_with_pci = choice->is_pci;
    return outcome < 0 ? -1 : 0;
}

static int refuse(char *error, const struct eal_choice *choice, const char *what, int number)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %s: %.120s", (int)RTE_MIN(strcspn(choice->device, ","), 40u),
             choice->device, what, log_line[0] ? log_line : rte_strerror(number < 0 ? -number : number));
    return PORT_INCAPABLE;
}

static int find(const char *device, uint16_t *ethernet)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(device, ","), device);
    return rte_eth_dev_get_port_by_name(name, ethernet);
}

/* EAL says "failed to parse" of a name whose driver it does not know. */
static const char *why_not_probed(const struct eal_choice *choice)
{
    if (strstr(log_line, "failed to parse"))
        return "no installed driver has this name; check it, or: apt-get install dpdk";
    if (geteuid() != 0 && (strncmp(choice->device, "net_tap", 7) == 0 || strncmp(choice->device, "net_af_packet", 13) == 0))
        return "its driver refuses it; it needs CAP_NET_RAW and CAP_NET_ADMIN, run as root";
    return choice->is_pci ? "no installed driver takes this device; ask: gateway nic which VENDOR:DEVICE"
                          : "its driver refuses it; check the driver's keys";
}

int eal_probe(const struct eal_choice *choice, uint16_t *ethernet, char *error)
{
    eal_forget_log();
    if (started < 0)
        return refuse(error, choice, "DPDK failed to start before; start the process again", rte_errno);
    if (!started && host_check(choice, error) != 0)
        return PORT_INCAPABLE;
    if (!started && initialise(choice) != 0)
        return refuse(error, choice, "DPDK does not start", rte_errno);
    if (choice->is_pci && !started_with_pci)
        return refuse(error, choice, "open the PCI device before the virtual ones", ENODEV);
    if (choice->is_pci && find(choice->device, ethernet) == 0)
        return 0; /* probed while EAL started */
    if (find(choice->device, ethernet) == 0)
        return refuse(error, choice, "already open in this process; give it another number", EEXIST);
    int outcome = rte_dev_probe(choice->device);
    if (outcome < 0)
        return refuse(error, choice, why_not_probed(choice), outcome);
    if (find(choice->device, ethernet) != 0)
        return refuse(error, choice, "the driver made no Ethernet port", ENODEV);
    return 0;
}
