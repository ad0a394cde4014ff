#include "operand.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Decimal, or hexadecimal after 0x; a leading zero does not mean octal.
static int base_of(const char *text)
{
    text += *text == '-' || *text == '+';
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
}

int operand_int(const char *text, int64_t *ret_number)
{
    char *end;
    if (isspace((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    long long number = strtoll(text, &end, base_of(text));
    if (errno || end == text || *end)
        return -EINVAL;
    *ret_number = number;
    return 0;
}

int operand_uint(const char *text, uint64_t *ret_number)
{
    char *end;
    if (isspace((unsigned char)*text) || *text == '-')
        return -EINVAL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, base_of(text));
    if (errno || end == text || *end)
        return -EINVAL;
    *ret_number = number;
    return 0;
}

int operand_bool(const char *text, bool *ret_truth)
{
    bool truth = strcmp(text, "true") == 0;
    if (!truth && strcmp(text, "false") != 0)
        return -EINVAL;
    *ret_truth = truth;
    return 0;
}

int operand_ip(const char *text, struct ip *ret_ip, uint8_t *ret_bits)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchrnul(text, '/');
    size_t length = (size_t)(slash - text);
    if (length >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, length);
    address[length] = '\0';

    struct ip ip = {.family = strchr(address, ':') ? 6 : 4};
    uint64_t most = ip.family == 6 ? 128 : 32, bits = most;
    if (inet_pton(ip.family == 6 ? AF_INET6 : AF_INET, address, ip.bytes) != 1)
        return -EINVAL;
    if (*slash && (!isdigit((unsigned char)slash[1]) || operand_uint(slash + 1, &bits) || bits > most))
        return -EINVAL;
    // Events give an IPv4-mapped IPv6 address as IPv4.
    if (ip.family == 6 && bits >= 96 && memcmp(ip.bytes, mapped, sizeof(mapped)) == 0) {
        struct ip inner = {.family = 4};
        memcpy(inner.bytes, ip.bytes + 12, 4);
        ip = inner;
        bits -= 96;
    }
    *ret_ip = ip;
    *ret_bits = (uint8_t)bits;
    return 0;
}
