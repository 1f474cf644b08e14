/*
 * checksum.c — see checksum.h. Sources: RFC 1071; RFC 793 section 3.1, RFC 768 and RFC 8200 section 8.1 for what it covers.
 *
 * Hard rule: every length is compared with the one around it before a byte is read or written.
 */
#include "checksum.h"

enum {
    ETHERNET_BYTES = 14,
    TAG_BYTES = 4,
    TAGS_MAX = 2,
    IPV4_BYTES = 20,
    IPV6_BYTES = 40,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17
};

/* What the checksum covers. */
struct segment {
    uint32_t at;       /* of the transport header */
    uint32_t size;     /* of header and data */
    uint32_t protocol; /* 0: none that we fill in */
    uint32_t addresses_at, addresses_bytes;
};

static uint32_t load_be16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static struct segment find_in_ipv4(const uint8_t *frame, uint32_t size, uint32_t at)
{
    const uint8_t *header = frame + at;
    if (size - at < IPV4_BYTES || header[0] >> 4 != 4)
        return (struct segment){0};
    uint32_t header_bytes = (header[0] & 15) * 4u, total = load_be16(header + 2);
    if (header_bytes < IPV4_BYTES || total < header_bytes || total > size - at || load_be16(header + 6) & 0x3FFF)
        return (struct segment){0};
    return (struct segment){at + header_bytes, total - header_bytes, header[9], at + 12, 8};
}

static struct segment find_in_ipv6(const uint8_t *frame, uint32_t size, uint32_t at)
{
    const uint8_t *header = frame + at;
    if (size - at < IPV6_BYTES || load_be16(header + 4) > size - at - IPV6_BYTES)
        return (struct segment){0};
    return (struct segment){at + IPV6_BYTES, load_be16(header + 4), header[6], at + 8, 32};
}

static struct segment find(const uint8_t *frame, uint32_t size)
{
    uint32_t at = ETHERNET_BYTES;
    for (int tags = 0; size >= at; tags++, at += TAG_BYTES) {
        uint32_t type = load_be16(frame + at - 2);
        if (type == 0x0800)
            return find_in_ipv4(frame, size, at);
        if (type == 0x86DD)
            return find_in_ipv6(frame, size, at);
        if ((type != 0x8100 && type != 0x88A8) || tags == TAGS_MAX)
            break;
    }
    return (struct segment){0};
}

static uint64_t sum(const uint8_t *bytes, uint32_t size)
{
    uint64_t total = 0;
    for (uint32_t at = 0; at + 1 < size; at += 2)
        total += load_be16(bytes + at);
    return size % 2 ? total + ((uint32_t)bytes[size - 1] << 8) : total;
}

int checksum_fill(uint8_t *frame, uint32_t size)
{
    struct segment segment = find(frame, size);
    uint32_t field = segment.protocol == PROTOCOL_TCP ? 16 : 6; /* where the checksum stands */
    if ((segment.protocol != PROTOCOL_TCP && segment.protocol != PROTOCOL_UDP) || segment.size < field + 2)
        return 0;
    uint8_t *header = frame + segment.at;
    header[field] = header[field + 1] = 0;
    uint64_t total = sum(frame + segment.addresses_at, segment.addresses_bytes) + segment.protocol + segment.size;
    total += sum(header, segment.size);
    while (total >> 16)
        total = (total & 0xFFFF) + (total >> 16);
    uint32_t checksum = ~(uint32_t)total & 0xFFFF;
    if (checksum == 0 && segment.protocol == PROTOCOL_UDP)
        checksum = 0xFFFF; /* 0 would say that there is none */
    header[field] = (uint8_t)(checksum >> 8);
    header[field + 1] = (uint8_t)checksum;
    return 1;
}
