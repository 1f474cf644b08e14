/*
 * datagram.h — what a frame carries once its Ethernet, IPv4 and UDP headers are believed. Process-local scratch of core.
 *
 * Frames are trusted by the IP and UDP lengths, never by the frame length: padding and trailers fall away here.
 */
struct datagram {
    uint64_t payload;     /* address of the first UDP payload byte */
    uint32_t size;        /* UDP payload bytes */
    uint32_t destination; /* IPv4, host order */
    uint32_t source;
    uint16_t destination_port;
    uint16_t source_port;
    uint32_t checksum_absent; /* 1: the IP header checksum was 0, left to hardware that was not there */
    uint32_t vlan;            /* 802.1Q tags skipped */
};
