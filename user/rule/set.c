#include "comparison.h"
#include "operand.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

size_t glob_literal_length(const char *pattern, size_t length)
{
    size_t at = 0;
    while (at < length && !(pattern[at] && strchr("*?[\\", pattern[at])))
        at++;
    return at;
}

struct network network_of(const struct ip *ip, uint8_t bits)
{
    struct network network = {.family = ip->family, .bits = bits};
    memcpy(network.bytes, ip->bytes, bits / 8);
    if (bits % 8)
        network.bytes[bits / 8] = (uint8_t)(ip->bytes[bits / 8] & (0xff00 >> bits % 8));
    return network;
}

static int add_bytes(struct set *set, struct arena *arena, const void *data, size_t size)
{
    if (table_find(&set->table, data, size))
        return 0;
    const char *copy = arena_copy(arena, data, size);
    return copy && table_add(&set->table, arena, copy, size) ? 0 : -ENOMEM;
}

static int add_path(struct set *set, struct arena *arena, const char *text, size_t length)
{
    if (length == 0)
        return 0; // the empty path leads nowhere
    while (length > 0 && text[length - 1] == '/')
        length--;
    if (glob_literal_length(text, length) == length)
        return add_bytes(set, arena, text, length);
    if (set->globs_count == set->globs_capacity) {
        const char **globs = arena_grow(arena, set->globs, sizeof(*globs), &set->globs_capacity);
        if (!globs)
            return -ENOMEM;
        set->globs = globs;
    }
    const char *copy = arena_copy(arena, text, length);
    if (!copy)
        return -ENOMEM;
    set->globs[set->globs_count++] = copy;
    return 0;
}

static int add_network(struct set *set, struct arena *arena, const char *text)
{
    struct ip ip;
    uint8_t bits;
    if (operand_ip(text, &ip, &bits))
        return -EINVAL;
    size_t family = ip.family == 6;
    if (!memchr(set->bits[family], bits, set->bits_count[family]))
        set->bits[family][set->bits_count[family]++] = bits;
    struct network network = network_of(&ip, bits);
    return add_bytes(set, arena, &network, sizeof(network));
}

int set_add(struct set *set, struct arena *arena, const char *text, size_t length)
{
    int64_t signed_number;
    uint64_t number;
    bool truth;
    switch (set->kind) {
    case SET_TEXT:
        return add_bytes(set, arena, text, length);
    case SET_PATHS:
        return add_path(set, arena, text, length);
    case SET_INT:
        if (operand_int(text, &signed_number))
            return -EINVAL;
        return add_bytes(set, arena, &signed_number, sizeof(signed_number));
    case SET_UINT:
        if (operand_uint(text, &number))
            return -EINVAL;
        return add_bytes(set, arena, &number, sizeof(number));
    case SET_BOOL:
        if (operand_bool(text, &truth))
            return -EINVAL;
        return add_bytes(set, arena, &truth, sizeof(truth));
    case SET_IP:
        return add_network(set, arena, text);
    default:
        return -EINVAL;
    }
}

// Wildcards stay within an element of the path, and elements that the pattern does not have do not matter.
static bool glob_leads_to(const char *pattern, const char *path, size_t length)
{
    size_t slashes = 0, end = 0;
    for (const char *at = pattern; *at; at++)
        slashes += *at == '/';
    for (; end < length; end++)
        if (path[end] == '/' && slashes-- == 0)
            break;
    char prefix[4096];
    if (end >= sizeof(prefix))
        return false;
    memcpy(prefix, path, end);
    prefix[end] = '\0';
    return fnmatch(pattern, prefix, FNM_PATHNAME) == 0;
}

static bool holds_path(const struct set *set, const char *path, size_t length)
{
    for (size_t end = 0; set->table.count && end <= length; end++)
        if ((end == length || path[end] == '/') && table_find(&set->table, path, end))
            return true;
    for (size_t i = 0; i < set->globs_count; i++)
        if (glob_leads_to(set->globs[i], path, length))
            return true;
    return false;
}

static bool holds_ip(const struct set *set, const struct ip *ip)
{
    size_t family = ip->family == 6;
    for (size_t i = 0; i < set->bits_count[family]; i++) {
        struct network network = network_of(ip, set->bits[family][i]);
        if (table_find(&set->table, (const char *)&network, sizeof(network)))
            return true;
    }
    return false;
}

bool set_holds(const struct set *set, const struct value *value)
{
    switch (set->kind) {
    case SET_TEXT:
        return table_find(&set->table, value->string.data, value->string.length);
    case SET_PATHS:
        return holds_path(set, value->string.data, value->string.length);
    case SET_INT:
        return table_find(&set->table, (const char *)&value->i, sizeof(value->i));
    case SET_UINT:
        return table_find(&set->table, (const char *)&value->u, sizeof(value->u));
    case SET_BOOL:
        return table_find(&set->table, (const char *)&value->b, sizeof(value->b));
    case SET_IP:
        return holds_ip(set, &value->ip);
    default:
        return false;
    }
}
