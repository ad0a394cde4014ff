// The fields proc.* that tell which program runs: each property is read the same way of the process, its
// parent and its ancestors.
#include "base/cleanup.h"
#include "enrich_private.h"
#include "fields.h"

#include <string.h>

struct process *process_above(const struct event *event, size_t index)
{
    struct process *process = event->process;
    for (; process && index > 0; index--)
        process = process->parent;
    return process;
}

// --- Properties of a process ---

static bool process_read_pid(const struct process *process, struct value *ret_value)
{
    return value_set_int(ret_value, process->pid);
}

bool process_read_name(const struct process *process, struct value *ret_value)
{
    return process->name[0] != '\0' && value_set_string(ret_value, process->name);
}

bool process_read_exe(const struct process *process, struct value *ret_value)
{
    return value_set_string(ret_value, process_exe(process));
}

bool process_read_exepath(const struct process *process, struct value *ret_value)
{
    return value_set_string(ret_value, process->exepath);
}

static bool process_read_cmdline(const struct process *process, struct value *ret_value)
{
    const struct blob *cmdline = process_entry_cmdline(process_entry_of(process));
    return cmdline && value_set_bytes(ret_value, cmdline->data, cmdline->size);
}

// The command line holds the arguments after the name and a space.
static bool process_read_args(const struct process *process, struct value *ret_value)
{
    const struct blob *cmdline = process->args ? process_entry_cmdline(process_entry_of(process)) : NULL;
    if (!cmdline)
        return false;
    size_t skip = strlen(process->name) + 1;
    if (cmdline->size < skip)
        return value_set_bytes(ret_value, "", 0);
    return value_set_bytes(ret_value, cmdline->data + skip, cmdline->size - skip);
}

static bool process_read_args_count(const struct process *process, struct value *ret_value)
{
    if (!process->args)
        return false;
    uint64_t count = 0;
    for (size_t i = strlen(process->args) + 1; i < process->args_size; i++)
        count += process->args[i] == '\0';
    return value_set_uint(ret_value, count);
}

static bool process_read_args_length(const struct process *process, struct value *ret_value)
{
    if (!process->args)
        return false;
    uint64_t length = 0;
    for (size_t i = strlen(process->args) + 1; i < process->args_size; i++)
        length += process->args[i] != '\0';
    return value_set_uint(ret_value, length);
}

static bool process_read_tty(const struct process *process, struct value *ret_value)
{
    return value_set_uint(ret_value, process->tty);
}

enum { ANCESTORS_READ_MAX = 64 };

