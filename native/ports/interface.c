/* interface.c ① — see interface.h. Source: netdevice(7). */
#include "interface.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../port.h"

int interface_check_name(const char *kind, const char *name, char *error)
{
    size_t length = strlen(name);
    if (length > 0 && length < IFNAMSIZ && strcspn(name, "/%: \t\n") == length && strcmp(name, ".") != 0 &&
        strcmp(name, "..") != 0)
        return 0;
    snprintf(error, PORT_ERROR_BYTES, "port %s:%.32s: an interface name has 1 to %d characters, none of / %% : or space",
             kind, name, IFNAMSIZ - 1);
    return PORT_MISNAMED;
}

/* One netdevice question; the answer is in `request`. 0, or -1 with errno. */
static int ask(unsigned long question, const char *name, struct ifreq *request)
{
    int channel = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (channel < 0)
        return -1;
    memcpy(request->ifr_name, name, strlen(name) + 1);
    int outcome = ioctl(channel, question, request), reason = errno;
    close(channel);
    errno = reason;
    return outcome;
}

int interface_check(const char *kind, const char *name, unsigned *index, char *error)
{
    struct ifreq flags = {0}, hardware = {0};
    if (interface_check_name(kind, name, error) != 0)
        return PORT_MISNAMED;
    *index = if_nametoindex(name);
    if (*index == 0 || ask(SIOCGIFFLAGS, name, &flags) != 0 || ask(SIOCGIFHWADDR, name, &hardware) != 0) {
        snprintf(error, PORT_ERROR_BYTES, "port %s:%s: no such interface; list them with: ip link", kind, name);
        return PORT_INCAPABLE;
    }
    if (!(flags.ifr_flags & IFF_UP)) {
        snprintf(error, PORT_ERROR_BYTES, "port %s:%s: the interface is down; run: ip link set %s up", kind, name, name);
        return PORT_REFUSED;
    }
    int link = hardware.ifr_hwaddr.sa_family;
    if (link == ARPHRD_ETHER || link == ARPHRD_LOOPBACK)
        return 0;
    snprintf(error, PORT_ERROR_BYTES, "port %s:%s: link type %d is not Ethernet; use an Ethernet interface", kind, name,
             link);
    return PORT_REFUSED;
}

int interface_raise(const char *name)
{
    struct ifreq request = {0};
    if (ask(SIOCGIFFLAGS, name, &request) != 0)
        return -1;
    request.ifr_flags |= IFF_UP;
    return ask(SIOCSIFFLAGS, name, &request);
}

static int open_attribute(const char *name, const char *attribute)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, attribute);
    return open(path, O_RDONLY | O_CLOEXEC);
}

uint64_t interface_read_dropped(int file)
{
    char text[32] = {0};
    return file >= 0 && pread(file, text, sizeof text - 1, 0) > 0 ? strtoull(text, NULL, 10) : 0;
}

int interface_open_dropped(const char *name)
{
    /* /sys may show another network namespace than ours: the index tells */
    int file = open_attribute(name, "ifindex");
    int same = interface_read_dropped(file) == if_nametoindex(name);
    if (file >= 0)
        close(file);
    return same ? open_attribute(name, "statistics/tx_dropped") : -1;
}
