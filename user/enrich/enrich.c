#include "base/cleanup.h"
#include "base/outside.h"
#include "base/path.h"
#include "base/series.h"
#include "enrich_private.h"
#include "wire/process.h"

#include <errno.h>
#include <string.h>

enum { PROCESSES_DEFAULT = 32768, CONTAINERS_DEFAULT = 1024 };

static struct enrich *active;

struct enrich *enrich_active(void)
{
    return active;
}

static void collect(struct series_writer *writer, void *context)
{
    if (!active)
        return;
    static const struct series_family processes = {
        .name = "inferscope_processes",
        .type = SERIES_GAUGE,
        .help = "Processes known, exited ancestors of running ones included",
    };
    static const struct series_family containers = {
        .name = "inferscope_containers",
        .type = SERIES_GAUGE,
        .help = "Containers known, which are those that have a known process",
    };
    writer->family(writer, &processes);
    writer->number(writer, NULL, 0, (double)active->table.count);
    writer->family(writer, &containers);
    writer->number(writer, NULL, 0, (double)containers_count(active->containers));
}

static ssize_t node_name_now(void *context, void *ret_data, size_t capacity)
{
    const struct enrich *enrich = context;
    char path[4096];
    snprintf(path, sizeof(path), "%s/etc/hostname", enrich->host_root);
    _cleanup_fclose_ FILE *file = enrich->host_root[0] ? fopen(path, "re") : NULL;
    if (!file || !fgets(ret_data, (int)capacity, file))
        return -ENOENT;
    return (ssize_t)strcspn(ret_data, " \t\n");
}

// The node's name; in a container of its own the agent's host name is the pod's.
static void hostname_read(struct enrich *enrich)
{
    ssize_t length = outside_ask(OUTSIDE_LASTING, "node name", node_name_now, enrich, enrich->hostname,
                                 sizeof(enrich->hostname) - 1);
    enrich->hostname[length > 0 ? length : 0] = '\0';
    if (enrich->hostname[0] == '\0')
        outside_host_name(enrich->hostname, sizeof(enrich->hostname));
}

static const struct event_type *own_type(const char *name)
{
    const struct event_type *type = event_type_find(name);
    return type && strcmp(event_type_source(type), "process") == 0 ? type : NULL;
}

int enrich_new(const struct enrich_options *options, struct enrich **ret_enrich)
{
    static bool collected;
    if (!collected) {
        int err = series_register(collect, NULL);
        if (err < 0)
            return err;
        collected = true;
    }

    _cleanup_(enrich_free) struct enrich *enrich = calloc(1, sizeof(*enrich));
    if (!enrich)
        return -ENOMEM;
    process_table_init(&enrich->table, options->processes_max ? options->processes_max : PROCESSES_DEFAULT);
    enrich->host_root = strdup(options->host_root ? options->host_root : "");
    enrich->proc = malloc(sizeof(*enrich->proc));
    if (!enrich->host_root || !enrich->proc)
        return -ENOMEM;
    enrich->containers = containers_new(enrich->host_root, options->containers_max ? options->containers_max
                                                                                   : CONTAINERS_DEFAULT);
    if (!enrich->containers)
        return -ENOMEM;
    users_init(&enrich->users, enrich->host_root);
    enrich->proc_root = "/proc";
    hostname_read(enrich);
    enrich->clone = own_type("clone");
    enrich->execve = own_type("execve");
    enrich->procexit = own_type("procexit");
    enrich->fallback.refs = 1;
    active = enrich;
    *ret_enrich = TAKE_PTR(enrich);
    return 0;
}

static void release_current(struct enrich *enrich)
{
    if (enrich->current)
        process_entry_unref(&enrich->table, TAKE_PTR(enrich->current));
}

void enrich_free(struct enrich **enrich)
{
    struct enrich *gone = TAKE_PTR(*enrich);
    if (!gone)
        return;
    if (active == gone)
        active = NULL;
    release_current(gone);
    process_table_free(&gone->table);
    if (gone->containers)
        containers_free(gone->containers);
    users_free(&gone->users);
    blob_unref(gone->fallback.cmdline);
    free(gone->host_root);
    free(gone->proc);
    free(gone);
}

