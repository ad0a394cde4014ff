// The fields of a model that was loaded: the same for every record that is a struct wire_model_load.
#pragma once

#include "event.h"
#include "wire/model.h"

bool model_get_path(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value);
bool model_get_raw_path(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value);
bool model_get_loaded(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value);
bool model_get_took(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value);

// For the table of an event type. `path_help`: what model.path is; `loaded_help`: what model.loaded.
#define MODEL_FIELDS(path_help, loaded_help)                                                           \
    {.name = "model.path", .type = FIELD_STRING, .help = path_help, .get = model_get_path},            \
        {.name = "model.path.raw",                                                                     \
         .type = FIELD_STRING,                                                                         \
         .help = "The same as the caller gave it",                                                     \
         .get = model_get_raw_path},                                                                   \
        {.name = "model.loaded", .type = FIELD_BOOL, .help = loaded_help, .get = model_get_loaded},    \
    {                                                                                                  \
        .name = "model.load_time", .type = FIELD_DURATION, .unit = "ns", .help = "How long that took", \
        .get = model_get_took                                                                          \
    }

// As of struct source.
size_t model_record_size(uint16_t type);
bool model_record_valid(const struct wire_header *wire);
