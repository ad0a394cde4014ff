// Finding processes: in the table, or in /proc where the table does not have them.
#include "enrich_private.h"

// How far an unknown process's ancestors are looked up in /proc.
enum { LEARN_ANCESTORS_MAX = 16 };

const struct container *enrich_container_of(struct enrich *enrich, const char *text, size_t size,
                                            uint64_t now_ns)
{
    struct container_id id;
    return container_id_from_proc(text, size, &id) ? containers_get(enrich->containers, &id, now_ns) : NULL;
}

// Adds what was read into enrich->proc.
static struct process_entry *add_from_proc(struct enrich *enrich, uint64_t now_ns)
{
    const struct proc_info *info = enrich->proc;
    struct process_entry *entry = process_table_add(&enrich->table, info->pid, info->start_time_ns, NULL);
    if (!entry)
        return NULL;
    entry->start_exact = false;
    entry->process.ppid = info->ppid;
    entry->process.uid = info->uid;
    entry->process.gid = info->gid;
    entry->process.loginuid = info->loginuid;
    entry->process.tty = info->tty;
    process_entry_set_name(entry, info->name);
    process_entry_set_exepath(entry, info->exepath, info->exepath_size);
    process_entry_set_args(entry, info->args, info->args_size);
    process_entry_set_container(entry, enrich_container_of(enrich, info->cgroup, info->cgroup_size, now_ns));
    return entry;
}

// Adds a process from /proc if it is there and started then (0: whenever). NULL otherwise.
static struct process_entry *learn_one(struct enrich *enrich, pid_t pid, uint64_t start_time_ns,
                                       uint64_t now_ns)
{
    if (pid <= 0 || proc_read(enrich->proc_root, pid, enrich->proc) < 0)
        return NULL;
    if (start_time_ns && !process_table_same_tick(&enrich->table, enrich->proc->start_time_ns, start_time_ns))
        return NULL;
    struct process_entry *entry = add_from_proc(enrich, now_ns);
    if (entry && start_time_ns) {
        entry->process.start_time_ns = start_time_ns;
        entry->start_exact = true;
    }
    return entry;
}

// The same with its ancestors, as far as they are not known.
static struct process_entry *learn(struct enrich *enrich, pid_t pid, uint64_t start_time_ns, uint64_t now_ns)
{
    struct process_entry *entry = learn_one(enrich, pid, start_time_ns, now_ns);
    if (!entry)
        return NULL;
    // Held, because each ancestor that is added may push out another entry.
    process_entry_ref(entry);
    struct process_entry *child = entry;
    for (int i = 0; i < LEARN_ANCESTORS_MAX; i++) {
        struct process_entry *parent = process_table_find(&enrich->table, child->process.ppid);
        bool known = parent != NULL;
        if (!known)
            parent = learn_one(enrich, child->process.ppid, 0, now_ns);
        if (!parent || !process_table_link(&enrich->table, child, parent) || known)
            break;
        child = parent;
    }
    bool alone = entry->refs == 1;
    process_entry_unref(&enrich->table, entry);
    return alone ? NULL : entry;
}

static void scan_visit(const struct proc_info *info, void *context)
{
    struct enrich *enrich = context;
    struct process_entry *known = process_table_find(&enrich->table, info->pid);
    if (!known || !process_table_same_start(&enrich->table, known, info->start_time_ns))
        add_from_proc(enrich, 0);
}

int enrich_scan(struct enrich *enrich)
{
    users_learn(&enrich->users);
    int count = proc_scan(enrich->proc_root, enrich->proc, scan_visit, enrich);
    if (count < 0)
        return count;
    for (struct process_entry *entry = enrich->table.used; entry; entry = entry->next) {
        struct process_entry *parent = process_table_find(&enrich->table, entry->process.ppid);
        if (parent)
            process_table_link(&enrich->table, entry, parent);
    }
    return count;
}

struct process_entry *enrich_find(struct enrich *enrich, pid_t pid, uint64_t start_time_ns)
{
    struct process_entry *entry = process_table_find(&enrich->table, pid);
    if (!entry)
        return NULL;
    if (!process_table_same_start(&enrich->table, entry, start_time_ns)) {
        entry->process.exited = true;
        process_table_remove(&enrich->table, entry);
        return NULL;
    }
    if (!entry->start_exact && start_time_ns) {
        entry->process.start_time_ns = start_time_ns;
        entry->start_exact = true;
    }
    process_table_touch(&enrich->table, entry);
    return entry;
}

struct process_entry *enrich_find_or_learn(struct enrich *enrich, pid_t pid, uint64_t start_time_ns,
                                           uint64_t now_ns)
{
    struct process_entry *entry = enrich_find(enrich, pid, start_time_ns);
    return entry ? entry : learn(enrich, pid, start_time_ns, now_ns);
}
