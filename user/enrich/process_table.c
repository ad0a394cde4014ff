// A failed insertion leaves the element out of the table instead of ending the agent.
#define HASH_NONFATAL_OOM 1

#include "process_table.h"

#include "base/series.h"
#include "containers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

// How many of the least recently used are looked at for one that frees memory at once.
enum { EVICTION_CANDIDATES = 32, PROCESSES_MIN = 16 };

static struct counter evictions = {
    .name = "inferscope_process_table_evictions_total",
    .help = "Processes forgotten while they may still run, because the process table was full",
};

void process_table_init(struct process_table *table, size_t max)
{
    long ticks = sysconf(_SC_CLK_TCK);
    *table = (struct process_table){
        .max = max > PROCESSES_MIN ? max : PROCESSES_MIN,
        .tick_ns = 1000000000ULL / (uint64_t)(ticks > 0 ? ticks : 100),
    };
    counter_register(&evictions);
}

void process_table_free(struct process_table *table)
{
    while (table->used)
        process_table_remove(table, table->used);
}

struct process_entry *process_table_find(struct process_table *table, pid_t pid)
{
    struct process_entry *entry;
    HASH_FIND_INT(table->by_pid, &pid, entry);
    return entry;
}

void process_table_touch(struct process_table *table, struct process_entry *entry)
{
    if (!entry->in_table || !entry->next)
        return;
    DL_DELETE(table->used, entry);
    DL_APPEND(table->used, entry);
}

static void entry_free(struct process_table *table, struct process_entry *entry)
{
    blob_unref(entry->exepath);
    blob_unref(entry->args);
    blob_unref(entry->cmdline);
    blob_unref(entry->env);
    blob_unref(entry->env_text);
    blob_unref(entry->cwd);
    container_unref(entry->process.container);
    free(entry);
    table->count--;
}

struct process_entry *process_entry_ref(struct process_entry *entry)
{
    entry->refs++;
    return entry;
}

void process_entry_unref(struct process_table *table, struct process_entry *entry)
{
    // A loop, because the last descendant of a long line may release all of it.
    while (entry && --entry->refs == 0) {
        struct process_entry *parent = entry->process.parent ? process_entry_of(entry->process.parent) : NULL;
        entry_free(table, entry);
        entry = parent;
    }
}

void process_table_remove(struct process_table *table, struct process_entry *entry)
{
    if (!entry->in_table)
        return;
    HASH_DEL(table->by_pid, entry);
    DL_DELETE(table->used, entry);
    entry->in_table = false;
    process_entry_unref(table, entry);
}

// A process that has children frees nothing when it goes, so one without is taken if there is one near.
static void table_evict(struct process_table *table)
{
    struct process_entry *victim = table->used;
    struct process_entry *candidate = table->used;
    for (size_t i = 0; candidate && i < EVICTION_CANDIDATES; i++, candidate = candidate->next) {
        if (candidate->refs == 1) {
            victim = candidate;
            break;
        }
    }
    process_table_remove(table, victim);
    evictions.value++;
}

// Past the limit only processes of the table are worth a link: they take room anyway.
static void trim_ancestors(struct process_table *table, struct process_entry *entry)
{
    struct process *process = &entry->process;
    for (size_t depth = 0; process->parent && depth < PROCESS_ANCESTORS_MAX; depth++)
        process = process->parent;
    if (!process->parent)
        return;
    struct process_entry *beyond = process_entry_of(process->parent);
    if (beyond->in_table)
        return;
    process->parent = NULL;
    process_entry_unref(table, beyond);
}

static void parent_set(struct process_table *table, struct process_entry *child, struct process_entry *parent)
{
    child->process.parent = &process_entry_ref(parent)->process;
    child->process.ppid = parent->process.pid;
    trim_ancestors(table, child);
}

static void entry_inherit(struct process_entry *entry, const struct process_entry *parent)
{
    struct process *process = &entry->process;
    process->uid = parent->process.uid;
    process->gid = parent->process.gid;
    process->loginuid = parent->process.loginuid;
    process->tty = parent->process.tty;
    memcpy(process->name, parent->process.name, sizeof(process->name));
    entry->cgroup_id = parent->cgroup_id;
    entry->exepath = blob_ref(parent->exepath);
    process->exepath = parent->process.exepath;
    entry->args = blob_ref(parent->args);
    process->args = parent->process.args;
    process->args_size = parent->process.args_size;
    entry->cmdline = blob_ref(parent->cmdline);
    process->exe = parent->process.exe;
    process->ids = parent->process.ids;
    process->ids.vpid = 0; // its own
    entry->env = blob_ref(parent->env);
    entry->env_text = blob_ref(parent->env_text);
    entry->env_known = parent->env_known;
    entry->cwd = blob_ref(parent->cwd);
    process->container = container_ref(parent->process.container);
    entry->container_known = parent->container_known;
}

struct process_entry *process_table_add(struct process_table *table, pid_t pid, uint64_t start_time_ns,
                                        struct process_entry *parent)
{
    // The parent must outlive the eviction that may follow.
    if (parent)
        process_entry_ref(parent);

    struct process_entry *old = process_table_find(table, pid);
    if (old) {
        old->process.exited = true;
        process_table_remove(table, old);
    }
    while (table->count >= table->max && table->used)
        table_evict(table);

    struct process_entry *entry = calloc(1, sizeof(*entry));
    if (!entry) {
        process_entry_unref(table, parent);
        return NULL;
    }
    table->count++;
    entry->refs = 1;
    entry->process.pid = pid;
    entry->process.start_time_ns = start_time_ns;
    entry->process.loginuid = LOGINUID_NONE;
    entry->start_exact = true;
    if (parent) {
        // Without the checks of process_table_link(): it is new, so it is nobody's ancestor.
        entry_inherit(entry, parent);
        parent_set(table, entry, parent);
        process_entry_unref(table, parent);
    }

