#include "tcp_peer.h"

#include "base/cleanup.h"
#include "source.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { V4_BITS_AT = 96 };

static const struct {
    const char *range;
    enum wire_tcp_peer peer;
} known[] = {
    {"127.0.0.0/8", WIRE_TCP_PEER_LOOPBACK},   {"::1", WIRE_TCP_PEER_LOOPBACK},
    {"10.0.0.0/8", WIRE_TCP_PEER_PRIVATE}, // RFC 1918, and the next two
    {"172.16.0.0/12", WIRE_TCP_PEER_PRIVATE},  {"192.168.0.0/16", WIRE_TCP_PEER_PRIVATE},
    {"100.64.0.0/10", WIRE_TCP_PEER_PRIVATE},  // RFC 6598
    {"169.254.0.0/16", WIRE_TCP_PEER_PRIVATE}, // RFC 3927: clouds' metadata is there
    {"fc00::/7", WIRE_TCP_PEER_PRIVATE},       // RFC 4193
    {"fe80::/10", WIRE_TCP_PEER_PRIVATE},
};

static bool read_address(const char *text, size_t length, uint8_t *ret_addr, bool *ret_v4)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char address[INET6_ADDRSTRLEN];
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    *ret_v4 = !strchr(address, ':');
    if (!*ret_v4)
        return inet_pton(AF_INET6, address, ret_addr) == 1;
    memcpy(ret_addr, mapped, sizeof(mapped));
    return inet_pton(AF_INET, address, ret_addr + sizeof(mapped)) == 1;
}

static bool read_bits(const char *text, unsigned most, unsigned *ret_bits)
{
    if (!text) {
        *ret_bits = most;
        return true;
    }
    char *end;
    unsigned long bits = strtoul(text, &end, 10);
    *ret_bits = (unsigned)bits;
    return text[0] >= '0' && text[0] <= '9' && !*end && end - text <= 3 && bits <= most;
}

static bool bit_of(const uint8_t *addr, unsigned bit)
{
    return addr[bit / 8] & 0x80 >> bit % 8;
}

bool tcp_prefix_read(const char *text, struct wire_tcp_prefix *ret_prefix)
{
    struct wire_tcp_prefix prefix = {};
    const char *slash = strchr(text, '/');
    bool v4;
    unsigned bits;
    if (!read_address(text, slash ? (size_t)(slash - text) : strlen(text), prefix.addr, &v4) ||
        !read_bits(slash ? slash + 1 : NULL, v4 ? 32 : 128, &bits))
        return false;
    prefix.bits = bits + (v4 ? V4_BITS_AT : 0);
    for (unsigned bit = prefix.bits; bit < 128; bit++)
        if (bit_of(prefix.addr, bit))
            return false;
    *ret_prefix = prefix;
    return true;
}

bool source_network_range_valid(const char *text)
{
    struct wire_tcp_prefix prefix;
    return tcp_prefix_read(text, &prefix);
}

static bool lies_in(const struct wire_tcp_prefix *inner, const struct wire_tcp_prefix *outer)
{
    for (unsigned bit = 0; bit < outer->bits; bit++)
        if (bit_of(inner->addr, bit) != bit_of(outer->addr, bit))
            return false;
    return inner->bits >= outer->bits;
}

static int put(int map_fd, const struct wire_tcp_prefix *prefix, enum wire_tcp_peer peer)
{
    __u32 value = peer;
    return bpf_map_update_elem(map_fd, prefix, &value, BPF_ANY) ? -errno : 0;
}

// The longest range that holds an address decides, so a private one inside of a configured one is left out.
static bool is_configured(const struct wire_tcp_prefix *prefix, char *const *cluster)
{
    struct wire_tcp_prefix range;
    for (size_t i = 0; cluster && cluster[i]; i++)
        if (tcp_prefix_read(cluster[i], &range) && lies_in(prefix, &range))
            return true;
    return false;
}

int tcp_peers_fill(int map_fd, char *const *cluster)
{
    struct wire_tcp_prefix prefix;
    int error = 0;
    for (size_t i = 0; !error && i < ARRAY_SIZE(known); i++)
        if (tcp_prefix_read(known[i].range, &prefix) &&
            (known[i].peer == WIRE_TCP_PEER_LOOPBACK || !is_configured(&prefix, cluster)))
            error = put(map_fd, &prefix, known[i].peer);
    for (size_t i = 0; !error && cluster && cluster[i]; i++)
        if (tcp_prefix_read(cluster[i], &prefix))
            error = put(map_fd, &prefix, WIRE_TCP_PEER_CLUSTER);
    return error;
}
