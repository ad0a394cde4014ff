#include "peer.h"

#include "base/cleanup.h"
#include "source.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { V4_BITS_AT = 96 };

static const char *const names[WIRE_PEERS] = {NULL, "loopback", "cluster", "private", "public"};

static const struct {
    const char *range;
    enum wire_peer peer;
} known[] = {
    {"127.0.0.0/8", WIRE_PEER_LOOPBACK},
    {"::1", WIRE_PEER_LOOPBACK},
    {"10.0.0.0/8", WIRE_PEER_PRIVATE}, // RFC 1918, and the next two
    {"172.16.0.0/12", WIRE_PEER_PRIVATE},
    {"192.168.0.0/16", WIRE_PEER_PRIVATE},
    {"100.64.0.0/10", WIRE_PEER_PRIVATE},  // RFC 6598
    {"169.254.0.0/16", WIRE_PEER_PRIVATE}, // RFC 3927: clouds' metadata is there
    {"fc00::/7", WIRE_PEER_PRIVATE},       // RFC 4193
    {"fe80::/10", WIRE_PEER_PRIVATE},
    {"224.0.0.0/4", WIRE_PEER_PRIVATE}, // to many at once, hardly ever beyond one's own network
    {"255.255.255.255", WIRE_PEER_PRIVATE},
    {"ff00::/8", WIRE_PEER_PRIVATE},
};

static struct range {
    struct wire_peer_prefix prefix;
    enum wire_peer peer;
} ranges[WIRE_PEER_PREFIXES_MAX];
static size_t ranges_count;

static void map_v4(const uint8_t *addr, uint8_t *ret_addr)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret_addr, mapped, sizeof(mapped));
    memcpy(ret_addr + sizeof(mapped), addr, 4);
}

static bool read_address(const char *text, size_t length, uint8_t *ret_addr, bool *ret_v4)
{
    uint8_t v4[4];
    char address[INET6_ADDRSTRLEN];
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    *ret_v4 = !strchr(address, ':');
    if (!*ret_v4)
        return inet_pton(AF_INET6, address, ret_addr) == 1;
    if (inet_pton(AF_INET, address, v4) != 1)
        return false;
    map_v4(v4, ret_addr);
    return true;
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

bool peer_prefix_read(const char *text, struct wire_peer_prefix *ret_prefix)
{
    struct wire_peer_prefix prefix = {};
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
    struct wire_peer_prefix prefix;
    return peer_prefix_read(text, &prefix);
}

static bool lies_in(const struct wire_peer_prefix *inner, const struct wire_peer_prefix *outer)
{
    for (unsigned bit = 0; bit < outer->bits; bit++)
        if (bit_of(inner->addr, bit) != bit_of(outer->addr, bit))
            return false;
    return inner->bits >= outer->bits;
}

// The longest range that holds an address decides, so a private one inside of a configured one is left out.
static bool is_configured(const struct wire_peer_prefix *prefix, char *const *cluster)
{
    struct wire_peer_prefix range;
    for (size_t i = 0; cluster && cluster[i]; i++)
        if (peer_prefix_read(cluster[i], &range) && lies_in(prefix, &range))
            return true;
    return false;
}

static int add(const struct wire_peer_prefix *prefix, enum wire_peer peer)
{
    if (ranges_count == ARRAY_SIZE(ranges))
        return -E2BIG;
    ranges[ranges_count++] = (struct range){*prefix, peer};
    return 0;
}

int peer_ranges_set(char *const *cluster)
{
    struct wire_peer_prefix prefix;
    int error = 0;
    ranges_count = 0;
    for (size_t i = 0; !error && i < ARRAY_SIZE(known); i++)
        if (peer_prefix_read(known[i].range, &prefix) &&
            (known[i].peer == WIRE_PEER_LOOPBACK || !is_configured(&prefix, cluster)))
            error = add(&prefix, known[i].peer);
    for (size_t i = 0; !error && cluster && cluster[i]; i++)
        if (peer_prefix_read(cluster[i], &prefix))
            error = add(&prefix, WIRE_PEER_CLUSTER);
    return error;
}

int peer_ranges_fill(int map_fd)
{
    for (size_t i = 0; i < ranges_count; i++) {
        __u32 value = ranges[i].peer;
        if (bpf_map_update_elem(map_fd, &ranges[i].prefix, &value, BPF_ANY))
            return -errno;
    }
    return 0;
}

enum wire_peer peer_of(uint8_t family, const uint8_t *addr)
{
    struct wire_peer_prefix address = {.bits = 128};
    const struct range *found = NULL;
    if (family == 4)
        map_v4(addr, address.addr);
    else
        memcpy(address.addr, addr, sizeof(address.addr));
    // Of two that are the same the later one counts, as in the map.
    for (const struct range *range = ranges; range < ranges + ranges_count; range++)
        if ((!found || range->prefix.bits >= found->prefix.bits) && lies_in(&address, &range->prefix))
            found = range;
    return found ? found->peer : WIRE_PEER_PUBLIC;
}

const char *peer_name(enum wire_peer peer)
{
    return names[peer];
}
