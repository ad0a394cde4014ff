#include "base/cleanup.h"
#include "base/clock.h"
#include "base/outside.h"
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
        .help = "Containers known, which are those that have a known process or had one lately",
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

static bool give_back(void *cgroups)
{
    return cgroups_give_back(cgroups);
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
    enrich->cgroups = cgroups_new();
    if (!enrich->containers || !enrich->cgroups)
        return -ENOMEM;
    containers_set_relief(enrich->containers, give_back, enrich->cgroups);
    enrich_learn_init();
    enrich_exec_init();
    users_init(&enrich->users, enrich->host_root);
    enrich->proc_root = "/proc";
    hostname_read(enrich);
    node_container_read(enrich->host_root, enrich->node);
    enrich->clone = own_type("clone");
    enrich->execve = own_type("execve");
    enrich->procexit = own_type("procexit");
    enrich->setsid = own_type("setsid");
    enrich->setpgid = own_type("setpgid");
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
        cgroups_free(gone->cgroups);
    containers_free(gone->containers);
    users_free(&gone->users);
    blob_unref(gone->fallback.cmdline);
    blob_unref(gone->fallback.env);
    blob_unref(gone->fallback.env_text);
    blob_unref(gone->fallback.cwd);
    free(gone->host_root);
    free(gone->proc);
    free(gone);
}

void enrich_fill(struct process_entry *entry, const struct wire_header *header)
{
    char name[WIRE_COMM_LEN + 1];
    memcpy(name, header->comm, WIRE_COMM_LEN);
    name[WIRE_COMM_LEN] = '\0';
    process_entry_set_name(entry, name);
    entry->process.uid = header->uid;
    entry->process.gid = header->gid;
    entry->cgroup_id = header->cgroup_id;
}

struct process_entry *enrich_add_stub(struct enrich *enrich, const struct wire_header *header)
{
    struct process_entry *entry =
        process_table_add(&enrich->table, (pid_t)header->pid, header->start_time_ns, NULL);
    if (entry)
        enrich_fill(entry, header);
    return entry;
}

void enrich_set_ids(struct process_entry *entry, const struct wire_process_ids *wire)
{
    // Whether they were looked for at all.
    if (wire->vpid == 0)
        return;
    entry->process.ids = (struct process_ids){
        .pidns_start_ns = wire->pidns_start_ns,
        .sid = (pid_t)wire->sid,
        .pgid = (pid_t)wire->pgid,
        .vpid = (pid_t)wire->vpid,
        .vsid = (pid_t)wire->vsid,
        .vpgid = (pid_t)wire->vpgid,
    };
}

// A record from another cgroup than before: the process was moved, perhaps into a container.
static void follow_cgroup(struct enrich *enrich, struct process_entry *entry,
                          const struct wire_header *header)
{
    if (header->cgroup_id == 0 || header->cgroup_id == entry->cgroup_id)
        return;
    bool moved = entry->cgroup_id != 0;
    entry->cgroup_id = header->cgroup_id;
    if (!moved || enrich_ask_container(enrich, entry, header->time_ns) == 0)
        return;
    // It has gone; others of its cgroup may have told whose that is. If not, what was known is of the other.
    const struct container *container;
    entry->container_known = cgroups_find(enrich->cgroups, header->cgroup_id, &container) == 0;
    if (entry->container_known)
        process_entry_set_container(entry, container_ref(container));
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
            parent = enrich_add_stub(enrich, &forker);
        }
    }

    // A child that the scan of /proc found first may have become another program since: it stays as it is.
    struct process_entry *entry = enrich_find(enrich, (pid_t)header->pid, header->start_time_ns);
    if (entry) {
        if (parent)
            process_table_link(&enrich->table, entry, parent);
        enrich_set_ids(entry, &wire->ids);
        return entry;
    }
    entry = process_table_add(&enrich->table, (pid_t)header->pid, header->start_time_ns, parent);
    if (!entry)
        return NULL;
    // Who forks may have given itself another name since its exec (container runtimes do), which the child
    // has.
    uint64_t cgroup_id = entry->cgroup_id;
    enrich_fill(entry, header);
    // The parent's, as far as we know: follow_cgroup() sees where the parent was moved since, or the child
    // was born elsewhere.
    const struct container *noted;
    if (cgroup_id)
        entry->cgroup_id = cgroup_id;
    else if (cgroups_find(enrich->cgroups, header->cgroup_id, &noted) || noted != entry->process.container)
        entry->container_known = false;
    entry->process.ppid = (pid_t)wire->parent_pid;
    entry->process.loginuid = wire->loginuid;
    enrich_set_ids(entry, &wire->ids);
    return entry;
}

// Of a process that has gone: others of its cgroup have told whose that is. What leaves the node is told a
// second after it did.
static void take_container_of_cgroup(struct enrich *enrich, struct process_entry *entry,
                                     const struct wire_header *header)
{
    const struct container *container = NULL;
    if (cgroups_find(enrich->cgroups, header->cgroup_id, &container) == 0)
        process_entry_set_container(entry, container_ref(container));
    entry->cgroup_id = header->cgroup_id;
}

