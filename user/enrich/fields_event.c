// The fields evt.* of every event.
#include "base/cleanup.h"
#include "enrich_private.h"
#include "fields.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

GETTER(get_evt_num)
{
    return nth == 0 && value_set_uint(ret_value, event->num);
}

GETTER(get_evt_time)
{
    return nth == 0 && value_set_time(ret_value, event->time_ns);
}

GETTER(get_evt_type)
{
    return nth == 0 && value_set_string(ret_value, event->type->name);
}

GETTER(get_evt_dir)
{
    return nth == 0 && value_set_string(ret_value, "<");
}

GETTER(get_evt_source)
{
    return nth == 0 && value_set_string(ret_value, "syscall");
}

GETTER(get_evt_hostname)
{
    const struct enrich *enrich = enrich_active();
    return nth == 0 && enrich && value_set_string(ret_value, enrich->hostname);
}

// The wall clock in UTC, by strftime(); `fraction` in ns follows it.
static bool set_clock(const struct event *event, size_t nth, const char *format, bool fraction,
                      const char *zone, struct value *ret_value)
{
    time_t seconds = (time_t)(event->time_ns / 1000000000);
    struct tm tm;
    char text[64], digits[16] = "";
    if (nth > 0 || !gmtime_r(&seconds, &tm) || strftime(text, sizeof(text), format, &tm) == 0)
        return false;
    if (fraction)
        snprintf(digits, sizeof(digits), ".%09llu", (unsigned long long)(event->time_ns % 1000000000));
    return value_set_string(ret_value, event_printf(event, "%s%s%s", text, digits, zone));
}

GETTER(get_evt_time_s)
{
    return set_clock(event, nth, "%H:%M:%S", false, "", ret_value);
}

GETTER(get_evt_time_iso8601)
{
    return set_clock(event, nth, "%Y-%m-%dT%H:%M:%S", true, "Z", ret_value);
}

GETTER(get_evt_datetime)
{
    return set_clock(event, nth, "%Y-%m-%d %H:%M:%S", true, "", ret_value);
}

GETTER(get_evt_datetime_s)
{
    return set_clock(event, nth, "%Y-%m-%d %H:%M:%S", false, "", ret_value);
}

GETTER(get_evt_rawtime)
{
    return nth == 0 && value_set_uint(ret_value, event->time_ns);
}

GETTER(get_evt_rawtime_s)
{
    return nth == 0 && value_set_uint(ret_value, event->time_ns / 1000000000);
}

GETTER(get_evt_rawtime_ns)
{
    return nth == 0 && value_set_uint(ret_value, event->time_ns % 1000000000);
}

GETTER(get_evt_count)
{
    return nth == 0 && value_set_uint(ret_value, 1);
}

GETTER(get_evt_category)
{
    // What is not here is `other`.
    static const struct {
        const char *names; // with a space after each
        const char *category;
    } categories[] = {
        {"open openat openat2 open_by_handle_at creat close unlink unlinkat rename renameat renameat2 mkdir "
         "mkdirat rmdir link linkat symlink symlinkat chmod fchmod fchmodat fchmodat2 chown fchown lchown "
         "fchownat chdir fchdir chroot mount umount userfaultfd ",
         "file"},
        {"connect accept accept4 bind listen socket socketpair shutdown sendto sendmsg sendmmsg recvfrom "
         "recvmsg recvmmsg ",
         "net"},
        {"clone execve procexit setsid setpgid ptrace setns unshare capset prctl ", "process"},
        {"setuid setgid setresuid setresgid setreuid setregid ", "user"},
        {"kill tkill tgkill ", "signal"},
        {"dup dup2 dup3 ", "IO-other"},
        {"init_module finit_module delete_module bpf ", "system"},
    };
    if (nth > 0)
        return false;
    const char *name = event->type->name;
    size_t length = strlen(name);
    for (size_t i = 0; i < ARRAY_SIZE(categories); i++)
        for (const char *at = categories[i].names; *at; at = strchr(at, ' ') + 1)
            if (strncmp(at, name, length) == 0 && at[length] == ' ')
                return value_set_string(ret_value, categories[i].category);
    return value_set_string(ret_value, "other");
}

// --- The arguments of an event, which are those of its own fields that are called evt.arg.something ---

static const char prefix[] = "evt.arg.";
enum { PREFIX = sizeof(prefix) - 1, ARGUMENTS_MAX = 16384 };

// The nth argument, in the order of the type's table, or NULL.
static const struct field *argument_at(const struct event_type *type, size_t nth)
{
    for (size_t i = 0; i < type->fields_count; i++)
        if (strncmp(type->fields[i].name, prefix, PREFIX) == 0 && nth-- == 0)
            return &type->fields[i];
    return NULL;
}

static bool argument_add(const struct event *event, const struct field *field, struct text *text)
{
    static const struct field_arg none;
    struct value value;
    if (field->arg == FIELD_ARG_KEY || !field_get(field, event, &none, 0, &value))
        return false;
    if (value.type == FIELD_STRING)
        text_add_bytes(text, value.string.data, value.string.length);
    else
        value_render(&value, text);
    return true;
}

