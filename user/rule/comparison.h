// What a field is compared with, made ready for the judging of events.
#pragma once

#include "event.h"
#include "table.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum comparator {
    CMP_EXISTS,
    CMP_EQ,
    CMP_NE,
    CMP_LT,
    CMP_LE,
    CMP_GT,
    CMP_GE,
    CMP_IN,
    CMP_INTERSECTS,
    CMP_PMATCH,
    CMP_GLOB,
    CMP_IGLOB,
    CMP_CONTAINS,
    CMP_ICONTAINS,
    CMP_BCONTAINS,
    CMP_STARTSWITH,
    CMP_BSTARTSWITH,
    CMP_ENDSWITH,
    CMP_REGEX,
    // From here on: how many of the parts must hold; `field startswith anyof (a, b)`.
    CMP_ONEOF,
    CMP_ANYOF,
    CMP_ALLOF,
};

// How the members of a set are kept; a list that is used in several ways has a set for each.
enum set_kind { SET_TEXT, SET_PATHS, SET_INT, SET_UINT, SET_BOOL, SET_IP, SET_KINDS };

// Members as bytes: a text, a number, or for SET_IP struct network.
struct set {
    enum set_kind kind;
    struct table table;
    const char **globs; // SET_PATHS: the paths with wildcards
    size_t globs_count;
    size_t globs_capacity;
    // SET_IP: the lengths of prefix that occur, for IPv4 and for IPv6.
    uint8_t bits[2][129];
    size_t bits_count[2];
};

struct network {
    uint8_t family; // 4 or 6
    uint8_t bits;
    uint8_t bytes[16]; // zero behind the prefix
};

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    struct regex *next; // of the same rule set
};

struct comparison {
    enum comparator comparator;
    enum field_type type;
    const char *text; // FIELD_STRING, one value
    size_t length;
    size_t literal_length; // CMP_GLOB: up to its first wildcard
    union {
        int64_t i;
        uint64_t u;
        bool b;
    };
    union {
        const struct set **sets;         // several values, and FIELD_IP
        const struct comparison **parts; // CMP_ONEOF, CMP_ANYOF, CMP_ALLOF
    };
    union {
        size_t sets_count;
        size_t parts_count;
    };
    const struct regex *regex;
};

// Bytes of a pattern before the first of `*?[\`.
size_t glob_literal_length(const char *pattern, size_t length);

// The network that an address with that many leading bits belongs to.
struct network network_of(const struct ip *ip, uint8_t bits);

int set_add(struct set *set, struct arena *arena, const char *text, size_t length);
bool set_holds(const struct set *set, const struct value *value);

// Whether one value of a field compares as asked for.
bool comparison_holds(const struct comparison *comparison, const struct value *value);
// The same for a value on the right-hand side; `in` and `intersects` ask whether the two are equal.
bool comparison_pair_holds(const struct comparison *comparison, const struct value *left,
                           const struct value *right);

// Compiles a pattern that must match a whole value. 0, -ENOMEM, or -EINVAL and why and where.
int regex_new(const char *pattern, size_t length, struct arena *arena, struct regex **ret_regex,
              char *message, size_t message_size, size_t *ret_offset);
void regex_free_all(struct regex *regex);
bool regex_holds(const struct regex *regex, const char *text, size_t length);