static struct process_entry *on_other(struct enrich *enrich, const struct wire_header *header)
{
    struct process_entry *entry =
        enrich_find_or_learn(enrich, (pid_t)header->pid, header->start_time_ns, header->time_ns);
    if (entry)
        return entry;
    entry = enrich_add_stub(enrich, header);
    if (entry)
        take_container_of_cgroup(enrich, entry, header);
    return entry;
}

// setsid() and setpgid(): the caller's numbers, and those of a child that it has moved.
static struct process_entry *on_session(struct enrich *enrich, const struct wire_process_session *wire)
{
    struct process_entry *entry = on_other(enrich, &wire->call.header);
    if (!entry)
        return NULL;
    enrich_set_ids(entry, &wire->ids);
    // Only in our own namespace does the caller's argument tell which process that was. Elsewhere, as shells
    // do, the child mostly moves itself as well.
    bool same_namespace = wire->ids.vpid == wire->call.header.pid;
    bool other = wire->call.header.type == WIRE_PROCESS_SETPGID && wire->call.result == 0 && wire->pid > 0 &&
                 (uint32_t)wire->pid != wire->call.header.pid;
    struct process_entry *moved =
        other && same_namespace ? process_table_find(&enrich->table, wire->pid) : NULL;
    if (moved) {
        pid_t pgid = wire->pgid ? wire->pgid : wire->pid;
        moved->process.ids.pgid = pgid;
        moved->process.ids.vpgid = pgid;
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
    struct process_entry *entry = NULL;
    if (event_is(event, enrich->clone, WIRE_PROCESS_CLONE, sizeof(struct wire_process_clone)))
        return on_clone(enrich, (const struct wire_process_clone *)header);
    if (event_is(event, enrich->execve, WIRE_PROCESS_EXECVE, sizeof(struct wire_process_execve)))
        entry = enrich_exec(enrich, (const struct wire_process_execve *)header);
    if (event_is(event, enrich->setsid, WIRE_PROCESS_SETSID, sizeof(struct wire_process_session)) ||
        event_is(event, enrich->setpgid, WIRE_PROCESS_SETPGID, sizeof(struct wire_process_session)))
        return on_session(enrich, (const struct wire_process_session *)header);
    return entry ? entry : on_other(enrich, header);
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
        entry->process.ids = (struct process_ids){};
        process_entry_forget_program(entry);
        process_entry_set_cwd(entry, NULL, 0);
        enrich_fill(entry, header);
        take_container_of_cgroup(enrich, entry, header);
    }
    if (!enrich->current)
        enrich->current = process_entry_ref(entry);

    entry->process.uid = header->uid;
    entry->process.gid = header->gid;
    follow_cgroup(enrich, entry, header);
    if (event_is(event, enrich->procexit, WIRE_PROCESS_PROCEXIT, sizeof(struct wire_process_procexit)))
        entry->process.exited = true;
    container_refresh(entry->process.container, header->time_ns);
    event->process = &entry->process;
    event->container = entry->process.container;
    // A fork tells nothing new, and may be older than what /proc has told of the child: it can be in a
    // container by then.
    if (entry->container_known &&
        !event_is(event, enrich->clone, WIRE_PROCESS_CLONE, sizeof(struct wire_process_clone)))
        cgroups_note(enrich->cgroups, header->cgroup_id, event->container);
}

int enrich_cgroup(struct enrich *enrich, uint64_t cgroup_id, pid_t pid,
                  const struct container **ret_container)
{
    if (cgroups_find(enrich->cgroups, cgroup_id, ret_container) == 0)
        return 0;
    // A replay has events alone: what is learnt in between would be missing there, so nothing is.
    if (outside_is_recorded()) {
        const struct process_entry *known = process_table_find(&enrich->table, pid);
        if (!known || !known->container_known || (known->cgroup_id && known->cgroup_id != cgroup_id))
            return -ENOENT;
        *ret_container = known->process.container;
        return 0;
    }
    // Of a process that ran before the agent, and has done nothing since that would be an event.
    uint64_t now_ns = clock_ns(CLOCK_BOOTTIME);
    struct process_entry *entry = enrich_find_or_learn(enrich, pid, 0, now_ns);
    if (!entry || entry->process.exited || (entry->cgroup_id && entry->cgroup_id != cgroup_id))
        return -ENOENT;
    // Runtimes move a process to its container's cgroup when it may have been learnt already.
    bool sure = entry->cgroup_id && entry->container_known;
    if (!sure && enrich_ask_container(enrich, entry, now_ns))
        return -ENOENT;
    cgroups_note(enrich->cgroups, cgroup_id, entry->process.container);
    *ret_container = entry->process.container;
    return 0;
}

void enrich_event_done(struct enrich *enrich, struct event *event)
{
    if (enrich->current &&
        event_is(event, enrich->procexit, WIRE_PROCESS_PROCEXIT, sizeof(struct wire_process_procexit)))
        process_table_remove(&enrich->table, enrich->current);
    release_current(enrich);
}
