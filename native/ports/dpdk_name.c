/* dpdk_name.c ① — see dpdk_name.h. Source: DPDK 22.11, "Network Interface Controller Drivers" for the keys of each. */
#define _GNU_SOURCE
#include "dpdk_name.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <rte_common.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../port.h"

enum { VALUE_BYTES = 108 }; /* a path of a socket (unix(7)) is the longest that is looked at */

static int refuse(char *error, int outcome, const char *device, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port dpdk:%.*s: %.170s", (int)RTE_MIN(strcspn(device, ","), 40u), device, text);
    return outcome;
}

static int is_driver(const char *device, const char *driver)
{
    size_t length = strlen(driver); /* a number follows, or nothing */
    return strncmp(device, driver, length) == 0 && !isalpha((unsigned char)device[length]) && device[length] != '_';
}

/* Copies the value of one driver key; empty where it is not given. */
static void value_of(const char *device, const char *key, char *value)
{
    size_t length = strlen(key);
    value[0] = '\0';
    for (const char *pair = device + strcspn(device, ","); *pair == ','; pair += strcspn(pair, ","))
        if (strncmp(++pair, key, length) == 0 && pair[length] == '=')
            snprintf(value, VALUE_BYTES, "%.*s", (int)strcspn(pair + length + 1, ","), pair + length + 1);
}

int dpdk_name_is_pci(const char *device)
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

/* The path of the socket that the device makes; empty: it makes none. */
static void path_it_makes(const char *device, char *path)
{
    char word[VALUE_BYTES];
    path[0] = '\0';
    if (is_driver(device, "net_memif")) {
        value_of(device, "role", word);
        int serves = strcmp(word, "server") == 0 || strcmp(word, "master") == 0;
        value_of(device, "socket-abstract", word);
        if (serves && strcmp(word, "no") == 0)
            value_of(device, "socket", path);
    } else if (is_driver(device, "net_vhost")) {
        value_of(device, "client", word);
        if (strcmp(word, "1") != 0)
            value_of(device, "iface", path);
    } else if (is_driver(device, "net_virtio_user")) {
        value_of(device, "server", word);
        if (strcmp(word, "1") == 0)
            value_of(device, "path", path);
    }
}

int dpdk_name_listens(const char *device)
{
    char role[VALUE_BYTES];
    value_of(device, "role", role);
    return is_driver(device, "net_memif") && (strcmp(role, "server") == 0 || strcmp(role, "master") == 0);
}

/* A server that was killed leaves its socket file, and the driver takes it for a living one. Asked with a kind of socket
   that neither driver makes: the kernel says whether somebody has it, and a living server hears nothing of the question
   (a connection that ends at once makes memif's interrupt thread abort). */
static int check_socket(const char *device, char *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    path_it_makes(device, address.sun_path);
    if (address.sun_path[0] == '\0')
        return 0;
    int channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (channel < 0)
        return 0;
    int outcome = connect(channel, (struct sockaddr *)&address, sizeof address), reason = errno;
    close(channel);
    if (outcome == 0 || reason == EPROTOTYPE)
        return refuse(error, PORT_INCAPABLE, device, "another process listens on its socket; name another path, or end it");
    if (reason == ECONNREFUSED)
        unlink(address.sun_path); /* nobody listens on it */
    return 0;
}

static int check_interface(const char *device, char *error)
{
    char name[VALUE_BYTES];
    int is_tap = is_driver(device, "net_tap");
    if (!is_tap && !is_driver(device, "net_af_packet"))
        return 0;
    value_of(device, "iface", name);
    unsigned index = name[0] ? if_nametoindex(name) : 0;
    if (name[0] && strlen(name) >= IFNAMSIZ)
        return refuse(error, PORT_MISNAMED, device, "iface= is longer than a name of an interface may be (15 bytes)");
    if (is_tap && index != 0)
        return refuse(error, PORT_INCAPABLE, device, "an interface of this name exists already; write another iface=");
    if (!is_tap && index == 0)
        return refuse(error, name[0] ? PORT_INCAPABLE : PORT_MISNAMED, device,
                      name[0] ? "no such interface; list them with: ip link" : "name the interface: iface=NAME");
    return 0;
}

/* An absent PCI device, or one that the kernel still drives. */
static int check_pci(const char *device, char *error)
{
    char path[128], driver[256] = "", text[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s", device);
    if (access(path, F_OK) != 0)
        return refuse(error, PORT_INCAPABLE, device, "no such PCI device; list them with: gateway nic list");
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s/driver", device);
    if (readlink(path, driver, sizeof driver - 1) < 0)
        snprintf(driver, sizeof driver, "no driver has it");
    if (strstr(driver, "/vfio-pci") || strstr(driver, "uio") || strstr(driver, "/mlx"))
        return 0;
    const char *name = strrchr(driver, '/');
    snprintf(text, sizeof text, "%.32s%s; bind it with: gateway nic bind %.12s", name ? name + 1 : driver,
             name ? " of the kernel drives it" : "", device);
    return refuse(error, PORT_INCAPABLE, device, text);
}

int dpdk_name_check(const char *device, char *error)
{
    if (dpdk_name_is_pci(device))
        return check_pci(device, error);
    if (strncmp(device, "net_", 4) != 0)
        return refuse(error, PORT_MISNAMED, device,
                      "name a PCI address such as 0000:3b:00.0, or a driver such as net_memif0");
    int outcome = check_interface(device, error);
    return outcome ? outcome : check_socket(device, error);
}

/* vfio lets one process in; uio would let two drive one card, and both would end badly. */
static int claim_pci(const char *device)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%.12s/config", device);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || flock(file, LOCK_EX | LOCK_NB) == 0)
        return file;
    close(file);
    return -2;
}

/* An abstract name of a socket (unix(7)) lives as long as its descriptor, and in one network namespace like interfaces. */
static int claim_interface(const char *name)
{
    enum { NAME_AT = offsetof(struct sockaddr_un, sun_path) + 1 };
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "gateway-dpdk-%.15s", name);
    int channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (channel < 0 || bind(channel, (struct sockaddr *)&address, (socklen_t)(NAME_AT + length)) == 0)
        return channel;
    int reason = errno;
    close(channel);
    return reason == EADDRINUSE ? -2 : -1;
}

int dpdk_name_claim(const char *device, char *error)
{
    char name[VALUE_BYTES] = "";
    int claim = -1;
    if (is_driver(device, "net_af_packet"))
        value_of(device, "iface", name);
    if (dpdk_name_is_pci(device))
        claim = claim_pci(device);
    else if (name[0])
        claim = claim_interface(name);
    if (claim == -2)
        return refuse(error, PORT_INCAPABLE, device, "another port has it; end that process, or name another") - 1;
    return claim;
}
