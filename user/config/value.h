// One value of the configuration: from text, and back.
#pragma once

#include "base/arena.h"
#include "base/text.h"
#include "table.h"

#include <stdbool.h>

enum { VALUE_LENGTH_MAX = 4096, NAME_LENGTH_MAX = 40 };

// Sets a field that holds no list of strings and no secret. 0, -EINVAL, or -ENOMEM. `ret_why` gets a sentence
// that says more than value_expected() and nothing of the value, or NULL.
int value_set(const struct config_key *key, struct arena *arena, const char *text, void *field,
              const char **ret_why);

// One item of a list, as value_set(): NULL where it is right, or the end of a sentence that begins with it.
const char *value_check_item(const struct config_key *key, const char *item);
// The name of a header or label. The same.
const char *value_check_name(const struct config_key *key, const char *name, size_t length);

// What the key takes: "a size from 1MiB to 1GiB, such as 64MiB".
void value_expected(const struct config_key *key, struct text *text);

// What value_set() makes the same of; nothing for a text that is NULL.
void value_add(const struct config_key *key, const void *field, struct text *text);
// A string of YAML. `written`: as it stands in a file, where $ is not doubled.
void value_add_string(const char *string, bool written, struct text *text);
bool value_is_null(const struct config_key *key, const void *field);

// --- Between value.c and value_text.c ---

struct unit {
    const char *name; // NULL ends a table; the largest comes first
    uint64_t factor;
};
extern const struct unit size_units[], time_units[], rate_units[];

// Where a line of a file, a header or a log would end or begin: C0, DEL, C1, U+2028 and U+2029; and what YAML
// does not take as it is.
bool value_is_special(uint32_t character);
// The character of valid UTF-8 that is so many bytes long.
uint32_t value_character(const char *text, size_t size);
