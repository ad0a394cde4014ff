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

enum { DEMAND_PATHS_MAX = 4096 };

struct demand {
    bool wanted[EVENT_TYPES_MAX]; // by event_type_index(): some rule can match this type
    // Of the wanted types that open files:
    bool any_path;             // some rule can match whatever the path is; then `paths` need not be kept
    bool failed_opens;         // some rule can match an open that failed
    struct demand_path *paths; // owned; at most DEMAND_PATHS_MAX, above that any_path is set
    size_t paths_count;
};

// Adds a path once. Sets any_path where the list is full or memory is short, so nothing is ever missed.
void demand_add_path(struct demand *demand, const char *text, size_t length, bool prefix);
void demand_free(struct demand *demand);