GETTER(get_evt_args)
{
    static struct field_cache cache;
    if (nth > 0)
        return false;
    if (field_cached(&cache, event))
        return value_set_bytes(ret_value, cache.data, cache.length);
    _cleanup_text_ struct text text = TEXT_INIT(ARGUMENTS_MAX);
    const struct field *field;
    for (size_t i = 0; (field = argument_at(event->type, i)); i++) {
        text_addf(&text, "%s%s=", i ? " " : "", field->name + PREFIX);
        if (!argument_add(event, field, &text))
            text_add(&text, "<NA>");
    }
    field_cache_set(&cache, event, &text);
    return value_set_bytes(ret_value, cache.data, cache.length);
}

GETTER(get_evt_arg)
{
    const char *key = arg && arg->set && arg->key ? arg->key : "";
    size_t digits = strspn(key, "0123456789");
    const struct field *field = NULL;
    if (nth > 0 || key[0] == '\0')
        return false;
    if (key[digits] == '\0' && digits < 3)
        field = argument_at(event->type, strtoul(key, NULL, 10));
    for (size_t i = 0; !field && i < event->type->fields_count; i++)
        if (strncmp(event->type->fields[i].name, prefix, PREFIX) == 0 &&
            strcmp(event->type->fields[i].name + PREFIX, key) == 0)
            field = &event->type->fields[i];
    _cleanup_text_ struct text text = TEXT_INIT(ARGUMENTS_MAX);
    struct field_cache copy = {};
    if (!field || !argument_add(event, field, &text))
        return false;
    field_cache_set(&copy, event, &text);
    return value_set_bytes(ret_value, copy.data, copy.length);
}

static const struct field evt_fields[] = {
    {.name = "evt.num",
     .type = FIELD_UINT,
     .help = "Number of the event, counted from the agent's start",
     .get = get_evt_num},
    {.name = "evt.time", .type = FIELD_TIME, .help = "When it happened", .get = get_evt_time},
    {.name = "evt.time.s",
     .type = FIELD_STRING,
     .help = "The time of day without a fraction, as all of these in UTC: 14:05:09",
     .get = get_evt_time_s},
    {.name = "evt.time.iso8601",
     .type = FIELD_STRING,
     .help = "Date and time as ISO 8601 writes them, with nine digits of a second",
     .get = get_evt_time_iso8601},
    {.name = "evt.datetime",
     .type = FIELD_STRING,
     .help = "Date and time, with nine digits of a second",
     .get = get_evt_datetime},
    {.name = "evt.datetime.s",
     .type = FIELD_STRING,
     .help = "Date and time without a fraction",
     .get = get_evt_datetime_s},
    {.name = "evt.outputtime",
     .type = FIELD_STRING,
     .help = "The same as evt.time.iso8601",
     .get = get_evt_time_iso8601},
    {.name = "evt.rawtime",
     .type = FIELD_UINT,
     .unit = "ns",
     .help = "Time since the Unix epoch",
     .get = get_evt_rawtime},
    {.name = "evt.rawtime.s",
     .type = FIELD_UINT,
     .unit = "s",
     .help = "The whole seconds of evt.rawtime",
     .get = get_evt_rawtime_s},
    {.name = "evt.rawtime.ns",
     .type = FIELD_UINT,
     .unit = "ns",
     .help = "What evt.rawtime has beyond whole seconds",
     .get = get_evt_rawtime_ns},
    {.name = "evt.count",
     .type = FIELD_UINT,
     .help = "Always 1, for outputs that are added up",
     .get = get_evt_count},
    {.name = "evt.category",
     .type = FIELD_STRING,
     .help = "What the event is about: file, net, process, user, signal, IO-other, system or other",
     .get = get_evt_category},
    {.name = "evt.args",
     .type = FIELD_STRING,
     .help =
         "All evt.arg.* fields that the event's type has: `pid=0 pgid=12`; `<NA>` for one without a value",
     .get = get_evt_args},
    {.name = "evt.info", .type = FIELD_STRING, .help = "The same as evt.args", .get = get_evt_args},
    {.name = "evt.arg",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "One of these as text, by its number from 0 (`evt.arg[0]`) or name (`evt.arg[pid]`)",
     .get = get_evt_arg},
    {.name = "evt.type",
     .type = FIELD_STRING,
     .help = "Name of the event, which for a system call is its name",
     .get = get_evt_type},
    {.name = "evt.dir",
     .type = FIELD_STRING,
     .help = "Always `<`: events are seen when they are complete; older rules ask for it",
     .get = get_evt_dir},
    {.name = "evt.source",
     .type = FIELD_STRING,
     .help = "Always `syscall`, the source that rules name",
     .get = get_evt_source},
    {.name = "evt.hostname", .type = FIELD_STRING, .help = "Name of the node", .get = get_evt_hostname},
};

int enrich_register_event_fields(void)
{
    return field_register_context("evt", evt_fields, ARRAY_SIZE(evt_fields));
}
