// One decoded event, its fields, and the tables that declare them. These tables are the single list that
// rules, output, JSON, metric labels, `agent list` and docs/EVENTS.md read.
#pragma once

#include "wire/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct container;
struct event;
struct process;
struct text;

enum field_type {
    FIELD_STRING,
    FIELD_INT,      // signed 64 bits
    FIELD_UINT,     // unsigned 64 bits
    FIELD_BOOL,     // written true and false
    FIELD_IP,       // an IPv4 or IPv6 address; `=` and `in` also take networks (10.0.0.0/8)
    FIELD_DURATION, // ns
    FIELD_TIME,     // ns since the Unix epoch
};

struct ip {
    uint8_t family; // 4 or 6
    uint8_t bytes[16];
};

struct value {
    enum field_type type;
    union {
        struct {
            const char *data; // NUL-terminated; lives until the next event is decoded
            size_t length;    // bytes before the NUL
        } string;
        int64_t i;
        uint64_t u; // FIELD_UINT, FIELD_DURATION, FIELD_TIME
        bool b;
        struct ip ip;
    };
};

enum field_arg_kind {
    FIELD_ARG_NONE,
    FIELD_ARG_INDEX,  // proc.aname[2]: an optional index
    FIELD_ARG_KEY,    // evt.arg[name]: a required key
    FIELD_ARG_NAME,   // proc.env[HOME]: an optional key
    FIELD_ARG_WINDOW, // net.egress.sum[10m]: over how long the rule at hand adds up the field `summed`
};

struct field_arg {
    bool set;
    uint32_t index;  // FIELD_ARG_INDEX; FIELD_ARG_WINDOW: seconds
    const char *key; // FIELD_ARG_KEY, FIELD_ARG_NAME
};

// Reads a field of an event. `nth` counts from 0 and is above 0 only for fields with `many`. Returns false
// and leaves *ret_value alone where the value is missing or there are no more values.
typedef bool (*field_get_fn)(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value);

struct field {
    const char *name; // Falco's name where Falco has the field
    enum field_type type;
    enum field_arg_kind arg;
    bool many;        // has several values: a comparison holds if it holds for any (`!=`: for all)
    const char *unit; // "ns", "bytes", … or NULL
    const char *help;
    field_get_fn get;
    bool payload;       // shows what programs sent or received: learnt only where a rule reads it
    const char *summed; // FIELD_ARG_WINDOW: the field of the same events, FIELD_UINT
};

// A type of event, as `evt.type` names it.
struct event_type {
    const char *name;
    const char *help;
    const struct field *fields; // its own; the context fields (proc.*, user.*, …) come on top
    size_t fields_count;
};

// Room for strings that a getter has to compose. Emptied before each event.
struct scratch {
    size_t used;
    char data[32768];
};

// Values that stand in for those of the kernel.
struct field_source {
    bool (*get)(const struct field_source *source, const struct event *event, const struct field *field,
                const struct field_arg *arg, size_t nth, struct value *ret_value);
};

struct event {
    const struct event_type *type;
    const struct wire_header *wire;    // the whole record; valid while the event is handled
    uint64_t num;                      // counts every event since the agent started, from 1
    uint64_t time_ns;                  // ns since the Unix epoch
    struct process *process;           // who did it; never NULL once enriched
    const struct container *container; // NULL: not in a container
    struct scratch *scratch;
    unsigned names;      // by which rules may know what it is about; they judge it by each until one holds
    unsigned name;       // by which it is judged now, from 0
    bool adds_only;      // tells nothing new but what is added up: only rules that do so are judged
    const uint64_t *sum; // what the rule that holds has added up; NULL: it adds up nothing
    const struct field_source *given; // NULL but where rules are tested
};

// Composes a string in the event's scratch room. NULL when the room is used up.
__attribute__((format(printf, 2, 3))) char *event_printf(const struct event *event, const char *format, ...);
// Room for `size` bytes, or NULL.
char *event_alloc(const struct event *event, size_t size);

// The name that a user of the node has, or NULL where none is known. The enrich stage knows names; getters of
// earlier stages ask here.
const char *event_user_name(const struct event *event, uint32_t uid);
typedef const char *(*event_user_name_fn)(const struct event *event, uint32_t uid);
void event_set_user_names(event_user_name_fn user_name); // NULL: nobody knows

// Fills a string value; `string` may be NULL, which is a missing value (false).
bool value_set_string(struct value *ret_value, const char *string);
bool value_set_bytes(struct value *ret_value, const char *data, size_t length);
bool value_set_int(struct value *ret_value, int64_t number);
bool value_set_uint(struct value *ret_value, uint64_t number);
bool value_set_bool(struct value *ret_value, bool truth);

// A value as text, as outputs and `tolower`-like consumers see it. Control characters are escaped.
void value_render(const struct value *value, struct text *text);

// The name of a field type as people see it: "string", "int", …
const char *field_type_name(enum field_type type);

// --- The registry: who declares what. Filled at start, by the sources and by enrich; then read-only. ---

// Fields that every event has, whatever its type (proc.*, container.*, evt.*). `group` is a heading.
int field_register_context(const char *group, const struct field *fields, size_t count);
// The event types of one source. -EEXIST for a name that exists, -EINVAL for a field whose type differs from
// the same field elsewhere, -ENOSPC.
int event_type_register(const char *source, const struct event_type *types, size_t count);

size_t event_type_count(void);
const struct event_type *event_type_at(size_t index);
// Position in the registry, for bit sets and arrays of counters; below EVENT_TYPES_MAX.
size_t event_type_index(const struct event_type *type);
const char *event_type_source(const struct event_type *type);
// NULL when there is no such event type.
const struct event_type *event_type_find(const char *name);

enum { EVENT_TYPES_MAX = 128 };

// The field of that name (without argument) which an event of this type has, or NULL.
const struct field *field_find(const struct event_type *type, const char *name, size_t length);
// A field of that name of any event type: tells whether the name exists, and its type. NULL: unknown.
const struct field *field_find_any(const char *name, size_t length);
// True for fields every event has.
bool field_is_context(const struct field *field);
// The known field name nearest to a mistyped one, for "did you mean"; NULL when nothing is near.
const char *field_suggest(const char *name, size_t length);

// Calls visit for each context field, then for each event type's fields.
typedef void (*field_visit_fn)(const char *group, const struct event_type *type, const struct field *field,
                               void *context);
void field_visit(field_visit_fn visit, void *context);

// Reads a field of an event, context or its own.
static inline bool field_get(const struct field *field, const struct event *event,
                             const struct field_arg *arg, size_t nth, struct value *ret_value)
{
    if (__builtin_expect(event->given != NULL, 0))
        return event->given->get(event->given, event, field, arg, nth, ret_value);
    return field->get(event, arg, nth, ret_value);
}