// What the header alone tells.
static void fill_from_header(struct process_entry *entry, const struct wire_header *header)
{
    char name[WIRE_COMM_LEN + 1];
    memcpy(name, header->comm, WIRE_COMM_LEN);
    name[WIRE_COMM_LEN] = '\0';
    process_entry_set_name(entry, name);
    entry->process.uid = header->uid;
    entry->process.gid = header->gid;
    entry->cgroup_id = header->cgroup_id;
}

// A process of which nothing but the record is known.
static struct process_entry *add_stub(struct enrich *enrich, const struct wire_header *header)
{
    struct process_entry *entry =
        process_table_add(&enrich->table, (pid_t)header->pid, header->start_time_ns, NULL);
    if (entry)
        fill_from_header(entry, header);
    return entry;
}

// A record from another cgroup than before: the process was moved, perhaps into a container.
static void follow_cgroup(struct enrich *enrich, struct process_entry *entry,
                          const struct wire_header *header)
{
    if (header->cgroup_id == 0 || header->cgroup_id == entry->cgroup_id)
        return;
    bool moved = entry->cgroup_id != 0;
    entry->cgroup_id = header->cgroup_id;
    if (!moved)
        return;
    ssize_t size = proc_read_cgroup(enrich->proc_root, entry->process.pid, enrich->proc->cgroup,
                                    sizeof(enrich->proc->cgroup));
    if (size > 0)
        process_entry_set_container(
            entry, enrich_container_of(enrich, enrich->proc->cgroup, (size_t)size, header->time_ns));
}

// The parent is looked for first, because learning it may push out other entries.
static struct process_entry *on_clone(struct enrich *enrich, const struct wire_process_clone *wire)
{
    const struct wire_header *header = &wire->header;
    struct process_entry *parent = NULL;
    if (wire->parent_pid != 0 && wire->parent_pid != header->pid) {
        parent = enrich_find_or_learn(enrich, (pid_t)wire->parent_pid, wire->parent_start_time_ns,
                                      header->time_ns);
        if (!parent) {
            // It was alive at the fork, so it is worth an entry: it may have more children.
            struct wire_header forker = *header;
            forker.pid = wire->parent_pid;
            forker.start_time_ns = wire->parent_start_time_ns;
            parent = add_stub(enrich, &forker);
        }
    }

    // A child that the scan of /proc found first may have become another program since: it stays as it is.
    struct process_entry *entry = enrich_find(enrich, (pid_t)header->pid, header->start_time_ns);
    if (entry) {
        if (parent)
            process_table_link(&enrich->table, entry, parent);
        return entry;
    }
    entry = process_table_add(&enrich->table, (pid_t)header->pid, header->start_time_ns, parent);
    if (!entry)
        return NULL;
    // Who forks may have given itself another name since its exec (container runtimes do), which the child
    // has.
    fill_from_header(entry, header);
    entry->process.ppid = (pid_t)wire->parent_pid;
    entry->process.loginuid = wire->loginuid;
    return entry;
}

static struct process_entry *on_other(struct enrich *enrich, const struct wire_header *header)
{
    struct process_entry *entry =
        enrich_find_or_learn(enrich, (pid_t)header->pid, header->start_time_ns, header->time_ns);
    if (!entry)
        entry = add_stub(enrich, header);
    return entry;
}

// The variable parts of an execve record.
struct exec_parts {
    const char *exe, *args, *cgroup;
};

// False where they would not fit into the record.
static bool exec_parts_of(const struct wire_process_execve *wire, struct exec_parts *ret_parts)
{
    size_t parts = (size_t)wire->filename_size + wire->exe_size + wire->args_size + wire->cgroup_size;
    if (wire->header.size < sizeof(*wire) || wire->header.size - sizeof(*wire) < parts)
        return false;
    ret_parts->exe = (const char *)(wire + 1) + wire->filename_size;
    ret_parts->args = ret_parts->exe + wire->exe_size;
    ret_parts->cgroup = ret_parts->args + wire->args_size;
    return true;
}

static void exec_set_args(struct enrich *enrich, struct process_entry *entry,
                          const struct wire_process_execve *wire, const struct exec_parts *parts)
{
    if (wire->args_size > 0) {
        process_entry_set_args(entry, parts->args, wire->args_size);
        return;
    }
    // The arguments were not in memory when the kernel side looked; by now they are.
    const struct proc_info *proc = enrich->proc;
    bool same = proc_read(enrich->proc_root, entry->process.pid, enrich->proc) == 0 &&
                process_table_same_tick(&enrich->table, proc->start_time_ns, wire->header.start_time_ns);
    process_entry_set_args(entry, proc->args, same ? proc->args_size : 0);
}

