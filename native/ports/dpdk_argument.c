/* dpdk_argument.c ① — see dpdk_argument.h. */
#include "dpdk_argument.h"

#include <ctype.h>
#include <errno.h>
#include <rte_common.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../port.h"

enum { OPTION_HUGE, OPTION_MEMORY, OPTION_DESCRIPTORS, OPTION_EAL, OPTIONS };

static int refuse(char *error, int outcome, const char *device, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %.170s", (int)RTE_MIN(strcspn(device, ","), 40u), device, text);
    return outcome;
}

/* Splits the argument into the device with its driver's keys, and our own keys. */
static int split_argument(const char *argument, char *device, struct option *options, char *error)
{
    size_t used = strcspn(argument, ","), length = 0;
    if (strlen(argument) >= OPTION_TEXT_BYTES)
        return refuse(error, PORT_REFUSED, argument, "the argument is longer than 511 bytes");
    snprintf(device, OPTION_TEXT_BYTES, "%.*s", (int)used, argument);
    for (const char *pair = argument + used; *pair == ','; pair += length) {
        length = strcspn(++pair, ",");
        struct option *ours = NULL;
        for (int index = 0; index < OPTIONS && ours == NULL; index++)
            if (strncmp(pair, options[index].key, strlen(options[index].key)) == 0 &&
                pair[strlen(options[index].key)] == '=')
                ours = &options[index];
        if (ours)
            snprintf(ours->value, sizeof ours->value, "%.*s", (int)(length - strlen(ours->key) - 1),
                     pair + strlen(ours->key) + 1);
        else
            used += (size_t)snprintf(device + used, OPTION_TEXT_BYTES - used, ",%.*s", (int)length, pair);
    }
    return 0;
}

/* Copies the value of one driver key; empty where it is not given. */
static void driver_value(const char *device, const char *key, char *value, size_t room)
{
    size_t length = strlen(key);
    value[0] = '\0';
    for (const char *pair = device + strcspn(device, ","); *pair == ','; pair += strcspn(pair, ","))
        if (strncmp(++pair, key, length) == 0 && pair[length] == '=')
            snprintf(value, room, "%.*s", (int)strcspn(pair + length + 1, ","), pair + length + 1);
}

/* A memif server that was killed leaves its socket file, and the driver takes it for a living one. */
static void remove_stale_socket(const char *device)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char abstract[8];
    driver_value(device, "socket-abstract", abstract, sizeof abstract);
    driver_value(device, "socket", address.sun_path, sizeof address.sun_path);
    if (strcmp(abstract, "no") != 0 || address.sun_path[0] == '\0')
        return;
    int channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (channel < 0)
        return;
    if (connect(channel, (struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED)
        unlink(address.sun_path); /* nobody listens on it */
    close(channel);
}

/* domain:bus:device.function, all hexadecimal */
static int is_pci(const char *device)
{
    static const char shape[] = "xxxx:xx:xx.x";
    size_t length = strcspn(device, ",");
    if (length != sizeof shape - 1)
        return 0;
    for (size_t at = 0; at < length; at++)
        if (shape[at] == 'x' ? !isxdigit((unsigned char)device[at]) : device[at] != shape[at])
            return 0;
    return 1;
}

/* What EAL would only say in many lines: an absent PCI device, or one that the kernel still drives. */
static int check_device(const char *device, char *error)
{
    char path[128], driver[256] = "";
    if (!is_pci(device) && strncmp(device, "net_", 4) != 0)
        return refuse(error, PORT_REFUSED, device,
                      "name a PCI address such as 0000:3b:00.0, or a driver such as net_memif0");
    if (!is_pci(device))
        return 0;
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s", device);
    if (access(path, F_OK) != 0)
        return refuse(error, PORT_INCAPABLE, device, "no such PCI device; list them with: lspci -D");
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s/driver", device);
    if (readlink(path, driver, sizeof driver - 1) < 0)
        return refuse(error, PORT_INCAPABLE, device, "no driver; bind it with: dpdk-devbind.py -b vfio-pci ADDRESS");
    if (strstr(driver, "/vfio-pci") || strstr(driver, "uio") || strstr(driver, "/mlx"))
        return 0;
    return refuse(error, PORT_INCAPABLE, device,
                  "the kernel drives it; bind it with: dpdk-devbind.py -b vfio-pci ADDRESS");
}

static int check_eal(const char *device, const char *extra, char *error)
{
    /* these end the process, load code, or attach to a stranger's memory */
    static const char *const forbidden[] = {"-h", "--help", "-v", "--version", "--log-level=help", "--proc-type", "-d"};
    for (const char *word = extra; *word; word += strspn(word, ";")) {
        size_t length = strcspn(word, ";");
        for (size_t index = 0; index < sizeof forbidden / sizeof *forbidden; index++)
            if (strncmp(word, forbidden[index], strlen(forbidden[index])) == 0)
                return refuse(error, PORT_REFUSED, device, "eal= must not hold -h, -v, -d or --proc-type");
        word += length;
    }
    return 0;
}

static int choose(const struct option *options, struct dpdk_argument *argument, char *error)
{
    const char *huge = options[OPTION_HUGE].value;
    struct eal_choice *choice = &argument->choice;
    *choice = (struct eal_choice){
        .device = argument->device, .is_pci = is_pci(argument->device), .extra = argument->extra};
    if (huge[0] && strcmp(huge, "yes") != 0 && strcmp(huge, "no") != 0)
        return refuse(error, PORT_REFUSED, argument->device, "huge= is yes or no");
    choice->huge_pages = huge[0] ? huge[0] == 'y' : eal_has_huge_pages();
    return option_number("dpdk", &options[OPTION_MEMORY], 64, 65536, DPDK_MEMORY_MIB_DEFAULT, &choice->memory_mib,
                         error);
}

int dpdk_argument_read(const char *text, struct dpdk_argument *argument, char *error)
{
    struct option options[OPTIONS] = {{.key = "huge"}, {.key = "memory"}, {.key = "descriptors"}, {.key = "eal"}};
    long descriptors = 0;
    if (split_argument(text, argument->device, options, error) != 0)
        return PORT_REFUSED;
    memcpy(argument->extra, options[OPTION_EAL].value, sizeof argument->extra);
    if (choose(options, argument, error) != 0 || check_eal(argument->device, argument->extra, error) != 0 ||
        option_number("dpdk", &options[OPTION_DESCRIPTORS], 64, DPDK_DESCRIPTORS_MAX, DPDK_DESCRIPTORS_DEFAULT,
                      &descriptors, error) != 0)
        return PORT_REFUSED;
    argument->descriptors = (uint16_t)descriptors;
    argument->is_memif = strncmp(argument->device, "net_memif", 9) == 0;
    argument->waits_for_peer = 0;
    if (argument->is_memif) {
        char role[8];
        driver_value(argument->device, "role", role, sizeof role);
        argument->waits_for_peer = strcmp(role, "server") != 0 && strcmp(role, "master") != 0;
        if (!argument->waits_for_peer)
            remove_stale_socket(argument->device);
    }
    return check_device(argument->device, error);
}
