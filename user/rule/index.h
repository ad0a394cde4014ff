// Which rules an event could match, without judging each: most rules hold only for an event that has one of a
// few values, or a value that begins with, ends in or contains one of a few texts. These are looked up, those
// of all rules of a type at once.
#pragma once

#include "rule_set.h"

// Rules that an event's value makes worth judging.
struct posting {
    uint32_t judge; // position among those of the type
    struct posting *next;
};

enum { WINDOW = 3 }; // bytes

// A text that a value may hold, found by a few bytes of it.
struct piece {
    const char *data;
    size_t length;
    size_t offset; // of the bytes that find it
    bool at_start; // the value must begin with it
    bool at_end;
    struct posting *postings;
    struct piece *next; // found by the same bytes
};

enum { FILTER_BITS = 14 };

// What is looked up of one field.
struct probe {
    struct reading *reading;
    struct table whole;   // values; the items are postings
    struct table windows; // the bytes that find pieces; the items are pieces
    uint64_t *filter;     // a bit for the hash of each of `windows`; NULL: there are none
    // Of an address: the lengths of network that occur, for IPv4 and for IPv6.
    uint8_t bits[2][129];
    size_t bits_count[2];
    struct probe *next;
};

static inline uint32_t window_hash(const char *bytes)
{
    uint32_t number = (uint32_t)(unsigned char)bytes[0] | (uint32_t)(unsigned char)bytes[1] << 8 |
                      (uint32_t)(unsigned char)bytes[2] << 16;
    return number * UINT32_C(0x9e3779b1) >> (32 - FILTER_BITS);
}

// A bit for each judge of the event's type that can hold; valid until the next call.
const uint64_t *index_candidates(const struct rule_set *set, const struct judges *judges,
                                 const struct event *event, uint64_t round);
