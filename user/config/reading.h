// A configuration file on its way to a struct config.
#pragma once

#include "base/arena.h"
#include "base/text.h"
#include "base/yaml.h"
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { CONFIG_KEYS_MAX = 128 };

// A string or number that the environment had a part in.
struct reference {
    const void *slot; // the field, or the item of a list
    const char *written;
};

// What config_free() frees; a struct config is always one of these.
struct config_owned {
    struct config config;
    struct arena arena;
    struct reference *references;
    size_t references_count;
    size_t references_capacity;
};

static inline struct config_owned *config_owned(const struct config *config)
{
    return (struct config_owned *)config;
}

// What the file says of it: "${NAME}"; NULL: nothing but itself.
const char *config_written(const struct config *config, const void *slot);
bool config_note(struct config_owned *owned, const void *slot, const char *written);

struct config_problem {
    size_t offset;
    size_t shown; // how far the line may be shown: what lies behind could be a secret
    char *message;
};

struct config_reading {
    struct file file;
    struct arena arena;
    struct config_owned *owned;
    struct config_problem problems[CONFIG_PROBLEMS_MAX];
    size_t problems_count;
    size_t left_out;
    bool failed; // memory is short
};

// A section, an output, or the whole file: what was given in it, by the index of the key.
struct config_scope {
    void *base;
    const struct config_output *output;        // NULL: the file itself
    const char *name;                          // "outputs[1]"; "" for the file
    const struct node *at;                     // of an output
    const struct node *given[CONFIG_KEYS_MAX]; // the names of keys
};

// How much of the line may be shown. A value that could be a secret, or may only have slipped into the wrong
// place, is not.
enum config_show { SHOW_NOTHING, SHOW_NAME, SHOW_VALUE };

// Says what is wrong at that node.
__attribute__((format(printf, 4, 5))) void config_say(struct config_reading *reading, const struct node *node,
                                                      enum config_show show, const char *format, ...);
void config_print_problems(const struct config_reading *reading, FILE *stream);
void config_problems_free(struct config_reading *reading);

// Puts values of the environment into a text. NULL: said why, or memory is short. `ret_changed`: some were.
const char *config_substitute(struct config_reading *reading, const struct node *scalar, bool *ret_changed);
// The NAME of a text that is nothing but ${NAME}, or NULL.
const char *config_variable(struct config_reading *reading, const char *text);
bool config_is_variable_name(const char *name, size_t length);

// Sets the key from its value in the file.
void config_read_value(struct config_reading *reading, struct config_scope *scope,
                       const struct config_key *key, const struct node *name, const struct node *value);
// Sets it to its default; false: memory is short.
bool config_set_standard(struct arena *arena, const struct config_key *key, void *base);

// Whether such outputs have the key; the file itself has those without outputs.
bool config_has(const struct config_key *key, const struct config_output *output);
const struct node *config_given_at(const struct config_scope *scope, const char *path);

// Speaks to its receiver without TLS.
bool config_is_plain(const struct config_output *output);

// Outputs, all of them read.
void config_read_outputs(struct config_reading *reading, const struct node *list);
// Probes; their keys have the scope of an output of this type.
void config_read_probes(struct config_reading *reading, const struct node *list);
bool config_same_probes(const struct config *before, const struct config *after);
// Whether two have the same value for a key.
bool config_same(const struct config_key *key, const void *a, const void *b);
// What single values cannot tell.
void config_check_file(struct config_reading *reading, const struct config_scope *scope);
void config_check_output(struct config_reading *reading, const struct config_scope *scope);
void config_check_outputs(struct config_reading *reading, const struct config_scope *scopes);

// The keys below a mapping.
void config_read_mapping(struct config_reading *reading, struct config_scope *scope,
                         const struct node *mapping, const char *section);
// True, or why it cannot be an item of that list, by value_check_item() and config_set_check().
bool config_check_item(const struct config_key *key, const char *item, const char *shown,
                       struct text *sentence);
