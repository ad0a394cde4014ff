// One line of the audit log: {"number":N,"time":"…","event":"…", members,"previous":"HASH","hash":"HASH"},
// where the last hash is that of all bytes of the line before the comma in front of it.
#pragma once

#include "audit.h"
#include "base/sha256.h"

#include <stdbool.h>

enum { AUDIT_LINE_MAX = 64 * 1024 };

struct audit_line {
    uint64_t number;
    char previous[SHA256_TEXT_SIZE];
    char hash[SHA256_TEXT_SIZE];
    const char *wrong; // NULL: the line fits itself; else what is wrong with it
};

// Takes the line apart, which has no newline. The hashes are those written there, empty where there are none.
void audit_line_parse(const char *line, size_t length, struct audit_line *ret_line);

// The first line of a log that continues no other.
extern const char audit_no_hash[SHA256_TEXT_SIZE];
