// The fields proc.* about the file that runs, the environment and the directory.
#include "base/cleanup.h"
#include "enrich_private.h"
#include "fields.h"

#include <string.h>

// --- The file ---

static const struct process_exe *exe_of(const struct event *event, size_t nth)
{
    struct enrich *enrich = enrich_active();
    if (nth > 0 || !event->process || !enrich)
        return NULL;
    enrich_ask_proc(enrich, process_entry_of(event->process), ASK_EXE);
    return &event->process->exe;
}

static const struct process_exe *inode_of(const struct event *event, size_t nth)
{
    const struct process_exe *exe = exe_of(event, nth);
    return exe && exe->flags & PROCESS_EXE_INODE ? exe : NULL;
}

// What only the kernel tells, at exec.
static bool layer_flag(const struct event *event, size_t nth, unsigned flag, struct value *ret_value)
{
    const struct process *process = event->process;
    return nth == 0 && process && process->exe.flags & PROCESS_EXE_LAYER &&
           value_set_bool(ret_value, process->exe.flags & flag);
}

GETTER(get_is_upper_layer)
{
    return layer_flag(event, nth, PROCESS_EXE_UPPER, ret_value);
}

GETTER(get_is_lower_layer)
{
    return layer_flag(event, nth, PROCESS_EXE_LOWER, ret_value);
}

GETTER(get_is_writable)
{
    return layer_flag(event, nth, PROCESS_EXE_WRITABLE, ret_value);
}

GETTER(get_is_from_memfd)
{
    const struct process *process = event->process;
    return nth == 0 && process && process->exepath &&
           value_set_bool(ret_value, process->exe.flags & PROCESS_EXE_MEMFD);
}

GETTER(get_ino)
{
    const struct process_exe *exe = inode_of(event, nth);
    return exe && value_set_uint(ret_value, exe->ino);
}

GETTER(get_ctime)
{
    const struct process_exe *exe = inode_of(event, nth);
    return exe && value_set_time(ret_value, exe->ctime_ns);
}

GETTER(get_mtime)
{
    const struct process_exe *exe = inode_of(event, nth);
    return exe && value_set_time(ret_value, exe->mtime_ns);
}

GETTER(get_ctime_to_start)
{
    const struct process_exe *exe = inode_of(event, nth);
    if (!exe || event->process->start_time_ns == 0)
        return false;
    uint64_t start = field_wall_ns(event, event->process->start_time_ns);
    return value_set_duration(ret_value, start > exe->ctime_ns ? start - exe->ctime_ns : 0);
}

// When the first process of its pid namespace started; 0: not known.
static uint64_t pidns_start(const struct event *event)
{
    struct enrich *enrich = enrich_active();
    if (!enrich || !event->process)
        return 0;
    const struct process_ids *ids = &event->process->ids;
    enrich_ask_proc(enrich, process_entry_of(event->process), ASK_IDS);
    if (ids->pidns_start_ns || ids->vpid != event->process->pid)
        return ids->pidns_start_ns;
    const struct process_entry *first = process_table_find(&enrich->table, 1);
    return first ? first->process.start_time_ns : 0;
}

GETTER(get_pidns_start)
{
    uint64_t start = nth == 0 ? pidns_start(event) : 0;
    return start && value_set_time(ret_value, field_wall_ns(event, start));
}

GETTER(get_pidns_to_ctime)
{
    uint64_t start = nth == 0 ? pidns_start(event) : 0;
    const struct process_exe *exe = start ? inode_of(event, nth) : NULL;
    if (!exe || exe->ctime_ns <= field_wall_ns(event, start))
        return false;
    return value_set_duration(ret_value, exe->ctime_ns - field_wall_ns(event, start));
}

// --- Environment and directory ---

static bool env_read(const struct process *process, struct value *ret_value)
{
    struct process_entry *entry = process_entry_of(process);
    enrich_ask_proc(enrich_active(), entry, ASK_ENV);
    const struct blob *text = process_entry_env_text(entry);
    return text && value_set_bytes(ret_value, text->data, text->size);
}

// The value of one variable; the first one of that name counts, as for getenv().
static bool env_read_variable(const struct process *process, const char *name, struct value *ret_value)
{
    struct process_entry *entry = process_entry_of(process);
    enrich_ask_proc(enrich_active(), entry, ASK_ENV);
    size_t length = strlen(name);
    const char *end = entry->env ? entry->env->data + entry->env->size : NULL;
    for (const char *at = entry->env ? entry->env->data : NULL; at && at < end; at += strlen(at) + 1)
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return value_set_string(ret_value, at + length + 1);
    return false;
}