bool process_read_ancestor(const struct event *event, const struct field_arg *arg, size_t nth,
                           process_read_fn read, struct value *ret_value)
{
    if (arg && arg->set) {
        const struct process *process = nth == 0 ? process_above(event, arg->index) : NULL;
        return process && read(process, ret_value);
    }
    // As far up as exited ancestors are kept, too; it also bounds what a long chain costs.
    size_t depth = 0;
    for (const struct process *process = process_above(event, 1); process && depth < ANCESTORS_READ_MAX;
         process = process->parent, depth++) {
        struct value value;
        if (!read(process, &value))
            continue;
        if (nth-- == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

// --- Getters ---

#define GET_SELF(what)                                                                         \
    static bool get_##what(const struct event *event, const struct field_arg *arg, size_t nth, \
                           struct value *ret_value)                                            \
    {                                                                                          \
        return nth == 0 && event->process && process_read_##what(event->process, ret_value);   \
    }
#define GET_PARENT(what)                                                                              \
    static bool get_parent_##what(const struct event *event, const struct field_arg *arg, size_t nth, \
                                  struct value *ret_value)                                            \
    {                                                                                                 \
        const struct process *process = nth == 0 ? process_above(event, 1) : NULL;                    \
        return process && process_read_##what(process, ret_value);                                    \
    }
#define GET_ANCESTOR(what)                                                                              \
    static bool get_ancestor_##what(const struct event *event, const struct field_arg *arg, size_t nth, \
                                    struct value *ret_value)                                            \
    {                                                                                                   \
        return process_read_ancestor(event, arg, nth, process_read_##what, ret_value);                  \
    }

GET_SELF(pid)
GET_SELF(name)
GET_SELF(exe)
GET_SELF(exepath)
GET_SELF(args)
GET_SELF(args_count)
GET_SELF(args_length)
GET_SELF(cmdline)
GET_SELF(tty)
GET_PARENT(name)
GET_PARENT(exe)
GET_PARENT(exepath)
GET_PARENT(cmdline)
GET_ANCESTOR(name)
GET_ANCESTOR(pid)
GET_ANCESTOR(exe)
GET_ANCESTOR(exepath)
GET_ANCESTOR(cmdline)

static bool get_ppid(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return nth == 0 && event->process && event->process->ppid > 0 &&
           value_set_int(ret_value, event->process->ppid);
}

GETTER(get_exeline)
{
    static struct field_cache cache;
    const struct process *process = event->process;
    if (nth > 0 || !process || !process->args)
        return false;
    if (field_cached(&cache, event))
        return value_set_bytes(ret_value, cache.data, cache.length);
    _cleanup_text_ struct text text = TEXT_INIT(PROC_ARGS_MAX);
    for (size_t at = 0; at < process->args_size; at += strlen(process->args + at) + 1) {
        text_add(&text, at ? " " : "");
        text_add(&text, process->args + at);
    }
    field_cache_set(&cache, event, &text);
    return value_set_bytes(ret_value, cache.data, cache.length);
}

GETTER(get_login_shell)
{
    const struct process *shell = NULL;
    const struct process *process = event->process;
    for (size_t depth = 0; process && depth < ANCESTORS_READ_MAX; process = process->parent, depth++) {
        size_t length = strlen(process->name);
        if (length >= 2 && strcmp(process->name + length - 2, "sh") == 0)
            shell = process;
    }
    return nth == 0 && shell && value_set_int(ret_value, shell->pid);
}

bool field_cached(struct field_cache *cache, const struct event *event)
{
    if (cache->num == event->num)
        return true;
    *cache = (struct field_cache){.num = event->num};
    return false;
}

void field_cache_set(struct field_cache *cache, const struct event *event, const struct text *text)
{
    char *copy = event_alloc(event, text->length + 1);
    if (!copy)
        return;
    memcpy(copy, text_string(text), text->length);
    copy[text->length] = '\0';
    cache->data = copy;
    cache->length = text->length;
}

uint64_t field_wall_ns(const struct event *event, uint64_t boot_ns)
{
    return event->time_ns - event->wire->time_ns + boot_ns;
}

bool value_set_time(struct value *ret_value, uint64_t epoch_ns)
{
    ret_value->type = FIELD_TIME;
    ret_value->u = epoch_ns;
    return true;
}

bool value_set_duration(struct value *ret_value, uint64_t duration_ns)
{
    ret_value->type = FIELD_DURATION;
    ret_value->u = duration_ns;
    return true;
}

// Time from a process's start to the event; both are of one clock.
static bool age_of(const struct event *event, size_t nth, const struct process *process, uint64_t *ret_age)
{
    if (nth > 0 || !process || process->start_time_ns == 0)
        return false;
    uint64_t now = event->wire->time_ns;
    *ret_age = now > process->start_time_ns ? now - process->start_time_ns : 0;
    return true;
}

GETTER(get_duration)
{
    uint64_t age;
    return age_of(event, nth, event->process, &age) && value_set_duration(ret_value, age);
}

GETTER(get_pid_ts)
{
    uint64_t age;
    return age_of(event, nth, event->process, &age) && value_set_time(ret_value, event->time_ns - age);
}

GETTER(get_ppid_duration)
{
    uint64_t age;
    return age_of(event, nth, process_above(event, 1), &age) && value_set_duration(ret_value, age);
}

GETTER(get_ppid_ts)
{
    uint64_t age;
    return age_of(event, nth, process_above(event, 1), &age) &&
           value_set_time(ret_value, event->time_ns - age);
}

#define ANCESTORS "; with an index the n-th one's, 0 being the process itself"

static const struct field proc_fields[] = {
    {.name = "proc.pid", .type = FIELD_INT, .help = "Process id, as the node counts", .get = get_pid},
    {.name = "proc.ppid",
     .type = FIELD_INT,
     .help = "Process id of the parent, which is who forked the process",
     .get = get_ppid},
    {.name = "proc.name",
     .type = FIELD_STRING,
     .help = "Name of the process as the kernel keeps it, at most 15 characters",
     .get = get_name},
    {.name = "proc.exe",
     .type = FIELD_STRING,
     .help = "First argument (argv[0]), which the caller chose freely",
     .get = get_exe},
    {.name = "proc.exepath",
     .type = FIELD_STRING,
     .help = "Path of the file that runs, symbolic links resolved",
     .get = get_exepath},
    {.name = "proc.args",
     .type = FIELD_STRING,
     .help = "Arguments after the first one, joined by spaces",
     .get = get_args},
    {.name = "proc.cmdline",
     .type = FIELD_STRING,
     .help = "proc.name and proc.args, joined by a space",
     .get = get_cmdline},
    {.name = "proc.cmdnargs",
     .type = FIELD_UINT,
     .help = "Number of arguments after the first one",
     .get = get_args_count},
    {.name = "proc.cmdlenargs",
     .type = FIELD_UINT,
     .help = "Length of all arguments after the first one together, without what separates them",
     .get = get_args_length},
    {.name = "proc.exeline",
     .type = FIELD_STRING,
     .help = "proc.exe and proc.args, joined by a space",
     .get = get_exeline},
    {.name = "proc.pname", .type = FIELD_STRING, .help = "The parent's proc.name", .get = get_parent_name},
    {.name = "proc.pexe", .type = FIELD_STRING, .help = "The parent's proc.exe", .get = get_parent_exe},
    {.name = "proc.pexepath",
     .type = FIELD_STRING,
     .help = "The parent's proc.exepath",
     .get = get_parent_exepath},
    {.name = "proc.pcmdline",
     .type = FIELD_STRING,
     .help = "The parent's proc.cmdline",
     .get = get_parent_cmdline},
    {.name = "proc.aname",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_INDEX,
     .many = true,
     .help = "The ancestors' proc.name" ANCESTORS,
     .get = get_ancestor_name},
    {.name = "proc.apid",
     .type = FIELD_INT,
     .arg = FIELD_ARG_INDEX,
     .many = true,
     .help = "The ancestors' proc.pid" ANCESTORS,
     .get = get_ancestor_pid},
    {.name = "proc.aexe",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_INDEX,
     .many = true,
     .help = "The ancestors' proc.exe" ANCESTORS,
     .get = get_ancestor_exe},
    {.name = "proc.aexepath",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_INDEX,
     .many = true,
     .help = "The ancestors' proc.exepath" ANCESTORS,
     .get = get_ancestor_exepath},
    {.name = "proc.acmdline",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_INDEX,
     .many = true,
     .help = "The ancestors' proc.cmdline" ANCESTORS,
     .get = get_ancestor_cmdline},
    {.name = "proc.tty",
     .type = FIELD_UINT,
     .help = "Device number of the controlling terminal; 0 for none",
     .get = get_tty},
    {.name = "proc.duration",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "How long the process had run when the event happened",
     .get = get_duration},
    {.name = "proc.pid.ts", .type = FIELD_TIME, .help = "When the process started", .get = get_pid_ts},
    {.name = "proc.ppid.duration",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "How long the parent had run when the event happened, or would have",
     .get = get_ppid_duration},
    {.name = "proc.ppid.ts", .type = FIELD_TIME, .help = "When the parent started", .get = get_ppid_ts},
    {.name = "proc.loginshellid",
     .type = FIELD_INT,
     .help = "Process id of the oldest among the process and its ancestors whose name ends in `sh`",
     .get = get_login_shell},
};

int enrich_register_process_fields(void)
{
    return field_register_context("proc", proc_fields, ARRAY_SIZE(proc_fields));
}
