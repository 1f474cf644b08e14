/*
 * af_packet.c ① — a kernel network interface through a packet socket: receives from a ring that the kernel fills
 * (TPACKET_V2), transmits around the queue discipline.
 *
 *   af_packet:INTERFACE[,frames=N]     N slots of 4 KiB in the receive ring, default 4096
 *
 * One port an interface in a network namespace: a name among its abstract sockets, which the kernel frees with the process.
 * Its hard rule: a slot belongs to the kernel until TP_STATUS_USER is seen with acquire, and again after `release`.
 * Source: Linux Documentation/networking/packet_mmap.rst, packet(7).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../port.h"
#include "interface.h"
#include "option.h"

enum {
    SLOT_BYTES = 4096,
    BLOCK_BYTES = 16 * SLOT_BYTES,
    SLOTS_DEFAULT = 4096,
    SLOTS_MAX = 65536,
    TAG_BYTES = 4, /* IEEE 802.1Q: type and control information, which the kernel strips */
    TAG_AT = 12    /* behind both addresses */
};

struct af_packet_state {
    int socket;
    int claim; /* holds the interface's name against a second port */
    uint8_t *ring; /* NULL: not mapped */
    uint32_t slots;
    uint32_t head;  /* next slot to look at */
    uint32_t taken; /* slots handed out, behind `head` */
    struct port_statistics statistics;
};

static int refuse(char *error, int outcome, const char *name, const char *text)
{
    snprintf(error, PORT_ERROR_BYTES, "port af_packet:%.32s: %.180s", name, text);
    return outcome;
}

static int set_number(int socket, int option, int number)
{
    return setsockopt(socket, SOL_PACKET, option, &number, sizeof number);
}

/* Everything that has to stand before the socket is bound and frames arrive. NULL, or what the kernel refused. */
static const char *configure(struct af_packet_state *state)
{
    struct tpacket_req ring = {
        .tp_block_size = BLOCK_BYTES,
        .tp_block_nr = state->slots / (BLOCK_BYTES / SLOT_BYTES),
        .tp_frame_size = SLOT_BYTES,
        .tp_frame_nr = state->slots,
    };
    if (set_number(state->socket, PACKET_VERSION, TPACKET_V2) != 0)
        return "PACKET_VERSION";
    if (set_number(state->socket, PACKET_RESERVE, TAG_BYTES) != 0)
        return "PACKET_RESERVE";
    if (set_number(state->socket, PACKET_IGNORE_OUTGOING, 1) != 0)
        return "PACKET_IGNORE_OUTGOING (Linux 4.20)";
    if (set_number(state->socket, PACKET_QDISC_BYPASS, 1) != 0)
        return "PACKET_QDISC_BYPASS";
    if (setsockopt(state->socket, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0)
        return "the receive ring; ask for fewer frames=";
    void *mapping = mmap(NULL, (size_t)state->slots * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                         state->socket, 0);
    if (mapping == MAP_FAILED)
        return "mapping the receive ring";
    state->ring = mapping;
    return NULL;
}

static const char *bind_to(struct af_packet_state *state, unsigned index)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = __builtin_bswap16(ETH_P_ALL), .sll_ifindex = (int)index};
    struct packet_mreq promiscuous = {.mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC};
    if (bind(state->socket, (struct sockaddr *)&address, sizeof address) != 0)
        return "binding";
    if (setsockopt(state->socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0)
        return "promiscuous mode";
    return NULL;
}

/* Two ports would both get every frame and both send: two gateways that know nothing of each other. 0, or -1: taken. */
static int claim(struct af_packet_state *state, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "gateway/af_packet/%s", name); /* unix(7) */
    state->claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (state->claim < 0)
        return 0;
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    return bind(state->claim, (struct sockaddr *)&address, bytes) != 0 && errno == EADDRINUSE ? -1 : 0;
}

static int open_socket(struct af_packet_state *state, const char *name, char *error)
{
    char text[160];
    unsigned index = 0;
    int outcome = interface_check("af_packet", name, &index, error);
    if (outcome != 0)
        return outcome;
    state->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: silent until it is bound */
    if (state->socket < 0 && errno == EPERM)
        return refuse(error, PORT_INCAPABLE, name, "not permitted; needs CAP_NET_RAW, run as root");
    if (state->socket < 0)
        return refuse(error, PORT_INCAPABLE, name, strerror(errno));
    if (claim(state, name) != 0)
        return refuse(error, PORT_REFUSED, name, "in use by another port of a gateway; end that one, or choose another");
    const char *problem = configure(state);
    if (problem == NULL)
        problem = bind_to(state, index);
    if (problem == NULL)
        return 0;
    snprintf(text, sizeof text, "the kernel refuses %s: %s", problem, strerror(errno));
    return refuse(error, PORT_INCAPABLE, name, text);
}

static void af_packet_close(struct port *port)
{
    struct af_packet_state *state = port->state;
    if (state->ring)
        munmap(state->ring, (size_t)state->slots * SLOT_BYTES);
    if (state->socket >= 0)
        close(state->socket);
    if (state->claim >= 0)
        close(state->claim);
    free(state);
    port->state = NULL;
}

static int af_packet_check(const char *argument, char *error)
{
    char name[OPTION_TEXT_BYTES];
    struct option options[] = {{.key = "frames"}};
    long slots = 0;
    unsigned index = 0;
    if (option_parse("af_packet", argument, name, options, 1, error) != 0 ||
        option_number("af_packet", &options[0], 16, SLOTS_MAX, SLOTS_DEFAULT, &slots, error) != 0)
        return PORT_MISNAMED;
    return interface_check("af_packet", name, &index, error);
}

