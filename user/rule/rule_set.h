// What is left once rules are loaded.
#pragma once

#include "comparison.h"
#include "rule.h"
#include "term.h"

// A field as some rules read it. Each is read once an event, however many rules ask.
struct reading {
    const struct field *field;
    struct field_arg arg;
    const struct term *term; // instead of the field: what transformers make
    uint64_t round;          // in which it was last read
    bool present;
    bool many; // may have several values
    bool list; // `in` asks whether all of them are among the others
    struct value value;
};

enum { STEP_HOLDS = UINT32_MAX, STEP_FAILS = UINT32_MAX - 1 };

// One comparison, and which step is next.
struct step {
    struct reading *reading;
    const struct comparison *comparison;
    struct reading *right; // what it is compared with, where that is read too; or NULL
    uint32_t on_true;
    uint32_t on_false;
};

// A rule as it is judged on one type of event.
struct judge {
    const struct rule *rule;
    const struct step *steps;
    uint32_t entry;
    const struct sum *sum; // what it adds up where the steps hold; NULL: nothing
};

struct probe;
struct sums;

struct judges {
    struct judge *list; // in the order of the rules
    size_t count;
    size_t capacity;
    size_t sums;          // of them add up
    uint64_t *always;     // a bit for each that is judged whatever the probes find
    struct probe *probes; // index.h
};

struct rule_set {
    struct arena arena;
    struct regex *regexes;
    struct rule *rules;
    size_t count;
    struct judges types[EVENT_TYPES_MAX]; // by event_type_index()
    const struct sum **adding;            // by the rules' index, NULL for those that add up nothing
    struct sums *sums;                    // NULL where no rule adds up
    struct demand demand;
    uint64_t *candidates;   // room for a bit for each rule
    uint64_t *round;        // counts the events that were judged
    struct arena *composed; // what transformers make for one comparison
    struct arena *kept;     // what of it is kept for other comparisons of the event
};
