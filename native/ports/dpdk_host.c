/* dpdk_host.c ① — see dpdk_host.h. */
#define _GNU_SOURCE
#include "dpdk_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <rte_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../port.h"

enum { DESCRIPTORS_MIN = 64 /* EAL aborts where its interrupt thread finds none */ };

static int refuse(char *error, const struct eal_choice *choice, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %.180s", (int)RTE_MIN(strcspn(choice->device, ","), 40u),
             choice->device, text);
    return PORT_INCAPABLE;
}

static long read_number(const char *path)
{
    long number = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

long host_free_huge_mib(void)
{
    const char *root = "/sys/kernel/mm/hugepages";
    DIR *folder = opendir(root);
    long total = 0, size_kib = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char path[512];
        if (sscanf(entry->d_name, "hugepages-%ldkB", &size_kib) != 1)
            continue;
        snprintf(path, sizeof path, "%s/%s/free_hugepages", root, entry->d_name);
        total += read_number(path) * (size_kib / 1024);
    }
    if (folder)
        closedir(folder);
    return total;
}

static long available_mib(void)
{
    char line[128];
    long available_kib = -1;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %ld kB", &available_kib) != 1)
        continue;
    if (file)
        fclose(file);
    return available_kib < 0 ? INT64_MAX : available_kib / 1024;
}

/* Where EAL makes its folder: as 22.11 chooses it. */
static const char *runtime_root(void)
{
    const char *given = getenv("RUNTIME_DIRECTORY"), *user = getenv("XDG_RUNTIME_DIR");
    return given ? given : geteuid() == 0 ? "/var/run" : user ? user : "/tmp";
}

static int has_descriptors(void)
{
    int files[DESCRIPTORS_MIN], count = 0;
    while (count < DESCRIPTORS_MIN && (files[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    for (int index = 0; index < count; index++)
        close(files[index]);
    return count == DESCRIPTORS_MIN;
}

/* EAL's own folder for those of all its processes: made here as EAL would make it. */
static int has_folder(const char *root)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/dpdk", root);
    return (mkdir(folder, 0700) == 0 || errno == EEXIST) && access(folder, W_OK | X_OK) == 0;
}

int host_check_memory(const struct eal_choice *choice, char *error)
{
    char line[PORT_ERROR_BYTES];
    if (choice->huge_pages && host_free_huge_mib() < HOST_HUGE_MIB_MIN)
        return refuse(error, choice,
                      "fewer than 16 MiB of huge pages are free; write huge=no, or: gateway tune --apply --huge-pages 128");
    long free_mib = available_mib();
    if (!choice->huge_pages && choice->memory_mib > free_mib) {
        snprintf(line, sizeof line, "memory=%ld, but this host has %ld MiB free; write less", choice->memory_mib, free_mib);
        return refuse(error, choice, line);
    }
    return 0;
}

int host_check(const struct eal_choice *choice, char *error)
{
    char line[PORT_ERROR_BYTES];
    if (host_check_memory(choice, error) != 0)
        return PORT_INCAPABLE;
    if (!has_descriptors())
        return refuse(error, choice, "fewer than 64 files may still be opened; raise it with: ulimit -n 1024");
    if (has_folder(runtime_root()))
        return 0;
    snprintf(line, sizeof line, "%.100s/dpdk cannot be written; set RUNTIME_DIRECTORY to a folder of your own",
             runtime_root());
    return refuse(error, choice, line);
}
