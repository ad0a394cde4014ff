// What the loaded rules (and asked-for metrics) need from the kernel. The rule stage fills it, the sources
// read it: they attach only what is wanted and drop in the kernel what no rule could name.
#pragma once

#include "event.h"

#include <stdbool.h>
#include <stddef.h>

// A file path that some rule could match: this path, or every path that starts with it.
struct demand_path {
    char *text; // owned
    bool prefix;
};

// A number with which some rule compares a sum of bytes.
struct demand_threshold {
    const struct field *field;
    uint64_t value;
};

enum { DEMAND_THRESHOLDS_MAX = 64, DEMAND_SUFFIXES_MAX = 256 };
enum { DEMAND_SUFFIX_SIZE = 4 }; // bytes of a suffix that count, the last ones
enum { DEMAND_PATHS_MAX = 4096, DEMAND_READS_MAX = 1024, DEMAND_CLUES_MAX = 1024 };

// What tells early that a rule could match an event: who did it, or which address it was about. An event of a
// type in `any_clue` can match without any; one of another type only if it has one of the type's clues.
struct demand_clue {
    size_t type;       // event_type_index()
    char name[16];     // proc.name, zero-filled; empty: the address counts
    struct ip address; // fd.sip
};

struct demand {
    bool wanted[EVENT_TYPES_MAX]; // by event_type_index(): some rule can match this type
    // Of the wanted types that open files:
    bool any_path;             // some rule can match whatever the path is; then `paths` need not be kept
    bool failed_opens;         // some rule can match an open that failed
    struct demand_path *paths; // owned; at most DEMAND_PATHS_MAX, above that any_path is set
    size_t paths_count;
    uint32_t suffixes[DEMAND_SUFFIXES_MAX]; // what files' names may end with, as the bytes lie in memory
    size_t suffixes_count;
    // Of the wanted types sendto, sendmsg, sendmmsg, recvfrom, recvmsg and recvmmsg: some rule can match one
    // on a TCP socket, that is, its condition does not rule out `fd.l4proto = tcp`;
    bool stream_data;
    bool foreign_data;   // on a socket that is neither IPv4 nor IPv6;
    bool repeated_sends; // (sends only) to an address that the socket has sent to before.
    // Of the wanted types that change names or permissions of files the same, but for each by itself: what
    // matters to one, which may be rare, must not cost the others.
    bool any_changed_path[EVENT_TYPES_MAX];
    bool failed_changes[EVENT_TYPES_MAX];
    struct demand_path *changed_paths; // owned; of all these types
    size_t changed_paths_count;
    // The fields that some condition or output reads. What costs extra to learn and nobody reads need not be
    // learnt.
    const struct field *reads[DEMAND_READS_MAX];
    size_t reads_count;
    bool reads_all; // more than fit
    bool any_clue[EVENT_TYPES_MAX];
    struct demand_clue clues[DEMAND_CLUES_MAX];
    size_t clues_count;
    // Of the type egress.
    struct demand_threshold thresholds[DEMAND_THRESHOLDS_MAX];
    size_t thresholds_count;
    bool thresholds_all; // more than fit, or compared with something else than a number
    bool sums;           // some rule adds up what is sent: it is told each second
};

// Adds a path once; a prefix only where not any path is asked for. Sets any_path where the list is full or
// memory is short, so nothing is ever missed.
void demand_add_path(struct demand *demand, const char *text, size_t length, bool prefix);
// Whether files can be known by a suffix: it must be long enough, and in their own name.
bool demand_suffix_counts(const char *text, size_t length);
// The same for all paths that end so. What is too short to know them by, and more than fit, is any path.
void demand_add_suffix(struct demand *demand, const char *text, size_t length);
// The same for a type of event that changes files; sets any_changed_path also for a path without an anchor.
void demand_add_changed_path(struct demand *demand, size_t type, const char *text, size_t length,
                             bool prefix);
// Adds all that another demand has of these.
void demand_add_changes(struct demand *demand, const struct demand *other);
// The element by which a path can be known: the last one, of a prefix the last that is whole. NULL: there is
// none. `length` is the text's.
const char *demand_path_anchor(const char *text, size_t length, bool prefix, size_t *ret_length);
// Adds a field once.
void demand_add_read(struct demand *demand, const struct field *field);
// Whether a field is read, by its name or as one of all arguments (evt.args).
bool demand_reads(const struct demand *demand, const struct field *field);
// Adds a clue; sets any_clue of the type where there is no room.
void demand_add_clue(struct demand *demand, const struct demand_clue *clue);
// Adds a threshold once.
void demand_add_threshold(struct demand *demand, const struct field *field, uint64_t value);
// Adds all that `other` asks for.
void demand_add(struct demand *demand, const struct demand *other);
// Asks for every type of event on any path, and for all that the types' own fields read, payload excepted.
void demand_add_everything(struct demand *demand);
void demand_free(struct demand *demand);
