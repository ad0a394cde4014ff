#include "audit_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char audit_no_hash[SHA256_TEXT_SIZE] =
    "0000000000000000000000000000000000000000000000000000000000000000";

static bool take_hash(const char *at, const char *before, const char *after, char *ret_hash)
{
    size_t lead = strlen(before), digits = SHA256_TEXT_SIZE - 1;
    if (strncmp(at, before, lead) != 0 || strspn(at + lead, "0123456789abcdef") < digits ||
        strncmp(at + lead + digits, after, strlen(after)) != 0)
        return false;
    memcpy(ret_hash, at + lead, digits);
    ret_hash[digits] = '\0';
    return true;
}

void audit_line_parse(const char *line, size_t length, struct audit_line *ret_line)
{
    static const char begin[] = "{\"number\":", previous[] = ",\"previous\":\"", hash[] = ",\"hash\":\"";
    const size_t digits = SHA256_TEXT_SIZE - 1;
    const size_t hash_length = sizeof(hash) - 1 + digits + 2;
    const size_t previous_length = sizeof(previous) - 1 + digits + 1;
    *ret_line = (struct audit_line){.wrong = "it is no line of an audit log"};
    if (length < sizeof(begin) + previous_length + hash_length || length > AUDIT_LINE_MAX ||
        strncmp(line, begin, sizeof(begin) - 1) != 0)
        return;
    const char *at = line + length - hash_length;
    if (!take_hash(at, hash, "\"}", ret_line->hash) ||
        !take_hash(at - previous_length, previous, "\"", ret_line->previous))
        return;
    char *end, computed[SHA256_TEXT_SIZE];
    errno = 0;
    ret_line->number = strtoull(line + sizeof(begin) - 1, &end, 10);
    if (errno || *end != ',' || line[sizeof(begin) - 1] < '0' || line[sizeof(begin) - 1] > '9')
        return;
    if (sha256_text(line, length - hash_length, computed))
        ret_line->wrong = "SHA-256 is not to be had here";
    else
        ret_line->wrong =
            strcmp(computed, ret_line->hash) == 0 ? NULL : "it is not what its hash was made of";
}