GETTER(get_env)
{
    if (nth > 0 || !event->process || !enrich_active())
        return false;
    return arg && arg->set ? env_read_variable(event->process, arg->key, ret_value)
                           : env_read(event->process, ret_value);
}

GETTER(get_ancestor_env)
{
    if (!event->process || !enrich_active())
        return false;
    if (!arg || !arg->set)
        return process_read_ancestor(event, NULL, nth, env_read, ret_value);
    size_t digits = strspn(arg->key, "0123456789");
    if (arg->key[digits] == '\0' && digits > 0 && digits < 6) {
        struct field_arg index = {.set = true, .index = (uint32_t)strtoul(arg->key, NULL, 10)};
        return process_read_ancestor(event, &index, nth, env_read, ret_value);
    }
    const struct process *process = nth == 0 ? process_above(event, 1) : NULL;
    for (size_t depth = 0; process && depth < PROCESS_ANCESTORS_MAX; process = process->parent, depth++)
        if (env_read_variable(process, arg->key, ret_value))
            return true;
    return false;
}

GETTER(get_cwd)
{
    struct enrich *enrich = enrich_active();
    const struct blob *cwd = nth == 0 && event->process && enrich ? enrich_cwd(enrich, event) : NULL;
    return cwd && value_set_bytes(ret_value, cwd->data, cwd->size);
}

#define AT_EXEC "; missing for a process that the agent has not seen start"

static const struct field program_fields[] = {
    {.name = "proc.is_exe_writable",
     .type = FIELD_BOOL,
     .help = "Whether who runs the file may write it, or owns it, or may by capability (access control lists "
             "are not looked at)" AT_EXEC,
     .get = get_is_writable},
    {.name = "proc.is_exe_upper_layer",
     .type = FIELD_BOOL,
     .help =
         "Whether the file is in the upper layer of an overlay file system: it was added to the container "
         "or changed" AT_EXEC,
     .get = get_is_upper_layer},
    {.name = "proc.is_exe_lower_layer",
     .type = FIELD_BOOL,
     .help =
         "Whether the file is in the lower layer of an overlay file system: it is the image's own" AT_EXEC,
     .get = get_is_lower_layer},
    {.name = "proc.is_exe_from_memfd",
     .type = FIELD_BOOL,
     .help = "Whether the file is in memory only (memfd_create); proc.exepath is then `memfd:` and its name",
     .get = get_is_from_memfd},
    {.name = "proc.exe_ino",
     .type = FIELD_UINT,
     .help = "Inode number of the file that runs",
     .get = get_ino},
    {.name = "proc.exe_ino.ctime",
     .type = FIELD_TIME,
     .help = "When that inode last changed: contents, owner, mode, links",
     .get = get_ctime},
    {.name = "proc.exe_ino.mtime",
     .type = FIELD_TIME,
     .help = "When the contents of the file last changed, which its owner can set at will",
     .get = get_mtime},
    {.name = "proc.exe_ino.ctime_duration_proc_start",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "From proc.exe_ino.ctime to the start of the process; 0 where the file changed later",
     .get = get_ctime_to_start},
    {.name = "proc.exe_ino.ctime_duration_pidns_start",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "From the start of the pid namespace to proc.exe_ino.ctime; missing where the file is older",
     .get = get_pidns_to_ctime},
    {.name = "proc.pidns_init_start_ts",
     .type = FIELD_TIME,
     .help = "When the first process of its pid namespace, so mostly of its container, started",
     .get = get_pidns_start},
    {.name = "proc.env",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_NAME,
     .help = "The environment with which the program was started, joined by spaces, at most 4096 bytes; with "
             "a name that variable's value, missing where it is not set",
     .get = get_env},
    {.name = "proc.aenv",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_NAME,
     .many = true,
     .help = "The ancestors' proc.env; with an index the n-th one's, 0 being the process itself; with a name "
             "that variable of the nearest ancestor which has it",
     .get = get_ancestor_env},
    {.name = "proc.cwd",
     .type = FIELD_STRING,
     .help = "The working directory, with a slash at its end: of an exec as it was then; of other events as "
             "it is when the rule reads it, or where the process has gone by then, as last known",
     .get = get_cwd},
};

int enrich_register_program_fields(void)
{
    return field_register_context("proc", program_fields, ARRAY_SIZE(program_fields));
}