static struct process_entry *on_execve(struct enrich *enrich, const struct wire_process_execve *wire)
{
    const struct wire_header *header = &wire->header;
    struct exec_parts parts;
    if (!exec_parts_of(wire, &parts))
        return on_other(enrich, header);

    // The record says all that /proc would.
    struct process_entry *entry = enrich_find(enrich, (pid_t)header->pid, header->start_time_ns);
    if (!entry)
        entry = add_stub(enrich, header);
    if (!entry)
        return NULL;
    fill_from_header(entry, header);
    entry->process.loginuid = wire->loginuid;
    entry->process.tty = wire->tty;

    // A path of which the front is missing is worse than none. The asked-for name may leave its room to it.
    char exepath[WIRE_PROCESS_FILENAME_MAX + WIRE_PROCESS_PATH_MAX + 1];
    bool whole = wire->exe_size > 0 && !wire->exe_truncated;
    int length = whole ? path_decode(parts.exe, wire->exe_size, exepath, sizeof(exepath)) : 0;
    process_entry_set_exepath(entry, exepath, length > 0 ? (size_t)length : 0);
    exec_set_args(enrich, entry, wire, &parts);
    if (wire->cgroup_size > 0) {
        struct container_id id;
        bool found = container_id_from_names(parts.cgroup, wire->cgroup_size, &id);
        process_entry_set_container(entry,
                                    found ? containers_get(enrich->containers, &id, header->time_ns) : NULL);
    }

    if (!entry->process.parent && wire->parent_pid) {
        // Held, because learning the parent may push out other entries.
        enrich->current = process_entry_ref(entry);
        struct process_entry *parent = enrich_find_or_learn(enrich, (pid_t)wire->parent_pid,
                                                            wire->parent_start_time_ns, header->time_ns);
        entry->process.ppid = (pid_t)wire->parent_pid;
        if (parent)
            process_table_link(&enrich->table, entry, parent);
    }
    return entry;
}

// True for a record of the source `process` that is at least that long.
static bool event_is(const struct event *event, const struct event_type *type, uint16_t wire_type,
                     size_t size)
{
    return type && event->type == type && event->wire->type == wire_type && event->wire->size >= size;
}

static struct process_entry *entry_for(struct enrich *enrich, const struct event *event)
{
    const struct wire_header *header = event->wire;
    if (event_is(event, enrich->clone, WIRE_PROCESS_CLONE, sizeof(struct wire_process_clone)))
        return on_clone(enrich, (const struct wire_process_clone *)header);
    if (event_is(event, enrich->execve, WIRE_PROCESS_EXECVE, sizeof(struct wire_process_execve)))
        return on_execve(enrich, (const struct wire_process_execve *)header);
    return on_other(enrich, header);
}

void enrich_event(struct enrich *enrich, struct event *event)
{
    const struct wire_header *header = event->wire;
    release_current(enrich);
    struct process_entry *entry = entry_for(enrich, event);
    if (!entry) {
        entry = &enrich->fallback;
        entry->process.pid = (pid_t)header->pid;
        entry->process.start_time_ns = header->start_time_ns;
        entry->process.loginuid = LOGINUID_NONE;
        entry->process.exited = false;
        fill_from_header(entry, header);
    }
    if (!enrich->current)
        enrich->current = process_entry_ref(entry);

    entry->process.uid = header->uid;
    entry->process.gid = header->gid;
    follow_cgroup(enrich, entry, header);
    if (event_is(event, enrich->procexit, WIRE_PROCESS_PROCEXIT, sizeof(struct wire_process_procexit)))
        entry->process.exited = true;
    event->process = &entry->process;
    event->container = entry->process.container;
}

void enrich_event_done(struct enrich *enrich, struct event *event)
{
    if (enrich->current &&
        event_is(event, enrich->procexit, WIRE_PROCESS_PROCEXIT, sizeof(struct wire_process_procexit)))
        process_table_remove(&enrich->table, enrich->current);
    release_current(enrich);
}
