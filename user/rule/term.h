// What a condition compares and what an output shows: a field, or what transformers make of fields and texts.
#pragma once

#include "event.h"
#include "problem.h"

struct compiler;

struct word {
    const char *text;
    size_t length;
    size_t offset; // in the passage
};

enum term_kind { TERM_FIELD, TERM_TEXT, TERM_LIST, TERM_CALL };

enum transformer {
    TRANSFORM_TOLOWER,
    TRANSFORM_TOUPPER,
    TRANSFORM_B64,
    TRANSFORM_BASENAME,
    TRANSFORM_LEN,
    TRANSFORM_JOIN,
    TRANSFORM_CONCAT,
    TRANSFORM_GETOPT,
};

struct term {
    enum term_kind kind;
    struct word name; // of the field or the transformer
    bool has_arg;
    struct word arg;  // of the field; of getopt: the option that is asked for
    const char *text; // TERM_TEXT
    size_t length;
    enum transformer transformer; // TERM_CALL
    struct term *first;           // what stands in the brackets of TERM_LIST and TERM_CALL
    struct term *next;
    // Once resolved:
    const struct field *field; // TERM_FIELD
    struct field_arg field_arg;
    enum field_type type;
    bool many; // has several values, as a field can
};

// How many values getopt gives, and what transformed values may take, each time that some are compared; more
// count as missing.
enum { TERM_VALUES_MAX = 256, TERM_BYTES_MAX = 1 << 20 };

// False: there is no such transformer.
bool transformer_find(const struct word *name, enum transformer *ret_transformer);

// Looks up fields and checks that transformers fit. False: what is wrong is in the report.
bool term_resolve(struct compiler *compiler, struct term *term, const struct passage *passage,
                  const char *code);

// True where an event of this type has all fields of the term.
bool term_exists(const struct term *term, const struct event_type *type);
// The same term with the fields of that type. NULL: memory is short.
struct term *term_bind(const struct term *term, const struct event_type *type, struct arena *arena);

// As field_get(); what has to be composed lives in the arena.
bool term_get(const struct term *term, const struct event *event, size_t nth, struct arena *arena,
              struct value *ret_value);

// What the transformer makes of its arguments' values. Exactly as term_get().
bool transform(const struct term *call, const struct event *event, size_t nth, struct arena *arena,
               struct value *ret_value);