static int af_packet_open(struct port *port, const char *argument, char *error)
{
    char name[OPTION_TEXT_BYTES];
    struct option options[] = {{.key = "frames"}};
    long slots = 0;
    if (option_parse("af_packet", argument, name, options, 1, error) != 0 ||
        option_number("af_packet", &options[0], 16, SLOTS_MAX, SLOTS_DEFAULT, &slots, error) != 0)
        return PORT_MISNAMED;
    struct af_packet_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return refuse(error, PORT_REFUSED, name, "out of memory");
    state->slots = ((uint32_t)slots + 15) & ~15u; /* whole blocks */
    state->socket = -1;
    state->claim = -1;
    port->state = state;
    int outcome = open_socket(state, name, error);
    if (outcome != 0)
        af_packet_close(port);
    return outcome;
}

static struct tpacket2_hdr *slot_at(const struct af_packet_state *state, uint32_t index)
{
    return (struct tpacket2_hdr *)(state->ring + (size_t)(index % state->slots) * SLOT_BYTES);
}

/* Puts a stripped 802.1Q tag back where the wire had it; PACKET_RESERVE made the room in front of the frame. */
static void restore_tag(const struct tpacket2_hdr *slot, uint8_t *data, struct port_frame *frame)
{
    uint16_t type = slot->tp_status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid : ETH_P_8021Q;
    memmove(data - TAG_BYTES, data, TAG_AT);
    data -= TAG_BYTES;
    data[TAG_AT] = (uint8_t)(type >> 8);
    data[TAG_AT + 1] = (uint8_t)type;
    data[TAG_AT + 2] = (uint8_t)(slot->tp_vlan_tci >> 8);
    data[TAG_AT + 3] = (uint8_t)slot->tp_vlan_tci;
    frame->data = data;
    frame->size += TAG_BYTES;
    frame->size_wire += TAG_BYTES;
}

static void fill_frame(struct tpacket2_hdr *slot, struct port_frame *frame)
{
    uint8_t *data = (uint8_t *)slot + slot->tp_mac;
    frame->data = data;
    frame->size = slot->tp_snaplen;
    frame->size_wire = slot->tp_len;
    frame->time_ns = (int64_t)slot->tp_sec * 1000000000 + slot->tp_nsec;
    frame->flags = slot->tp_status & TP_STATUS_CSUMNOTREADY ? FRAME_CHECKSUM_UNREADY : 0;
    if (slot->tp_status & TP_STATUS_VLAN_VALID && frame->size >= TAG_AT)
        restore_tag(slot, data, frame);
}

static int af_packet_receive(struct port *port, struct port_frame *frames, int limit)
{
    struct af_packet_state *state = port->state;
    int count = 0;
    while (count < limit && state->taken < state->slots) {
        struct tpacket2_hdr *slot = slot_at(state, state->head);
        if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            break;
        fill_frame(slot, &frames[count++]);
        state->head = (state->head + 1) % state->slots;
        state->taken++;
    }
    state->statistics.frames_received += (uint64_t)count;
    return count;
}

static void af_packet_release(struct port *port)
{
    struct af_packet_state *state = port->state;
    for (uint32_t back = state->taken; back > 0; back--)
        __atomic_store_n(&slot_at(state, state->head + state->slots - back)->tp_status, TP_STATUS_KERNEL,
                         __ATOMIC_RELEASE);
    state->taken = 0;
}

/* Frames the kernel took, in order. */
static int send_burst(int socket, const struct port_frame *frames, int count)
{
    if (count == 1) /* an order: the shortest way into the kernel */
        return send(socket, frames->data, frames->size, MSG_DONTWAIT) == (ssize_t)frames->size;
    struct iovec pieces[PORT_BURST_MAX];
    struct mmsghdr messages[PORT_BURST_MAX];
    memset(messages, 0, (size_t)count * sizeof *messages);
    for (int index = 0; index < count; index++) {
        pieces[index] = (struct iovec){(void *)(uintptr_t)frames[index].data, frames[index].size};
        messages[index].msg_hdr.msg_iov = &pieces[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(socket, messages, (unsigned)count, MSG_DONTWAIT);
    return sent > 0 ? sent : 0;
}

static int af_packet_transmit(struct port *port, const struct port_frame *frames, int count)
{
    struct af_packet_state *state = port->state;
    int sent = 0;
    for (int step = 1; sent < count && step > 0; sent += step)
        step = send_burst(state->socket, frames + sent, count - sent < PORT_BURST_MAX ? count - sent : PORT_BURST_MAX);
    state->statistics.frames_transmitted += (uint64_t)sent;
    state->statistics.transmit_refused += (uint64_t)(count - sent);
    return sent;
}

static void af_packet_statistics(struct port *port, struct port_statistics *statistics)
{
    struct af_packet_state *state = port->state;
    struct tpacket_stats news = {0}; /* the kernel starts again from zero with every reading */
    socklen_t size = sizeof news;
    if (getsockopt(state->socket, SOL_PACKET, PACKET_STATISTICS, &news, &size) == 0)
        state->statistics.receive_dropped += news.tp_drops;
    *statistics = state->statistics;
}

const struct port_operations port_af_packet = {
    .kind = "af_packet",
    .usage = "INTERFACE[,frames=N]",
    .open = af_packet_open,
    .receive = af_packet_receive,
    .release = af_packet_release,
    .transmit = af_packet_transmit,
    .statistics = af_packet_statistics,
    .close = af_packet_close,
    .check = af_packet_check,
};