    HASH_ADD(hh, table->by_pid, process.pid, sizeof(pid_t), entry);
    if (!entry->hh.tbl) {
        process_entry_unref(table, entry);
        return NULL;
    }
    entry->in_table = true;
    DL_APPEND(table->used, entry);
    return entry;
}

bool process_table_same_tick(const struct process_table *table, uint64_t tick_start_ns,
                             uint64_t start_time_ns)
{
    // /proc rounds down to a tick; one more, for kernels whose own clock does not divide evenly.
    return tick_start_ns < start_time_ns ? start_time_ns - tick_start_ns < 2 * table->tick_ns
                                         : tick_start_ns - start_time_ns <= table->tick_ns;
}

bool process_table_same_start(const struct process_table *table, const struct process_entry *entry,
                              uint64_t start_time_ns)
{
    uint64_t own = entry->process.start_time_ns;
    if (own == start_time_ns || own == 0 || start_time_ns == 0)
        return true;
    return !entry->start_exact && process_table_same_tick(table, own, start_time_ns);
}

bool process_table_link(struct process_table *table, struct process_entry *child,
                        struct process_entry *parent)
{
    if (child->process.parent)
        return false;
    if (parent->process.start_time_ns > child->process.start_time_ns + table->tick_ns &&
        child->process.start_time_ns != 0)
        return false;
    for (const struct process *ancestor = &parent->process; ancestor; ancestor = ancestor->parent)
        if (ancestor == &child->process)
            return false;
    parent_set(table, child, parent);
    return true;
}

static void blob_replace(struct blob **blob, struct blob *next)
{
    blob_unref(*blob);
    *blob = next;
}

void process_entry_set_exepath(struct process_entry *entry, const char *path, size_t size)
{
    blob_replace(&entry->exepath, size > 0 ? blob_copy(path, size) : NULL);
    entry->process.exepath = entry->exepath ? entry->exepath->data : NULL;
}

void process_entry_set_args(struct process_entry *entry, const char *args, size_t size)
{
    // Each argument has its NUL; an end that was cut off gets the blob's own.
    if (size > 0 && args[size - 1] == '\0')
        size--;
    else if (size == 0)
        args = NULL;
    blob_replace(&entry->args, args ? blob_copy(args, size) : NULL);
    blob_replace(&entry->cmdline, NULL);
    entry->process.args = entry->args ? entry->args->data : NULL;
    entry->process.args_size = entry->args ? entry->args->size + 1 : 0;
}

void process_entry_set_name(struct process_entry *entry, const char *name)
{
    char *own = entry->process.name;
    size_t length = strnlen(name, sizeof(entry->process.name) - 1);
    memcpy(own, name, length);
    memset(own + length, 0, sizeof(entry->process.name) - length);
    blob_replace(&entry->cmdline, NULL);
}

void process_entry_set_env(struct process_entry *entry, const char *env, size_t size)
{
    if (size > 0 && env[size - 1] == '\0')
        size--;
    blob_replace(&entry->env, size > 0 ? blob_copy(env, size) : NULL);
    blob_replace(&entry->env_text, NULL);
    entry->env_known = size == 0 || entry->env;
}

void process_entry_set_cwd(struct process_entry *entry, const char *path, size_t size)
{
    bool slash = size > 0 && path[size - 1] == '/';
    struct blob *cwd = size > 0 ? blob_new(size + !slash) : NULL;
    if (cwd) {
        memcpy(cwd->data, path, size);
        cwd->data[cwd->size - 1] = '/';
    }
    blob_replace(&entry->cwd, cwd);
}

void process_entry_forget_program(struct process_entry *entry)
{
    entry->process.exe = (struct process_exe){};
    process_entry_set_env(entry, NULL, 0);
    entry->env_known = false;
    entry->asked = 0;
}

void process_entry_set_container(struct process_entry *entry, const struct container *container)
{
    container_unref(entry->process.container);
    entry->process.container = container;
    entry->container_known = true;
}

struct process_entry *process_entry_of(const struct process *process)
{
    return (struct process_entry *)((char *)process - offsetof(struct process_entry, process));
}

const struct blob *process_entry_cmdline(struct process_entry *entry)
{
    if (entry->cmdline)
        return entry->cmdline;

    const struct process *process = &entry->process;
    size_t name_length = strlen(process->name);
    const char *rest = "";
    size_t rest_size = 0; // with the last NUL, which becomes the blob's
    if (process->args) {
        size_t first = strlen(process->args) + 1;
        rest = process->args + first;
        rest_size = process->args_size - first;
    }
    if (name_length == 0 && !process->args)
        return NULL;

    entry->cmdline = blob_new(name_length + rest_size);
    if (!entry->cmdline)
        return NULL;
    char *to = entry->cmdline->data;
    memcpy(to, process->name, name_length);
    to += name_length;
    for (size_t i = 0; i < rest_size; i++)
        to[i + 1] = rest[i] == '\0' ? ' ' : rest[i];
    if (rest_size > 0)
        to[0] = ' ';
    to[rest_size] = '\0';
    return entry->cmdline;
}

const struct blob *process_entry_env_text(struct process_entry *entry)
{
    if (entry->env_text || !entry->env_known)
        return entry->env_text;
    size_t size = entry->env ? entry->env->size : 0;
    entry->env_text = blob_new(size);
    for (size_t i = 0; entry->env_text && i < size; i++)
        entry->env_text->data[i] = entry->env->data[i] == '\0' ? ' ' : entry->env->data[i];
    return entry->env_text;
}

const char *process_exe(const struct process *process)
{
    return process->args;
}
