// What an event must have for a condition to hold: one of several values, or beginnings or parts of them.
#pragma once

#include "bound.h"

enum key_kind {
    KEY_WHOLE,  // the value is this
    KEY_PREFIX, // it begins so
    KEY_SUFFIX, // it ends so
    KEY_PART,   // it contains this
};

struct key {
    const struct bound *test; // whose field has the value
    enum key_kind kind;       // KEY_WHOLE for what is no text
    const char *data;         // a text, a number, a bool or, of an address, struct network
    size_t length;
};

struct keys {
    bool bounded; // false: an event needs none of them
    struct key *list;
    size_t count;
    size_t capacity;
    size_t cost;
};

// Which keys count, and how much the caller dislikes them; 0: nothing can be done with this one.
struct key_chooser {
    size_t (*cost)(const struct key_chooser *chooser, const struct key *key);
    struct arena *arena;
    size_t max; // keys of one condition
};

// The cheapest keys of which each event has one for which the condition holds. False: memory is short.
bool keys_of(const struct bound *bound, const struct key_chooser *chooser, struct keys *ret_keys);
